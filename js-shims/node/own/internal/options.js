// Options of Node.js's command line, as a worker has them.
'use strict';

const VALUES = { __proto__: null, '--no-deprecation': true, '--stack-trace-limit': 10, '--network-family-autoselection': false,
  '--network-family-autoselection-attempt-timeout': 250, '--tls-cipher-list': 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256',
  '--warnings': true, '--max-http-header-size': 16 * 1024 };

module.exports = {
  getOptionValue: (name) => VALUES[name],
  getEmbedderOptions: () => ({}),
  getAllowUnauthorized: () => false,
  refreshOptions() {},
};
