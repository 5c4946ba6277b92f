// What Web Crypto may be asked for: the platform's algorithms, with work that a request can pay for.
//
// The work of one call cannot be interrupted, so what makes it long is bounded before it starts. Arguments are read once:
// the engine gets copies, since a getter may say something else the second time.

import { primordials } from "ext:core/mod.js";
import { isBufferSource, viewOf } from "ext:holm/bytes.js";
import { DOMException } from "ext:holm/engine.js";

const { StringPrototypeToUpperCase, TypedArrayPrototypeGetByteLength } = primordials;

/** The names of the platform's algorithms, in upper case. */
const ALGORITHMS = {
  __proto__: null,
  "RSASSA-PKCS1-V1_5": true,
  "RSA-PSS": true,
  "RSA-OAEP": true,
  ECDSA: true,
  ECDH: true,
  ED25519: true,
  X25519: true,
  "AES-CTR": true,
  "AES-CBC": true,
  "AES-GCM": true,
  "AES-KW": true,
  HMAC: true,
  "SHA-1": true,
  "SHA-256": true,
  "SHA-384": true,
  "SHA-512": true,
  HKDF: true,
  PBKDF2: true,
};

// Members of all their dictionaries (Web Crypto, sections 18 to 33).
const MEMBERS = [
  "hash",
  "length",
  "iterations",
  "salt",
  "info",
  "iv",
  "counter",
  "additionalData",
  "tagLength",
  "label",
  "modulusLength",
  "publicExponent",
  "namedCurve",
  "public",
  "saltLength",
];
// Members of a JSON Web Key (RFC 7517, 7518).
const JWK_MEMBERS = [
  "kty", "use", "key_ops", "alg", "ext", "crv", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi", "oth", "k",
];

/** The platform's own bound. */
const PBKDF2_ITERATIONS = 100_000;
/** Iterations times blocks of output; a second of CPU time is a little more. */
const PBKDF2_WORK = 1_000_000;
const PBKDF2_BLOCK_BITS = 160;
const RSA_MIN_BITS = 256;
const RSA_MAX_BITS = 4096;
/** Of a key that is not just bytes: many times the largest one there is. */
const KEY_BYTES = 64 << 10;

const notSupported = (message) => new DOMException(message, "NotSupportedError");
const failed = (message) => new DOMException(message, "OperationError");
const badData = (message) => new DOMException(message, "DataError");

const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

/** A copy of an `AlgorithmIdentifier`, which the platform has. */
export function admitAlgorithm(algorithm) {
  const copy = { __proto__: null };
  if (isObject(algorithm)) {
    const { name } = algorithm;
    if (name === undefined) return copy;
    copy.name = `${name}`;
    for (let i = 0; i < MEMBERS.length; i++) {
      const value = algorithm[MEMBERS[i]];
      if (value !== undefined) copy[MEMBERS[i]] = value;
    }
  } else {
    copy.name = `${algorithm}`;
  }
  const name = StringPrototypeToUpperCase(copy.name);
  if (ALGORITHMS[name] !== true) throw notSupported(`Unrecognized or unimplemented algorithm "${copy.name}" requested.`);
  if (copy.length !== undefined) copy.length = +copy.length;
  if (copy.iterations !== undefined) copy.iterations = +copy.iterations;
  if (copy.modulusLength !== undefined) copy.modulusLength = +copy.modulusLength;
  return copy;
}

/** Refuses a key generation that would take too long. `algorithm` is admitted. */
export function admitGeneration(algorithm) {
  const bits = algorithm.modulusLength;
  if (bits !== undefined && !(bits >= RSA_MIN_BITS && bits <= RSA_MAX_BITS && bits % 8 === 0)) {
    throw failed(
      `The modulus length must be a multiple of 8 from ${RSA_MIN_BITS} to ${RSA_MAX_BITS} bits (requested ${bits}).`,
    );
  }
}

/** Refuses a derivation that would take too long. `algorithm` is admitted, `bits` a number or nothing. */
export function admitDerivation(algorithm, bits) {
  const { iterations } = algorithm;
  if (iterations === undefined) return;
  if (iterations > PBKDF2_ITERATIONS) {
    throw notSupported(
      `Pbkdf2 failed: iteration counts above ${PBKDF2_ITERATIONS} are not supported (requested ${iterations}).`,
    );
  }
  if (bits > 0 && (bits / PBKDF2_BLOCK_BITS) * iterations > PBKDF2_WORK) {
    throw notSupported(`Pbkdf2 failed: ${bits} bits by ${iterations} iterations are more than one call may derive.`);
  }
}

/** The key data of an import, copied where it is a JSON Web Key, of a size that keys have. */
export function admitKeyData(format, data) {
  if (format === "raw") return data;
  if (isBufferSource(data)) {
    if (TypedArrayPrototypeGetByteLength(viewOf(data)) > KEY_BYTES) throw badData("The key is too large.");
    return data;
  }
  if (!isObject(data)) return data;
  const copy = { __proto__: null };
  for (let i = 0; i < JWK_MEMBERS.length; i++) {
    const value = data[JWK_MEMBERS[i]];
    if (value === undefined) continue;
    if (typeof value === "string" && value.length > KEY_BYTES && JWK_MEMBERS[i] !== "k") {
      throw badData("The key is too large.");
    }
    copy[JWK_MEMBERS[i]] = value;
  }
  return copy;
}

/** Refuses a key that takes too long to use. `algorithm` is the one that the engine has read. */
export function admitKey(algorithm) {
  if (algorithm.modulusLength > RSA_MAX_BITS) {
    throw badData(`RSA keys of more than ${RSA_MAX_BITS} bits are not supported.`);
  }
}

/** The bytes of a wrapped key. */
export function admitWrapped(data) {
  if (isBufferSource(data) && TypedArrayPrototypeGetByteLength(viewOf(data)) > KEY_BYTES) {
    throw badData("The key is too large.");
  }
}
