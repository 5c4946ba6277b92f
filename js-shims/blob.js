// `Blob` and `File`, W3C File API.
//
// A blob's bytes live in this isolate's ArrayBuffers, so that they count as the worker's memory. Parts are never
// handed out and never written to, so slices and blobs made of blobs share them. Used by body.js and formdata.js.

import { core, primordials } from "ext:core/mod.js";
import { byteLength, concat, copyOf, decodeUtf8, encodeUtf8, isBufferSource, part, wholeBuffer } from "ext:holm/bytes.js";
import { finishInterface, streams, text, webidl } from "ext:holm/engine.js";

const {
  ArrayIsArray,
  ArrayPrototypePush,
  MathMax,
  MathMin,
  NumberIsInteger,
  ObjectDefineProperty,
  ObjectHasOwn,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  RegExpPrototypeExec,
  SafeRegExp,
  StringPrototypeReplace,
  StringPrototypeToLowerCase,
  StringPrototypeToWellFormed,
  SymbolIterator,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypeError,
  uncurryThis,
} = primordials;
const { createReadableByteStream, readableByteStreamControllerClose, readableByteStreamControllerEnqueue } = streams;
const { TextDecoderStream } = text;
const { op_clock_now } = core.ops;
const pipeThrough = uncurryThis(streams.ReadableStream.prototype.pipeThrough);

const NOT_PRINTABLE = /[^\x20-\x7e]/;
const CHUNK = 64 * 1024;

const kNew = { __proto__: null };

/** @type {(value: any) => boolean} */
let isBlob;
/** @type {(value: any) => boolean} */
let isFile;
/** @type {(blob: Blob) => Uint8Array} the bytes, never to be written to or handed out */
let blobBytes;
/** @type {(parts: Uint8Array[], size: number, type: string) => Blob} */
let newBlob;
/** @type {(blob: Blob) => string} */
let blobType;
/** @type {(blob: Blob) => ReadableStream} */
let streamOfBlob;
/** @type {(file: File) => string} */
let fileName;
/** @type {(file: File) => number} */
let lastModifiedOf;
/** @type {(blob: Blob, name: string, lastModified?: number) => File} a File that shares the blob's bytes */
let fileOf;
function normalizeType(type) {
  type = `${type}`;
  return RegExpPrototypeExec(NOT_PRINTABLE, type) === null ? StringPrototypeToLowerCase(type) : "";
}

const CLAMP = { __proto__: null, clamp: true };

function clampedOffset(value, size, fallback) {
  if (value === undefined) return fallback;
  if (!NumberIsInteger(value)) {
    value = webidl.converters["long long"](value, "Failed to execute 'slice' on 'Blob'", "an offset", CLAMP);
  }
  return value < 0 ? MathMax(size + value, 0) : MathMin(value, size);
}

function sequence(value, what) {
  if (value === undefined) return [];
  const items = [];
  // An array's own elements need no iterator, which a script can replace.
  if (ArrayIsArray(value) && !ObjectHasOwn(value, SymbolIterator)) {
    for (let i = 0; i < value.length; i++) ArrayPrototypePush(items, value[i]);
    return items;
  }
  if (value === null || (typeof value !== "object" && typeof value !== "function") || typeof value[SymbolIterator] !== "function") {
    throw new TypeError(`Failed to construct '${what}': the provided value cannot be converted to a sequence.`);
  }
  for (const item of value) ArrayPrototypePush(items, item);
  return items;
}

function dictionary(value, what) {
  if (value === undefined || value === null) return { __proto__: null };
  if (typeof value !== "object" && typeof value !== "function") {
    throw new TypeError(`Failed to construct '${what}': the options are not an object.`);
  }
  return value;
}

export class Blob {
  #parts;
  #size = 0;
  #type = "";

  constructor(blobParts = undefined, options = undefined) {
    if (blobParts === kNew) return;
    const items = sequence(blobParts, "Blob");
    const { type, endings } = dictionary(options, "Blob");
    if (endings !== undefined && endings !== "transparent" && endings !== "native") {
      throw new TypeError(`Failed to construct 'Blob': the provided value '${endings}' is not a valid enum value of type EndingType.`);
    }
    const parts = [];
    let size = 0;
    for (let i = 0; i < items.length; i++) {
      const item = items[i];
      if (isBlob(item)) {
        const shared = item.#parts;
        for (let j = 0; j < shared.length; j++) ArrayPrototypePush(parts, shared[j]);
        size += item.#size;
        continue;
      }
      let bytes;
      if (isBufferSource(item)) {
        bytes = copyOf(item);
      } else {
        const string = `${item}`;
        bytes = encodeUtf8(endings === "native" ? StringPrototypeReplace(string, LINE_ENDINGS, "\n") : string);
      }
      size += byteLength(bytes);
      ArrayPrototypePush(parts, bytes);
    }
    this.#parts = parts;
    this.#size = size;
    if (type !== undefined) this.#type = normalizeType(type);
  }

