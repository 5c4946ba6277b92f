// What the library of `node:` modules (js-shims/node) gets of the isolate, and the loader that it starts from. Loaded when a
// worker first asks for one of them.
//
// The library's scripts are no shims: they look things up that a worker's script can replace, as the worker's own packages
// do. So nothing here may do more for a caller than a worker may do itself; each function checks what it is given, and none
// hands out `core`, an op or a frame.

import { core, primordials } from "ext:core/mod.js";
import { Blob, File } from "ext:holm/blob.js";
import { Performance, performance, PerformanceEntry, PerformanceMark, PerformanceMeasure } from "ext:holm/clock.js";
import { console } from "ext:holm/console.js";
import { loadCrypto } from "ext:holm/crypto.js";
import { abort, base64, DOMException, events, load, queueMicrotask, seams, streams, text, url } from "ext:holm/engine.js";
import { fetch } from "ext:holm/fetch.js";
import { FormData } from "ext:holm/formdata.js";
import { Headers } from "ext:holm/headers.js";
import { MessageChannel, MessagePort } from "ext:holm/message_channel.js";
import { clearImmediate, Immediate, nodeTimers, setImmediate, Timeout } from "ext:holm/node_timers.js";
import { currentOwner, requireOwner } from "ext:holm/owner.js";
import { Request } from "ext:holm/request.js";
import { structuredClone } from "ext:holm/reservations.js";
import { Response } from "ext:holm/response.js";

const {
  ArrayPrototypePush,
  Error,
  JSONParse,
  JSONStringify,
  NumberIsInteger,
  ObjectFreeze,
  ObjectKeys,
  ReflectApply,
  ReflectOwnKeys,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypeError,
} = primordials;
const { getAsyncContext, setAsyncContext } = core;
const {
  op_env,
  op_node_bundle_names,
  op_node_bundle_read,
  op_node_cipher,
  op_node_cipher_aad,
  op_node_cipher_finish,
  op_node_cipher_info,
  op_node_cipher_padding,
  op_node_cipher_tag,
  op_node_cipher_update,
  op_node_compare,
  op_node_constructor_name,
  op_node_crc32,
  op_node_decode,
  op_node_digest_copy,
  op_node_digest_finish,
  op_node_digest_update,
  op_node_encode_into,
  op_node_hash,
  op_node_hkdf,
  op_node_hmac,
  op_node_index_of,
  op_node_is_valid,
  op_node_key_agree,
  op_node_key_generate,
  op_node_key_numbers,
  op_node_key_of_bytes,
  op_node_key_of_numbers,
  op_node_key_public,
  op_node_key_read,
  op_node_key_write,
  op_node_lookup,
  op_node_pbkdf2,
  op_node_preview_entries,
  op_node_rsa_oaep,
  op_node_script,
  op_node_scrypt,
  op_node_sign,
  op_node_timing_safe_equal,
  op_node_utf8_length,
  op_node_verify,
  op_node_watch_end,
  op_node_zlib_close,
  op_node_zlib_level,
  op_node_zlib_new,
  op_node_zlib_write,
  op_settings,
  op_tcp_close,
  op_tcp_connect,
  op_tcp_finish,
  op_tcp_interrupt,
  op_tcp_read,
  op_tcp_start_tls,
  op_tcp_write,
} = core.ops;

const settings = JSONParse(op_settings());
const flag = (name) => settings.flags?.[name] === true;

// === Values ===

const types = { __proto__: null };
const TYPES = [
  "isAnyArrayBuffer", "isArgumentsObject", "isArrayBuffer", "isArrayBufferView", "isAsyncFunction", "isBigIntObject",
  "isBooleanObject", "isBoxedPrimitive", "isDataView", "isDate", "isGeneratorFunction", "isGeneratorObject", "isMap",
  "isMapIterator", "isModuleNamespaceObject", "isNativeError", "isNumberObject", "isPromise", "isProxy", "isRegExp", "isSet",
  "isSetIterator", "isSharedArrayBuffer", "isStringObject", "isSymbolObject", "isTypedArray", "isWeakMap", "isWeakSet",
];
for (let i = 0; i < TYPES.length; i++) {
  const judge = core[TYPES[i]];
  types[TYPES[i]] = (value) => judge(value);
}

const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

const values = {
  __proto__: null,
  types,
  promiseDetails: (promise) => core.isPromise(promise) ? core.getPromiseDetails(promise) : undefined,
  proxyDetails: (value) => core.isProxy(value) ? core.getProxyDetails(value) : undefined,
  previewEntries: (value) => isObject(value) ? op_node_preview_entries(value) : undefined,
  constructorName: (value) => isObject(value) ? op_node_constructor_name(value) : "",
};

