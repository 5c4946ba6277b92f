'use strict';

const { FSWatcher, watch } = require('internal/fs/watchers');

module.exports = { FSWatcher, watch };
