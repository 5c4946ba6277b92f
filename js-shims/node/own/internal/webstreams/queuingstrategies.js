'use strict';

const { ByteLengthQueuingStrategy, CountQueuingStrategy } = internalBinding('holm').natives.web;

module.exports = { ByteLengthQueuingStrategy, CountQueuingStrategy };
