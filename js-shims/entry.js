// The entry point of the shims: installs the globals while the snapshot is made, and gives Rust its hooks.
//
// Rust reads `globalThis.__holm` from the fresh isolate and calls `prepare` before any user code. Every hook runs in a
// turn; none throws, but `start`. The life of a request on this side: `fetch` → the handler → `settle` → `respond`.

import { core, primordials } from "ext:core/mod.js";
import { cancelAnswer, forgetAnswer } from "ext:holm/body.js";
import { builtInModule } from "ext:holm/built_in_modules.js";
import { newContext, newScheduledController } from "ext:holm/context.js";
import { url } from "ext:holm/engine.js";
import { workerEnv } from "ext:holm/environment.js";
import { listensForFetch, rejectionHandled, unhandledRejection } from "ext:holm/events.js";
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
const { op_fail, op_wait_until_begin, op_wait_until_end } = core.ops;

const EXCEPTION = 0;
const NO_HANDLER = 1;
const NO_RESPONSE = 2;

// What the main module exports, decided once in `start`.
const NOTHING = 0;
const OBJECT = 1;
const CLASS = 2;
let exported = NOTHING;
let handler;
const NO_HANDLERS = { __proto__: null, fetch: false, scheduled: false };
let handles = NO_HANDLERS;
let env;

function start(namespace) {
  env = workerEnv();
  const main = namespace.default;
  if (main === undefined) {
    if (listensForFetch()) {
      throw new TypeError(
        "Service Worker syntax (addEventListener(\"fetch\", \u2026)) is not supported. Export a handler instead: export default { fetch(request, env, ctx) { \u2026 } }.",
      );
    }
    return;
  }
  if (typeof main === "function") {
    if (!StringPrototypeStartsWith(FunctionPrototypeToString(main), "class")) {
      throw new TypeError(
        "Incorrect type for the default export: it is a function. Export an object or a class with a fetch() method: export default { fetch(request, env, ctx) { \u2026 } }.",
      );
    }
    exported = CLASS;
    handles = offered(main.prototype);
  } else if (typeof main === "object" && main !== null) {
    exported = OBJECT;
    handles = offered(main);
  } else {
    throw new TypeError(
      `Incorrect type for the default export: it is ${main === null ? "null" : `a ${typeof main}`}. Export an object or a class with a fetch() method.`,
    );
  }
  handler = main;
}

const offered = (target) => ({
  __proto__: null,
  fetch: typeof target.fetch === "function",
  scheduled: typeof target.scheduled === "function",
});

/** The event `fetch`. Answers with op_respond or op_fail, now or in a later turn. */
function fetch(owner, bodyHandle) {
  if (!handles.fetch) {
    op_fail(owner, NO_HANDLER, new Error("Handler does not export a fetch() function."));
    return;
  }
  enter(owner);
  try {
    const request = incomingRequest(owner, bodyHandle);
    const context = newContext(owner);
    const result = exported === OBJECT
      ? handler.fetch(request, env, context)
      : new handler(context, env).fetch(request);
    if (isResponse(result)) respond(owner, result);
    else settle(owner, result);
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
    op_fail(owner, NO_HANDLER, new Error("Handler does not export a scheduled() function."));
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
      : new handler(context, env).scheduled(controller);
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
    fetch(0, 0);
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
