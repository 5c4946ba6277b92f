// Options of Node.js's command line, as a worker has them.
'use strict';

const VALUES = { __proto__: null, '--no-deprecation': true, '--stack-trace-limit': 10, '--network-family-autoselection': true,
  '--warnings': true, '--max-http-header-size': 16 * 1024 };

module.exports = {
  getOptionValue: (name) => VALUES[name],
  getEmbedderOptions: () => ({}),
  getAllowUnauthorized: () => false,
  refreshOptions() {},
};
