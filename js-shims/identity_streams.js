// The platform's byte pass-throughs: `IdentityTransformStream`, and `FixedLengthStream`, whose readable side tells the
// length of the body it becomes. A write is over once its bytes have been read; the readable side is a byte stream.

import { primordials } from "ext:core/mod.js";
import { closeByteStream } from "ext:holm/blob.js";
import { byteLength, copyOf, isBufferSource, viewOf } from "ext:holm/bytes.js";
import { finishInterface, streams } from "ext:holm/engine.js";

const {
  NumberIsInteger,
  ObjectGetOwnPropertyDescriptor,
  Promise,
  PromiseResolve,
  SafeWeakMap,
  TypeError,
  uncurryThis,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;
const {
  createReadableByteStream,
  readableByteStreamControllerEnqueue,
  readableByteStreamControllerError,
  TransformStream,
  WritableStream,
  WritableStreamDefaultController,
} = streams;
const failWriter = uncurryThis(WritableStreamDefaultController.prototype.error);

const lengths = new SafeWeakMap();

/** The length a stream promised to have, -1 if none. */
export const promisedLength = (stream) => WeakMapPrototypeGet(lengths, stream) ?? -1;

function bytesOf(chunk) {
  if (isBufferSource(chunk)) return viewOf(chunk);
  throw new TypeError(
    typeof chunk === "string"
      ? "This TransformStream is being used as a byte stream, but received a string on its writable side. If you wish to write " +
        "a string, you'll probably want to explicitly UTF-8-encode it with TextEncoder."
      : "This TransformStream is being used as a byte stream, but received an object of non-ArrayBuffer/ArrayBufferView type on its writable side.",
  );
}

/** Both sides: what is written waits for a read, and a read waits for what is written. */
class Passage {
  readable;
  writable;
  #controller = undefined;
  #writer = undefined;
  /** The bytes of the write that waits, and what ends the wait. */
  #bytes = undefined;
  #written = undefined;
  #wanted = undefined;

  /** `check` throws what makes a chunk, or the end, one too many; it gets the bytes, `undefined` at the end. */
  constructor(check) {
    this.readable = createReadableByteStream(
      (controller) => {
        this.#controller = controller;
      },
      () => {
        if (this.#bytes !== undefined) {
          this.#pass();
          return PromiseResolve(undefined);
        }
        return new Promise((resolve) => {
          this.#wanted = resolve;
        });
      },
      (reason) => {
        this.#fail(reason);
        return PromiseResolve(undefined);
      },
    );
    this.writable = new WritableStream({
      __proto__: null,
      start: (controller) => {
        this.#writer = controller;
      },
      write: (chunk) => {
        let bytes;
        try {
          bytes = copyOf(bytesOf(chunk));
          check(bytes);
        } catch (error) {
          this.#break(error);
          throw error;
        }
        if (byteLength(bytes) === 0) return undefined;
        return new Promise((resolve) => {
          this.#bytes = bytes;
          this.#written = resolve;
          if (this.#wanted !== undefined) this.#pass();
        });
      },
      close: () => {
        try {
          check(undefined);
        } catch (error) {
          this.#break(error);
          throw error;
        }
        closeByteStream(this.#controller);
        this.#satisfy();
      },
      abort: (reason) => {
        this.#break(reason);
      },
    });
  }

  #pass() {
    const bytes = this.#bytes;
    const written = this.#written;
    this.#bytes = undefined;
    this.#written = undefined;
    readableByteStreamControllerEnqueue(this.#controller, bytes);
    written(undefined);
    this.#satisfy();
  }

  #satisfy() {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    if (wanted !== undefined) wanted(undefined);
  }

  /** The reading side hears of it. */
  #break(error) {
    readableByteStreamControllerError(this.#controller, error);
    this.#satisfy();
  }

  /** The writing side hears that nobody reads any more. */
  #fail(reason) {
    failWriter(this.#writer, reason);
    const written = this.#written;
    this.#bytes = undefined;
    this.#written = undefined;
    if (written !== undefined) written(undefined);
  }
}

const anything = () => {};

export class IdentityTransformStream extends TransformStream {
  #passage;

  constructor(check = undefined) {
    super();
    this.#passage = new Passage(check === undefined || check.isOurs !== kOurs ? anything : check.check);
  }

  get readable() {
    return this.#passage.readable;
  }

  get writable() {
    return this.#passage.writable;
  }
}

const kOurs = { __proto__: null };
const readableOf = uncurryThis(ObjectGetOwnPropertyDescriptor(IdentityTransformStream.prototype, "readable").get);

export class FixedLengthStream extends IdentityTransformStream {
  constructor(expectedLength) {
    const expected = typeof expectedLength === "bigint" ? +`${expectedLength}` : +expectedLength;
    if (!NumberIsInteger(expected) || expected < 0) {
      throw new TypeError("FixedLengthStream requires a non-negative integer length.");
    }
    let written = 0;
    const check = (bytes) => {
      if (bytes === undefined) {
        if (written < expected) throw new TypeError("FixedLengthStream did not see all expected bytes before close().");
        return;
      }
      written += byteLength(bytes);
      if (written > expected) throw new TypeError("Attempt to write too many bytes through a FixedLengthStream.");
    };
    super({ __proto__: null, isOurs: kOurs, check });
    WeakMapPrototypeSet(lengths, readableOf(this), expected);
  }
}

finishInterface(IdentityTransformStream);
finishInterface(FixedLengthStream);