// === Bytes ===

const isView = core.isArrayBufferView;

function view(value) {
  if (!isView(value)) throw new TypeError("argument must be a buffer");
  return value;
}

/** As a list that has a list's methods. */
function list(values) {
  const copy = [];
  for (let i = 0; i < values.length; i++) ArrayPrototypePush(copy, values[i]);
  return copy;
}

const bytes = {
  __proto__: null,
  decode: (buffer, encoding, start, end) => op_node_decode(view(buffer), encoding, start, end),
  encodeInto: (string, buffer, encoding, offset, length) => {
    if (typeof string !== "string") throw new TypeError("argument must be a string");
    return op_node_encode_into(string, view(buffer), encoding, offset, length);
  },
  utf8Length: (string) => op_node_utf8_length(`${string}`),
  compare: (left, right) => op_node_compare(view(left), view(right)),
  indexOf: (haystack, needle, from, forward) => op_node_index_of(view(haystack), view(needle), from, forward),
  isAscii: (buffer) => op_node_is_valid(view(buffer), true),
  isUtf8: (buffer) => op_node_is_valid(view(buffer), false),
};

// === Compression and cryptography ===

/** Two parts of memory that do not meet: one is read while the other is written. */
function apart(input, output) {
  if (TypedArrayPrototypeGetBuffer(input) !== TypedArrayPrototypeGetBuffer(output)) return;
  const from = TypedArrayPrototypeGetByteOffset(input);
  const to = TypedArrayPrototypeGetByteOffset(output);
  const meet = from < to + TypedArrayPrototypeGetByteLength(output) && to < from + TypedArrayPrototypeGetByteLength(input);
  if (meet) throw new TypeError("input and output must not overlap");
}

const zlib = {
  __proto__: null,
  open: (mode, bits, level, dictionary) => op_node_zlib_new(mode, bits, level, view(dictionary)),
  /** `[code, bytes read, bytes written]`. */
  write(stream, flush, input, output) {
    if (!core.isTypedArray(input) || !core.isTypedArray(output)) throw new TypeError("arguments must be typed arrays");
    apart(input, output);
    return op_node_zlib_write(stream, flush, input, output);
  },
  level: (stream, level) => op_node_zlib_level(stream, level),
  close: (stream) => op_node_zlib_close(stream),
  crc32: (buffer, before) => op_node_crc32(view(buffer), before),
};

const crypto = {
  __proto__: null,
  hash: (name) => op_node_hash(`${name}`),
  hmac: (name, key) => op_node_hmac(`${name}`, view(key)),
  digestUpdate: (digest, buffer) => op_node_digest_update(digest, view(buffer)),
  digestCopy: (digest) => op_node_digest_copy(digest),
  digestFinish: (digest) => op_node_digest_finish(digest),
  pbkdf2: (hash, password, salt, iterations, length) =>
    op_node_pbkdf2(`${hash}`, view(password), view(salt), iterations, length),
  hkdf: (hash, key, salt, info, length) => op_node_hkdf(`${hash}`, view(key), view(salt), view(info), length),
  scrypt: (password, salt, cost, blockSize, parallelization, length) =>
    op_node_scrypt(view(password), view(salt), cost, blockSize, parallelization, length),
  timingSafeEqual: (left, right) => op_node_timing_safe_equal(view(left), view(right)),
  cipherInfo: (name) => op_node_cipher_info(`${name}`),
  cipher: (name, encrypts, key, iv) => op_node_cipher(`${name}`, encrypts === true, view(key), view(iv)),
  cipherUpdate: (cipher, buffer) => op_node_cipher_update(cipher, view(buffer)),
  cipherFinish: (cipher) => op_node_cipher_finish(cipher),
  cipherAad: (cipher, buffer) => op_node_cipher_aad(cipher, view(buffer)),
  cipherTag: (cipher, expected) => op_node_cipher_tag(cipher, view(expected)),
  cipherPadding: (cipher, on) => op_node_cipher_padding(cipher, on === true),
  keyRead: (buffer, form) => op_node_key_read(view(buffer), `${form}`),
  keyPublic: (der) => op_node_key_public(view(der)),
  keyWrite: (der, isPrivate, form) => op_node_key_write(view(der), isPrivate === true, `${form}`),
  keyNumbers: (der, isPrivate) => list(op_node_key_numbers(view(der), isPrivate === true)),
  keyOfNumbers: (name, isPrivate, numbers) => op_node_key_of_numbers(`${name}`, isPrivate === true, view(numbers)),
  keyOfScalar: (name, scalar) => op_node_key_of_bytes(`${name}`, true, view(scalar)),
  keyOfPoint: (name, point) => op_node_key_of_bytes(`${name}`, false, view(point)),
  keyGenerate: (name) => op_node_key_generate(`${name}`),
  keyAgree: (own, other) => op_node_key_agree(view(own), view(other)),
  sign: (der, hash, pss, plain, message) => op_node_sign(view(der), `${hash}`, pss === true, plain === true, view(message)),
  verify: (der, isPrivate, hash, pss, plain, message, signature) =>
    op_node_verify(view(der), isPrivate === true, `${hash}`, pss === true, plain === true, view(message), view(signature)),
  rsaOaep: (der, encrypts, hash, label, message) =>
    op_node_rsa_oaep(view(der), encrypts === true, `${hash}`, view(label), view(message)),
};

