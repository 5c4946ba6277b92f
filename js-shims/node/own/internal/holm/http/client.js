// Clients of `http` and `https`, over `fetch()`: the egress policy, limits and accounts are those of any subrequest.
'use strict';

const { timers, web } = internalBinding('holm').natives;
const EventEmitter = require('events');
const { Buffer } = require('buffer');
const { codes: { ERR_INVALID_PROTOCOL, ERR_UNESCAPED_CHARACTERS } } = require('internal/errors');
const { urlToHttpOptions } = require('internal/url');
const { IncomingMessage, OutgoingMessage, Socket, validateHeaderName } = require('internal/holm/http/message');

/** Connections are the server's, which pools them: an agent has settings and no sockets. */
class Agent extends EventEmitter {
  constructor(options = {}) {
    super();
    this.options = { ...options, noDelay: true, path: null };
    this.defaultPort = options.defaultPort ?? 80;
    this.protocol = options.protocol ?? 'http:';
    this.requests = this.sockets = this.freeSockets = { __proto__: null };
    this.keepAlive = options.keepAlive ?? false;
    this.keepAliveMsecs = options.keepAliveMsecs ?? 1000;
    this.maxSockets = options.maxSockets ?? Infinity;
    this.maxFreeSockets = options.maxFreeSockets ?? 256;
    this.maxTotalSockets = options.maxTotalSockets ?? Infinity;
    this.scheduling = options.scheduling ?? 'lifo';
  }

  getName({ host = 'localhost', port = '', localAddress = '' } = {}) {
    return `${host}:${port}:${localAddress}`;
  }

  destroy() {}
}

class ClientRequest extends OutgoingMessage {
  #parts = [];
  #controller = new AbortController();
  #url;
  #timer;
  #timeout = 0;
  #answered = false;

  constructor(input, options, callback, defaults) {
    // That the request has gone is not the end of the exchange.
    super({ autoDestroy: false, emitClose: false });
    let given = {};
    if (typeof input === 'string') given = urlToHttpOptions(new URL(input));
    else if (input instanceof URL) given = urlToHttpOptions(input);
    else [callback, options] = [typeof options === 'function' ? options : callback, input];
    if (typeof options === 'function') [callback, options] = [options, {}];
    const settings = { ...given, ...options };
    const protocol = settings.protocol ?? settings.agent?.protocol ?? defaults.protocol;
    if (protocol !== 'http:' && protocol !== 'https:') throw new ERR_INVALID_PROTOCOL(protocol, defaults.protocol);
    if (protocol !== defaults.protocol && settings.agent === undefined) throw new ERR_INVALID_PROTOCOL(protocol, defaults.protocol);
    this.method = (settings.method ?? 'GET').toUpperCase();
    validateHeaderName(this.method, 'Method');
    this.path = settings.path || '/';
    if (/[^\u0021-\u00ff]/.test(this.path)) throw new ERR_UNESCAPED_CHARACTERS('Request path');
    this.protocol = protocol;
    this.host = settings.hostname || settings.host || 'localhost';
    this.agent = settings.agent;
    const port = settings.port ?? settings.defaultPort ?? (protocol === 'https:' ? 443 : 80);
    const host = this.host.includes(':') && !this.host.startsWith('[') ? `[${this.host}]` : this.host;
    this.#url = `${protocol}//${host}:${port}${this.path}`;
    if (Array.isArray(settings.headers)) {
      const flat = Array.isArray(settings.headers[0]) ? settings.headers.flat() : settings.headers;
      for (let i = 0; i + 1 < flat.length; i += 2) this.appendHeader(flat[i], flat[i + 1]);
    } else if (settings.headers) {
      const entries = typeof settings.headers.entries === 'function' ? settings.headers.entries() : Object.entries(settings.headers);
      for (const [name, value] of entries) if (value !== undefined) this.setHeader(name, value);
    }
    if (settings.auth && !this.hasHeader('authorization')) {
      this.setHeader('Authorization', `Basic ${Buffer.from(settings.auth).toString('base64')}`);
    }
    if (callback) this.once('response', callback);
    if (settings.timeout) this.setTimeout(settings.timeout);
    if (settings.signal) {
      const abort = () => this.destroy(settings.signal.reason);
      if (settings.signal.aborted) process.nextTick(abort);
      else settings.signal.addEventListener('abort', abort, { once: true });
    }
    this.reusedSocket = false;
    this.maxHeadersCount = null;
    this.aborted = false;
    this.res = null;
    this.socket = new Socket({ address: undefined, encrypted: protocol === 'https:' });
    process.nextTick(() => {
      if (!this.destroyed) this.emit('socket', this.socket);
    });
  }

