// Who owns what JavaScript starts: the invocation in the engine's async context.
//
// entry.js and timers.js enter a frame before they call user code; every op that starts I/O passes
// `currentOwner()`. The frame travels with promise continuations, so a continuation that runs in another
// invocation's turn still acts for its own. Frames are never visible to user code.

import { core, primordials } from "ext:core/mod.js";

const { Error, ObjectSetPrototypeOf, PromisePrototypeThen, PromiseReject } = primordials;
const { getAsyncContext, setAsyncContext } = core;
const { op_rehome_begin, op_rehome_settle, op_rehome_started } = core.ops;

// A class, since an object literal with a null prototype is a hash table in V8.
class Frame {
  constructor(owner) {
    this["holm.owner"] = owner;
  }
}
ObjectSetPrototypeOf(Frame.prototype, null);

/** The invocation id that owns the running JavaScript, 0 in the global scope and in ambient turns. */
export function currentOwner() {
  const frame = getAsyncContext();
  return frame === undefined || frame === null ? 0 : frame["holm.owner"] ?? 0;
}

/** Starts a frame of `owner`. The caller pairs it with `leave`. */
export function enter(owner) {
  setAsyncContext(new Frame(owner));
}

/** Starts again in a context that was met before. The caller pairs it with `leave`. */
export function resume(context) {
  setAsyncContext(context);
}

export function leave() {
  setAsyncContext(undefined);
}

/** Calls `run` in a frame that has one value more, which travels with what `run` starts. */
export function within(name, value, run) {
  const before = getAsyncContext();
  setAsyncContext({ __proto__: null, ...before, [name]: value });
  try {
    return run();
  } finally {
    setAsyncContext(before);
  }
}

/** What `within` put into the frame under this name. */
export function frameValue(name) {
  const frame = getAsyncContext();
  return frame === undefined || frame === null ? undefined : frame[name];
}

export function globalScopeError() {
  return new Error(
    "Disallowed operation called within global scope. Asynchronous I/O (ex: fetch() or connect()), setting a timeout, " +
      "and generating random values are not allowed within global scope. To fix this error, perform this operation within a handler. " +
      "https://developers.cloudflare.com/workers/runtime-apis/handlers/",
  );
}

/** Throws the platform's error when no invocation owns the caller. */
export function requireOwner() {
  const owner = currentOwner();
  if (owner === 0) throw globalScopeError();
  return owner;
}

/**
 * Turns a promise that the engine's own event loop settles (in an ambient turn) into one that settles in a
 * turn of the caller's invocation. `start` gives one job to the isolate's pool, whose CPU time is the caller's;
 * it is not called in the global scope.
 * @template T
 * @param {() => Promise<T>} start
 * @returns {Promise<T>}
 */
export function rehome(start) {
  let begun;
  try {
    begun = op_rehome_begin(requireOwner());
  } catch (error) {
    return PromiseReject(error);
  }
  const id = begun[0];
  const fail = (error) => op_rehome_settle(id, false, error);
  try {
    PromisePrototypeThen(start(), (value) => op_rehome_settle(id, true, value), fail);
  } catch (error) {
    fail(error);
  } finally {
    op_rehome_started(id);
  }
  return begun[1];
}
