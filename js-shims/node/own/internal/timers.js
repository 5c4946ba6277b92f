// What Node.js's own modules ask of its timers, over the isolate's.
'use strict';

const { natives: { timers } } = internalBinding('holm');
const { validateNumber } = require('internal/validators');
const { codes: { ERR_OUT_OF_RANGE } } = require('internal/errors');

const LONGEST = 2 ** 31 - 1;

function getTimerDuration(milliseconds, name) {
  validateNumber(milliseconds, name);
  if (milliseconds < 0 || !Number.isFinite(milliseconds)) throw new ERR_OUT_OF_RANGE(name, 'a non-negative finite number', milliseconds);
  return Math.min(milliseconds, LONGEST);
}

const setUnrefTimeout = (callback, after, ...args) => timers.setTimeout(callback, after, ...args);

module.exports = {
  kTimeout: Symbol('timeout'),
  TIMEOUT_MAX: LONGEST,
  getTimerDuration,
  setUnrefTimeout,
  reuseOrCreateUnrefTimeout: (timer, callback, after, argument) => setUnrefTimeout(callback, after, argument),
};
