// `crypto`, over the isolate's algorithms.
'use strict';

const { crypto: natives, web } = internalBinding('holm').natives;
const { crypto: constants } = internalBinding('constants');
const { codes: { ERR_INVALID_ARG_TYPE } } = require('internal/errors');
const { bytesOf, failed, unavailable } = require('internal/holm/crypto/values');
const {
  ECDH, KeyObject, createPrivateKey, createPublicKey, createSecretKey, diffieHellman, generateKey, generateKeyPair,
  generateKeyPairSync, generateKeySync,
} = require('internal/holm/crypto/keys');
const { Hash, Hmac, createHash, createHmac, getHashes, hash } = require('internal/holm/crypto/hash');
const { Cipheriv, Decipheriv, createCipheriv, createDecipheriv, getCipherInfo, getCiphers } = require('internal/holm/crypto/cipher');
const { Sign, Verify, createSign, createVerify, privateDecrypt, publicEncrypt, sign, verify } = require('internal/holm/crypto/sign');
const { hkdf, hkdfSync, pbkdf2, pbkdf2Sync, scrypt, scryptSync } = require('internal/holm/crypto/derive');
const { randomBytes, randomFill, randomFillSync, randomInt, randomUUID } = require('internal/holm/crypto/random');

function timingSafeEqual(left, right) {
  const kinds = ['ArrayBuffer', 'Buffer', 'TypedArray', 'DataView'];
  if (typeof left === 'string') throw new ERR_INVALID_ARG_TYPE('buf1', kinds, left);
  if (typeof right === 'string') throw new ERR_INVALID_ARG_TYPE('buf2', kinds, right);
  const one = bytesOf(left, 'buf1');
  const other = bytesOf(right, 'buf2');
  if (one.length !== other.length) throw failed('ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH', 'Input buffers must have the same byte length', RangeError);
  return natives.timingSafeEqual(one, other);
}

class X509Certificate {
  constructor() {
    unavailable('X509Certificate')();
  }
}
class DiffieHellman {
  constructor() {
    unavailable('DiffieHellman', 'use crypto.createECDH or X25519 keys')();
  }
}
class Certificate {
  static exportChallenge = unavailable('Certificate.exportChallenge');
  static exportPublicKey = unavailable('Certificate.exportPublicKey');
  static verifySpkac = unavailable('Certificate.verifySpkac');
}

module.exports = {
  Certificate, Cipheriv, Decipheriv, DiffieHellman, DiffieHellmanGroup: DiffieHellman, ECDH, Hash, Hmac, KeyObject, Sign, Verify,
  X509Certificate,
  constants,
  createCipheriv, createDecipheriv, createHash, createHmac, createPrivateKey, createPublicKey, createSecretKey, createSign,
  createVerify,
  createECDH: (curve) => new ECDH(curve),
  diffieHellman, generateKey, generateKeyPair, generateKeyPairSync, generateKeySync, getCipherInfo, getCiphers,
  getCurves: () => ['prime256v1', 'secp384r1', 'secp521r1'],
  getFips: () => 0,
  getHashes,
  getRandomValues: (array) => web.crypto.getRandomValues(array),
  hash, hkdf, hkdfSync, pbkdf2, pbkdf2Sync, privateDecrypt, publicEncrypt,
  prng: randomBytes, pseudoRandomBytes: randomBytes, rng: randomBytes,
  randomBytes, randomFill, randomFillSync, randomInt, randomUUID, scrypt, scryptSync,
  secureHeapUsed: () => ({ total: 0, used: 0, utilization: 0, min: 0 }),
  sign, timingSafeEqual, verify,
  get subtle() {
    return web.crypto.subtle;
  },
  get webcrypto() {
    return web.crypto;
  },
};
for (const name of ['checkPrime', 'checkPrimeSync', 'createDiffieHellman', 'createDiffieHellmanGroup', 'generatePrime', 'generatePrimeSync', 'getDiffieHellman', 'privateEncrypt', 'publicDecrypt', 'setEngine', 'setFips']) {
  module.exports[name] = unavailable(name);
}
