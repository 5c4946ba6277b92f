'use strict';

const { Buffer } = require('buffer');
const { canonical, parse } = require('internal/holm/addresses');

module.exports = {
  canonicalizeIP: canonical,
  convertIpv6StringToBuffer(text) {
    const parsed = parse(text);
    if (parsed?.family !== 6) return undefined;
    return Buffer.from(parsed.value.toString(16).padStart(32, '0'), 'hex');
  },
};
