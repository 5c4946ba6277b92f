'use strict';

const { os, fs, crypto, zlib, trace } = require('internal/holm/constants');

module.exports = { os, fs, crypto, zlib, trace, internal: { EXTENSIONLESS_FORMAT_JAVASCRIPT: 0, EXTENSIONLESS_FORMAT_WASM: 1 } };
