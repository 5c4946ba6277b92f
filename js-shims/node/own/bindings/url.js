'use strict';

const { URL } = internalBinding('holm').natives.web;

module.exports = {
  /** `url.format(URL, options)`. */
  format(href, fragment, unicode, search, auth) {
    const url = new URL(href);
    if (!fragment) url.hash = '';
    if (!search) url.search = '';
    if (!auth) {
      url.username = '';
      url.password = '';
    }
    if (!unicode || url.hostname === '') return url.href;
    const { domainToUnicode } = require('internal/url');
    return url.href.replace(url.hostname, domainToUnicode(url.hostname));
  },
};
