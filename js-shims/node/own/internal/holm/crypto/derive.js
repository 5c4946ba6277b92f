'use strict';

const { crypto } = internalBinding('holm').natives;
const { validateFunction, validateInteger, validateObject, validateString, validateUint32 } = require('internal/validators');
const { bufferOf, bytesOf, coded, failed, later } = require('internal/holm/crypto/values');
const { secretBytes } = require('internal/holm/crypto/keys');

function pbkdf2Sync(password, salt, iterations, keylen, digest) {
  const secret = bytesOf(password, 'password');
  const seasoning = bytesOf(salt, 'salt');
  validateInteger(iterations, 'iterations', 1, 2 ** 31 - 1);
  validateInteger(keylen, 'keylen', 0, 2 ** 31 - 1);
  validateString(digest, 'digest');
  return bufferOf(coded(() => crypto.pbkdf2(digest, secret, seasoning, iterations, keylen)));
}

function hkdfSync(digest, ikm, salt, info, length) {
  validateString(digest, 'digest');
  const secret = secretBytes(ikm, 'ikm');
  const seasoning = bytesOf(salt, 'salt');
  const context = bytesOf(info, 'info');
  validateInteger(length, 'length', 0, 2 ** 31 - 1);
  try {
    return crypto.hkdf(digest, secret, seasoning, context, length).buffer;
  } catch (error) {
    if (error.message === 'Invalid key length') throw failed('ERR_CRYPTO_INVALID_KEYLEN', 'Invalid key length', RangeError);
    return coded(() => {
      throw error;
    });
  }
}

function scryptSync(password, salt, keylen, options = {}) {
  const secret = bytesOf(password, 'password');
  const seasoning = bytesOf(salt, 'salt');
  validateInteger(keylen, 'keylen', 0, 2 ** 31 - 1);
  validateObject(options, 'options');
  const N = options.N ?? options.cost ?? 16384;
  const r = options.r ?? options.blockSize ?? 8;
  const p = options.p ?? options.parallelization ?? 1;
  const maxmem = options.maxmem ?? 32 * 1024 * 1024;
  validateUint32(N, 'N');
  validateUint32(r, 'r');
  validateUint32(p, 'p');
  validateInteger(maxmem, 'maxmem', 0);
  if (128 * N * r > maxmem) throw failed('ERR_CRYPTO_INVALID_SCRYPT_PARAMS', 'Invalid scrypt params: memory limit exceeded', RangeError);
  return bufferOf(coded(() => crypto.scrypt(secret, seasoning, N, r, p, keylen), 'ERR_CRYPTO_INVALID_SCRYPT_PARAMS'));
}

module.exports = {
  hkdfSync, pbkdf2Sync, scryptSync,
  hkdf(digest, ikm, salt, info, length, callback) {
    validateFunction(callback, 'callback');
    later(() => hkdfSync(digest, ikm, salt, info, length), callback);
  },
  pbkdf2(password, salt, iterations, keylen, digest, callback) {
    if (typeof digest === 'function') [digest, callback] = [undefined, digest];
    validateFunction(callback, 'callback');
    later(() => pbkdf2Sync(password, salt, iterations, keylen, digest), callback);
  },
  scrypt(password, salt, keylen, options, callback) {
    if (typeof options === 'function') [options, callback] = [{}, options];
    validateFunction(callback, 'callback');
    later(() => scryptSync(password, salt, keylen, options), callback);
  },
};
