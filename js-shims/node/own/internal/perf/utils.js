'use strict';

module.exports = { now: () => internalBinding('holm').natives.web.performance.now() };
