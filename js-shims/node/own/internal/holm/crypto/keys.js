// KeyObject, and the ways in and out of it. A key is its bytes: of a secret, or DER of an asymmetric key.
'use strict';

const { crypto } = internalBinding('holm').natives;
const { Buffer } = require('buffer');
const {
  codes: {
    ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS, ERR_CRYPTO_INVALID_JWK, ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE, ERR_ILLEGAL_CONSTRUCTOR,
    ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
  },
} = require('internal/errors');
const { validateObject, validateOneOf, validateString } = require('internal/validators');
const { isAnyArrayBuffer, isArrayBufferView } = require('internal/util/types');
const { bufferOf, bytesOf, coded, later, unavailable } = require('internal/holm/crypto/values');

const kNew = { __proto__: null };
const CURVES = { __proto__: null, 'prime256v1': 'P-256', 'secp384r1': 'P-384', 'secp521r1': 'P-521' };
const OKP = { __proto__: null, ed25519: 'Ed25519', x25519: 'X25519' };
const NAMES = {
  '__proto__': null, 'P-256': 'prime256v1', 'prime256v1': 'prime256v1', 'secp256r1': 'prime256v1', 'P-384': 'secp384r1',
  'secp384r1': 'secp384r1', 'P-521': 'secp521r1', 'secp521r1': 'secp521r1', 'Ed25519': 'ed25519', 'X25519': 'x25519',
};
const RSA_NUMBERS = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'];

class KeyObject {
  #type;
  #bytes;

  constructor(key, type, bytes) {
    if (key !== kNew) throw new ERR_ILLEGAL_CONSTRUCTOR();
    this.#type = type;
    this.#bytes = bytes;
  }

  static from(key) {
    if (!isCryptoKey(key)) throw new ERR_INVALID_ARG_TYPE('key', 'CryptoKey', key);
    const error = new Error('KeyObject.from(CryptoKey) is not available in a worker: export the key with crypto.subtle first.');
    error.code = 'ERR_METHOD_NOT_IMPLEMENTED';
    throw error;
  }

  get type() {
    return this.#type;
  }

  get _bytes() {
    return this.#bytes;
  }

  equals(other) {
    if (!isKeyObject(other)) throw new ERR_INVALID_ARG_TYPE('otherKeyObject', 'KeyObject', other);
    return this.#type === other.type && this.#bytes.length === other._bytes.length &&
      crypto.timingSafeEqual(this.#bytes, other._bytes);
  }

  get [Symbol.toStringTag]() {
    return 'KeyObject';
  }
}

class SecretKeyObject extends KeyObject {
  get symmetricKeySize() {
    return this._bytes.length;
  }

  export(options = undefined) {
    if (options !== undefined) {
      validateObject(options, 'options');
      validateOneOf(options.format, 'options.format', [undefined, 'buffer', 'jwk']);
      if (options.format === 'jwk') return { kty: 'oct', k: bufferOf(this._bytes).toString('base64url') };
    }
    return Buffer.from(this._bytes);
  }

  toCryptoKey(algorithm, extractable, usages) {
    return toCryptoKey('raw', this._bytes, algorithm, extractable, usages);
  }
}

class AsymmetricKeyObject extends KeyObject {
  #name;
  #bits;

  constructor(key, type, { der, name, bits }) {
    super(key, type, der);
    this.#name = name;
    this.#bits = bits;
  }

  get _name() {
    return this.#name;
  }

  get asymmetricKeyType() {
    return this.#name in CURVES ? 'ec' : this.#name;
  }

