'use strict';

const { TextDecoder, TextEncoder } = internalBinding('holm').natives.web;

module.exports = { TextDecoder, TextEncoder };
