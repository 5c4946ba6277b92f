// Servers of `http`: they listen on ports that exist within the worker, where `cloudflare:node` hands them requests.
'use strict';

const { web } = internalBinding('holm').natives;
const EventEmitter = require('events');
const { Buffer } = require('buffer');
const { codes: { ERR_HTTP_HEADERS_SENT, ERR_HTTP_INVALID_STATUS_CODE, ERR_SERVER_ALREADY_LISTEN, ERR_SERVER_NOT_RUNNING } } = require('internal/errors');
const { STATUS_CODES } = require('internal/holm/http_constants');
const { IncomingMessage, OutgoingMessage, Socket } = require('internal/holm/http/message');

const servers = new Map();

class ServerResponse extends OutgoingMessage {
  statusCode = 200;
  statusMessage = undefined;
  #answer;
  #controller;
  #waiting;

  constructor(request, answer = () => {}) {
    super();
    this.req = request;
    this.socket = request?.socket;
    this.#answer = answer;
  }

  get connection() {
    return this.socket;
  }

  writeHead(status, reason = undefined, headers = undefined) {
    if (this.headersSent) throw new ERR_HTTP_HEADERS_SENT('write');
    if (typeof reason !== 'string') [headers, reason] = [reason, undefined];
    status |= 0;
    if (status < 100 || status > 999) throw new ERR_HTTP_INVALID_STATUS_CODE(status);
    this.statusCode = status;
    if (reason !== undefined) this.statusMessage = reason;
    if (Array.isArray(headers)) {
      const flat = Array.isArray(headers[0]) ? headers.flat() : headers;
      for (let i = 0; i + 1 < flat.length; i += 2) this.appendHeader(flat[i], flat[i + 1]);
    } else if (headers) {
      for (const name of Object.keys(headers)) if (headers[name] !== undefined) this.setHeader(name, headers[name]);
    }
    return this;
  }

  _send(whole) {
    const status = this.statusCode;
    if (!Number.isInteger(status) || status < 100 || status > 999) throw new ERR_HTTP_INVALID_STATUS_CODE(status);
    this.statusMessage ??= STATUS_CODES[status] ?? 'unknown';
    const headers = this._webHeaders(web.Headers);
    for (const name of ['connection', 'keep-alive', 'transfer-encoding']) headers.delete(name);
    const bodiless = status === 204 || status === 205 || status === 304;
    let body = null;
    if (whole !== undefined) {
      headers.delete('content-length');
      if (!bodiless && whole.length > 0) body = whole;
    } else if (!bodiless) {
      body = new web.ReadableStream({
        type: 'bytes',
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#released(),
        cancel: (reason) => {
          this.destroy(reason);
        },
      });
    }
    this.#answer(new web.Response(body, { status, statusText: this.statusMessage, headers }));
  }

  #released() {
    const callback = this.#waiting;
    this.#waiting = undefined;
    callback?.();
  }

  _write(chunk, encoding, callback) {
    if (!this.headersSent) this._head(undefined);
    if (this.#controller === undefined || chunk.length === 0) {
      callback();
      return;
    }
    this.#controller.enqueue(Uint8Array.from(chunk));
    // The next one waits until the client has taken this one.
    if (this.#controller.desiredSize > 0) callback();
    else this.#waiting = callback;
  }

  _final(callback) {
    if (!this.headersSent) this._head(Buffer.alloc(0));
    this.#controller?.close();
    this.#controller = undefined;
    callback();
  }

  _destroy(error, callback) {
    if (this.#controller !== undefined) {
      this.#controller.error(error ?? new Error('The response was destroyed before its end.'));
      this.#controller = undefined;
    }
    this.#released();
    callback(error);
  }

  assignSocket(socket) {
    this.socket = socket;
  }
  detachSocket() {
    this.socket = null;
  }
  writeContinue() {}
  writeProcessing() {}
  writeEarlyHints(hints, callback = undefined) {
    if (callback) callback();
  }
  writeInformation() {}
}
ServerResponse.prototype.writeHeader = ServerResponse.prototype.writeHead;

class Server extends EventEmitter {
  #port;
  listening = false;
  timeout = 0;
  keepAliveTimeout = 5000;
  headersTimeout = 60_000;
  requestTimeout = 300_000;
  maxHeadersCount = null;
  maxRequestsPerSocket = 0;

  constructor(options = undefined, listener = undefined) {
    super();
    if (typeof options === 'function') listener = options;
    if (listener !== undefined) this.on('request', listener);
  }

  listen(...args) {
    const callback = typeof args.at(-1) === 'function' ? args.pop() : undefined;
    let [port = 0] = args;
    if (typeof port === 'object' && port !== null) ({ port = 0 } = port);
    port = Number(port);
    if (this.listening) throw new ERR_SERVER_ALREADY_LISTEN();
    for (let free = 49152; port === 0; free++) if (!servers.has(free)) port = free;
    if (servers.has(port)) {
      const error = new Error(`listen EADDRINUSE: address already in use :::${port}`);
      process.nextTick(() => this.emit('error', Object.assign(error, { code: 'EADDRINUSE', syscall: 'listen', port })));
      return this;
    }
    servers.set(port, this);
    this.#port = port;
    this.listening = true;
    if (callback !== undefined) this.once('listening', callback);
    process.nextTick(() => this.emit('listening'));
    return this;
  }

  address() {
    return this.listening ? { address: '127.0.0.1', family: 'IPv4', port: this.#port } : null;
  }

  close(callback = undefined) {
    const wasListening = this.listening;
    if (wasListening) servers.delete(this.#port);
    this.listening = false;
    process.nextTick(() => {
      callback?.(wasListening ? undefined : new ERR_SERVER_NOT_RUNNING());
      if (wasListening) this.emit('close');
    });
    return this;
  }

  closeAllConnections() {}
  closeIdleConnections() {}
  getConnections(callback) {
    process.nextTick(callback, null, 0);
  }
  ref() {
    return this;
  }
  unref() {
    return this;
  }
  setTimeout(ms, callback = undefined) {
    this.timeout = ms;
    if (callback) this.on('timeout', callback);
    return this;
  }

  async [Symbol.asyncDispose]() {
    await new Promise((resolve) => this.close(resolve));
  }

  /** Lets the listeners of `request` answer a request. */
  _handle(request) {
    return new Promise((resolve, reject) => {
      const { pathname, search, protocol } = new URL(request.url);
      const socket = new Socket({ address: request.headers.get('cf-connecting-ip') ?? undefined, encrypted: protocol === 'https:' });
      const message = new IncomingMessage(socket)._take(request.headers, request.body);
      message.method = request.method;
      message.url = pathname + search;
      message.headers.host ??= new URL(request.url).host;
      const response = new ServerResponse(message, resolve);
      request.signal.addEventListener('abort', () => {
        message.aborted = true;
        message.emit('aborted');
        message.destroy();
        response.destroy();
        socket.destroy();
      }, { once: true });
      response.on('error', reject);
      response.once('close', () => {
        if (!response.headersSent) reject(new Error('The response was destroyed before it began.'));
      });
      if (!this.emit('request', message, response)) reject(new Error('The server has no listener for requests.'));
    });
  }
}

module.exports = { Server, ServerResponse, serverOf: (port) => servers.get(port) };
