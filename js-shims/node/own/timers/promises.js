'use strict';

const { timers } = internalBinding('holm').natives;
const { AbortError } = require('internal/errors');
const { validateAbortSignal, validateBoolean, validateNumber, validateObject } = require('internal/validators');
const { addAbortListener } = require('internal/events/abort_listener');
const { kEmptyObject } = require('internal/util');
const { PromiseReject, SymbolDispose } = primordials;

/** A promise of `start`'s timer, which the signal ends. */
function wait(start, clear, value, options) {
  try {
    validateObject(options, 'options');
    if (options.signal !== undefined) validateAbortSignal(options.signal, 'options.signal');
    if (options.ref !== undefined) validateBoolean(options.ref, 'options.ref');
  } catch (error) {
    return PromiseReject(error);
  }
  const { signal } = options;
  if (signal?.aborted) return PromiseReject(new AbortError(undefined, { cause: signal.reason }));
  return new Promise((resolve, reject) => {
    let listening;
    const timer = start(() => {
      listening?.[SymbolDispose]();
      resolve(value);
    });
    if (signal !== undefined) {
      listening = addAbortListener(signal, () => {
        clear(timer);
        reject(new AbortError(undefined, { cause: signal.reason }));
      });
    }
  });
}

function setTimeout(delay = undefined, value = undefined, options = kEmptyObject) {
  try {
    if (delay !== undefined) validateNumber(delay, 'delay');
  } catch (error) {
    return PromiseReject(error);
  }
  return wait((done) => timers.setTimeout(done, delay), timers.clearTimeout, value, options);
}

const setImmediate = (value = undefined, options = kEmptyObject) =>
  wait((done) => timers.setImmediate(done), timers.clearImmediate, value, options);

async function* setInterval(delay = undefined, value = undefined, options = kEmptyObject) {
  validateObject(options, 'options');
  if (delay !== undefined) validateNumber(delay, 'delay');
  const { signal } = options;
  if (signal !== undefined) validateAbortSignal(signal, 'options.signal');
  if (signal?.aborted) throw new AbortError(undefined, { cause: signal.reason });
  let due = 0;
  let wake;
  const timer = timers.setInterval(() => {
    due++;
    wake?.();
  }, delay);
  const listening = signal === undefined ? undefined : addAbortListener(signal, () => {
    timers.clearInterval(timer);
    wake?.();
  });
  try {
    while (!signal?.aborted) {
      if (due === 0) {
        await new Promise((resolve) => {
          wake = resolve;
        });
      }
      for (; due > 0; due--) yield value;
    }
    throw new AbortError(undefined, { cause: signal?.reason });
  } finally {
    timers.clearInterval(timer);
    listening?.[SymbolDispose]();
  }
}

const scheduler = {
  wait: (delay, options = undefined) => setTimeout(delay, undefined, { signal: options?.signal }),
  yield: () => setImmediate(),
};

module.exports = { setTimeout, setImmediate, setInterval, scheduler };
