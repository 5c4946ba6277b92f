// The entry point of the shims: installs the globals while the snapshot is made, and gives Rust its hooks.
//
// Rust reads `globalThis.__holm` from the fresh isolate and calls `prepare` before any user code. Every hook runs in a
// turn; none throws, but `start`. The life of a request on this side: `fetch` → the handler → `settle` → `respond`.

import { core, primordials } from "ext:core/mod.js";
import { cancelAnswer, forgetAnswer } from "ext:holm/body.js";
import { builtInModule, lazyShim } from "ext:holm/built_in_modules.js";
import { newContext, newScheduledController } from "ext:holm/context.js";
import { url } from "ext:holm/engine.js";
import { bindGlobals, exportNamed, setNamespace, workerEnv } from "ext:holm/environment.js";
import { rejectionHandled, unhandledRejection } from "ext:holm/events.js";
import { finishGlobals, installGlobals } from "ext:holm/globals.js";
import { forgetNode, nodeGlobals } from "ext:holm/node.js";
import { enter, leave } from "ext:holm/owner.js";
import { abortWatched, forgetWatched, incomingRequest, Request, requestParts } from "ext:holm/request.js";
import { isResponse, respond, Response } from "ext:holm/response.js";
import { fireTimer, forgetTimers } from "ext:holm/timers.js";

const {
  Error,
  FunctionPrototypeToString,
  JSONStringify,
  Promise,
  PromisePrototypeThen,
  PromiseResolve,
  StringPrototypeStartsWith,
  TypeError,
  globalThis,
} = primordials;
const { op_called_entrypoint, op_fail, op_wait_until_begin, op_wait_until_end } = core.ops;

const EXCEPTION = 0;
const NO_HANDLER = 1;
const NO_RESPONSE = 2;

// What an export of the main module is; what the default one is, is decided once in `start`.
const NOTHING = 0;
const OBJECT = 1;
const CLASS = 2;
const SERVICE_WORKER = 3;
let exported = NOTHING;
let handler;
const NO_HANDLERS = { __proto__: null, fetch: false, scheduled: false };
let handles = NO_HANDLERS;
let env;

// What a request is, as Rust says.
const FROM_CLIENT = 0;
const RPC = 2;

const services = lazyShim("service_binding.js");
const serviceWorker = lazyShim("service_worker.js");

/** The module's namespace is `undefined` for a service worker. */
function start(namespace) {
  env = workerEnv();
  setNamespace(namespace);
  if (namespace === undefined) {
    handles = serviceWorker().listening();
    exported = SERVICE_WORKER;
    return;
  }
  const main = namespace.default;
  if (main === undefined) return;
  exported = kindOf(main);
  if (exported === NOTHING) {
    throw new TypeError(
      typeof main === "function"
        ? "Incorrect type for the default export: it is a function. Export an object or a class with a fetch() method: export default { fetch(request, env, ctx) { \u2026 } }."
        : `Incorrect type for the default export: it is ${main === null ? "null" : `a ${typeof main}`}. Export an object or a class with a fetch() method.`,
    );
  }
  handles = offered(main);
  handler = main;
}

function kindOf(value) {
  if (typeof value === "function") {
    return StringPrototypeStartsWith(FunctionPrototypeToString(value), "class") ? CLASS : NOTHING;
  }
  return typeof value === "object" && value !== null ? OBJECT : NOTHING;
}

function offered(value) {
  const target = typeof value === "function" ? value.prototype : value;
  return {
    __proto__: null,
    fetch: typeof target.fetch === "function",
    scheduled: typeof target.scheduled === "function",
  };
}

const noHandler = (owner, name) =>
  op_fail(owner, NO_HANDLER, new Error(`Handler does not export a ${name}() function.`));

/** The event `fetch`. Answers with op_respond or op_fail, now or in a later turn. */
function fetch(owner, bodyHandle, kind) {
  if (kind !== FROM_CLIENT) {
    called(owner, bodyHandle, kind);
    return;
  }
  if (!handles.fetch) {
    noHandler(owner, "fetch");
    return;
  }
  enter(owner);
  answer(owner, bodyHandle, exported, handler);
  leave();
}

/** Calls the `fetch` of an export, in the frame of `owner`. */
function answer(owner, bodyHandle, kind, target) {
  try {
    const request = incomingRequest(owner, bodyHandle);
    if (kind === SERVICE_WORKER) {
      settle(owner, serviceWorker().fetch(owner, request));
      return;
    }
    const context = newContext(owner);
    const result = kind === OBJECT ? target.fetch(request, env, context) : new target(context, env).fetch(request);
    if (isResponse(result)) respond(owner, result);
    else settle(owner, result);
  } catch (error) {
    op_fail(owner, EXCEPTION, error);
  }
}

