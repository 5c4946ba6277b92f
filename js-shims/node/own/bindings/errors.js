'use strict';

const { worker } = internalBinding('holm').natives;

module.exports = {
  triggerUncaughtException: (error) => worker.reportException(error),
  exitCodes: { kNoFailure: 0, kGenericUserError: 1 },
  noSideEffectsToString: (value) => String(value),
  setPrepareStackTraceCallback() {},
  setGetSourceMapErrorSource() {},
  getErrorSourcePositions() {},
};