  get asymmetricKeyDetails() {
    if (this.#name in CURVES) return { namedCurve: this.#name };
    if (this.#name !== 'rsa') return {};
    const exponent = crypto.keyNumbers(this._bytes, this.type === 'private')[1];
    return { modulusLength: this.#bits, publicExponent: BigInt(`0x${bufferOf(exponent).toString('hex')}`) };
  }

  export(options) {
    validateObject(options, 'options');
    const isPrivate = this.type === 'private';
    if (options.format === 'jwk') return jwkOf(this);
    validateOneOf(options.format, 'options.format', ['pem', 'der']);
    if (options.cipher !== undefined || options.passphrase !== undefined) {
      throw new ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS('encryption', 'is not available in a worker');
    }
    const form = options.type;
    validateOneOf(form, 'options.type', isPrivate ? ['pkcs1', 'pkcs8', 'sec1'] : ['pkcs1', 'spki']);
    if ((form === 'pkcs1' && this.#name !== 'rsa') || (form === 'sec1' && !(this.#name in CURVES))) {
      throw new ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS(form, `can only be used for ${form === 'sec1' ? 'EC' : 'RSA'} keys`);
    }
    const der = form === 'pkcs8' || form === 'spki' ?
      Uint8Array.from(this._bytes) :
      coded(() => crypto.keyWrite(this._bytes, isPrivate, form));
    if (options.format === 'der') return bufferOf(der);
    const label = { pkcs8: 'PRIVATE KEY', spki: 'PUBLIC KEY', sec1: 'EC PRIVATE KEY', pkcs1: `RSA ${isPrivate ? 'PRIVATE' : 'PUBLIC'} KEY` }[form];
    const lines = bufferOf(der).toString('base64').match(/.{1,64}/g).join('\n');
    return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
  }

  toCryptoKey(algorithm, extractable, usages) {
    return toCryptoKey(this.type === 'private' ? 'pkcs8' : 'spki', this._bytes, algorithm, extractable, usages);
  }
}

class PublicKeyObject extends AsymmetricKeyObject {}
class PrivateKeyObject extends AsymmetricKeyObject {}

const toCryptoKey = unavailable('KeyObject.toCryptoKey', 'import the exported key with crypto.subtle');
const isKeyObject = (value) => value instanceof KeyObject;
const isCryptoKey = (value) => typeof globalThis.CryptoKey === 'function' && value instanceof globalThis.CryptoKey;

/** Of `[is private, DER, name, bits]`, as the isolate answers. */
function made(found) {
  const parts = { der: found[1], name: found[2], bits: found[3] };
  return found[0] ? new PrivateKeyObject(kNew, 'private', parts) : new PublicKeyObject(kNew, 'public', parts);
}

const publicOf = (key) => made(crypto.keyRead(coded(() => crypto.keyPublic(key._bytes)), 'public key'));

function jwkOf(key) {
  const isPrivate = key.type === 'private';
  const numbers = crypto.keyNumbers(key._bytes, isPrivate);
  const jwk = {};
  const set = (names) => names.forEach((name, index) => {
    if (numbers[index] !== undefined) jwk[name] = bufferOf(numbers[index]).toString('base64url');
  });
  if (key._name === 'rsa') {
    jwk.kty = 'RSA';
    set(RSA_NUMBERS);
  } else if (key._name in CURVES) {
    jwk.kty = 'EC';
    set(['x', 'y', 'd']);
    jwk.crv = CURVES[key._name];
  } else {
    jwk.crv = OKP[key._name];
    jwk.kty = 'OKP';
    set(['x', 'd']);
  }
  return jwk;
}

function ofJwk(jwk, wanted) {
  validateObject(jwk, 'key.key');
  const has = (name) => {
    if (typeof jwk[name] !== 'string') throw new ERR_CRYPTO_INVALID_JWK(`JWK "${name}" must be a string`);
    return Buffer.from(jwk[name], 'base64url');
  };
  const isPrivate = wanted !== 'public' && jwk.d !== undefined;
  if (wanted === 'private' && !isPrivate) throw new ERR_CRYPTO_INVALID_JWK('JWK does not contain private key material');
  let name;
  let numbers;
  switch (jwk.kty) {
    case 'RSA':
      name = 'rsa';
      numbers = isPrivate ? RSA_NUMBERS : ['n', 'e'];
      break;
    case 'EC':
      name = jwk.crv;
      numbers = isPrivate ? ['x', 'y', 'd'] : ['x', 'y'];
      break;
    case 'OKP':
      name = jwk.crv;
      numbers = isPrivate ? ['x', 'd'] : ['x'];
      break;
    default:
      throw new ERR_CRYPTO_INVALID_JWK(`Unsupported JWK key type ${jwk.kty}`);
  }
  const parts = numbers.map(has);
  const list = Buffer.concat(parts.flatMap((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    return [length, part];
  }));
  return made(coded(() => crypto.keyOfNumbers(`${name}`, isPrivate, list), 'ERR_CRYPTO_INVALID_JWK'));
}

const FORMS = { __proto__: null, pkcs8: 'private key', spki: 'public key', sec1: 'ec private key' };

/** Whatever Node.js takes for a private or public key. */
function asymmetric(key, wanted) {
  if (isKeyObject(key)) {
    if (key.type === 'secret') throw new ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE(key.type, wanted === 'private' ? 'private' : 'private or public');
    if (wanted === 'private' && key.type !== 'private') throw new ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE(key.type, 'private');
    return key;
  }
  if (isCryptoKey(key)) return KeyObject.from(key);
  let data = key;
  let format = 'pem';
  let type;
  let encoding;
  if (typeof key === 'object' && key !== null && !isArrayBufferView(key) && !isAnyArrayBuffer(key)) {
    ({ key: data, format = 'pem', type, encoding } = key);
    if (isKeyObject(data)) return asymmetric(data, wanted);
    if (isCryptoKey(data)) return KeyObject.from(data);
    if (format === 'jwk') return ofJwk(data, wanted);
    validateOneOf(format, 'key.format', ['pem', 'der']);
  }
  const bytes = bytesOf(data, 'key', encoding);
  let form = '';
  if (format === 'der') {
    validateOneOf(type, 'key.type', ['pkcs1', 'pkcs8', 'spki', 'sec1']);
    form = type === 'pkcs1' ? `rsa ${wanted === 'private' ? 'private' : 'public'} key` : FORMS[type];
  }
  const found = made(coded(() => crypto.keyRead(bytes, form), 'ERR_OSSL_UNSUPPORTED'));
  if (wanted === 'private' && found.type !== 'private') throw new ERR_INVALID_ARG_VALUE('key', '[a public key]', 'must be a private key');
  return found;
}

function createPublicKey(key) {
  const found = asymmetric(key, 'any');
  if (isKeyObject(key) && key.type === 'public') throw new ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE('public', 'private');
  return found.type === 'public' ? found : publicOf(found);
}

const createPrivateKey = (key) => {
  if (isKeyObject(key)) throw new ERR_INVALID_ARG_TYPE('key', ['string', 'ArrayBuffer', 'Buffer', 'TypedArray', 'DataView', 'Object'], key);
  return asymmetric(key, 'private');
};

const createSecretKey = (key, encoding) => new SecretKeyObject(kNew, 'secret', Uint8Array.from(bytesOf(key, 'key', encoding)));

/** The bytes of a secret: a KeyObject, a text or bytes. */
function secretBytes(key, name, encoding) {
  if (isKeyObject(key)) {
    if (key.type !== 'secret') throw new ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE(key.type, 'secret');
    return key._bytes;
  }
  if (isCryptoKey(key)) return KeyObject.from(key);
  return bytesOf(key, name, encoding);
}

function generateKeySync(type, options) {
  validateString(type, 'type');
  validateObject(options, 'options');
  validateOneOf(type, 'type', ['hmac', 'aes']);
  const { length } = options;
  if (type === 'aes') validateOneOf(length, 'options.length', [128, 192, 256]);
  else if (!(Number.isInteger(length) && length >= 8 && length <= 2 ** 20)) throw new ERR_OUT_OF_RANGE('options.length', '>= 8 && <= 1048576', length);
  return createSecretKey(require('internal/holm/crypto/random').randomBytes(length >> 3));
}

function encodedPair(found, options) {
  const publicKey = publicOf(found);
  return {
    publicKey: options.publicKeyEncoding === undefined ? publicKey : publicKey.export(options.publicKeyEncoding),
    privateKey: options.privateKeyEncoding === undefined ? found : found.export(options.privateKeyEncoding),
  };
}

function curveOf(type, options) {
  if (type === 'ec') {
    validateString(options.namedCurve, 'options.namedCurve');
    const name = NAMES[options.namedCurve];
    if (name === undefined || name === 'ed25519' || name === 'x25519') {
      const error = new TypeError('Invalid EC curve name');
      error.code = 'ERR_CRYPTO_INVALID_CURVE';
      throw error;
    }
    return name;
  }
  validateOneOf(type, 'type', ['rsa', 'ec', 'ed25519', 'x25519']);
  return type;
}

function generateKeyPairSync(type, options = {}) {
  validateString(type, 'type');
  const name = curveOf(type, options);
  if (name === 'rsa') {
    unavailable('generateKeyPairSync("rsa")', 'it would hold the isolate; use crypto.generateKeyPair')();
  }
  return encodedPair(made(coded(() => crypto.keyGenerate(name))), options);
}

function generateKeyPair(type, options, callback) {
  if (typeof options === 'function') [options, callback] = [{}, options];
  require('internal/validators').validateFunction(callback, 'callback');
  validateString(type, 'type');
  if (curveOf(type, options) !== 'rsa') {
    later(() => generateKeyPairSync(type, options), (error, pair) =>
      error === null ? callback(null, pair.publicKey, pair.privateKey) : callback(error));
    return;
  }
  // Beside the isolate's thread, by Web Crypto.
  const { subtle } = globalThis.crypto;
  const exponent = BigInt(options.publicExponent ?? 65537).toString(16);
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: options.modulusLength,
    publicExponent: Uint8Array.from(Buffer.from(exponent.length % 2 ? `0${exponent}` : exponent, 'hex')),
  };
  subtle.generateKey(algorithm, true, ['sign', 'verify'])
    .then(({ privateKey }) => subtle.exportKey('pkcs8', privateKey))
    .then((der) => encodedPair(made(crypto.keyRead(new Uint8Array(der), 'private key')), options))
    .then((pair) => process.nextTick(callback, null, pair.publicKey, pair.privateKey), (error) => process.nextTick(callback, error));
}

Object.defineProperty(generateKeyPair, Symbol.for('nodejs.util.promisify.custom'), {
  value: (type, options) => new Promise((resolve, reject) => {
    generateKeyPair(type, options, (error, publicKey, privateKey) => error ? reject(error) : resolve({ publicKey, privateKey }));
  }),
});

/** The secret that a private and a public key agree on. */
function diffieHellman({ privateKey, publicKey }, callback = undefined) {
  const run = () => {
    const own = asymmetric(privateKey, 'private');
    const other = asymmetric(publicKey, 'any');
    const spki = other.type === 'public' ? other._bytes : publicOf(other)._bytes;
    return bufferOf(coded(() => crypto.keyAgree(own._bytes, spki), 'ERR_CRYPTO_INCOMPATIBLE_KEY'));
  };
  if (callback === undefined) return run();
  later(run, callback);
}

class ECDH {
  #name;
  #key;

  constructor(curve) {
    validateString(curve, 'curve');
    this.#name = curveOf('ec', { namedCurve: curve });
  }

  generateKeys(encoding = undefined, format = undefined) {
    this.#key = made(coded(() => crypto.keyGenerate(this.#name)));
    return this.getPublicKey(encoding, format);
  }

  #required() {
    if (this.#key === undefined) {
      const error = new Error('Failed to get ECDH keys: generate or set them first');
      error.code = 'ERR_CRYPTO_ECDH_INVALID_KEY';
      throw error;
    }
    return this.#key;
  }

  getPublicKey(encoding = undefined, format = 'uncompressed') {
    const [x, y] = crypto.keyNumbers(publicOf(this.#required())._bytes, false).map(bufferOf);
    const point = format === 'compressed' ?
      Buffer.concat([Buffer.from([2 + (y[y.length - 1] & 1)]), x]) :
      Buffer.concat([Buffer.from([format === 'hybrid' ? 6 + (y[y.length - 1] & 1) : 4]), x, y]);
    return encoding === undefined || encoding === 'buffer' ? point : point.toString(encoding);
  }

  getPrivateKey(encoding = undefined) {
    const scalar = bufferOf(crypto.keyNumbers(this.#required()._bytes, true)[2]);
    return encoding === undefined || encoding === 'buffer' ? scalar : scalar.toString(encoding);
  }

  setPrivateKey(key, encoding = undefined) {
    this.#key = made(coded(() => crypto.keyOfScalar(this.#name, bytesOf(key, 'key', encoding)), 'ERR_CRYPTO_INVALID_KEYTYPE'));
  }

  computeSecret(other, inputEncoding = undefined, outputEncoding = undefined) {
    const point = bytesOf(other, 'otherPublicKey', inputEncoding);
    const spki = coded(() => crypto.keyOfPoint(this.#name, point), 'ERR_CRYPTO_ECDH_INVALID_PUBLIC_KEY')[1];
    const secret = bufferOf(coded(() => crypto.keyAgree(this.#required()._bytes, spki)));
    return outputEncoding === undefined || outputEncoding === 'buffer' ? secret : secret.toString(outputEncoding);
  }
}

module.exports = {
  KeyObject, ECDH, asymmetric, publicOf, secretBytes, isKeyObject, isCryptoKey, createPublicKey, createPrivateKey, createSecretKey,
  generateKeySync, generateKeyPairSync, generateKeyPair, diffieHellman,
  generateKey(type, options, callback) {
    later(() => generateKeySync(type, options), callback);
  },
};
