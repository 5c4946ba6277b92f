// Bodies of requests and responses, WHATWG Fetch §5.2 and §5.3.
//
// A body is text or bytes that are here, a handle of a body that Rust holds, or a stream that JavaScript made. Only the
// last one is pumped. A handle that nobody read moves back into Rust as a number, also when its stream was looked at but
// neither locked nor read: a `Body` and its stream point at each other, so `new Response(upstream.body)` finds it again.
// Invariant: who takes `data` out of a body sets `used` and seals the stream.
// Used by request.js, response.js and fetch.js.

import { core, primordials } from "ext:core/mod.js";
import { blobBytes, blobType, closeByteStream, isBlob, newBlob } from "ext:holm/blob.js";
import { byteLength, copyOf, decodeUtf8, encodeUtf8, isBufferSource, viewOf, wholeBuffer } from "ext:holm/bytes.js";
import { streams, url } from "ext:holm/engine.js";
import { flag } from "ext:holm/environment.js";
import { formDataBody, isFormData, parseFormData } from "ext:holm/formdata.js";
import { currentOwner } from "ext:holm/owner.js";

const {
  Error,
  JSONParse,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  ObjectDefineProperties,
  ObjectGetOwnPropertyDescriptors,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  Promise,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  SafeMap,
  StringPrototypeCharCodeAt,
  StringPrototypeSlice,
  StringPrototypeToLowerCase,
  StringPrototypeToWellFormed,
  SymbolAsyncIterator,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypeError,
  uncurryThis,
} = primordials;
const {
  op_body_abort,
  op_body_cancel,
  op_body_check,
  op_body_clone,
  op_body_close,
  op_body_collect,
  op_body_read,
  op_body_take,
  op_body_take_text,
  op_body_write,
} = core.ops;
const {
  acquireReadableStreamDefaultReader,
  createReadableByteStream,
  isReadableStream,
  isReadableStreamDisturbed,
  isReadableStreamLocked,
  ReadableStream,
  readableByteStreamControllerEnqueue,
  readableByteStreamControllerError,
  readableStreamDefaultReaderRead,
  ReadableStreamDefaultReader,
  readableStreamCollectIntoUint8Array,
  readableStreamDisturb,
  ReadableStreamPrototype,
  readableStreamTee,
} = streams;
export const cancelReader = uncurryThis(ReadableStreamDefaultReader.prototype.cancel);
const streamFrom = ReadableStream.from;
const searchParamsToString = uncurryThis(url.URLSearchParamsPrototype.toString);

export const TEXT = 1;
export const BYTES = 2;
export const HANDLE = 3;
export const STREAM = 4;

export const BODY_USED =
  "Body has already been used. It can only be used once. Use tee() first if you need to read it twice.";
const BODY_LOCKED = "This ReadableStream is currently locked to a reader.";

/** Internal: never reaches user code. */
export class Body {
  /** @type {1 | 2 | 3 | 4} */
  kind;
  /** @type {string | Uint8Array | number | undefined} */
  data;
  /** `data` bytes belong to a Blob or a clone as well: copy before they leave. */
  shared = false;
  used = false;
  /** @type {ReadableStream | undefined} */
  stream = undefined;
  controller = undefined;
  /** @type {{ reason: any } | undefined} why the source broke (an aborted fetch) */
  failure = undefined;
  /** @type {(() => void) | undefined} called once when the body is over or has moved */
  release = undefined;
  /** @type {((reason: any) => void) | undefined} rejects the read that is under way */
  interrupt = undefined;

  /** The handle behind it, 0 for none; stays when a clone has made it a branch of a stream. */
  source;

  constructor(kind, data) {
    this.kind = kind;
    this.data = data;
    this.source = kind === HANDLE ? data : 0;
  }
}

// Stamps a private field on a stream that user code holds: the way back from a stream to its body.
class Stamp extends (function (stream) { return stream; }) {
  #body;
  constructor(stream, body) {
    super(stream);
    this.#body = body;
  }
  static bodyOf(stream) {
    return #body in stream ? stream.#body : undefined;
  }
}
const stampedBody = Stamp.bodyOf;

// === What a BodyInit is ===

/** The `content-type` that the last `extractBody` implies, "" for none. */
export let impliedType = "";

