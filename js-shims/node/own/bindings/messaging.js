'use strict';

const { web } = internalBinding('holm').natives;

module.exports = { DOMException: web.DOMException, MessageChannel: web.MessageChannel, structuredClone: web.structuredClone };
