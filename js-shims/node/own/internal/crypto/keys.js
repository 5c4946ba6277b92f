'use strict';

// What shows and compares values asks; a worker without keys need not load them for that.
const loaded = () => internalBinding('holm').loaded('internal/holm/crypto/keys');

module.exports = {
  isKeyObject: (value) => loaded()?.isKeyObject(value) ?? false,
  isCryptoKey: (value) => typeof globalThis.CryptoKey === 'function' && value instanceof globalThis.CryptoKey,
};
