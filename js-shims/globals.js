// The one list of what user code finds on globalThis.
//
// `eager` values are evaluated while the snapshot is made; `lazy` ones on the first touch, for what cannot be in a
// snapshot or is not worth its place there. Changing one into the other is changing that word. Used by entry.js.

import { core, primordials } from "ext:core/mod.js";
import { Blob, File } from "ext:holm/blob.js";
import { lazyShim } from "ext:holm/built_in_modules.js";
import {
  Date,
  freezeOtherClocks,
  Performance,
  performance,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
} from "ext:holm/clock.js";
import { failBody } from "ext:holm/body.js";
import { console } from "ext:holm/console.js";
import { waitUntil } from "ext:holm/context.js";
import { loadCrypto } from "ext:holm/crypto.js";
import {
  abort,
  base64,
  DOMException,
  events,
  finishInterface,
  load,
  markNotSerializable,
  queueMicrotask,
  QuotaExceededError,
  streams,
  text,
  url,
} from "ext:holm/engine.js";
import {
  linkGlobalPrototype,
  makeGlobalAnEventTarget,
  reportError,
  ServiceWorkerGlobalScope,
  WorkerGlobalScope,
} from "ext:holm/events.js";
import { fetch } from "ext:holm/fetch.js";
import { FormData } from "ext:holm/formdata.js";
import { define, defineLazily } from "ext:holm/global_property.js";
import { Headers } from "ext:holm/headers.js";
import { FixedLengthStream, IdentityTransformStream } from "ext:holm/identity_streams.js";
import { MessageChannel, MessagePort } from "ext:holm/message_channel.js";
import { requireOwner } from "ext:holm/owner.js";
import { Request } from "ext:holm/request.js";
import { countReservations, structuredClone } from "ext:holm/reservations.js";
import { Response, responseBody } from "ext:holm/response.js";
import { clearInterval, clearTimeout, scheduler, setInterval, setTimeout } from "ext:holm/timers.js";
import { restrictWebAssembly } from "ext:holm/wasm.js";

const {
  JSONParse,
  ObjectDefineProperty,
  ObjectFreeze,
  ObjectGetOwnPropertyDescriptor,
  ObjectHasOwn,
  PromisePrototypeThen,
  ReflectOwnKeys,
  Symbol,
  SymbolKeyFor,
  TypeError,
  globalThis,
} = primordials;

const eager = (name, value) => ({ __proto__: null, name, value, lazy: false });
const lazy = (name, value) => ({ __proto__: null, name, value, lazy: true });

const kNew = { __proto__: null };

class Navigator {
  constructor(key = undefined) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
  }

  get userAgent() {
    return "Cloudflare-Workers";
  }

  get language() {
    return "en";
  }

  get languages() {
    return LANGUAGES;
  }

  get platform() {
    return "Linux";
  }

  /** Threads of one isolate. */
  get hardwareConcurrency() {
    return 1;
  }

  /** Sends data that nobody waits for the answer of. It may outlive the answer of the request, as what `waitUntil` holds. */
  sendBeacon(url, data = null) {
    if (arguments.length < 1) {
      throw new TypeError("Failed to execute 'sendBeacon' on 'Navigator': 1 argument required, but only 0 present.");
    }
    const owner = requireOwner();
    const sent = fetch(url, { __proto__: null, method: "POST", body: data });
    waitUntil(owner, PromisePrototypeThen(sent, (response) => {
      const body = responseBody(response);
      if (body !== null) failBody(body, undefined);
    }, () => {}));
    return true;
  }
}
const LANGUAGES = ObjectFreeze(["en"]);
finishInterface(Navigator, ["userAgent", "language", "languages", "platform", "hardwareConcurrency"]);

let compatibilityFlags;
const Cloudflare = ObjectFreeze({
  get compatibilityFlags() {
    return compatibilityFlags ??= ObjectFreeze(JSONParse(core.ops.op_settings()).flags ?? {});
  },
});

const compression = () => load("ext:deno_web/14_compression.js");

