'use strict';

const { AbortController, AbortSignal } = internalBinding('holm').natives.web;
const { validateAbortSignal, validateObject } = require('internal/validators');


module.exports = {
  AbortController,
  AbortSignal,
  /** `util.aborted`: settles when the signal aborts. */
  async aborted(signal, resource) {
    if (signal === undefined) validateObject(signal, 'signal');
    validateAbortSignal(signal, 'signal');
    validateObject(resource, 'resource');
    if (signal.aborted) return;
    await new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { __proto__: null, once: true }));
  },
  transferableAbortSignal(signal) {
    validateAbortSignal(signal, 'signal');
    return signal;
  },
  transferableAbortController: () => new AbortController(),
};
