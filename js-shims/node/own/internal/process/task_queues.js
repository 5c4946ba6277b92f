'use strict';

module.exports = { queueMicrotask: internalBinding('holm').natives.worker.nextTick, nextTick: process.nextTick };
