// What requests and responses of `http` have in common, in both directions.
'use strict';

const EventEmitter = require('events');
const { Buffer } = require('buffer');
const { Readable, Writable } = require('stream');
const {
  codes: { ERR_HTTP_HEADERS_SENT, ERR_HTTP_INVALID_HEADER_VALUE, ERR_INVALID_CHAR, ERR_INVALID_HTTP_TOKEN },
} = require('internal/errors');

const TOKEN = /^[\^_`a-zA-Z\-0-9!#$%&'*+.|~]+$/;
const BAD_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

function validateHeaderName(name, label = 'Header name') {
  if (typeof name !== 'string' || !TOKEN.test(name)) throw new ERR_INVALID_HTTP_TOKEN(label, name);
}

function validateHeaderValue(name, value) {
  if (value === undefined) throw new ERR_HTTP_INVALID_HEADER_VALUE(value, name);
  if (BAD_VALUE.test(`${value}`)) throw new ERR_INVALID_CHAR('header content', name);
}

/** In place of a connection, which the worker does not see. */
class Socket extends EventEmitter {
  constructor({ address, encrypted }) {
    super();
    this.remoteAddress = address;
    this.remoteFamily = address === undefined ? undefined : address.includes(':') ? 'IPv6' : 'IPv4';
    this.remotePort = undefined;
    this.localAddress = '127.0.0.1';
    this.localPort = encrypted ? 443 : 80;
    this.encrypted = encrypted;
    this.destroyed = false;
    this.readable = this.writable = true;
    this.connecting = false;
  }

  destroy(error) {
    if (this.destroyed) return this;
    this.destroyed = true;
    process.nextTick(() => {
      if (error) this.emit('error', error);
      this.emit('close', Boolean(error));
    });
    return this;
  }

  address() {
    return { address: this.localAddress, family: 'IPv4', port: this.localPort };
  }

  cork() {}
  uncork() {}
  end() {
    return this;
  }
  ref() {
    return this;
  }
  unref() {
    return this;
  }
  setKeepAlive() {
    return this;
  }
  setNoDelay() {
    return this;
  }
  setTimeout() {
    return this;
  }
}

/** A message that came in: a request to a server, or a response to a client. */
class IncomingMessage extends Readable {
  #reader;
  #distinct;

  constructor(socket = undefined) {
    super({ autoDestroy: true });
    this.socket = socket;
    this.httpVersion = '1.1';
    this.httpVersionMajor = 1;
    this.httpVersionMinor = 1;
    this.complete = false;
    this.aborted = false;
    this.headers = {};
    this.rawHeaders = [];
    this.trailers = {};
    this.trailersDistinct = {};
    this.rawTrailers = [];
    this.url = '';
    this.method = null;
    this.statusCode = null;
    this.statusMessage = null;
  }

  get connection() {
    return this.socket;
  }

  get headersDistinct() {
    this.#distinct ??= Object.fromEntries(Object.entries(this.headers).map(([name, value]) => [name, Array.isArray(value) ? value : [value]]));
    return this.#distinct;
  }

  /** Takes headers and body of what the isolate has. */
  _take(headers, body) {
    for (const [name, value] of headers) {
      this.rawHeaders.push(name, value);
      if (name === 'set-cookie') (this.headers[name] ??= []).push(value);
      else this.headers[name] = this.headers[name] === undefined ? value : `${this.headers[name]}, ${value}`;
    }
    this.#reader = body?.getReader();
    return this;
  }

  _read() {
    if (this.#reader === undefined) {
      this.complete = true;
      this.push(null);
      return;
    }
    this.#reader.read().then(({ done, value }) => {
      if (done) {
        this.complete = true;
        this.push(null);
      } else {
        this.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      }
    }, (error) => this.destroy(error));
  }

  _destroy(error, callback) {
    if (!this.complete) {
      this.aborted = true;
      this.#reader?.cancel(error).catch(() => {});
    }
    callback(error);
  }

  setTimeout(ms, callback = undefined) {
    if (callback) this.on('timeout', callback);
    return this;
  }
}

/** A message that goes out. `_send` is called once, with what is known when its head has to go. */
class OutgoingMessage extends Writable {
  #headers = new Map();
  #wrote = false;
  headersSent = false;
  sendDate = true;
  shouldKeepAlive = true;
  chunkedEncoding = false;
  useChunkedEncodingByDefault = true;
  strictContentLength = false;
  finished = false;

  constructor(options = {}) {
    super({ ...options, decodeStrings: true });
  }

  #open(action) {
    if (this.headersSent) throw new ERR_HTTP_HEADERS_SENT(action);
  }

  get _headers() {
    return this.getHeaders();
  }

  setHeader(name, value) {
    this.#open('set');
    validateHeaderName(name);
    validateHeaderValue(name, value);
    this.#headers.set(name.toLowerCase(), [name, value]);
    return this;
  }

  setHeaders(headers) {
    this.#open('set');
    for (const [name, value] of headers) {
      if (name.toLowerCase() === 'set-cookie') this.appendHeader(name, value);
      else this.setHeader(name, value);
    }
    return this;
  }

  appendHeader(name, value) {
    this.#open('append');
    validateHeaderName(name);
    validateHeaderValue(name, value);
    const known = this.#headers.get(name.toLowerCase());
    if (known === undefined) return this.setHeader(name, value);
    known[1] = [].concat(known[1], value);
    return this;
  }

  getHeader(name) {
    return this.#headers.get(`${name}`.toLowerCase())?.[1];
  }

  getHeaderNames() {
    return [...this.#headers.keys()];
  }

  getRawHeaderNames() {
    return Array.from(this.#headers.values(), ([name]) => name);
  }

  getHeaders() {
    const headers = { __proto__: null };
    for (const [name, [, value]] of this.#headers) headers[name] = value;
    return headers;
  }

  hasHeader(name) {
    return this.#headers.has(`${name}`.toLowerCase());
  }

  removeHeader(name) {
    this.#open('remove');
    this.#headers.delete(`${name}`.toLowerCase());
  }

  addTrailers() {}

  flushHeaders() {
    if (!this.headersSent) this._head(undefined);
  }

  setTimeout(ms, callback = undefined) {
    if (callback) this.on('timeout', callback);
    return this;
  }

  /** What was set, in the form that Headers takes. */
  _webHeaders(Headers) {
    const headers = new Headers();
    for (const [name, value] of this.#headers.values()) {
      for (const one of Array.isArray(value) ? value : [value]) headers.append(name, `${one}`);
    }
    return headers;
  }

  _head(whole) {
    this.headersSent = true;
    this._send(whole);
  }

  write(...args) {
    this.#wrote = true;
    return super.write(...args);
  }

  end(chunk, encoding, callback) {
    if (typeof chunk === 'function') [callback, chunk, encoding] = [chunk, undefined, undefined];
    else if (typeof encoding === 'function') [callback, encoding] = [encoding, undefined];
    if (this.finished) {
      if (callback) process.nextTick(callback);
      return this;
    }
    this.finished = true;
    if (!this.headersSent && !this.#wrote) {
      // All of it is here: the length is known, and nothing has to be streamed.
      const whole = chunk === undefined || chunk === null ? Buffer.alloc(0) : typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
      this._head(whole);
      super.end(callback);
    } else {
      super.end(chunk, encoding, callback);
    }
    return this;
  }
}

module.exports = { IncomingMessage, OutgoingMessage, Socket, validateHeaderName, validateHeaderValue };
