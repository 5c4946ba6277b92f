'use strict';

module.exports = { findSourceMap() {}, getSourceMapsSupport: () => ({ enabled: false }), setSourceMapsSupport() {} };
