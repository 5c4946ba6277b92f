'use strict';

const { crypto } = internalBinding('holm').natives;
const { Buffer } = require('buffer');
const { Writable } = require('stream');
const { codes: { ERR_CRYPTO_SIGN_KEY_REQUIRED, ERR_INVALID_ARG_VALUE } } = require('internal/errors');
const { validateString } = require('internal/validators');
const { bufferOf, bytesOf, coded, later } = require('internal/holm/crypto/values');
const { asymmetric, publicOf } = require('internal/holm/crypto/keys');
const { crypto: constants } = internalBinding('constants');

const isOptions = (key) => typeof key === 'object' && key !== null && !ArrayBuffer.isView(key);

/** The hash by the name that the isolate knows, whatever the caller calls it. */
function hashOf(algorithm, key) {
  if (key._name === 'ed25519') return '';
  if (algorithm === undefined || algorithm === null) return 'sha256';
  return algorithm.toLowerCase().replace(/^rsa-/, '').replace(/^sha-/, 'sha');
}

function schemeOf(key, found) {
  const options = isOptions(key) ? key : {};
  const { padding, saltLength, dsaEncoding = 'der' } = options;
  if (dsaEncoding !== 'der' && dsaEncoding !== 'ieee-p1363') throw new ERR_INVALID_ARG_VALUE('options.dsaEncoding', dsaEncoding);
  const pss = padding === constants.RSA_PKCS1_PSS_PADDING;
  if (found._name === 'rsa' && padding !== undefined && !pss && padding !== constants.RSA_PKCS1_PADDING) {
    throw new ERR_INVALID_ARG_VALUE('options.padding', padding, 'must be RSA_PKCS1_PADDING or RSA_PKCS1_PSS_PADDING');
  }
  return { pss, saltLength, plain: dsaEncoding === 'ieee-p1363' };
}

const LENGTHS = { __proto__: null, sha256: 32, sha384: 48, sha512: 64 };

/** Salts are as long as the hash: of others the caller is told, not given a signature that nobody can verify. */
function checkSalt({ pss, saltLength }, hash) {
  if (!pss || saltLength === undefined || saltLength === constants.RSA_PSS_SALTLEN_DIGEST || saltLength === LENGTHS[hash]) return;
  if (saltLength === constants.RSA_PSS_SALTLEN_AUTO) return;
  throw new ERR_INVALID_ARG_VALUE('options.saltLength', saltLength, 'must be that of the hash: RSA_PSS_SALTLEN_DIGEST');
}

function signOneShot(algorithm, data, key) {
  if (key === undefined || key === null) throw new ERR_CRYPTO_SIGN_KEY_REQUIRED();
  const found = asymmetric(key, 'private');
  const scheme = schemeOf(key, found);
  const hash = hashOf(algorithm, found);
  checkSalt(scheme, hash);
  return bufferOf(coded(() => crypto.sign(found._bytes, hash, scheme.pss, scheme.plain, bytesOf(data, 'data'))));
}

function verifyOneShot(algorithm, data, key, signature) {
  const found = asymmetric(key, 'any');
  const scheme = schemeOf(key, found);
  const hash = hashOf(algorithm, found);
  checkSalt(scheme, hash);
  return coded(() =>
    crypto.verify(found._bytes, found.type === 'private', hash, scheme.pss, scheme.plain, bytesOf(data, 'data'), bytesOf(signature, 'signature')));
}

/** Keeps the message until its end. */
class Message extends Writable {
  #algorithm;
  #parts = [];

  constructor(algorithm, options = undefined) {
    validateString(algorithm, 'algorithm');
    coded(() => crypto.hash(algorithm), 'ERR_CRYPTO_INVALID_DIGEST');
    super(options);
    this.#algorithm = algorithm;
  }

  update(data, encoding = undefined) {
    this.#parts.push(Buffer.from(bytesOf(data, 'data', encoding)));
    return this;
  }

  _write(chunk, encoding, callback) {
    this.update(chunk, encoding);
    callback();
  }

  get _algorithm() {
    return this.#algorithm;
  }

  _message() {
    return Buffer.concat(this.#parts);
  }
}

class Sign extends Message {
  sign(key, encoding = undefined) {
    const signature = signOneShot(this._algorithm, this._message(), key);
    return encoding === undefined || encoding === 'buffer' ? signature : signature.toString(encoding);
  }
}

class Verify extends Message {
  verify(key, signature, encoding = undefined) {
    return verifyOneShot(this._algorithm, this._message(), key, bytesOf(signature, 'signature', encoding));
  }
}

function oaep(encrypts, key, data) {
  const options = isOptions(key) ? key : {};
  const { padding = constants.RSA_PKCS1_OAEP_PADDING, oaepHash = 'sha1', oaepLabel } = options;
  if (padding !== constants.RSA_PKCS1_OAEP_PADDING) {
    throw new ERR_INVALID_ARG_VALUE('options.padding', padding, 'must be RSA_PKCS1_OAEP_PADDING');
  }
  let found = asymmetric(key, encrypts ? 'any' : 'private');
  if (encrypts && found.type === 'private') found = publicOf(found);
  const label = oaepLabel === undefined ? new Uint8Array(0) : bytesOf(oaepLabel, 'options.oaepLabel');
  return bufferOf(coded(() => crypto.rsaOaep(found._bytes, encrypts, oaepHash.toLowerCase(), label, bytesOf(data, 'buffer', options.encoding))));
}

module.exports = {
  Sign, Verify,
  createSign: (algorithm, options) => new Sign(algorithm, options),
  createVerify: (algorithm, options) => new Verify(algorithm, options),
  sign(algorithm, data, key, callback = undefined) {
    if (callback === undefined) return signOneShot(algorithm, data, key);
    later(() => signOneShot(algorithm, data, key), callback);
  },
  verify(algorithm, data, key, signature, callback = undefined) {
    if (callback === undefined) return verifyOneShot(algorithm, data, key, signature);
    later(() => verifyOneShot(algorithm, data, key, signature), callback);
  },
  publicEncrypt: (key, data) => oaep(true, key, data),
  privateDecrypt: (key, data) => oaep(false, key, data),
};