/** @returns {Body} of a BodyInit that is neither null nor undefined */
export function extractBody(init) {
  if (typeof init === "string") {
    impliedType = "text/plain;charset=UTF-8";
    return new Body(TEXT, init);
  }
  impliedType = "";
  if (typeof init === "object") {
    if (isStream(init)) return bodyOfStream(init);
    if (isBufferSource(init)) return new Body(BYTES, copyOf(init));
    if (isBlob(init)) {
      impliedType = blobType(init);
      return sharedBytes(blobBytes(init));
    }
    if (isFormData(init)) {
      const { bytes, type } = formDataBody(init);
      impliedType = type;
      return new Body(BYTES, bytes);
    }
    if (ObjectPrototypeIsPrototypeOf(url.URLSearchParamsPrototype, init)) {
      impliedType = "application/x-www-form-urlencoded;charset=UTF-8";
      return new Body(TEXT, searchParamsToString(init));
    }
    if (typeof init[SymbolAsyncIterator] === "function") return bodyOfStream(streamFrom(init));
  }
  impliedType = "text/plain;charset=UTF-8";
  return new Body(TEXT, `${init}`);
}

const isStream = (value) => ObjectPrototypeIsPrototypeOf(ReadableStreamPrototype, value) && isReadableStream(value);

function bodyOfStream(stream) {
  if (isReadableStreamLocked(stream)) throw new TypeError(BODY_LOCKED);
  if (isReadableStreamDisturbed(stream)) {
    throw new TypeError("This ReadableStream is disturbed (has already been read from), and cannot be used as a body.");
  }
  const known = stampedBody(stream);
  if (known !== undefined) return known;
  const body = new Body(STREAM, undefined);
  body.stream = stream;
  return body;
}

function sharedBytes(bytes) {
  const body = new Body(BYTES, bytes);
  body.shared = true;
  return body;
}

/** `true` for a body without any bytes that are known to be here. */
export const isEmptyBody = (body) =>
  (body.kind === TEXT && body.data === "") || (body.kind === BYTES && byteLength(body.data) === 0);

// === State ===

export const isBodyUsed = (body) => body.used || (body.stream !== undefined && isReadableStreamDisturbed(body.stream));

/** Locks and disturbs a stream whose source has moved elsewhere. */
function seal(stream) {
  readableStreamDisturb(stream);
  acquireReadableStreamDefaultReader(stream);
}

export function assertUsable(body) {
  // Before anything is marked: who may not use a body does not use it up for its owner either.
  if (body.kind === HANDLE) op_body_check(currentOwner(), body.data);
  if (isBodyUsed(body)) throw new TypeError(BODY_USED);
  if (body.stream !== undefined && isReadableStreamLocked(body.stream)) throw new TypeError(BODY_LOCKED);
  if (body.failure !== undefined) throw body.failure.reason;
}

function finished(body) {
  const { release } = body;
  if (release === undefined) return;
  body.release = undefined;
  release();
}

/** Marks a body as used by its caller, who now owns `data` (or has to read the stream). */
function claim(body) {
  assertUsable(body);
  body.used = true;
  if (body.kind !== STREAM && body.stream !== undefined) seal(body.stream);
}

/**
 * Takes a body out for Rust.
 * @returns {string | Uint8Array | number | undefined} `undefined`: open a body and `pump` the stream into it
 */
export function takeBody(body) {
  claim(body);
  finished(body);
  return body.kind === STREAM ? undefined : body.data;
}

/** A body that takes over from `body`, which becomes used: `new Request(request)`. */
export function moveBody(body) {
  claim(body);
  const moved = new Body(body.kind, body.data);
  moved.shared = body.shared;
  moved.release = body.release;
  body.release = undefined;
  if (body.kind === STREAM) moved.stream = body.stream;
  return moved;
}

/** Both halves of a body: `body` keeps one, the other is returned. */
export function cloneBody(body) {
  assertUsable(body);
  if (body.kind === TEXT) return new Body(TEXT, body.data);
  if (body.kind === BYTES) {
    body.shared = true;
    return sharedBytes(body.data);
  }
  if (body.kind === HANDLE) {
    const copy = op_body_clone(currentOwner(), body.data);
    if (copy !== 0) return new Body(HANDLE, copy);
  }
  const branches = readableStreamTee(streamOf(body), true);
  body.kind = STREAM;
  body.data = undefined;
  body.stream = branches[0];
  const copy = new Body(STREAM, undefined);
  copy.stream = branches[1];
  return copy;
}

/** Breaks a body: what reads it fails with `reason`, and Rust drops its end. */
export function failBody(body, reason) {
  if (body.failure !== undefined) return;
  body.failure = { __proto__: null, reason };
  finished(body);
  if (body.source !== 0) op_body_cancel(0, body.source);
  if (body.interrupt !== undefined) {
    body.interrupt(reason);
  } else if (body.controller !== undefined) {
    readableByteStreamControllerError(body.controller, reason);
  }
}

// === Streams over what is not a stream ===

