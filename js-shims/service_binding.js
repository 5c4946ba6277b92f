// Service bindings: other workers in `env`, the worker's own entrypoints in `ctx.exports`, and the callee's side of RPC.
// Loaded with the first of them.

import { core, primordials } from "ext:core/mod.js";
import { BYTES, TEXT } from "ext:holm/body.js";
import { finishInterface, streams, url as urls } from "ext:holm/engine.js";
import { DurableObject, WorkerEntrypoint } from "ext:holm/entrypoints.js";
import { flag } from "ext:holm/environment.js";
import { exchange } from "ext:holm/fetch.js";
import { headerList, MUTABLE, newHeaders, valueIn } from "ext:holm/headers.js";
import { requireOwner } from "ext:holm/owner.js";
import { isRequest, Request, requestParts } from "ext:holm/request.js";
import { parseUrl, Response, responseBody } from "ext:holm/response.js";
import { CLOSED, entrypointCall, ofInstance, ofObject, Session } from "ext:holm/rpc_session.js";
import { keepService, list, makesServices, propertyOf } from "ext:holm/rpc_stubs.js";
import { dataCloneError } from "ext:holm/rpc_values.js";

const {
  Error,
  FunctionPrototypeToString,
  JSONStringify,
  ObjectDefineProperty,
  ObjectFreeze,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  PromisePrototypeThen,
  PromiseReject,
  Proxy,
  ReflectGet,
  SafeWeakMap,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  StringPrototypeToWellFormed,
  TypeError,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
  encodeURIComponent,
  uncurryThis,
} = primordials;
const { op_body_close, op_body_open, op_respond, op_service_call, op_wait_until_begin, op_wait_until_end } = core.ops;
const { readableStreamCancel } = streams;
const { URL } = urls;

const cfOf = uncurryThis(ObjectGetOwnPropertyDescriptor(Request.prototype, "cf").get);
const statusOf = uncurryThis(ObjectGetOwnPropertyDescriptor(Response.prototype, "status").get);
const headersOf = uncurryThis(ObjectGetOwnPropertyDescriptor(Response.prototype, "headers").get);
const bodyOf = uncurryThis(ObjectGetOwnPropertyDescriptor(Response.prototype, "body").get);

const REDIRECTS = 20;
const ITSELF = -1;
/** Characters of a method's name in the URL that the call's record has. */
const LABEL = 256;

const ignore = () => {};

/** What is behind a service's proxy. */
class Service {
  /** The binding's index, or `ITSELF`. */
  binding;
  name;
  /** The entrypoint and its props, a structured clone: of the worker itself, for others the binding says it. */
  entrypoint;
  props;

  constructor(binding, name, entrypoint = "", props = null) {
    this.binding = binding;
    this.name = name;
    this.entrypoint = entrypoint;
    this.props = props;
  }

  /** One call is one invocation there, with a session of its own. */
  ask(path, args) {
    return this.#open(path[0]).askOther(false, 0, path, args);
  }

  copy() {
    return this;
  }

  drop() {
    ignore(this);
  }

  #open(method) {
    const owner = requireOwner();
    const out = op_body_open(owner, -1);
    const label = encodeURIComponent(StringPrototypeToWellFormed(StringPrototypeSlice(method, 0, LABEL)));
    const url = `rpc://${encodeURIComponent(this.name)}/${label}`;
    let begun;
    try {
      begun = op_service_call(owner, this.binding, this.entrypoint, this.props, true, "RPC", url, "", "", out);
    } catch (error) {
      op_body_close(out);
      throw error;
    }
    const session = new Session(owner, out, { __proto__: null, isCaller: true });
    PromisePrototypeThen(begun[1], (head) => session.listen(head[5]), (error) => session.end(error));
    return session;
  }

  /** Without a network hop; redirects lead to the same service. */
  fetch(input, init) {
    try {
      const request = (init === undefined || init === null) && isRequest(input) ? input : new Request(input, init);
      const parts = requestParts(request);
      return parts.redirect === "manual" ? this.#exchange(request, parts) : this.#follow(request, parts);
    } catch (error) {
      return PromiseReject(error);
    }
  }

  #exchange(request, parts) {
    const cf = cfOf(request);
    const about = cf === undefined ? "" : JSONStringify(cf) ?? "";
    return exchange(parts, (owner, { method, url }, list, data) =>
      op_service_call(owner, this.binding, this.entrypoint, this.props, false, method, url, list, about, data));
  }

  async #follow(request, parts) {
    for (let hops = 0;; hops++) {
      const { body, method, redirect, signal, url } = parts;
      const data = body === null ? null : body.kind === TEXT || body.kind === BYTES ? body.data : undefined;
      const response = await this.#exchange(request, parts);
      const status = statusOf(response);
      const isRedirect = status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
      const location = isRedirect ? valueIn(headerList(headersOf(response)), "location") : null;
      if (location === null) return response;
      if (redirect === "error") throw new TypeError("fetch failed: unexpected redirect");
      if (hops === REDIRECTS) throw new TypeError("Too many redirects.");
      if (responseBody(response) !== null) PromisePrototypeThen(readableStreamCancel(bodyOf(response)), ignore, ignore);
      const becomesGet = (status === 303 && method !== "HEAD") || ((status === 301 || status === 302) && method === "POST");
      if (!becomesGet && data === undefined) {
        throw new TypeError(
          "A request with a one-time-use body (it was initialized from a stream, not a buffer) encountered a redirect requiring the body to be retransmitted.",
        );
      }
      request = new Request(parseUrl(new URL(location, url)), {
        __proto__: null,
        method: becomesGet ? "GET" : method,
        headers: newHeaders(parts.list, MUTABLE),
        body: becomesGet ? null : data,
        redirect,
        signal: signal ?? null,
        cf: cfOf(request),
      });
      parts = requestParts(request);
    }
  }
}

