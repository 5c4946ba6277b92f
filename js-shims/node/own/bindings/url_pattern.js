'use strict';

module.exports = { URLPattern: internalBinding('holm').natives.web.URLPattern };