const loadEventSource = lazyShim("eventsource.js");
const loadCache = lazyShim("cache.js");
const loadWebSocket = lazyShim("websocket.js");

const globals = [
  eager("AbortController", () => abort.AbortController),
  eager("AbortSignal", () => abort.AbortSignal),
  eager("Blob", () => Blob),
  eager("ByteLengthQueuingStrategy", () => streams.ByteLengthQueuingStrategy),
  lazy("Cache", () => loadCache().Cache),
  lazy("CacheStorage", () => loadCache().CacheStorage),
  eager("CloseEvent", () => events.CloseEvent),
  eager("Cloudflare", () => Cloudflare),
  eager("CompressionStream", () => compression().CompressionStream),
  eager("CountQueuingStrategy", () => streams.CountQueuingStrategy),
  eager("Crypto", () => loadCrypto().Crypto),
  eager("CryptoKey", () => loadCrypto().CryptoKey),
  eager("CustomEvent", () => events.CustomEvent),
  eager("Date", () => Date),
  eager("DecompressionStream", () => compression().DecompressionStream),
  eager("DOMException", () => DOMException),
  eager("ErrorEvent", () => events.ErrorEvent),
  eager("Event", () => events.Event),
  lazy("EventSource", () => loadEventSource().EventSource),
  eager("EventTarget", () => events.EventTarget),
  eager("File", () => File),
  eager("FileReader", () => load("ext:deno_web/10_filereader.js").FileReader),
  eager("FixedLengthStream", () => FixedLengthStream),
  eager("FormData", () => FormData),
  eager("Headers", () => Headers),
  lazy("HTMLRewriter", () => lazyShim("html_rewriter.js")().HTMLRewriter),
  eager("IdentityTransformStream", () => IdentityTransformStream),
  eager("MessageChannel", () => MessageChannel),
  eager("MessageEvent", () => events.MessageEvent),
  eager("MessagePort", () => MessagePort),
  eager("Navigator", () => Navigator),
  eager("Performance", () => Performance),
  eager("PerformanceEntry", () => PerformanceEntry),
  eager("PerformanceMark", () => PerformanceMark),
  eager("PerformanceMeasure", () => PerformanceMeasure),
  eager("ProgressEvent", () => events.ProgressEvent),
  eager("PromiseRejectionEvent", () => events.PromiseRejectionEvent),
  eager("QuotaExceededError", () => QuotaExceededError),
  eager("ReadableByteStreamController", () => streams.ReadableByteStreamController),
  eager("ReadableStream", () => streams.ReadableStream),
  eager("ReadableStreamBYOBReader", () => streams.ReadableStreamBYOBReader),
  eager("ReadableStreamBYOBRequest", () => streams.ReadableStreamBYOBRequest),
  eager("ReadableStreamDefaultController", () => streams.ReadableStreamDefaultController),
  eager("ReadableStreamDefaultReader", () => streams.ReadableStreamDefaultReader),
  eager("Request", () => Request),
  eager("Response", () => Response),
  eager("ServiceWorkerGlobalScope", () => ServiceWorkerGlobalScope),
  eager("SubtleCrypto", () => loadCrypto().SubtleCrypto),
  eager("TextDecoder", () => text.TextDecoder),
  eager("TextDecoderStream", () => text.TextDecoderStream),
  eager("TextEncoder", () => text.TextEncoder),
  eager("TextEncoderStream", () => text.TextEncoderStream),
  eager("TransformStream", () => streams.TransformStream),
  eager("TransformStreamDefaultController", () => streams.TransformStreamDefaultController),
  eager("URL", () => url.URL),
  eager("URLPattern", () => load("ext:deno_web/01_urlpattern.js").URLPattern),
  eager("URLSearchParams", () => url.URLSearchParams),
  lazy("WebSocket", () => loadWebSocket().WebSocket),
  lazy("WebSocketPair", () => loadWebSocket().WebSocketPair),
  eager("WorkerGlobalScope", () => WorkerGlobalScope),
  eager("WritableStream", () => streams.WritableStream),
  eager("WritableStreamDefaultController", () => streams.WritableStreamDefaultController),
  eager("WritableStreamDefaultWriter", () => streams.WritableStreamDefaultWriter),
  eager("atob", () => base64.atob),
  eager("btoa", () => base64.btoa),
  lazy("caches", () => loadCache().caches),
  eager("clearInterval", () => clearInterval),
  eager("clearTimeout", () => clearTimeout),
  eager("console", () => console),
  // Lives on the engine's C++ heap, which does not exist while the snapshot is made.
  lazy("crypto", () => loadCrypto().singleton()),
  eager("fetch", () => fetch),
  eager("navigator", () => new Navigator(kNew)),
  eager("performance", () => performance),
  eager("queueMicrotask", () => queueMicrotask),
  eager("reportError", () => reportError),
  eager("scheduler", () => scheduler),
  eager("self", () => globalThis),
  eager("setInterval", () => setInterval),
  eager("setTimeout", () => setTimeout),
  eager("structuredClone", () => structuredClone),
];

