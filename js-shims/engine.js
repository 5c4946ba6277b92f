// The parts of deno_core and deno_web that the shims stand on, loaded once while the snapshot is made.
//
// deno_web's scripts expect deno_core's event loop: its timers, its reporting of uncaught errors, its
// queueMicrotask. Holm runs JavaScript in turns with one owner, so the scripts get a `__bootstrap` whose
// `core` sends those three to Holm instead. Invariant: no script is loaded before that view is in place.
// Every other file of js-shims imports what it needs of deno_web from here.

import { core, internals, primordials } from "ext:core/mod.js";

const {
  ObjectAssign,
  ObjectDefineProperty,
  ObjectPrototypeIsPrototypeOf,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  SymbolFor,
  TypeError,
  uncurryThis,
} = primordials;

/** What Holm's own files put in place of deno_core's event loop. Filled while the snapshot is made. */
export const seams = {
  __proto__: null,
  /** @type {(callback: () => void, ms: number, repeat: boolean) => number} set by timers.js */
  startTimer: undefined,
  /** @type {(id: number) => void} set by timers.js */
  cancelTimer: undefined,
  /** @type {(error: any) => void} logs an error that nobody handled; set by events.js */
  logUncaught: undefined,
  /** @type {(error: any) => void} fires `error` on globalThis first; set by events.js */
  reportException: undefined,
};

/** WHATWG HTML `queueMicrotask`. Errors are reported, never lost. */
export function queueMicrotask(callback) {
  if (typeof callback !== "function") {
    throw new TypeError(
      "Failed to execute 'queueMicrotask' on 'ServiceWorkerGlobalScope': parameter 1 is not of type 'Function'.",
    );
  }
  PromisePrototypeThen(PromiseResolve(undefined), () => {
    try {
      callback();
    } catch (error) {
      seams.reportException(error);
    }
  });
}

const ignore = () => {};
const timer = (callback, ms, repeat) => ({
  __proto__: null,
  _timerId: seams.startTimer(callback, ms, repeat),
});

const turnCore = ObjectAssign({ __proto__: null }, core, {
  createTimer: (callback, ms, _args, repeat) => timer(callback, ms, repeat === true),
  createSystemTimer: (callback, ms) => timer(callback, ms, false),
  createSystemInterval: (callback, ms) => timer(callback, ms, true),
  cancelTimer: (handle) => seams.cancelTimer(handle._timerId),
  refreshTimer: ignore,
  refTimer: ignore,
  unrefTimer: ignore,
  reportUnhandledException: (error) => seams.logUncaught(error),
  reportUnhandledPromiseRejection: (error) => seams.logUncaught(error),
});

core.ops.op_set_captured_bootstrap({
  __proto__: null,
  core: turnCore,
  internals,
  primordials: { __proto__: primordials, queueMicrotask },
});

core.setReportExceptionCallback((error) => seams.reportException(error));

export const load = core.loadExtScript;

export const webidl = load("ext:deno_webidl/00_webidl.js");
export const inspection = load("ext:deno_web/01_console.js");
export const { DOMException, QuotaExceededError } = load("ext:deno_web/01_dom_exception.js");
export const events = load("ext:deno_web/02_event.js");
export const abort = load("ext:deno_web/03_abort_signal.js");
export const streams = load("ext:deno_web/06_streams.js");
export const { markNotSerializable, structuredClone } = load("ext:deno_web/13_message_port.js");
export const url = load("ext:deno_web/00_url.js");
export const text = load("ext:deno_web/08_text_encoding.js");
export const base64 = load("ext:deno_web/05_base64.js");

// Views of streams' inner state, for Node's tests; nobody else may have them.
for (const name of ["kNodeWebStreamsState", "kNodeWebStreamsType", "kNodeMessagingTransfer"]) {
  for (
    const Interface of [
      streams.ReadableStream,
      streams.ReadableStreamDefaultReader,
      streams.ReadableStreamBYOBReader,
      streams.ReadableStreamBYOBRequest,
      streams.ReadableStreamDefaultController,
      streams.ReadableByteStreamController,
    ]
  ) {
    delete Interface.prototype[streams[name]];
  }
}

/** The platform's way to read at least so many elements into a view. */
const readInto = uncurryThis(streams.ReadableStreamBYOBReader.prototype.read);
ObjectDefineProperty(streams.ReadableStreamBYOBReader.prototype, "readAtLeast", {
  __proto__: null,
  value: {
    readAtLeast(minElements, view) {
      const min = +minElements;
      if (!(min >= 1)) {
        return PromiseReject(new TypeError(`Requested invalid minimum number of elements to read (${minElements}).`));
      }
      return readInto(this, view, { __proto__: null, min });
    },
  }.readAtLeast,
  writable: true,
  enumerable: false,
  configurable: true,
});

// Part of deno_web's model of a document tree, which nothing calls.
delete events.EventTarget.prototype.getParent;

// deno_web and deno_crypto name the DOMException that an op's error becomes.
for (
  const name of [
    "AbortError",
    "DataError",
    "IndexSizeError",
    "InvalidAccessError",
    "InvalidCharacterError",
    "InvalidStateError",
    "NotSupportedError",
    "OperationError",
    "SyntaxError",
    "TypeMismatchError",
  ]
) {
  core.registerErrorBuilder(`DOMException${name}`, (message) => new DOMException(message, name));
}
core.registerErrorBuilder("DOMExceptionQuotaExceededError", (message) => new QuotaExceededError(message));

const privateCustomInspect = SymbolFor("Deno.privateCustomInspect");

/** Gives an interface its Web IDL shape, and `console.log` the listed getters to print. */
export function finishInterface(Interface, inspected = undefined) {
  webidl.configureInterface(Interface);
  if (inspected === undefined) return;
  const { prototype } = Interface;
  ObjectDefineProperty(prototype, privateCustomInspect, {
    __proto__: null,
    value(inspect, options) {
      return inspect(
        inspection.createFilteredInspectProxy({
          object: this,
          evaluate: ObjectPrototypeIsPrototypeOf(prototype, this),
          keys: inspected,
        }),
        options,
      );
    },
    writable: true,
    enumerable: false,
    configurable: true,
  });
}