/** An event that came over a service binding. */
function called(owner, bodyHandle, kind) {
  enter(owner);
  try {
    const name = op_called_entrypoint(owner);
    const target = name === "" ? handler : exportNamed(name);
    const targetKind = name === "" ? exported : kindOf(target);
    if (targetKind === NOTHING) {
      const which = name === "" ? "default export" : `entrypoint "${name}"`;
      op_fail(owner, NO_HANDLER, new TypeError(`The worker has no ${which}: its main module exports nothing that could be called under this name.`));
    } else if (kind === RPC) {
      if (targetKind === SERVICE_WORKER) throw new TypeError("A worker in service-worker syntax has no methods that could be called over RPC.");
      services().serve(owner, bodyHandle, target, env, newContext(owner));
    } else if ((targetKind === SERVICE_WORKER ? handles : offered(target)).fetch) {
      answer(owner, bodyHandle, targetKind, target);
    } else {
      noHandler(owner, "fetch");
    }
  } catch (error) {
    op_fail(owner, EXCEPTION, error);
  }
  leave();
}

/**
 * A handler's answer that is no Response: a promise of one, or a mistake. It is awaited, since `then` of a promise asks its
 * constructor for a species, which a script can replace.
 */
async function settle(owner, result) {
  if ((typeof result !== "object" && typeof result !== "function") || result === null) {
    notAResponse(owner);
    return;
  }
  try {
    const response = await result;
    if (isResponse(response)) respond(owner, response);
    else notAResponse(owner);
  } catch (error) {
    op_fail(owner, EXCEPTION, error);
  }
}

function notAResponse(owner) {
  op_fail(
    owner,
    NO_RESPONSE,
    new TypeError("Incorrect type for Promise: the Promise did not resolve to 'Response'."),
  );
}

/** The event `scheduled`. The invocation lasts until the handler's promise settles. */
function scheduled(owner, cron, scheduledTime) {
  if (!handles.scheduled) {
    noHandler(owner, "scheduled");
    return;
  }
  enter(owner);
  op_wait_until_begin(owner);
  const done = () => op_wait_until_end(owner);
  const failed = (error) => {
    op_fail(owner, EXCEPTION, error);
    done();
  };
  try {
    const controller = newScheduledController(cron, scheduledTime);
    const context = newContext(owner);
    const result = exported === OBJECT
      ? handler.scheduled(controller, env, context)
      : exported === CLASS
      ? new handler(context, env).scheduled(controller)
      : serviceWorker().scheduled(owner, controller);
    PromisePrototypeThen(PromiseResolve(result), done, failed);
  } catch (error) {
    failed(error);
  }
  leave();
}

function clientGone(owner) {
  enter(owner);
  abortWatched(owner);
  cancelAnswer(owner);
  leave();
}

function ended(owner) {
  forgetTimers(owner);
  forgetWatched(owner);
  forgetAnswer(owner);
  forgetNode(owner);
}

/** Runs what a first request needs, without an invocation, so that the snapshot keeps its bytecode. */
function warm() {
  for (let i = 0; i < 3; i++) {
    const request = new Request("http://localhost/path?query=1", { method: "POST", headers: { "x-name": "value" }, body: "text" });
    incomingRequest(0, 0);
    newContext(0);
    void request.method;
    void request.headers.get("x-name");
    requestParts(request);
    const response = new Response("Hello", { status: 201, headers: { "content-type": "text/plain" } });
    isResponse(response);
    response.headers.set("x-name", "value");
    new Response("Hello").clone();
    new Response(JSONStringify({ a: 1 }), { headers: [["content-type", "application/json"]] });
    Response.json({ a: 1 });
    void new url.URL(request.url).searchParams.get("query");
  }
  handler = { fetch: () => new Response("Hello", { headers: { "content-type": "text/plain" } }) };
  exported = OBJECT;
  handles = { __proto__: null, fetch: true, scheduled: false };
  try {
    fetch(0, 0, FROM_CLIENT);
  } catch {
    // There is no invocation that could be answered; the way there is compiled.
  }
  leave();
  settle(0, new Promise(() => {}));
  handler = undefined;
  exported = NOTHING;
  handles = NO_HANDLERS;
}


installGlobals();

globalThis.__holm = {
  __proto__: null,
  prepare: finishGlobals,
  configure: nodeGlobals,
  start,
  bindGlobals,
  builtInModule,
  fetch,
  scheduled,
  clientGone,
  ended,
  fireTimer,
  rejection: unhandledRejection,
  rejectionHandled,
  warm,
};
