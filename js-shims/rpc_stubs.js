// What scripts hold of objects elsewhere: stubs, promises of results, and properties of both. Loaded with the first of them.
//
// Each is a proxy whose properties exist when they are asked for. Behind it is a reference, which knows where the object is:
//   ask(path, args)   calls the member at the path, or reads it where `args` is `undefined`; answers a pending result,
//                     { promise, reference }, whose reference is of use before the promise settles (pipelining)
//   copy()            another reference to the same object
//   drop()            this one is needed no more

import { core, primordials } from "ext:core/mod.js";
import { finishInterface, seams } from "ext:holm/engine.js";
import { RpcTarget, WorkerEntrypoint } from "ext:holm/entrypoints.js";

const {
  ArrayIsArray,
  Error,
  FunctionPrototypeToString,
  ObjectHasOwn,
  ObjectPrototype,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  PromisePrototypeFinally,
  PromisePrototypeThen,
  PromiseResolve,
  Proxy,
  ReflectApply,
  ReflectGet,
  ReflectGetPrototypeOf,
  SafeWeakMap,
  String,
  StringPrototypeStartsWith,
  Symbol,
  TypeError,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;

export const { dispose: SymbolDispose } = Symbol;
const { asyncDispose: SymbolAsyncDispose } = Symbol;

const STUB = 1;
const PROMISE = 2;
const PROPERTY = 3;

export const DISPOSED = "RPC stub used after being disposed.";

const ignore = () => {};
export const ignoreRejection = (promise) => PromisePrototypeThen(promise, ignore, ignore);

/** A list that no method of a script's Array.prototype, nor a setter on it, has a part in. */
export const list = () => ObjectSetPrototypeOf([], null);

/** What is behind a proxy. */
class Held {
  kind;
  reference;
  /** @type {string[]} from the reference to the property */
  path;
  /** @type {Promise<any> | undefined} */
  promise = undefined;
  /** @type {Held | undefined} what it is a property of */
  base = undefined;
  disposed = false;

  constructor(kind, reference, path) {
    this.kind = kind;
    this.reference = reference;
    this.path = path;
  }
}

const heldByTarget = new SafeWeakMap();
const heldByProxy = new SafeWeakMap();

/** Another worker's object, or a function. */
export class RpcStub {
  constructor(target) {
    if (arguments.length < 1) {
      throw new TypeError("Failed to construct 'RpcStub': 1 argument required, but only 0 present.");
    }
    if (!isTarget(target) && typeof target !== "function") {
      throw new TypeError("Failed to construct 'RpcStub': parameter 1 is neither an RpcTarget nor a function.");
    }
    return stubOf(new LocalReference(target));
  }
}

/** The result of a call, before it is there. */
export class RpcPromise {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}

/** A property of a stub or of a promise: called, it is a method; awaited, its value. */
export class RpcProperty {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}

finishInterface(RpcStub);
finishInterface(RpcPromise);
finishInterface(RpcProperty);

function proxyOf(held, prototype) {
  // Callable, and without properties of its own.
  const target = () => {};
  delete target.name;
  delete target.length;
  ObjectSetPrototypeOf(target, prototype);
  const proxy = new Proxy(target, traps);
  WeakMapPrototypeSet(heldByTarget, target, held);
  WeakMapPrototypeSet(heldByProxy, proxy, held);
  return proxy;
}

export const stubOf = (reference) => proxyOf(new Held(STUB, reference, list()), RpcStub.prototype);

/** @param {{ promise: Promise<any>, reference: object }} pending */
export function promiseOf(pending) {
  const held = new Held(PROMISE, pending.reference, list());
  held.promise = pending.promise;
  ignoreRejection(pending.promise);
  return proxyOf(held, RpcPromise.prototype);
}

/** The property of a reference that is no stub itself: a method of a service. */
export function propertyOf(reference, name) {
  const path = list();
  path[0] = name;
  return proxyOf(new Held(PROPERTY, reference, path), RpcProperty.prototype);
}

function propertyOfHeld(held, name) {
  const path = list();
  for (let i = 0; i < held.path.length; i++) path[i] = held.path[i];
  path[path.length] = name;
  const property = new Held(PROPERTY, held.reference, path);
  property.base = held.base ?? held;
  return proxyOf(property, RpcProperty.prototype);
}

function checkUsable(held) {
  if (held.disposed || held.base?.disposed === true) throw new Error(DISPOSED);
}

function valueOf(held) {
  if (held.promise === undefined) {
    checkUsable(held);
    held.promise = held.reference.ask(held.path, undefined).promise;
  }
  return held.promise;
}

const traps = {
  __proto__: null,
  get(target, name) {
    const held = WeakMapPrototypeGet(heldByTarget, target);
    if (typeof name === "symbol") {
      if (held.kind !== PROPERTY && name === SymbolDispose) return () => dispose(held);
      if (held.kind !== PROPERTY && name === SymbolAsyncDispose) return async () => dispose(held);
      return ReflectGet(target, name);
    }
    // What every object has is the stub's own.
    if (name in target) return ReflectGet(target, name);
    if (held.kind === STUB) {
      // A stub that could be awaited could not be the value of a promise.
      if (name === "then") return undefined;
      if (name === "dup") return () => duplicate(held);
    } else if (name === "then") {
      return (fulfilled, rejected) => PromisePrototypeThen(valueOf(held), fulfilled, rejected);
    } else if (name === "catch") {
      return (rejected) => PromisePrototypeThen(valueOf(held), undefined, rejected);
    } else if (name === "finally") {
      return (settled) => PromisePrototypeFinally(valueOf(held), settled);
    }
    return propertyOfHeld(held, name);
  },
  apply(target, _this, args) {
    const held = WeakMapPrototypeGet(heldByTarget, target);
    checkUsable(held);
    return promiseOf(held.reference.ask(held.path, args));
  },
  construct() {
    throw new TypeError("RPC stubs are no constructors.");
  },
  set(_target, name) {
    throw new TypeError(`Cannot set property '${String(name)}' of an RPC stub: objects elsewhere are changed by their own methods.`);
  },
};

function duplicate(held) {
  checkUsable(held);
  return stubOf(held.reference.copy());
}

function dispose(held) {
  if (held.disposed) return;
  held.disposed = true;
  if (held.kind === STUB) held.reference.drop();
  else PromisePrototypeThen(held.promise, disposeValue, ignore);
}

/** A result is needed no more. */
function disposeValue(value) {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return;
  const held = heldOf(value);
  if (held !== undefined) dispose(held);
  else if (typeof value[SymbolDispose] === "function") value[SymbolDispose]();
}

/** What is behind a stub, `undefined` for anything else. */
const heldOf = (value) => WeakMapPrototypeGet(heldByProxy, value);

/** The reference behind a stub, `undefined` for anything that is no stub. Throws for a disposed one. */
export function referenceOf(value) {
  const held = heldOf(value);
  if (held === undefined || held.kind !== STUB) return undefined;
  checkUsable(held);
  return held.reference;
}

/** Services as scripts hold them, and what is behind: a reference that can also `fetch(input, init)`. */
const services = new SafeWeakMap();

export const keepService = (proxy, service) => WeakMapPrototypeSet(services, proxy, service);
export const serviceBehind = (value) => WeakMapPrototypeGet(services, value);

let makeService;

/** Who makes services of references to services elsewhere: js-shims/service_binding.js. */
export function makesServices(make) {
  makeService = make;
}

export const serviceOver = (reference) => makeService(reference);

/** `true` for promises of results and for properties, which cannot be passed on. */
export function isUnsettled(value) {
  const held = heldOf(value);
  return held !== undefined && held.kind !== STUB;
}

/** Disposes a stub, whoever holds it. */
export function disposeStub(stub) {
  const held = heldOf(stub);
  if (held !== undefined) dispose(held);
}

/** An object or function of a script is referred to no more. */
export function disposeTarget(target) {
  try {
    const method = target[SymbolDispose];
    if (typeof method === "function") ReflectApply(method, target, []);
  } catch (error) {
    seams.reportException(error);
  }
}

// === Members ===

export const isTarget = (value) =>
  typeof value === "object" && value !== null && ObjectPrototypeIsPrototypeOf(RpcTarget.prototype, value);

export const isPlain = (value) => {
  const prototype = ReflectGetPrototypeOf(value);
  return prototype === ObjectPrototype || prototype === null;
};

/** What an entrypoint has these names for is not RPC. */
const RESERVED = {
  __proto__: null,
  alarm: true,
  connect: true,
  constructor: true,
  dup: true,
  fetch: true,
  webSocketClose: true,
  webSocketError: true,
  webSocketMessage: true,
};

const notImplemented = (name) => new TypeError(`The RPC receiver does not implement the method "${name}".`);

/** A member of a class's instance: only what its prototypes have, never what the instance itself has. */
function memberOfInstance(holder, name) {
  if (ObjectHasOwn(holder, name)) throw notImplemented(name);
  let prototype = ReflectGetPrototypeOf(holder);
  while (prototype !== null && prototype !== ObjectPrototype) {
    if (ObjectHasOwn(prototype, name)) return ReflectGet(prototype, name, holder);
    prototype = ReflectGetPrototypeOf(prototype);
  }
  throw notImplemented(name);
}

function member(holder, name) {
  if ((typeof holder !== "object" && typeof holder !== "function") || holder === null) throw notImplemented(name);
  if (isTarget(holder)) {
    if (name === "constructor" || name === "dup") {
      throw new TypeError(`'${name}' is a reserved method and cannot be called over RPC.`);
    }
    return memberOfInstance(holder, name);
  }
  if (typeof holder === "object" && (ArrayIsArray(holder) || isPlain(holder)) && ObjectHasOwn(holder, name)) {
    return holder[name];
  }
  throw notImplemented(name);
}

/** A member of a worker's entrypoint. */
export function memberOfEntrypoint(instance, name) {
  if (RESERVED[name] === true) throw new TypeError(`'${name}' is a reserved method and cannot be called over RPC.`);
  if (!ObjectPrototypeIsPrototypeOf(WorkerEntrypoint.prototype, instance)) {
    throw new TypeError(
      'The RPC receiver\'s class does not extend WorkerEntrypoint: import { WorkerEntrypoint } from "cloudflare:workers".',
    );
  }
  return memberOfInstance(instance, name);
}

const isClass = (value) => StringPrototypeStartsWith(FunctionPrototypeToString(value), "class");

/**
 * Calls the member of `value` at the path from its index on, or reads it where `args` is `undefined`. May answer a promise.
 * @param {any} holder what `value` was found in
 */
export function invoke(value, path, args, holder = undefined, index = 0) {
  for (; index < path.length; index++) {
    if (core.isPromise(value)) {
      const at = index;
      const before = holder;
      return PromisePrototypeThen(value, (settled) => invoke(settled, path, args, before, at));
    }
    const passed = passOn(value, path, args, index);
    if (passed !== undefined) return passed;
    holder = value;
    value = member(holder, path[index]);
  }
  if (args === undefined) return value;
  const passed = passOn(value, path, args, index);
  if (passed !== undefined) return passed;
  if (typeof value !== "function" || isClass(value)) {
    throw path.length === 0 ? new TypeError("The RPC receiver is not a function.") : notImplemented(path[path.length - 1]);
  }
  return ReflectApply(value, holder, args);
}

/** A stub on the way takes over: it knows where the rest of the path leads. */
function passOn(value, path, args, index) {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined;
  const held = heldOf(value);
  if (held === undefined) return undefined;
  checkUsable(held);
  if (args === undefined && index === path.length) return undefined;
  const rest = list();
  for (let i = 0; i < held.path.length; i++) rest[i] = held.path[i];
  for (let i = index; i < path.length; i++) rest[rest.length] = path[i];
  return held.reference.ask(rest, args).promise;
}

// === References to what is here ===

const now = PromiseResolve(undefined);

/** An object or function of this isolate. */
export class LocalReference {
  #target;
  #shared;
  #dropped = false;

  constructor(target, shared = { __proto__: null, references: 1 }) {
    this.#target = target;
    this.#shared = shared;
  }

  ask(path, args) {
    return pending(PromisePrototypeThen(now, () => invoke(this.#target, path, args)));
  }

  copy() {
    this.#shared.references++;
    return new LocalReference(this.#target, this.#shared);
  }

  drop() {
    if (this.#dropped) return;
    this.#dropped = true;
    if (--this.#shared.references === 0) disposeTarget(this.#target);
  }
}

/** The value of a promise that settles here. */
export class ValueReference {
  #promise;

  constructor(promise) {
    this.#promise = promise;
  }

  ask(path, args) {
    return pending(PromisePrototypeThen(this.#promise, (value) => invoke(value, path, args)));
  }

  copy() {
    return this;
  }

  drop() {
    ignore(this.#promise);
  }
}

/** A result that comes with a promise alone. */
export function pending(promise) {
  ignoreRejection(promise);
  return { __proto__: null, promise, reference: new ValueReference(promise) };
}
