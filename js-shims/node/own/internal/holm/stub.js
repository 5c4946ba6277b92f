// Modules of which a worker has the names only, so that packages that import them load. What is used throws.
'use strict';

const names = require('internal/holm/stubs');
const { ObjectDefineProperty } = primordials;

function unavailable(module, name) {
  const error = new Error(`${module}.${name} is not available in a worker: node:${module} has names only.`);
  error.code = 'ERR_METHOD_NOT_IMPLEMENTED';
  return error;
}

/** What a worker can answer, though it has no processes and no threads. */
const ANSWERS = {
  __proto__: null,
  cluster: { isMaster: true, isPrimary: true, isWorker: false, workers: {}, settings: {} },
  tty: { isatty: () => false },
  worker_threads: {
    isMainThread: true, isInternalThread: false, threadId: 0, threadName: '', parentPort: null, workerData: null, resourceLimits: {},
    SHARE_ENV: Symbol.for('nodejs.worker_threads.SHARE_ENV'),
    ...(({ MessageChannel, MessagePort }) => ({ MessageChannel, MessagePort }))(internalBinding('holm').natives.web),
  },
  inspector: { url: () => undefined, console: globalThis.console },
  v8: { getHeapStatistics: undefined },
};

exports.make = (module) => {
  const made = { __proto__: Object.prototype };
  for (const entry of names[module]) {
    const isClass = entry.startsWith('class ');
    const name = isClass ? entry.slice(6) : entry;
    made[name] = isClass ?
      { [name]: class { constructor() { throw unavailable(module, name); } } }[name] :
      { [name](...args) { void args; throw unavailable(module, name); } }[name];
    ObjectDefineProperty(made[name], 'name', { __proto__: null, value: name });
  }
  const answers = ANSWERS[module];
  if (answers !== undefined) {
    for (const name of Object.keys(answers)) if (answers[name] !== undefined) made[name] = answers[name];
  }
  return made;
};