// === Connections ===

function port(value) {
  if (!NumberIsInteger(value) || value < 0 || value > 65535) throw new TypeError("argument must be a port");
  return value;
}

function number(value) {
  if (!NumberIsInteger(value) || value < 0 || value > 0x7fffffff) throw new TypeError("argument must be a connection's number");
  return value;
}

/** Of the running invocation, by number. */
const tcp = {
  __proto__: null,
  /** `[connection, remote address, local address]`. */
  connect: async (host, to) => list(await op_tcp_connect(requireOwner(), `${host}`, port(to), false)),
  /** The next bytes, `null` at the end, `undefined` when it was interrupted. */
  read: async (connection) => {
    const read = await op_tcp_read(currentOwner(), number(connection));
    return read === null || read === undefined ? read : read[0];
  },
  interrupt: (connection) => op_tcp_interrupt(currentOwner(), number(connection)),
  write: async (connection, buffer) => {
    await op_tcp_write(currentOwner(), number(connection), view(buffer));
  },
  finish: async (connection) => {
    await op_tcp_finish(currentOwner(), number(connection));
  },
  close: (connection) => op_tcp_close(currentOwner(), number(connection)),
  /** `[protocol or null, version, cipher, certificate]`. */
  startTls: async (connection, name, protocols, roots) =>
    list(await op_tcp_start_tls(currentOwner(), number(connection), `${name}`, view(protocols), `${roots}`)),
};

// === The async context ===

// A frame keeps the stores of all storages under one name: `[key, store, key, store]`. It is never changed, so that who
// kept it sees what was there then.
const STORES = "holm.stores";

const storesOf = (frame) => frame === undefined || frame === null ? undefined : frame[STORES];

function withStore(frame, key, store) {
  const before = storesOf(frame);
  const stores = [];
  if (before !== undefined) {
    for (let i = 0; i < before.length; i += 2) {
      if (before[i] !== key) ArrayPrototypePush(stores, before[i], before[i + 1]);
    }
  }
  ArrayPrototypePush(stores, key, store);
  return { __proto__: null, ...frame, [STORES]: stores };
}

const OTHER_REQUEST = "Cannot call this AsyncLocalStorage bound function outside of the request in which it was created.";

const context = {
  __proto__: null,
  /** The store of a storage, `undefined` without. */
  get(key) {
    const stores = storesOf(getAsyncContext());
    if (stores === undefined) return undefined;
    for (let i = 0; i < stores.length; i += 2) if (stores[i] === key) return stores[i + 1];
    return undefined;
  },
  /** Whether the storage has a store, of whatever value. */
  has(key) {
    const stores = storesOf(getAsyncContext());
    if (stores === undefined) return false;
    for (let i = 0; i < stores.length; i += 2) if (stores[i] === key) return true;
    return false;
  },
  run(key, store, callback, args) {
    const before = getAsyncContext();
    setAsyncContext(withStore(before, key, store));
    try {
      return ReflectApply(callback, undefined, args);
    } finally {
      setAsyncContext(before);
    }
  },
  enterWith(key, store) {
    setAsyncContext(withStore(getAsyncContext(), key, store));
  },
  /**
   * Keeps the stores of now. Answers what calls a function with them again. A frame names its invocation, and a call acts
   * for the one that calls: with `bound`, only the same one may.
   */
  capture(bound) {
    const frame = getAsyncContext();
    const owner = currentOwner();
    bound = bound && flag("bind_asynclocalstorage_snapshot_to_request");
    return (callback, self, args) => {
      const before = getAsyncContext();
      const caller = currentOwner();
      if (caller === owner) setAsyncContext(frame);
      else if (bound && owner !== 0) throw new Error(OTHER_REQUEST);
      else setAsyncContext({ __proto__: null, ...before, [STORES]: storesOf(frame) });
      try {
        return ReflectApply(callback, self, args);
      } finally {
        setAsyncContext(before);
      }
    };
  },
};

