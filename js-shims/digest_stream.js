// `crypto.DigestStream`: a WritableStream whose `digest` is the digest of what was written to it.

import { core, primordials } from "ext:core/mod.js";
import { byteLength, encodeUtf8, isBufferSource, viewOf } from "ext:holm/bytes.js";
import { finishInterface, streams } from "ext:holm/engine.js";
import { currentOwner, requireOwner } from "ext:holm/owner.js";

const { BigInt, Promise, PromisePrototypeThen, TypedArrayPrototypeGetBuffer, TypeError } = primordials;
const { op_digest_finish, op_digest_new, op_digest_update } = core.ops;
const { WritableStream } = streams;

export class DigestStream extends WritableStream {
  #digest;
  #written = 0;

  constructor(algorithm) {
    if (arguments.length < 1) {
      throw new TypeError("Failed to construct 'DigestStream': 1 argument required, but only 0 present.");
    }
    const name = typeof algorithm === "object" && algorithm !== null ? `${algorithm.name}` : `${algorithm}`;
    const id = op_digest_new(requireOwner(), name);
    let resolve;
    let reject;
    let count;
    super({
      __proto__: null,
      write(chunk) {
        const bytes = typeof chunk === "string" ? encodeUtf8(chunk) : isBufferSource(chunk) ? viewOf(chunk) : undefined;
        if (bytes === undefined) {
          const error = new TypeError("DigestStream is a byte stream but received an object of non-ArrayBuffer/ArrayBufferView/string type on its writable side.");
          reject(error);
          throw error;
        }
        op_digest_update(currentOwner(), id, bytes);
        count(byteLength(bytes));
      },
      close() {
        resolve(TypedArrayPrototypeGetBuffer(op_digest_finish(currentOwner(), id)));
      },
      abort(reason) {
        reject(reason);
      },
    });
    count = (more) => {
      this.#written += more;
    };
    this.#digest = new Promise((onDigest, onFailure) => {
      resolve = onDigest;
      reject = onFailure;
    });
    // Who does not look at the digest is not to hear of its failure either.
    PromisePrototypeThen(this.#digest, () => {}, () => {});
  }

  get digest() {
    return this.#digest;
  }

  get bytesWritten() {
    return BigInt(this.#written);
  }
}

finishInterface(DigestStream);
