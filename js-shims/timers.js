// `setTimeout`, `setInterval` and `scheduler.wait`. A timer belongs to the invocation that started it: Rust keeps the
// time and calls `fireTimer` in a turn of that owner. Here is only what to call.

import { core, primordials } from "ext:core/mod.js";
import { abort, finishInterface, seams } from "ext:holm/engine.js";
import { currentOwner } from "ext:holm/owner.js";

const {
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeGetSize,
  MapPrototypeSet,
  MathTrunc,
  ObjectGetOwnPropertyDescriptor,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  Promise,
  PromiseReject,
  ReflectApply,
  SafeMap,
  SafeSet,
  SafeSetIterator,
  SetPrototypeAdd,
  SetPrototypeDelete,
  TypeError,
  globalThis,
  uncurryThis,
} = primordials;
const { getAsyncContext, setAsyncContext } = core;
const { op_timer_cancel, op_timer_start } = core.ops;
const { add: addAlgorithm, AbortSignalPrototype, remove: removeAlgorithm } = abort;
const isAborted = uncurryThis(ObjectGetOwnPropertyDescriptor(AbortSignalPrototype, "aborted").get);
const reasonOf = uncurryThis(ObjectGetOwnPropertyDescriptor(AbortSignalPrototype, "reason").get);

const LONGEST = 2 ** 31 - 1;
const NO_ARGUMENTS = [];

class Timer {
  constructor(owner, callback, args, repeat, frame) {
    this.owner = owner;
    this.callback = callback;
    this.args = args;
    this.repeat = repeat;
    this.frame = frame;
  }
}
// No setter of a script stands between these assignments and the timer.
ObjectSetPrototypeOf(Timer.prototype, null);

/** @type {Map<number, Timer>} */
const timers = new SafeMap();
/** @type {Map<number, Set<number>>} */
const timersOf = new SafeMap();

function start(callback, ms, args, repeat) {
  ms = +ms;
  ms = ms > 0 ? (ms < LONGEST ? MathTrunc(ms) : LONGEST) : 0;
  const owner = currentOwner();
  const id = op_timer_start(owner, ms, repeat);
  MapPrototypeSet(timers, id, new Timer(owner, callback, args, repeat, getAsyncContext()));
  let ids = MapPrototypeGet(timersOf, owner);
  if (ids === undefined) MapPrototypeSet(timersOf, owner, ids = new SafeSet());
  SetPrototypeAdd(ids, id);
  return id;
}

function forget(id, timer) {
  MapPrototypeDelete(timers, id);
  const ids = MapPrototypeGet(timersOf, timer.owner);
  if (ids !== undefined) SetPrototypeDelete(ids, id);
}

function cancel(id) {
  const timer = MapPrototypeGet(timers, id);
  if (timer === undefined) return;
  forget(id, timer);
  op_timer_cancel(id);
}

/** hooks.fireTimer: a timer is due, in a turn of its owner. */
export function fireTimer(id) {
  const timer = MapPrototypeGet(timers, id);
  if (timer === undefined) return;
  if (!timer.repeat) forget(id, timer);
  setAsyncContext(timer.frame);
  try {
    ReflectApply(timer.callback, globalThis, timer.args);
  } catch (error) {
    seams.reportException(error);
  } finally {
    setAsyncContext(undefined);
  }
}

/** hooks.ended: Rust has dropped the invocation's timers. */
export function forgetTimers(owner) {
  if (MapPrototypeGetSize(timersOf) === 0) return;
  const ids = MapPrototypeGet(timersOf, owner);
  if (ids === undefined) return;
  MapPrototypeDelete(timersOf, owner);
  for (const id of new SafeSetIterator(ids)) MapPrototypeDelete(timers, id);
}

seams.startTimer = (callback, ms, repeat) => start(callback, ms ?? 0, NO_ARGUMENTS, repeat);
seams.cancelTimer = cancel;

function checkedCallback(name, callback) {
  if (typeof callback !== "function") {
    throw new TypeError(
      `Failed to execute '${name}' on 'ServiceWorkerGlobalScope': parameter 1 is not of type 'Function'.`,
    );
  }
  return callback;
}

export function setTimeout(callback, delay = 0, ...args) {
  return start(checkedCallback("setTimeout", callback), delay, args, false);
}

export function setInterval(callback, delay = 0, ...args) {
  return start(checkedCallback("setInterval", callback), delay, args, true);
}

export function clearTimeout(id = 0) {
  cancel(typeof id === "number" ? id : +id);
}

export function clearInterval(id = 0) {
  cancel(typeof id === "number" ? id : +id);
}

const kNew = { __proto__: null };

export class Scheduler {
  constructor(key = undefined) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
  }

  /** Resolves after `delay` milliseconds; rejects with the signal's reason when it aborts. */
  wait(delay, options = undefined) {
    try {
      const signal = options?.signal;
      if (signal === undefined || signal === null) {
        return new Promise((resolve) => start(resolve, delay, NO_ARGUMENTS, false));
      }
      if (!ObjectPrototypeIsPrototypeOf(AbortSignalPrototype, signal)) {
        throw new TypeError("Failed to execute 'wait' on 'Scheduler': 'signal' is not of type 'AbortSignal'.");
      }
      if (isAborted(signal)) return PromiseReject(reasonOf(signal));
      return new Promise((resolve, reject) => {
        const onAbort = () => {
          cancel(id);
          reject(reasonOf(signal));
        };
        const id = start(
          () => {
            signal[removeAlgorithm](onAbort);
            resolve();
          },
          delay,
          NO_ARGUMENTS,
          false,
        );
        signal[addAlgorithm](onAbort);
      });
    } catch (error) {
      return PromiseReject(error);
    }
  }
}

finishInterface(Scheduler);
export const scheduler = new Scheduler(kNew);

