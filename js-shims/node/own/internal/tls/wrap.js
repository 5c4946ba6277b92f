// `tls`: sockets of `net` whose connection speaks TLS, which the server does. Clients only; certificates are verified always.
'use strict';

const { TCP, constants: { SOCKET } } = internalBinding('tcp_wrap');
const { Buffer } = require('buffer');
const net = require('net');
const { SecureContext, createSecureContext, refuse } = require('internal/tls/common');
const { validateString } = require('internal/validators');
const { unavailable } = require('internal/holm/unavailable');

const NO_PROTOCOLS = new Uint8Array(0);

/** `1f:2e:..`, as OpenSSL shows a digest. */
const fingerprint = (hash, bytes) =>
  require('crypto').createHash(hash).update(bytes).digest('hex').toUpperCase().match(/../g).join(':');

class TLSSocket extends net.Socket {
  #options;
  #name;
  #secured;
  /** The socket whose connection this one has taken over. */
  #wrapped;

  constructor(socket, options = {}) {
    options = { ...options };
    if (options.isServer || options.server) throw unavailable('tls', 'a server', 'the server that runs the worker speaks TLS to its clients');
    if (options.requestCert === undefined) options.requestCert = true;
    refuse(options);
    if (socket && !(socket._handle instanceof TCP)) {
      throw unavailable('tls', 'TLS over a stream', 'the stream has to be a connected socket of `net` or `tls`');
    }
    const { highWaterMark, onread, signal } = options;
    super({
      handle: new TCP(SOCKET),
      allowHalfOpen: socket ? socket.allowHalfOpen : options.allowHalfOpen,
      pauseOnCreate: false,
      manualStart: true,
      highWaterMark, onread: socket ? undefined : onread, signal,
    });
    this.#options = options;
    this._tlsOptions = options;
    this.secureConnecting = true;
    this.encrypted = true;
    this.authorized = false;
    this.authorizationError = null;
    this.alpnProtocol = null;
    this.servername = null;
    this.ssl = this._handle;
    let opened;
    this._handle.wait(new Promise((resolve, reject) => {
      opened = { resolve, reject };
    }));
    this.#secured = { opened, result: undefined };
    this.on('close', () => opened.reject(new Error('The socket was closed.')));
    if (socket) this.#wrap(socket);
  }

