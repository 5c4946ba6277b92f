// What the parts of `crypto` share: arguments that are texts or bytes, and Node.js's codes for errors of the algorithms.
'use strict';

const { Buffer } = require('buffer');
const { codes: { ERR_INVALID_ARG_TYPE } } = require('internal/errors');
const { isAnyArrayBuffer, isArrayBufferView } = require('internal/util/types');

const KINDS = ['string', 'ArrayBuffer', 'Buffer', 'TypedArray', 'DataView'];

/** The bytes of a text, a view or a buffer, without a copy where there is a view. */
function bytesOf(value, name, encoding = 'utf8') {
  if (typeof value === 'string') return Buffer.from(value, encoding === 'buffer' ? 'utf8' : encoding);
  if (isArrayBufferView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (isAnyArrayBuffer(value)) return new Uint8Array(value);
  throw new ERR_INVALID_ARG_TYPE(name, KINDS, value);
}

/** A Buffer over bytes that nobody else has. */
const bufferOf = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const encoded = (bytes, encoding) =>
  encoding === undefined || encoding === null || encoding === 'buffer' ? bufferOf(bytes) : bufferOf(bytes).toString(encoding);

/** An error whose code Node.js gives outside of its JavaScript. */
function failed(code, message, Class = Error) {
  const error = new Class(message);
  error.code = code;
  return error;
}

const CODES = {
  '__proto__': null,
  'Digest method not supported': 'ERR_CRYPTO_INVALID_DIGEST',
  'Unknown cipher': 'ERR_CRYPTO_UNKNOWN_CIPHER',
  'Invalid key length': 'ERR_CRYPTO_INVALID_KEYLEN',
  'Invalid initialization vector': 'ERR_CRYPTO_INVALID_IV',
  'wrong final block length': 'ERR_OSSL_WRONG_FINAL_BLOCK_LENGTH',
  'bad decrypt': 'ERR_OSSL_BAD_DECRYPT',
};

/** Runs an algorithm; its error gets the code that Node.js gives it. */
function coded(run, fallback = 'ERR_CRYPTO_OPERATION_FAILED') {
  try {
    return run();
  } catch (error) {
    if (error !== null && typeof error === 'object' && error.code === undefined) error.code = CODES[error.message] ?? fallback;
    throw error;
  }
}

/** Calls back with what `run` answers or throws, later. */
function later(run, callback) {
  let error = null;
  let result;
  try {
    result = run();
  } catch (thrown) {
    error = thrown;
  }
  process.nextTick(() => error === null ? callback(null, result) : callback(error));
}

const unavailable = (name, why) =>
  ({ [name](...args) {
    void args;
    const error = new Error(`crypto.${name} is not available in a worker${why === undefined ? '.' : `: ${why}`}`);
    error.code = 'ERR_METHOD_NOT_IMPLEMENTED';
    throw error;
  } })[name];

module.exports = { bytesOf, bufferOf, coded, encoded, failed, later, unavailable };
