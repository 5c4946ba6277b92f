'use strict';

const { web } = internalBinding('holm').natives;
const { Buffer, kMaxLength } = require('buffer');
const { codes: { ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE } } = require('internal/errors');
const { validateFunction, validateNumber, validateObject } = require('internal/validators');
const { isAnyArrayBuffer, isArrayBufferView } = require('internal/util/types');

/** What one call of Web Crypto fills at most. */
const QUOTA = 65536;

function fill(bytes) {
  for (let at = 0; at < bytes.length; at += QUOTA) web.crypto.getRandomValues(bytes.subarray(at, at + QUOTA));
  return bytes;
}

function checkedSize(size, name = 'size') {
  validateNumber(size, name);
  if (!(size >= 0 && size <= Math.min(kMaxLength, 2 ** 31 - 1))) throw new ERR_OUT_OF_RANGE(name, '>= 0 && <= 2147483647', size);
  return size;
}

function randomBytes(size, callback = undefined) {
  checkedSize(size);
  if (callback !== undefined) validateFunction(callback, 'callback');
  const bytes = fill(Buffer.alloc(size));
  if (callback === undefined) return bytes;
  process.nextTick(callback, null, bytes);
}

function range(buffer, offset, size) {
  if (!isAnyArrayBuffer(buffer) && !isArrayBufferView(buffer)) {
    throw new ERR_INVALID_ARG_TYPE('buf', ['ArrayBuffer', 'ArrayBufferView'], buffer);
  }
  const { byteLength } = buffer;
  const element = buffer.BYTES_PER_ELEMENT ?? 1;
  const start = offset === undefined ? 0 : checkedSize(offset, 'offset') * element;
  const count = size === undefined ? byteLength - start : checkedSize(size) * element;
  if (start > byteLength) throw new ERR_OUT_OF_RANGE('offset', `>= 0 && <= ${byteLength}`, offset);
  if (start + count > byteLength) throw new ERR_OUT_OF_RANGE('size + offset', `<= ${byteLength}`, start + count);
  return isAnyArrayBuffer(buffer) ?
    new Uint8Array(buffer, start, count) :
    new Uint8Array(buffer.buffer, buffer.byteOffset + start, count);
}

function randomFillSync(buffer, offset = undefined, size = undefined) {
  fill(range(buffer, offset, size));
  return buffer;
}

function randomFill(buffer, offset, size, callback) {
  if (typeof offset === 'function') [callback, offset, size] = [offset, undefined, undefined];
  else if (typeof size === 'function') [callback, size] = [size, undefined];
  validateFunction(callback, 'callback');
  randomFillSync(buffer, offset, size);
  process.nextTick(callback, null, buffer);
}

const SPAN = 2 ** 48 - 1;

function randomInt(min, max, callback) {
  if (max === undefined || typeof max === 'function') [min, max, callback] = [0, min, max];
  if (callback !== undefined) validateFunction(callback, 'callback');
  if (!Number.isSafeInteger(min)) throw new ERR_INVALID_ARG_TYPE('min', 'a safe integer', min);
  if (!Number.isSafeInteger(max)) throw new ERR_INVALID_ARG_TYPE('max', 'a safe integer', max);
  if (max <= min) throw new ERR_OUT_OF_RANGE('max', `greater than the value of "min" (${min})`, max);
  const span = max - min;
  if (span > SPAN) throw new ERR_OUT_OF_RANGE('max - min', `<= ${SPAN}`, span);
  // Draws above the last whole multiple are drawn again.
  const limit = SPAN - SPAN % span;
  let drawn;
  do {
    drawn = fill(Buffer.alloc(6)).readUIntBE(0, 6);
  } while (drawn >= limit);
  const result = min + drawn % span;
  if (callback === undefined) return result;
  process.nextTick(callback, undefined, result);
}

function randomUUID(options = undefined) {
  if (options !== undefined) validateObject(options, 'options');
  return web.crypto.randomUUID();
}

module.exports = { randomBytes, randomFill, randomFillSync, randomInt, randomUUID };