  get connection() {
    return this.socket;
  }

  _write(chunk, encoding, callback) {
    this.#parts.push(chunk);
    callback();
  }

  _final(callback) {
    if (!this.headersSent) this._head(Buffer.concat(this.#parts));
    callback();
  }

  // The request goes when its body is complete.
  flushHeaders() {}

  _send(body) {
    const bodiless = this.method === 'GET' || this.method === 'HEAD';
    const headers = this._webHeaders(web.Headers);
    // What `fetch()` decides by itself.
    for (const name of ['connection', 'content-length', 'host', 'keep-alive', 'transfer-encoding', 'upgrade', 'expect']) headers.delete(name);
    const init = {
      method: this.method,
      headers,
      redirect: 'manual',
      signal: this.#controller.signal,
      body: bodiless || body.length === 0 ? undefined : body,
    };
    let exchange;
    try {
      exchange = web.fetch(this.#url, init);
    } catch (error) {
      exchange = Promise.reject(error);
    }
    exchange.then((response) => this.#answer(response), (error) => this.#failed(error));
  }

  #answer(response) {
    this.#stopTimer();
    if (this.destroyed && this.aborted) return;
    this.#answered = true;
    const message = new IncomingMessage(this.socket)._take(response.headers, response.body);
    message.statusCode = response.status;
    message.statusMessage = response.statusText;
    message.req = this;
    this.res = message;
    message.once('close', () => this.emit('close'));
    // A response that nobody takes is let go.
    if (!this.emit('response', message)) message.resume();
  }

  #failed(error) {
    this.#stopTimer();
    if (this.aborted) return;
    const text = `${error?.message ?? error}`;
    const failure = new Error(text, { cause: error });
    failure.code = /could not resolve/.test(text) ? 'ENOTFOUND' : /could not connect/.test(text) ? 'ECONNREFUSED' : 'ECONNRESET';
    failure.syscall = failure.code === 'ENOTFOUND' ? 'getaddrinfo' : 'connect';
    this.emit('error', failure);
    this.emit('close');
  }

  #stopTimer() {
    if (this.#timer !== undefined) timers.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  setTimeout(ms, callback = undefined) {
    if (callback) this.once('timeout', callback);
    this.#stopTimer();
    this.#timeout = ms;
    if (ms > 0) this.#timer = timers.setTimeout(() => this.emit('timeout'), this.#timeout);
    return this;
  }

  setNoDelay() {}
  setSocketKeepAlive() {}
  clearTimeout(callback) {
    this.setTimeout(0, callback);
  }

  abort() {
    this.destroy();
  }

  /** The stream ends when the request has gone; what ends here is the exchange. */
  destroy(error = undefined) {
    if (this.aborted) return this;
    this.aborted = true;
    this.#stopTimer();
    this.#controller.abort(error);
    this.res?.destroy(error);
    super.destroy();
    process.nextTick(() => {
      if (this.#answered) return;
      const failure = error ?? Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
      this.emit('error', failure);
      this.emit('close');
    });
    return this;
  }

  _destroy(error, callback) {
    callback(error);
  }
}

module.exports = { Agent, ClientRequest };
