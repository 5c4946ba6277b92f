// Node.js's side of URLs, over the isolate's `URL`.
'use strict';

const { URL, URLSearchParams } = internalBinding('holm').natives.web;
const { SafeSet } = primordials;
const { encodeStr } = require('internal/querystring');
const {
  ERR_INVALID_ARG_TYPE, ERR_INVALID_FILE_URL_HOST, ERR_INVALID_FILE_URL_PATH,
  ERR_INVALID_URL_SCHEME,
} = require('internal/errors').codes;

const withSlash = (names) => new SafeSet(names.flatMap((name) => [name, `${name}:`]));

const isURL = (value) =>
  Boolean(value?.href && value.protocol && value.auth === undefined && value.path === undefined);

function domainToASCII(domain) {
  try {
    return new URL(`ws://${domain}`).hostname;
  } catch {
    return '';
  }
}

function domainToUnicode(domain) {
  const ascii = domainToASCII(domain);
  return ascii === '' ? '' : require('punycode').toUnicode(ascii);
}

function urlOf(path) {
  if (typeof path === 'string') path = new URL(path);
  else if (!isURL(path)) throw new ERR_INVALID_ARG_TYPE('path', ['string', 'URL'], path);
  if (path.protocol !== 'file:') throw new ERR_INVALID_URL_SCHEME('file');
  return path;
}

function fileURLToPath(path, options) {
  const url = urlOf(path);
  if (options?.windows) return windowsPath(url);
  if (url.hostname !== '') throw new ERR_INVALID_FILE_URL_HOST('linux');
  if (/%2f/i.test(url.pathname)) {
    throw new ERR_INVALID_FILE_URL_PATH('must not include encoded / characters', url);
  }
  return decodeURIComponent(url.pathname);
}

function windowsPath(url) {
  if (/%2f|%5c/i.test(url.pathname)) {
    throw new ERR_INVALID_FILE_URL_PATH('must not include encoded \\ or / characters', url);
  }
  const path = decodeURIComponent(url.pathname.replace(/\//g, '\\'));
  if (url.hostname !== '') return `\\\\${domainToUnicode(url.hostname)}${path}`;
  if (!/^\\[a-z]:/i.test(path)) throw new ERR_INVALID_FILE_URL_PATH('must be absolute', url);
  return path.slice(1);
}

const ESCAPES = { '%': '%25', '\\': '%5C', '\n': '%0A', '\r': '%0D', '\t': '%09', '?': '%3F', '#': '%23' };

function pathToFileURL(filepath, options) {
  if (typeof filepath !== 'string') throw new ERR_INVALID_ARG_TYPE('path', 'string', filepath);
  const path = require('path');
  if (options?.windows) {
    const resolved = path.win32.resolve(filepath).replace(/\\/g, '/');
    return new URL(`file:///${resolved.replace(/[%\n\r\t?#]/g, (character) => ESCAPES[character])}`);
  }
  let resolved = path.posix.resolve(filepath);
  if (filepath.endsWith('/') && !resolved.endsWith('/')) resolved += '/';
  return new URL(`file://${resolved.replace(/[%\\\n\r\t?#]/g, (character) => ESCAPES[character])}`);
}

const toPathIfFileURL = (value) => isURL(value) ? fileURLToPath(value) : value;

function urlToHttpOptions(url) {
  const { hostname, pathname, port, username, password, search } = url;
  return {
    __proto__: null,
    ...url,
    protocol: url.protocol,
    hostname: hostname && hostname[0] === '[' ? hostname.slice(1, -1) : hostname,
    hash: url.hash,
    search,
    pathname,
    path: `${pathname || ''}${search || ''}`,
    href: url.href,
    ...(port !== '' && { port: Number(port) }),
    ...((username || password) && { auth: `${decodeURIComponent(username)}:${decodeURIComponent(password)}` }),
  };
}

module.exports = {
  URL, URLSearchParams, domainToASCII, domainToUnicode, encodeStr, fileURLToPath, isURL, pathToFileURL, toPathIfFileURL,
  urlToHttpOptions,
  fileURLToPathBuffer: (path, options) => require('buffer').Buffer.from(fileURLToPath(path, options)),
  installObjectURLMethods() {},
  unsafeProtocol: withSlash(['javascript']),
  hostlessProtocol: withSlash(['javascript']),
  slashedProtocol: withSlash(['http', 'https', 'ftp', 'gopher', 'file', 'ws', 'wss']),
  URLParse: (input, base) => {
    try {
      return new URL(input, base);
    } catch {
      return null;
    }
  },
};