const notSerializable = [Headers, Request, Response, FormData, MessageChannel, MessagePort];

/** Symbols that every script can make, or knows from the language. */
const isPublicSymbol = (symbol) => {
  if (SymbolKeyFor(symbol) !== undefined) return true;
  const names = ReflectOwnKeys(Symbol);
  for (let i = 0; i < names.length; i++) if (Symbol[names[i]] === symbol) return true;
  return false;
};

/** deno_web's inner methods have symbols for names, on prototypes that scripts can reach: they stay what they are. */
function sealInnerMethods(prototype) {
  const keys = ReflectOwnKeys(prototype);
  for (let i = 0; i < keys.length; i++) {
    const descriptor = ObjectGetOwnPropertyDescriptor(prototype, keys[i]);
    if (typeof keys[i] !== "symbol" || isPublicSymbol(keys[i]) || !descriptor.configurable) continue;
    ObjectDefineProperty(
      prototype,
      keys[i],
      "value" in descriptor
        ? { __proto__: null, writable: false, enumerable: false, configurable: false }
        : { __proto__: null, enumerable: false, configurable: false },
    );
  }
}

/** While the snapshot is made. */
export function installGlobals() {
  for (let i = 0; i < globals.length; i++) {
    if (globals[i].lazy) defineLazily(globals[i].name, globals[i].value);
    else define(globals[i].name, globals[i].value());
  }
  for (let i = 0; i < notSerializable.length; i++) markNotSerializable(notSerializable[i].prototype);
  for (let i = 0; i < globals.length; i++) {
    const value = globals[i].lazy ? undefined : globals[i].value();
    if (typeof value === "function" && value.prototype !== undefined) sealInnerMethods(value.prototype);
  }
  makeGlobalAnEventTarget();
  restrictEngine();
}

/** What the engine itself puts on the global. Some of it only in a context that came from a snapshot. */
function restrictEngine() {
  delete globalThis.SharedArrayBuffer;
  if (globalThis.Atomics !== undefined) {
    // A blocked thread is outside every turn's budget.
    delete globalThis.Atomics.wait;
    delete globalThis.Atomics.waitAsync;
  }
  freezeOtherClocks(globalThis);
  countReservations(globalThis);
  restrictWebAssembly(globalThis.WebAssembly);
}

/** In a fresh isolate, before any user code: takes away what the engine needed or has put back. */
export function finishGlobals() {
  delete globalThis.Deno;
  delete globalThis.__bootstrap;
  delete globalThis.__holm;
  restrictEngine();
  linkGlobalPrototype();
  if (globalThis.queueMicrotask !== queueMicrotask) define("queueMicrotask", queueMicrotask);
  if (globalThis.console !== console) define("console", console);
  if (globalThis.Date !== Date) define("Date", Date);
  for (let i = 0; i < globals.length; i++) {
    if (globals[i].lazy && !ObjectHasOwn(globalThis, globals[i].name)) defineLazily(globals[i].name, globals[i].value);
  }
}
