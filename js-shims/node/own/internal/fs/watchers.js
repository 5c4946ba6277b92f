'use strict';

// Files of a worker change by its own hand only: there is nothing to watch.
function unavailable() {
  const error = new Error('fs.watch is not available in a worker: its files are its own.');
  error.code = 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM';
  throw error;
}

class FSWatcher {
  constructor() {
    unavailable();
  }
}
class StatWatcher {
  constructor() {
    unavailable();
  }
}

module.exports = { FSWatcher, StatWatcher, kFSWatchStart: Symbol('kFSWatchStart'), kFSStatWatcherStart: Symbol(), watch: unavailable };