/** The body's ReadableStream, made on the first look. Nothing is read before somebody pulls. */
export function streamOf(body) {
  if (body.stream !== undefined) return body.stream;
  // By value: a clone turns `body` into a branch of this stream, which goes on reading the same source.
  const { kind, data, shared } = body;
  const stream = createReadableByteStream(
    (controller) => {
      body.controller = controller;
    },
    kind === HANDLE
      ? (controller) => pullHandle(body, data, controller)
      : (controller) => pullBuffered(kind === TEXT ? encodeUtf8(data) : shared || body.shared ? copyOf(data) : data, controller),
    () => {
      try {
        if (kind === HANDLE) op_body_cancel(currentOwner(), data);
      } catch (error) {
        return PromiseReject(error);
      }
      finished(body);
      return PromiseResolve(undefined);
    },
  );
  body.stream = stream;
  new Stamp(stream, body);
  if (body.used) seal(stream);
  if (body.failure !== undefined) readableByteStreamControllerError(body.controller, body.failure.reason);
  return stream;
}

function pullBuffered(bytes, controller) {
  if (byteLength(bytes) !== 0) readableByteStreamControllerEnqueue(controller, bytes);
  closeByteStream(controller);
  return PromiseResolve(undefined);
}

function pullHandle(body, handle, controller) {
  let chunk;
  try {
    chunk = op_body_read(currentOwner(), handle);
  } catch (error) {
    return PromiseReject(error);
  }
  return PromisePrototypeThen(chunk, (read) => {
    if (body.failure !== undefined) return;
    if (read === null) {
      finished(body);
      closeByteStream(controller);
      return;
    }
    const bytes = read[0];
    if (byteLength(bytes) === 0) return pullHandle(body, handle, controller);
    readableByteStreamControllerEnqueue(controller, bytes);
  }, (error) => {
    finished(body);
    throw error;
  });
}

// === Reading all of it ===

/** A promise of a read in Rust that `failBody` can reject. */
function interruptible(body, promise) {
  if (body.release === undefined) return promise;
  return new Promise((resolve, reject) => {
    body.interrupt = reject;
    PromisePrototypeThen(promise, (value) => {
      finished(body);
      resolve(value);
    }, (error) => {
      finished(body);
      reject(error);
    });
  });
}

/** @returns {Promise<string> | string} claims the body */
function collectText(body) {
  claim(body);
  switch (body.kind) {
    case TEXT:
      return withoutBom(StringPrototypeToWellFormed(body.data));
    case BYTES:
      return textOf(body.data);
    case HANDLE: {
      const owner = currentOwner();
      const here = op_body_take_text(owner, body.data);
      if (here !== undefined) {
        finished(body);
        return here;
      }
      return interruptible(body, op_body_collect(owner, body.data, true));
    }
    default:
      return PromisePrototypeThen(readableStreamCollectIntoUint8Array(body.stream), textOf);
  }
}

// The byte order mark stays for workers of before `strip_bom_in_read_all_text`.

const withoutBom = (string) =>
  StringPrototypeCharCodeAt(string, 0) === 0xfeff && flag("strip_bom_in_read_all_text") ? StringPrototypeSlice(string, 1) : string;

const textOf = (bytes) => {
  const hasMark = byteLength(bytes) >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const text = decodeUtf8(bytes);
  return hasMark && !flag("strip_bom_in_read_all_text") ? `\ufeff${text}` : text;
};

/** @returns {Promise<Uint8Array> | Uint8Array} bytes that nobody else holds; claims the body */
function collectBytes(body) {
  claim(body);
  switch (body.kind) {
    case TEXT:
      return encodeUtf8(body.data);
    case BYTES:
      return body.shared ? copyOf(body.data) : body.data;
    case HANDLE: {
      const owner = currentOwner();
      const here = op_body_take(owner, body.data);
      if (here !== undefined) {
        finished(body);
        return here;
      }
      return interruptible(body, op_body_collect(owner, body.data, false));
    }
    default:
      return readableStreamCollectIntoUint8Array(body.stream);
  }
}

function whenText(body, convert) {
  try {
    if (body === null) return PromiseResolve(convert(""));
    const result = collectText(body);
    return typeof result === "string" ? PromiseResolve(convert(result)) : PromisePrototypeThen(result, convert);
  } catch (error) {
    return PromiseReject(error);
  }
}

function whenBytes(body, convert) {
  try {
    if (body === null) return PromiseResolve(convert(encodeUtf8("")));
    const result = collectBytes(body);
    return TypedArrayPrototypeGetSymbolToStringTag(result) === "Uint8Array"
      ? PromiseResolve(convert(result))
      : PromisePrototypeThen(result, convert);
  } catch (error) {
    return PromiseReject(error);
  }
}

const sameText = (string) => string;
const sameBytes = (bytes) => bytes;
const parseJson = (string) => JSONParse(string);

/**
 * Adds the Body mixin to an interface.
 * @param {object} prototype
 * @param {(target: any) => Body | null} bodyOf throws on a wrong receiver
 * @param {(target: any) => string} typeOf the `content-type`, "" if absent
 */
