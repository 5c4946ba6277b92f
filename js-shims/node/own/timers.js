// `timers`: what the global has with `enable_nodejs_global_timers`.
'use strict';

const { timers } = internalBinding('holm').natives;
const { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate } = timers;

module.exports = {
  setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate,
  get promises() {
    return require('timers/promises');
  },
  active() {},
  enroll() {},
  unenroll() {},
};
