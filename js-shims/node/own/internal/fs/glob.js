'use strict';

class Glob {
  constructor() {
    const error = new Error('fs.glob is not available in a worker.');
    error.code = 'ERR_METHOD_NOT_IMPLEMENTED';
    throw error;
  }
}

module.exports = { Glob, matchGlobPattern: () => new Glob() };