/** A service that came over RPC: who sent it calls it. */
class RemoteService {
  #reference;

  constructor(reference) {
    this.#reference = reference;
  }

  ask(path, args) {
    return this.#reference.ask(path, args);
  }

  copy() {
    return new RemoteService(this.#reference.copy());
  }

  drop() {
    this.#reference.drop();
  }

  fetch(input, init) {
    try {
      const request = new Request(input, init);
      const { signal } = requestParts(request);
      const path = list();
      path[0] = "fetch";
      const args = list();
      args[0] = request;
      if (signal !== undefined) args[1] = { __proto__: null, signal };
      return this.ask(path, args).promise;
    } catch (error) {
      return PromiseReject(error);
    }
  }
}

/** The class that services in `env` are of. */
export class Fetcher {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}
finishInterface(Fetcher);

const serviceOf = new SafeWeakMap();

const get = (target, name) => {
  // What every object has is the stub's own.
  if (typeof name === "symbol" || name in target) return ReflectGet(target, name);
  const service = WeakMapPrototypeGet(serviceOf, target);
  if (name === "fetch") {
    return function fetch(input, init = undefined) {
      if (arguments.length < 1) {
        return PromiseReject(new TypeError("Failed to execute 'fetch' on 'Fetcher': 1 argument required, but only 0 present."));
      }
      return service.fetch(input, init);
    };
  }
  if (name === "connect") {
    return () => {
      throw new Error("connect() over a service binding is not supported: use fetch() or RPC.");
    };
  }
  // A service that could be awaited could not be the value of a promise.
  if (name === "then" || !flag("rpc")) return undefined;
  return propertyOf(service, name);
};

const traps = { __proto__: null, get };

/** One of the worker's own entrypoints can be called for one with props. */
const loopbackTraps = {
  __proto__: null,
  get,
  apply(target, _this, args) {
    const { entrypoint } = WeakMapPrototypeGet(serviceOf, target);
    const props = args[0]?.props;
    const cloned = props === undefined ? null : core.serialize(props, { __proto__: null, forStorage: true }, (text) => {
      throw dataCloneError(text);
    });
    return proxyOf({}, new Service(ITSELF, entrypoint, entrypoint, cloned), traps);
  },
};

function proxyOf(target, service, handlers) {
  ObjectSetPrototypeOf(target, Fetcher.prototype);
  WeakMapPrototypeSet(serviceOf, target, service);
  const proxy = new Proxy(target, handlers);
  keepService(proxy, service);
  return proxy;
}

makesServices((reference) => proxyOf({}, new RemoteService(reference), traps));

/** Adds the service bindings of these names to `env`. */
export function addServices(env, names) {
  for (let i = 0; i < names.length; i++) {
    ObjectDefineProperty(env, names[i], {
      __proto__: null,
      value: proxyOf({}, new Service(i, names[i]), traps),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
}

const isClass = (value) => StringPrototypeStartsWith(FunctionPrototypeToString(value), "class");
const HANDLERS = ["fetch", "scheduled", "queue", "email", "tail", "trace", "tailStream", "test", "connect"];

function isEntrypoint(value) {
  if (typeof value === "function") {
    if (!isClass(value)) return false;
    const { prototype } = value;
    return ObjectPrototypeIsPrototypeOf(WorkerEntrypoint.prototype, prototype) ||
      (!ObjectPrototypeIsPrototypeOf(DurableObject.prototype, prototype) && typeof prototype.fetch === "function");
  }
  if (typeof value !== "object" || value === null) return false;
  for (let i = 0; i < HANDLERS.length; i++) if (typeof value[HANDLERS[i]] === "function") return true;
  return false;
}

/** The entrypoints of a module's namespace. */
export function exportsOf(namespace) {
  const exports = {};
  const names = ObjectKeys(namespace);
  for (let i = 0; i < names.length; i++) {
    if (!isEntrypoint(namespace[names[i]])) continue;
    const target = () => {};
    delete target.name;
    delete target.length;
    exports[names[i]] = proxyOf(target, new Service(ITSELF, names[i], names[i]), loopbackTraps);
  }
  return ObjectFreeze(exports);
}

/** The callee's side: one invocation for one session, as long as the caller holds on to it. */
export function serve(owner, body, target, env, context) {
  const memberOf = typeof target === "function" ? ofInstance(new target(context, env)) : ofObject(target, env, context);
  const out = op_body_open(owner, -1);
  let begun = false;
  const session = new Session(owner, out, {
    __proto__: null,
    isCaller: false,
    begin() {
      begun = true;
      op_respond(owner, 200, "", "", out);
    },
    onEnd(how) {
      // The caller had nothing to say after all. One that is gone is told nothing.
      if (!begun && how === CLOSED) op_respond(owner, 200, "", "", null);
      op_wait_until_end(owner);
    },
  });
  op_wait_until_begin(owner);
  session.exportEntrypoint(entrypointCall(memberOf));
  session.listen(body);
}