  static {
    isBlob = (value) => typeof value === "object" && value !== null && #parts in value;
    newBlob = (parts, size, type) => {
      const blob = new Blob(kNew);
      blob.#parts = parts;
      blob.#size = size;
      blob.#type = type;
      return blob;
    };
    blobType = (blob) => blob.#type;
    blobBytes = (blob) => {
      const parts = blob.#parts;
      if (parts.length === 1) return parts[0];
      const whole = concat(parts, blob.#size);
      blob.#parts = [whole];
      return whole;
    };
    fileOf = (blob, name, lastModified = op_clock_now()) => {
      const file = new File(kNew, name, lastModified);
      file.#parts = blob.#parts;
      file.#size = blob.#size;
      file.#type = blob.#type;
      return file;
    };
  }

  get size() {
    return this.#size;
  }

  get type() {
    return this.#type;
  }

  slice(start = undefined, end = undefined, contentType = undefined) {
    const size = this.#size;
    let from = clampedOffset(start, size, 0);
    const to = MathMax(clampedOffset(end, size, size), from);
    const type = contentType === undefined ? "" : normalizeType(contentType);
    const span = to - from;
    const parts = [];
    let left = span;
    const all = this.#parts;
    for (let i = 0; i < all.length && left > 0; i++) {
      const length = byteLength(all[i]);
      if (from >= length) {
        from -= length;
        continue;
      }
      const taken = MathMin(length - from, left);
      ArrayPrototypePush(parts, taken === length ? all[i] : part(all[i], from, from + taken));
      left -= taken;
      from = 0;
    }
    return newBlob(parts, span, type);
  }

  stream() {
    let parts = this.#parts;
    let at = 0;
    let offset = 0;
    return createReadableByteStream(
      (_controller) => undefined,
      (controller) => {
        while (at < parts.length && offset === byteLength(parts[at])) {
          at++;
          offset = 0;
        }
        if (at === parts.length) {
          parts = [];
          at = 0;
          closeByteStream(controller);
        } else {
          const end = MathMin(offset + CHUNK, byteLength(parts[at]));
          const chunk = copyOf(part(parts[at], offset, end));
          offset = end;
          readableByteStreamControllerEnqueue(controller, chunk);
        }
        return PromiseResolve(undefined);
      },
      () => PromiseResolve(undefined),
    );
  }

  static {
    streamOfBlob = uncurryThis(Blob.prototype.stream);
  }

  textStream() {
    return pipeThrough(streamOfBlob(this), new TextDecoderStream());
  }

  text() {
    try {
      return PromiseResolve(decodeUtf8(blobBytes(this)));
    } catch (error) {
      return PromiseReject(error);
    }
  }

  arrayBuffer() {
    try {
      return PromiseResolve(wholeBuffer(copyOf(blobBytes(this))));
    } catch (error) {
      return PromiseReject(error);
    }
  }

  bytes() {
    try {
      return PromiseResolve(copyOf(blobBytes(this)));
    } catch (error) {
      return PromiseReject(error);
    }
  }
}

const LINE_ENDINGS = new SafeRegExp(/\r\n?|\n/g);

const getByobRequest = (() => {
  const { ObjectGetOwnPropertyDescriptor } = primordials;
  return uncurryThis(ObjectGetOwnPropertyDescriptor(streams.ReadableByteStreamController.prototype, "byobRequest").get);
})();

/** Ends a byte stream, also when a BYOB read is waiting for it. */
export function closeByteStream(controller) {
  const pending = getByobRequest(controller) !== null;
  readableByteStreamControllerClose(controller);
  if (pending) streams.readableByteStreamControllerRespond(controller, 0);
}

export class File extends Blob {
  #name;
  #lastModified;

  constructor(fileBits, fileName, options = undefined) {
    if (fileBits === kNew) {
      super(kNew);
      this.#name = fileName;
      this.#lastModified = options;
      return;
    }
    if (arguments.length < 2) {
      throw new TypeError(`Failed to construct 'File': 2 arguments required, but only ${arguments.length} present.`);
    }
    if (fileBits === undefined) sequence(null, "File");
    super(fileBits, options);
    this.#name = StringPrototypeToWellFormed(`${fileName}`);
    const { lastModified } = dictionary(options, "File");
    this.#lastModified = lastModified === undefined ? op_clock_now() : webidl.converters["long long"](lastModified);
  }

  static {
    isFile = (value) => typeof value === "object" && value !== null && #name in value;
    fileName = (file) => file.#name;
    lastModifiedOf = (file) => file.#lastModified;
  }

  get name() {
    return this.#name;
  }

  get lastModified() {
    return this.#lastModified;
  }
}

finishInterface(Blob, ["size", "type"]);
finishInterface(File, ["name", "size", "type", "lastModified"]);

// deno_web's FileReader converts its argument with this.
webidl.converters.Blob = (value, prefix, context) => {
  if (!isBlob(value)) throw webidl.makeException(TypeError, "is not of type Blob", prefix, context);
  return value;
};

// Structured clone: the engine calls the brand to get a clonable description, and the deserializer to revive it. User
// code can forge both, so the description is checked; it can describe nothing but bytes of its own.
function cloneable(Interface, name, describe, revive) {
  ObjectDefineProperty(Interface.prototype, core.hostObjectBrand, {
    __proto__: null,
    value() {
      return describe(this);
    },
    enumerable: false,
    writable: false,
    configurable: false,
  });
  core.registerCloneableResource(name, (data) => {
    const { bytes } = data;
    if (TypedArrayPrototypeGetSymbolToStringTag(bytes) !== "Uint8Array") throw new TypeError(`Not a ${name}.`);
    return revive(newBlob([bytes], byteLength(bytes), `${data.mimeType}`), data);
  });
}
cloneable(
  Blob,
  "Blob",
  (blob) => ({ type: "Blob", mimeType: blobType(blob), bytes: copyOf(blobBytes(blob)) }),
  (blob) => blob,
);
cloneable(
  File,
  "File",
  (file) => ({
    type: "File",
    mimeType: blobType(file),
    bytes: copyOf(blobBytes(file)),
    name: fileName(file),
    lastModified: lastModifiedOf(file),
  }),
  (blob, data) => fileOf(blob, `${data.name}`, +data.lastModified),
);

export { blobBytes, blobType, fileName, fileOf, isBlob, isFile, lastModifiedOf, newBlob };