export function mixinBody(prototype, bodyOf, typeOf) {
  // A wrong receiver rejects, since these return promises.
  const guarded = (target, read) => {
    try {
      return read(bodyOf(target));
    } catch (error) {
      return PromiseReject(error);
    }
  };
  const members = {
    get body() {
      const body = bodyOf(this);
      return body === null ? null : streamOf(body);
    },
    get bodyUsed() {
      const body = bodyOf(this);
      return body !== null && isBodyUsed(body);
    },
    arrayBuffer() {
      return guarded(this, (body) => whenBytes(body, wholeBuffer));
    },
    blob() {
      return guarded(this, (body) => {
        const type = StringPrototypeToLowerCase(typeOf(this));
        return whenBytes(body, (bytes) => newBlob([bytes], byteLength(bytes), type));
      });
    },
    bytes() {
      return guarded(this, (body) => whenBytes(body, sameBytes));
    },
    formData() {
      return guarded(this, (body) => {
        const type = typeOf(this);
        return whenBytes(body, (bytes) => parseFormData(bytes, type));
      });
    },
    json() {
      return guarded(this, (body) => whenText(body, parseJson));
    },
    text() {
      return guarded(this, (body) => whenText(body, sameText));
    },
  };
  ObjectDefineProperties(prototype, ObjectGetOwnPropertyDescriptors(members));
}

// === Pumping a stream into Rust ===

const ignore = () => {};
const ignoreRejection = (promise) => PromisePrototypeThen(promise, ignore, ignore);

export function chunkBytes(chunk) {
  if (TypedArrayPrototypeGetSymbolToStringTag(chunk) === "Uint8Array") return chunk;
  if (isBufferSource(chunk)) return viewOf(chunk);
  if (typeof chunk === "string") {
    throw new TypeError(
      "This ReadableStream is being used as a byte stream, but received a string. If you wish to write a string, " +
        "encode it as a Uint8Array first, for example with pipeThrough(new TextEncoderStream()).",
    );
  }
  throw new TypeError("This ReadableStream did not return bytes. Its chunks have to be Uint8Array.");
}

// Without a prototype: a promise that is resolved with one looks for no `then` of a script.
class Read {
  constructor(chunk) {
    this.chunk = chunk;
  }
}
ObjectSetPrototypeOf(Read.prototype, null);

/** @returns {Promise<Read | null>} `null` at the end */
export const nextChunk = (reader) =>
  new Promise((resolve, reject) =>
    readableStreamDefaultReaderRead(reader, {
      __proto__: null,
      chunkSteps: (chunk) => resolve(new Read(chunk)),
      closeSteps: () => resolve(null),
      errorSteps: reject,
    })
  );

/** What the answers of live invocations are read from, by owner: told when the client goes away. */
const answering = new SafeMap();

/** Pumps the answer of `owner`. */
export async function pumpAnswer(owner, body, handle, onError) {
  await pump(owner, body, handle, onError, (reader) => MapPrototypeSet(answering, owner, reader));
  MapPrototypeDelete(answering, owner);
}

/** hooks.ended */
export function forgetAnswer(owner) {
  MapPrototypeDelete(answering, owner);
}

/** The client has gone: the stream behind the answer hears of it even while it has nothing to write. */
export function cancelAnswer(owner) {
  const reader = MapPrototypeGet(answering, owner);
  if (reader === undefined) return;
  MapPrototypeDelete(answering, owner);
  ignoreRejection(cancelReader(reader, new Error("The client has disconnected")));
}

/**
 * Writes a stream body, which the caller has taken, into a body that `op_body_open` made, at the reader's pace.
 * @param {(error: any) => void} onError the stream broke (not: the reader went away)
 * @param {(reader: object) => void} onReader given the reader once there is one
 */
export async function pump(owner, body, handle, onError, onReader = ignore) {
  let reader;
  try {
    reader = acquireReadableStreamDefaultReader(body.stream);
    onReader(reader);
    for (;;) {
      const read = await nextChunk(reader);
      if (read === null) break;
      const bytes = chunkBytes(read.chunk);
      if (byteLength(bytes) === 0) continue;
      let room;
      try {
        room = op_body_write(owner, handle, bytes);
        if (room !== true) await room;
      } catch (gone) {
        ignoreRejection(cancelReader(reader, gone));
        return;
      }
    }
    op_body_close(handle);
  } catch (error) {
    op_body_abort(handle, messageOf(error));
    if (reader !== undefined) ignoreRejection(cancelReader(reader, error));
    onError(error);
  }
}

export function messageOf(error) {
  try {
    return `${error}`;
  } catch {
    return "The stream failed.";
  }
}
