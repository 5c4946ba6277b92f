'use strict';

const { crypto } = internalBinding('holm').natives;
const { Transform } = require('stream');
const {
  codes: { ERR_CRYPTO_INVALID_STATE, ERR_INVALID_ARG_VALUE },
} = require('internal/errors');
const { validateString } = require('internal/validators');
const { StringDecoder } = require('string_decoder');
const { bufferOf, bytesOf, coded, failed } = require('internal/holm/crypto/values');
const { secretBytes } = require('internal/holm/crypto/keys');

const CIPHERS = ['aes-128', 'aes-192', 'aes-256'].flatMap((name) => ['cbc', 'ctr', 'ecb', 'gcm'].map((mode) => `${name}-${mode}`))
  .concat(['aes128', 'aes192', 'aes256']).sort();

class CipherBase extends Transform {
  #cipher;
  #mode;
  #decoder;
  #tagLength;
  #done = false;

  constructor(encrypts, name, key, iv, options) {
    validateString(name, 'cipher');
    const info = crypto.cipherInfo(name);
    if (info === undefined) throw failed('ERR_CRYPTO_UNKNOWN_CIPHER', 'Unknown cipher');
    const secret = secretBytes(key, 'key', options?.encoding);
    const vector = iv === null ? new Uint8Array(0) : bytesOf(iv, 'iv');
    super(options);
    this.#mode = info[2];
    this.#tagLength = options?.authTagLength;
    this.#cipher = coded(() => crypto.cipher(name, encrypts, secret, vector));
  }

  #out(bytes, encoding) {
    if (encoding === undefined || encoding === null || encoding === 'buffer') return bufferOf(bytes);
    this.#decoder ??= new StringDecoder(encoding);
    if (this.#decoder.encoding !== new StringDecoder(encoding).encoding) {
      throw new ERR_INVALID_ARG_VALUE('encoding', encoding, 'cannot be changed');
    }
    return this.#decoder.write(bufferOf(bytes));
  }

  update(data, inputEncoding = undefined, outputEncoding = undefined) {
    if (this.#done) throw new ERR_CRYPTO_INVALID_STATE('update');
    return this.#out(coded(() => crypto.cipherUpdate(this.#cipher, bytesOf(data, 'data', inputEncoding))), outputEncoding);
  }

  final(outputEncoding = undefined) {
    if (this.#done) throw new ERR_CRYPTO_INVALID_STATE('final');
    this.#done = true;
    const last = coded(() => crypto.cipherFinish(this.#cipher));
    const out = this.#out(last, outputEncoding);
    return typeof out === 'string' ? out + this.#decoder.end() : out;
  }

  setAutoPadding(on = true) {
    crypto.cipherPadding(this.#cipher, Boolean(on));
    return this;
  }

  setAAD(aad, options = undefined) {
    this.#authenticated('setAAD');
    coded(() => crypto.cipherAad(this.#cipher, bytesOf(aad, 'buffer', options?.encoding)), 'ERR_CRYPTO_INVALID_STATE');
    return this;
  }

  _tag(expected) {
    this.#authenticated(expected === undefined ? 'getAuthTag' : 'setAuthTag');
    if (expected !== undefined) {
      const { length } = expected;
      if (![4, 8, 12, 13, 14, 15, 16].includes(length) || (this.#tagLength !== undefined && length !== this.#tagLength)) {
        throw failed('ERR_CRYPTO_INVALID_AUTH_TAG', `Invalid authentication tag length: ${length}`, TypeError);
      }
    }
    const tag = coded(() => crypto.cipherTag(this.#cipher, expected ?? new Uint8Array(0)), 'ERR_CRYPTO_INVALID_STATE');
    return tag === undefined ? undefined : bufferOf(tag).subarray(0, this.#tagLength ?? 16);
  }

  #authenticated(method) {
    if (this.#mode !== 'gcm') throw new ERR_CRYPTO_INVALID_STATE(method);
  }

  _transform(chunk, encoding, callback) {
    try {
      this.push(this.update(chunk, encoding));
      callback();
    } catch (error) {
      callback(error);
    }
  }

  _flush(callback) {
    try {
      this.push(this.final());
      callback();
    } catch (error) {
      callback(error);
    }
  }
}

class Cipheriv extends CipherBase {
  constructor(name, key, iv, options = undefined) {
    super(true, name, key, iv, options);
  }

  getAuthTag() {
    return this._tag(undefined);
  }
}

class Decipheriv extends CipherBase {
  constructor(name, key, iv, options = undefined) {
    super(false, name, key, iv, options);
  }

  setAuthTag(tag, encoding = undefined) {
    this._tag(bytesOf(tag, 'buffer', encoding));
    return this;
  }
}

function getCipherInfo(name, options = undefined) {
  validateString(name, 'nameOrNid');
  const info = crypto.cipherInfo(name);
  if (info === undefined) return undefined;
  const { 0: keyLength, 1: ivLength, 2: mode } = info;
  if (options?.keyLength !== undefined && options.keyLength !== keyLength) return undefined;
  if (options?.ivLength !== undefined && mode !== 'gcm' && options.ivLength !== ivLength) return undefined;
  return {
    mode,
    name: mode === 'gcm' ? `id-aes${keyLength * 8}-GCM` : `aes-${keyLength * 8}-${mode}`,
    ...(mode === 'cbc' || mode === 'ecb' ? { blockSize: 16 } : {}),
    ...(mode === 'ecb' ? {} : { ivLength: options?.ivLength ?? ivLength }),
    keyLength,
  };
}

module.exports = {
  Cipheriv, Decipheriv,
  createCipheriv: (name, key, iv, options) => new Cipheriv(name, key, iv, options),
  createDecipheriv: (name, key, iv, options) => new Decipheriv(name, key, iv, options),
  getCipherInfo,
  getCiphers: () => CIPHERS.slice(),
};