  #wrap(socket) {
    this.#wrapped = socket;
    this._parent = socket;
    socket.on('close', () => this.destroy());
    this.on('close', () => socket.destroy());
    if (socket.connecting) {
      this.connecting = true;
      socket.once('connect', () => {
        this.connecting = false;
        this.emit('connect');
        this.emit('ready');
      });
    }
    socket.on('error', (error) => {
      if (this.secureConnecting) this.destroy(error);
    });
  }

  setServername(name) {
    validateString(name, 'name');
    this.#name = name;
  }

  /** The handshake, once there is a connection. */
  async _start() {
    if (this.#wrapped?.connecting) {
      this.#wrapped.once('connect', () => this._start());
      return;
    }
    const handle = this._handle;
    if (handle === null) return;
    const context = this.#options.secureContext ?? createSecureContext(this.#options);
    const offered = {};
    require('tls').convertALPNProtocols(this.#options.ALPNProtocols, offered);
    const name = this.#name || this.#options.host || this.#wrapped?._host || 'localhost';
    try {
      if (this.#wrapped !== undefined) {
        if (this.#wrapped._handle === null) throw new Error('The socket was closed.');
        await handle.adopt(this.#wrapped._handle);
      }
      const [protocol, version, cipher, certificate] =
        await handle.secure(name, offered.ALPNProtocols ?? NO_PROTOCOLS, context.context.roots);
      if (this.destroyed) return;
      if (!context.permits(version)) {
        throw Object.assign(new Error(`The server speaks ${version}, which is not asked for.`), { code: 'ERR_SSL_UNSUPPORTED_PROTOCOL' });
      }
      this.#secured.result = { version, cipher, certificate };
      this.alpnProtocol = protocol ?? false;
      this.authorized = true;
      this.servername = net.isIP(name) ? false : name;
    } catch (error) {
      this.#secured.opened.reject(error);
      this.#fail(error);
      return;
    }
    this.secureConnecting = false;
    this.#secured.opened.resolve();
    process.nextTick(() => {
      if (this.destroyed) return;
      this.emit('secure');
      this.emit('secureConnect');
      if (!this.isPaused()) this.read(0);
    });
  }

  #fail(cause) {
    if (this.destroyed) return;
    let error = cause;
    if (cause.message.includes("certificate is not trusted")) {
      error = new Error('The certificate of the server is not trusted, or not for this name.', { cause });
      error.code = 'CERT_UNTRUSTED';
      this.authorizationError = error.code;
    } else if (cause.message.includes('no certificates could be read')) {
      error = Object.assign(new Error('No certificates could be read from `ca`.', { cause }), { code: 'ERR_OSSL_PEM_NO_START_LINE' });
    } else if (cause.message.includes('protocols to offer')) {
      error = Object.assign(new Error('The list of ALPNProtocols is too long.', { cause }), { code: 'ERR_OUT_OF_RANGE' });
    } else if (cause.message.includes('TLS handshake failed')) {
      error = Object.assign(new Error('The TLS handshake failed.', { cause }), { code: 'EPROTO', syscall: 'connect' });
    }
    this.destroy(error);
  }

  getProtocol() {
    return this.#secured.result?.version ?? null;
  }

  getCipher() {
    const { result } = this.#secured;
    return result && { name: result.cipher, standardName: result.cipher, version: result.version };
  }

  /** Its bytes and digests: nothing reads what is in it. */
  getPeerCertificate() {
    const { result } = this.#secured;
    if (!result) return {};
    const raw = Buffer.from(result.certificate);
    return {
      raw,
      get fingerprint() {
        return fingerprint('sha1', raw);
      },
      get fingerprint256() {
        return fingerprint('sha256', raw);
      },
      get fingerprint512() {
        return fingerprint('sha512', raw);
      },
    };
  }

  getPeerX509Certificate() {
    return undefined;
  }

  getX509Certificate() {
    return undefined;
  }

  getCertificate() {
    return {};
  }

  getEphemeralKeyInfo() {
    return {};
  }

  getSharedSigalgs() {
    return [];
  }

  // Sessions are kept by the server.
  getSession() {
    return undefined;
  }

  getTLSTicket() {
    return undefined;
  }

  getFinished() {
    return undefined;
  }

  getPeerFinished() {
    return undefined;
  }

  isSessionReused() {
    return false;
  }

  setSession() {}
  disableRenegotiation() {}
  enableTrace() {}

  setMaxSendFragment() {
    return false;
  }

  exportKeyingMaterial() {
    throw unavailable('tls', 'exportKeyingMaterial()', 'the keys are the server\'s');
  }

  setKeyCert() {
    throw unavailable('tls', 'setKeyCert()', 'a client has no certificate of its own');
  }

  renegotiate(options, callback) {
    const error = unavailable('tls', 'renegotiate()', 'it is no part of TLS 1.3');
    if (typeof callback === 'function') process.nextTick(callback, error);
    return false;
  }
}

/** `(options, [callback])`, `(port, [host], [options], [callback])`. */
function normalized(args) {
  const [options, callback] = net._normalizeArgs(args);
  const more = typeof args[1] === 'object' && args[1] !== null ? args[1] : args[2];
  return [{ ...options, ...(typeof more === 'object' ? more : undefined) }, callback];
}

function connect(...args) {
  const [options, callback] = normalized(args);
  if (options.checkServerIdentity !== undefined && options.checkServerIdentity !== require('tls').checkServerIdentity) {
    throw unavailable('tls', '`checkServerIdentity`', 'whose certificate it is, is judged by the server');
  }
  if (options.secureContext !== undefined && !(options.secureContext instanceof SecureContext)) {
    throw unavailable('tls', 'a `secureContext` of another kind', 'make it with `tls.createSecureContext()`');
  }
  const socket = new TLSSocket(options.socket, options);
  if (options.servername) socket.setServername(options.servername);
  if (callback) socket.once('secureConnect', callback);
  if (options.socket) {
    socket._start();
  } else {
    if (options.timeout) socket.setTimeout(options.timeout);
    socket.connect(options, () => socket._start());
  }
  return socket;
}

class Server {
  constructor() {
    throw unavailable('tls', 'a server', 'the server that runs the worker speaks TLS to its clients');
  }
}

module.exports = { TLSSocket, Server, createServer: () => new Server(), connect };
