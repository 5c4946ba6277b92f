'use strict';

// A worker gets no signals.
module.exports = { setTraceSigInt() {} };
