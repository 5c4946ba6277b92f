'use strict';

const { crypto } = internalBinding('holm').natives;
const { Transform } = require('stream');
const { codes: { ERR_CRYPTO_HASH_FINALIZED, ERR_CRYPTO_INVALID_DIGEST, ERR_INVALID_ARG_TYPE } } = require('internal/errors');
const { validateString, validateUint32 } = require('internal/validators');
const { bufferOf, bytesOf, coded, encoded } = require('internal/holm/crypto/values');
const { secretBytes } = require('internal/holm/crypto/keys');

const HASHES = [
  'RSA-MD5', 'RSA-SHA1', 'RSA-SHA224', 'RSA-SHA256', 'RSA-SHA384', 'RSA-SHA512', 'md5', 'sha1', 'sha224', 'sha256', 'sha3-224',
  'sha3-256', 'sha3-384', 'sha3-512', 'sha384', 'sha512', 'sha512-224', 'sha512-256',
];

/** Common to both: a stream that is also fed by `update`. */
class Digesting extends Transform {
  #digest;
  #finished = false;
  #result;

  constructor(digest, options) {
    super(options);
    this.#digest = digest;
  }

  update(data, encoding = undefined) {
    if (this.#finished) throw new ERR_CRYPTO_HASH_FINALIZED();
    coded(() => crypto.digestUpdate(this.#digest, bytesOf(data, 'data', encoding)));
    return this;
  }

  /** Whether it is the first call decides; an HMAC answers nothing at the second one. */
  _finish(isHmac) {
    if (this.#finished) {
      if (isHmac) return bufferOf(new Uint8Array(0));
      throw new ERR_CRYPTO_HASH_FINALIZED();
    }
    this.#finished = true;
    this.#result = coded(() => crypto.digestFinish(this.#digest));
    return this.#result;
  }

  _copied() {
    if (this.#finished) throw new ERR_CRYPTO_HASH_FINALIZED();
    return crypto.digestCopy(this.#digest);
  }

  _transform(chunk, encoding, callback) {
    try {
      this.update(chunk, encoding);
      callback();
    } catch (error) {
      callback(error);
    }
  }

  _flush(callback) {
    this.push(this.digest());
    callback();
  }
}

function lengthened(options) {
  const length = options?.outputLength;
  if (length !== undefined) validateUint32(length, 'options.outputLength');
  return length;
}

class Hash extends Digesting {
  #length;

  constructor(algorithm, options = undefined) {
    if (algorithm instanceof Digesting) {
      super(algorithm._copied(), options);
    } else {
      validateString(algorithm, 'algorithm');
      super(coded(() => crypto.hash(algorithm)), options);
    }
    this.#length = lengthened(options);
  }

  copy(options = undefined) {
    return new Hash(this, options);
  }

  digest(encoding = undefined) {
    const result = this._finish(false);
    if (this.#length !== undefined && this.#length !== result.length) {
      const error = new Error('Unsupported output length: hashes have the length of their algorithm');
      error.code = 'ERR_OSSL_EVP_NOT_XOF_OR_INVALID_LENGTH';
      throw error;
    }
    return encoded(result, encoding);
  }
}

class Hmac extends Digesting {
  constructor(algorithm, key, options = undefined) {
    validateString(algorithm, 'hmac');
    const secret = secretBytes(key, 'key', options?.encoding);
    let hmac;
    try {
      hmac = crypto.hmac(algorithm, secret);
    } catch {
      throw new ERR_CRYPTO_INVALID_DIGEST(algorithm);
    }
    super(hmac, options);
  }

  digest(encoding = undefined) {
    return encoded(this._finish(true), encoding);
  }
}

/** As in Node.js, `Hash(...)` without `new` makes one, too. */
const callable = (Class) =>
  new Proxy(Class, { __proto__: null, apply: (target, self, args) => new target(...args) });

/** `crypto.hash`: all at once. */
function hash(algorithm, data, options = 'hex') {
  validateString(algorithm, 'algorithm');
  if (typeof data !== 'string' && !ArrayBuffer.isView(data)) {
    throw new ERR_INVALID_ARG_TYPE('input', ['Buffer', 'TypedArray', 'DataView', 'string'], data);
  }
  const encoding = typeof options === 'object' && options !== null ? options.outputEncoding ?? 'hex' : options;
  return new Hash(algorithm).update(data).digest(encoding);
}

module.exports = {
  Hash: callable(Hash),
  Hmac: callable(Hmac),
  createHash: (algorithm, options) => new Hash(algorithm, options),
  createHmac: (algorithm, key, options) => new Hmac(algorithm, key, options),
  getHashes: () => HASHES.slice(),
  hash,
};
