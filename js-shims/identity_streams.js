// The platform's byte pass-throughs: `IdentityTransformStream`, and `FixedLengthStream`, whose readable side tells the
// length of the body it becomes.

import { primordials } from "ext:core/mod.js";
import { byteLength, isBufferSource, viewOf } from "ext:holm/bytes.js";
import { finishInterface, streams } from "ext:holm/engine.js";

const { NumberIsInteger, ObjectGetOwnPropertyDescriptor, SafeWeakMap, TypeError, uncurryThis, WeakMapPrototypeGet, WeakMapPrototypeSet } =
  primordials;
const { TransformStream, TransformStreamDefaultController } = streams;
const readableOf = uncurryThis(ObjectGetOwnPropertyDescriptor(TransformStream.prototype, "readable").get);
const enqueue = uncurryThis(TransformStreamDefaultController.prototype.enqueue);

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

export class IdentityTransformStream extends TransformStream {
  constructor() {
    super({
      __proto__: null,
      transform(chunk, controller) {
        enqueue(controller, bytesOf(chunk));
      },
    });
  }
}

export class FixedLengthStream extends TransformStream {
  constructor(expectedLength) {
    const expected = typeof expectedLength === "bigint" ? +`${expectedLength}` : +expectedLength;
    if (!NumberIsInteger(expected) || expected < 0) {
      throw new TypeError("FixedLengthStream requires a non-negative integer length.");
    }
    let written = 0;
    super({
      __proto__: null,
      transform(chunk, controller) {
        const bytes = bytesOf(chunk);
        written += byteLength(bytes);
        if (written > expected) throw new TypeError("Attempt to write too many bytes through a FixedLengthStream.");
        enqueue(controller, bytes);
      },
      flush() {
        if (written < expected) throw new TypeError("FixedLengthStream did not see all expected bytes before close().");
      },
    });
    WeakMapPrototypeSet(lengths, readableOf(this), expected);
  }
}

finishInterface(IdentityTransformStream);
finishInterface(FixedLengthStream);
