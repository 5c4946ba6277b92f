// globalThis as an EventTarget: `reportError`, and the `error`, `unhandledrejection` and `rejectionhandled` events.
// What no listener prevents goes to the log (op_report).

import { core, primordials } from "ext:core/mod.js";
import { events, finishInterface, seams, webidl } from "ext:holm/engine.js";
import { currentOwner, enter, leave, resume } from "ext:holm/owner.js";

const {
  ObjectDefineProperty,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  ReflectOwnKeys,
  SymbolKeyFor,
  TypeError,
  globalThis,
  uncurryThis,
} = primordials;
const { op_report } = core.ops;
const {
  defineEventHandler,
  EventTarget,
  listenerCount,
  PromiseRejectionEvent,
  reportException,
  saveGlobalThisReference,
  setEventTargetData,
  setIsTrusted,
} = events;

const UNCAUGHT = 0;
const UNHANDLED_REJECTION = 1;

const dispatch = uncurryThis(EventTarget.prototype.dispatchEvent);
const { Event } = events;
const isDefaultPrevented = uncurryThis(
  primordials.ObjectGetOwnPropertyDescriptor(Event.prototype, "defaultPrevented").get,
);

seams.logUncaught = (error) => op_report(currentOwner(), UNCAUGHT, error);
seams.reportException = (error) => {
  // Without a listener there is nobody to tell but the log.
  if (listenerCount(globalThis, "error") === 0) op_report(currentOwner(), UNCAUGHT, error);
  else reportException(error);
};

export function reportError(error) {
  if (arguments.length < 1) {
    throw new TypeError("Failed to execute 'reportError': 1 argument required, but only 0 present.");
  }
  seams.reportException(error);
}

/** Into the async context that a promise was rejected in; `owner` had the turn. */
function enterContext(context, owner) {
  if (context === undefined || context === null) enter(owner);
  else resume(context);
}

/** hooks.rejection: still unhandled after the turn. */
export function unhandledRejection(promise, reason, owner, context) {
  enterContext(context, owner);
  try {
    if (listenerCount(globalThis, "unhandledrejection") !== 0) {
      const event = new PromiseRejectionEvent("unhandledrejection", {
        __proto__: null,
        cancelable: true,
        promise,
        reason,
      });
      setIsTrusted(event, true);
      dispatch(globalThis, event);
      if (isDefaultPrevented(event)) return;
    }
    op_report(currentOwner(), UNHANDLED_REJECTION, reason);
  } finally {
    leave();
  }
}

/** hooks.rejectionHandled: a promise that was reported got a handler after all. */
export function rejectionHandled(promise, reason, owner, context) {
  if (listenerCount(globalThis, "rejectionhandled") === 0) return;
  enterContext(context, owner);
  try {
    const event = new PromiseRejectionEvent("rejectionhandled", { __proto__: null, promise, reason });
    setIsTrusted(event, true);
    dispatch(globalThis, event);
  } finally {
    leave();
  }
}

const kNew = { __proto__: null };

export class WorkerGlobalScope extends EventTarget {
  constructor(key = undefined) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    super();
  }
}
finishInterface(WorkerGlobalScope);

export class ServiceWorkerGlobalScope extends WorkerGlobalScope {}
finishInterface(ServiceWorkerGlobalScope);

/** While the snapshot is made. */
export function makeGlobalAnEventTarget() {
  linkGlobalPrototype();
  ObjectDefineProperty(globalThis, webidl.brand, {
    __proto__: null,
    value: webidl.brand,
    writable: false,
    enumerable: false,
    configurable: false,
  });
  setEventTargetData(globalThis);
  // The store of the listeners has a symbol for a name: nothing that a loop over the global should meet, or replace.
  const keys = ReflectOwnKeys(globalThis);
  for (let i = 0; i < keys.length; i++) {
    if (typeof keys[i] !== "symbol" || SymbolKeyFor(keys[i]) !== undefined || keys[i] === webidl.brand) continue;
    ObjectDefineProperty(globalThis, keys[i], {
      __proto__: null,
      writable: false,
      enumerable: false,
      configurable: false,
    });
  }
  saveGlobalThisReference(globalThis);
  defineEventHandler(globalThis, "error", undefined, true);
  defineEventHandler(globalThis, "unhandledrejection");
  defineEventHandler(globalThis, "rejectionhandled");
}

/** The engine gives a context that comes from a snapshot a fresh global object, so this is repeated at run time. */
export function linkGlobalPrototype() {
  if (!ObjectPrototypeIsPrototypeOf(EventTarget.prototype, globalThis)) {
    ObjectSetPrototypeOf(globalThis, ServiceWorkerGlobalScope.prototype);
  }
}
