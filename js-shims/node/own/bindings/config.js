'use strict';

module.exports = { hasIntl: false, hasSmallICU: false, hasInspector: false, hasOpenSSL: true, fipsMode: false, bits: 64, hasTracing: false };