// === The worker ===

/** The worker's variables as texts: what is none is JSON. */
function environment() {
  const env = { __proto__: null };
  if (!flag("nodejs_compat_populate_process_env")) return env;
  const variables = JSONParse(op_env());
  const names = ObjectKeys(variables);
  for (let i = 0; i < names.length; i++) {
    const value = variables[names[i]];
    env[names[i]] = typeof value === "string" ? value : JSONStringify(value);
  }
  return env;
}

/** Called when an invocation has ended, with its number. */
const endings = [];

const worker = {
  __proto__: null,
  environment,
  flag,
  owner: currentOwner,
  bundleNames: () => list(op_node_bundle_names()),
  bundleRead: (name) => op_node_bundle_read(`${name}`),
  nextTick: queueMicrotask,
  reportException: (error) => seams.reportException(error),
  onEnded: (callback) => {
    ArrayPrototypePush(endings, callback);
  },
  /** The addresses of a name. */
  lookup: async (name) => list(await op_node_lookup(requireOwner(), `${name}`)),
  /** Asks for that of the running invocation. */
  watchEnd: () => {
    const owner = currentOwner();
    if (owner !== 0) op_node_watch_end(owner);
  },
};

const web = {
  __proto__: null,
  CloseEvent: events.CloseEvent,
  CustomEvent: events.CustomEvent,
  ErrorEvent: events.ErrorEvent,
  Event: events.Event,
  EventTarget: events.EventTarget,
  MessageEvent: events.MessageEvent,
  AbortController: abort.AbortController,
  AbortSignal: abort.AbortSignal,
  Blob,
  CompressionStream: load("ext:deno_web/14_compression.js").CompressionStream,
  DecompressionStream: load("ext:deno_web/14_compression.js").DecompressionStream,
  DOMException,
  File,
  FormData,
  Headers,
  MessageChannel,
  MessagePort,
  Performance,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
  Request,
  Response,
  TextDecoder: text.TextDecoder,
  TextDecoderStream: text.TextDecoderStream,
  TextEncoder: text.TextEncoder,
  TextEncoderStream: text.TextEncoderStream,
  URL: url.URL,
  URLPattern: load("ext:deno_web/01_urlpattern.js").URLPattern,
  URLSearchParams: url.URLSearchParams,
  atob: base64.atob,
  btoa: base64.btoa,
  console,
  // Lives on the engine's C++ heap; made when it is first asked for.
  get crypto() {
    return loadCrypto().singleton();
  },
  fetch,
  performance,
  structuredClone,
};
const STREAMS = [
  "ByteLengthQueuingStrategy", "CountQueuingStrategy", "ReadableByteStreamController", "ReadableStream",
  "ReadableStreamBYOBReader", "ReadableStreamBYOBRequest", "ReadableStreamDefaultController", "ReadableStreamDefaultReader",
  "TransformStream", "TransformStreamDefaultController", "WritableStream", "WritableStreamDefaultController",
  "WritableStreamDefaultWriter",
];
for (let i = 0; i < STREAMS.length; i++) web[STREAMS[i]] = streams[STREAMS[i]];

const natives = ObjectFreeze({
  __proto__: null,
  values: ObjectFreeze(values),
  bytes: ObjectFreeze(bytes),
  zlib: ObjectFreeze(zlib),
  crypto: ObjectFreeze(crypto),
  tcp: ObjectFreeze(tcp),
  context: ObjectFreeze(context),
  worker: ObjectFreeze(worker),
  timers: ObjectFreeze({ __proto__: null, ...nodeTimers, setImmediate, clearImmediate, Immediate, Timeout }),
  web: ObjectFreeze(web),
});

/** The library's own copy. */
function copyOfPrimordials() {
  const copy = { __proto__: null };
  const names = ReflectOwnKeys(primordials);
  for (let i = 0; i < names.length; i++) copy[names[i]] = primordials[names[i]];
  return copy;
}

const exports = { __proto__: null };
// The loader takes a function that compiles for `require`, and its natives for `internalBinding`.
ReflectApply(op_node_script("loader"), undefined, [
  exports,
  (name) => op_node_script(`${name}`),
  undefined,
  undefined,
  natives,
  copyOfPrimordials(),
]);

export const library = ObjectFreeze({
  __proto__: null,
  builtin: exports.builtin,
  isBuiltin: exports.isBuiltin,
  ended(owner) {
    for (let i = 0; i < endings.length; i++) endings[i](owner);
  },
});
