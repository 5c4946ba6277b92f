'use strict';

module.exports = {
  isKeyObject: () => false,
  isCryptoKey: (value) => globalThis.CryptoKey !== undefined && value instanceof globalThis.CryptoKey,
};
