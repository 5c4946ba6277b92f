// Timers as Node.js has them: `setTimeout` answers an object. On the global with `enable_nodejs_global_timers`; the modules
// `timers` and `timers/promises` use them, too.

import { primordials } from "ext:core/mod.js";
import { clearTimeout, setInterval, setTimeout } from "ext:holm/timers.js";

const { ObjectDefineProperty, ReflectApply, Symbol, SymbolDispose, SymbolToPrimitive, TypeError, WeakMapPrototypeGet,
  WeakMapPrototypeSet, SafeWeakMap } = primordials;

const NO_ARGUMENTS = [];
/** What the platform's timers know of each object: `{ id, callback, args, delay, repeat, active, stopped }`. */
const timers = new SafeWeakMap();
const kNew = { __proto__: null };

function checked(callback) {
  if (typeof callback === "function") return callback;
  const error = new TypeError(
    `The "callback" argument must be of type function. Received ${callback === null ? "null" : typeof callback}`,
  );
  error.code = "ERR_INVALID_ARG_TYPE";
  throw error;
}

function arm(timer) {
  if (timer.repeat) {
    timer.id = setInterval(() => ReflectApply(timer.callback, timer.object, timer.args), timer.delay);
    return;
  }
  timer.id = setTimeout(() => {
    timer.active = false;
    ReflectApply(timer.callback, timer.object, timer.args);
  }, timer.delay);
}

function start(object, callback, delay, args, repeat) {
  delay = +delay;
  // Node.js: a wait that is none, or longer than an int32 holds, is one millisecond.
  if (!(delay >= 1 && delay <= 2_147_483_647)) delay = 1;
  const timer = { __proto__: null, object, callback: checked(callback), args, delay, repeat, id: 0, active: true, stopped: false };
  arm(timer);
  WeakMapPrototypeSet(timers, object, timer);
  return object;
}

function stop(timer) {
  timer.stopped = true;
  if (!timer.active) return;
  timer.active = false;
  clearTimeout(timer.id);
}

const timerOf = (object) => WeakMapPrototypeGet(timers, object);

export class Timeout {
  constructor(key = undefined, callback = undefined, delay = undefined, args = NO_ARGUMENTS, repeat = false) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    start(this, callback, delay, args, repeat);
  }

  ref() {
    return this;
  }

  unref() {
    return this;
  }

  hasRef() {
    return timerOf(this).active;
  }

  /** Starts the wait again. */
  refresh() {
    const timer = timerOf(this);
    if (timer.active) clearTimeout(timer.id);
    // One that has fired waits anew; one that was cleared does not.
    if (!timer.stopped) {
      timer.active = true;
      arm(timer);
    }
    return this;
  }

  close() {
    stop(timerOf(this));
    return this;
  }
}

export class Immediate {
  constructor(key = undefined, callback = undefined, args = NO_ARGUMENTS) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    const timer = { __proto__: null, object: this, callback: checked(callback), args, delay: 0, repeat: false, id: 0, active: true, stopped: false };
    arm(timer);
    WeakMapPrototypeSet(timers, this, timer);
  }

  ref() {
    return this;
  }

  unref() {
    return this;
  }

  hasRef() {
    return timerOf(this).active;
  }
}

function method(prototype, name, value) {
  ObjectDefineProperty(prototype, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true });
}
method(Timeout.prototype, SymbolToPrimitive, function () {
  return timerOf(this).id;
});
method(Timeout.prototype, SymbolDispose ?? Symbol("dispose"), function () {
  stop(timerOf(this));
});
method(Immediate.prototype, SymbolDispose ?? Symbol("dispose"), function () {
  stop(timerOf(this));
});

function clear(handle) {
  if (typeof handle === "object" && handle !== null) {
    const timer = timerOf(handle);
    if (timer !== undefined) stop(timer);
  } else if (typeof handle === "number" || typeof handle === "string") {
    clearTimeout(+handle);
  }
}

export const nodeTimers = {
  __proto__: null,
  setTimeout: function setTimeout(callback, delay = undefined, ...args) {
    return new Timeout(kNew, callback, delay, args, false);
  },
  setInterval: function setInterval(callback, delay = undefined, ...args) {
    return new Timeout(kNew, callback, delay, args, true);
  },
  clearTimeout: function clearTimeout(timeout) {
    clear(timeout);
  },
  clearInterval: function clearInterval(timeout) {
    clear(timeout);
  },
};

export function setImmediate(callback, ...args) {
  return new Immediate(kNew, callback, args);
}

export function clearImmediate(immediate) {
  clear(immediate);
}
