// TCP as Node.js's `net` knows it, over the isolate's connections: they go where subrequests may go, count as one, and end
// with their invocation. Also TLS over one, for `tls`.
'use strict';

const { tcp, worker } = internalBinding('holm').natives;
const { owner_symbol } = internalBinding('symbols');
const {
  kArrayBufferOffset, kBytesWritten, kLastWriteWasAsync, kReadBytesOrError, streamBaseState,
} = internalBinding('stream_wrap');
const { UV_EACCES, UV_EBADF, UV_ECANCELED, UV_ECONNREFUSED, UV_ECONNRESET, UV_ENOTSUP, UV_EOF } = internalBinding('uv');
const { Buffer } = require('buffer');
const { ErrnoException } = require('internal/errors');
const { unavailable } = require('internal/holm/unavailable');

/** What is on its way beyond this many bytes keeps the writer waiting. */
const AT_ONCE = 64 << 10;
const OTHER_REQUEST = 'Cannot perform I/O on behalf of a different request: the socket was connected in another one.';
const SOCKET = 0;
const SERVER = 1;

/** What the runtime says of a connection that there is not, as errors of the system. */
const failures = [
  ['destination not allowed', UV_EACCES],
  ['port 25', UV_EACCES],
  ['could not connect', UV_ECONNREFUSED],
];
const codeOf = (error) => failures.find(([text]) => error.message.includes(text))?.[1] ?? UV_ECANCELED;

/** `1.2.3.4:80` or `[::1]:80` as `net` wants it. */
function endpoint(text) {
  const colon = text.lastIndexOf(':');
  const family = text.startsWith('[') ? 'IPv6' : 'IPv4';
  return { address: family === 'IPv6' ? text.slice(1, colon - 1) : text.slice(0, colon), family, port: +text.slice(colon + 1) };
}

class TCP {
  reading = false;
  onread = undefined;
  bytesRead = 0;
  bytesWritten = 0;
  writeQueueSize = 0;
  fd = -1;
  #connection = 0;
  /** The invocation that has the connection. */
  #owner = 0;
  #peer = undefined;
  #local = undefined;
  #closed = false;
  /** Another handle has the connection. */
  #given = false;
  /** `net` wants bytes. */
  #flowing = false;
  /** The operation that brings the next ones. */
  #pull = undefined;
  /** What was read when nobody wanted it: `[bytes]`, or `null` for the end. */
  #held = undefined;
  #userBuffer = undefined;
  /** All that has been asked for in the direction out, in its order. */
  #out = Promise.resolve();
  /** Reading begins after this. */
  #gate = undefined;

  constructor(type) {
    if (type === SERVER) throw unavailable('net', 'a server', 'what comes in is given to `fetch()`');
  }

  // === Connecting ===

  /** By the name: the server looks it up where it judges what may be reached. Answers the address. */
  async open(host, port) {
    const [connection, peer, local] = await tcp.connect(host, port);
    if (this.#closed) {
      tcp.close(connection);
      throw new Error('The socket was closed before it was connected.');
    }
    this.#connection = connection;
    this.#owner = worker.owner();
    this.#peer = endpoint(peer);
    this.#local = endpoint(local);
    return this.#peer.address;
  }

  connect(request, address, port) {
    const complete = (status, cause) => {
      request.oncomplete?.(status, this, request, true, true);
      this.#explain(cause);
    };
    const opening = this.#connection === 0 ? this.open(address, port) : Promise.resolve();
    opening.then(() => process.nextTick(complete, 0), (error) => process.nextTick(complete, codeOf(error), error));
    return 0;
  }

  /** `net` makes errors of codes; what the runtime has said is their cause. */
  #explain(cause) {
    const shown = this[owner_symbol]?.errored;
    if (cause !== undefined && shown && shown !== cause) shown.cause ??= cause;
  }

  connect6(request, address, port) {
    return this.connect(request, address, port);
  }

  /** Gives the connection away, for TLS: nothing of it is in use then. */
  async #detach() {
    await this.#out;
    if (this.#connection === 0) throw new Error('The socket is not connected.');
    await this.#rest();
    const { connection, peer, local } = { connection: this.#connection, peer: this.#peer, local: this.#local };
    this.#connection = 0;
    this.#given = true;
    return { connection, peer, local };
  }

  /** Ends the read that waits. */
  async #rest() {
    this.#flowing = false;
    if (this.#pull === undefined) return;
    tcp.interrupt(this.#connection);
    await this.#pull;
  }

  /** Takes the connection of another handle over. */
  async adopt(other) {
    const { connection, peer, local } = await other.#detach();
    if (this.#closed) {
      tcp.close(connection);
      throw new Error('The socket was closed.');
    }
    this.#connection = connection;
    this.#owner = worker.owner();
    this.#peer = peer;
    this.#local = local;
  }

  /** What is read and written from now on waits for `opening`. */
  wait(opening) {
    this.#gate = opening;
    this.#out = opening;
    // The one who waits says what became of it.
    opening.catch(() => {});
  }

  /** TLS, as a client. */
  secure(name, alpn, roots) {
    return tcp.startTls(this.#connection, name, alpn, roots);
  }

  // === Reading ===

  readStart() {
    this.#flowing = true;
    this.#read();
    return 0;
  }

  readStop() {
    this.#flowing = false;
    return 0;
  }

  useUserBuffer(buffer) {
    this.#userBuffer = buffer;
  }

  #read() {
    if (!this.#flowing || this.#pull !== undefined || this.#closed || this.#given) return;
    const next = this.#gate === undefined ? this.#next() : this.#gate.then(() => this.#next());
    // Callbacks of `net` run as tasks of their own: what they throw is nobody's rejection.
    this.#pull = next.then(
      (read) => {
        this.#pull = undefined;
        if (read !== undefined) process.nextTick(() => this.#arrived(read));
      },
      (error) => {
        this.#pull = undefined;
        process.nextTick(() => {
          this.#emit(UV_ECONNRESET, undefined);
          this.#explain(error);
        });
      },
    );
  }

  async #next() {
    this.#gate = undefined;
    if (this.#held === undefined) return tcp.read(this.#connection);
    const held = this.#held;
    this.#held = undefined;
    return held;
  }

  #arrived(read) {
    if (this.#closed) return;
    if (!this.#flowing) {
      this.#held = read;
      return;
    }
    if (read === null) {
      this.#flowing = false;
      this.#emit(UV_EOF, undefined);
      return;
    }
    try {
      if (this.#userBuffer === undefined) {
        this.bytesRead += read.byteLength;
        this.#emit(read.byteLength, read.buffer);
      } else {
        this.#fill(read);
      }
    } finally {
      // Whatever a listener has thrown.
      this.#read();
    }
  }

  /** Into the buffer that the reader brought, as often as it takes. */
  #fill(bytes) {
    while (bytes.byteLength > 0 && !this.#closed) {
      if (!this.#flowing) {
        this.#held = bytes;
        return;
      }
      const part = bytes.subarray(0, this.#userBuffer.byteLength);
      this.#userBuffer.set(part);
      bytes = bytes.subarray(part.byteLength);
      this.bytesRead += part.byteLength;
      const next = this.#emit(part.byteLength, undefined);
      if (next !== undefined) this.#userBuffer = next;
    }
  }

  #emit(status, buffer) {
    if (this.#closed) return undefined;
    streamBaseState[kReadBytesOrError] = status;
    streamBaseState[kArrayBufferOffset] = 0;
    return this.onread(buffer);
  }

  // === Writing ===

  /**
   * A little is taken at once, as the system does it: a stream that waits for what its request has begun would wait for ever
   * in the next one.
   */
  writeBuffer(request, buffer) {
    if (this.#isOfAnother(request)) return UV_ECONNRESET;
    const size = buffer.byteLength;
    this.bytesWritten += size;
    this.writeQueueSize += size;
    const atOnce = this.writeQueueSize <= AT_ONCE;
    streamBaseState[kBytesWritten] = size;
    streamBaseState[kLastWriteWasAsync] = atOnce ? 0 : 1;
    // The writer may use its buffer again once it is told that this is done.
    const kept = atOnce ? Buffer.from(buffer) : buffer;
    const done = atOnce ? (status) => this.#lost(status, request.error) : (status) => request.oncomplete(status);
    this.#send(request, done, () => {
      const written = tcp.write(this.#connection, kept);
      return written.finally(() => {
        this.writeQueueSize -= size;
      });
    });
    return 0;
  }

  #isOfAnother(request) {
    if (this.#owner === 0 || this.#owner === worker.owner()) return false;
    request.error = OTHER_REQUEST;
    return true;
  }

  /** What was taken at once has not been sent. */
  #lost(status, reason) {
    if (status === 0 || this.#closed) return;
    this[owner_symbol]?.destroy(new ErrnoException(status, 'write', reason));
  }

  #send(request, done, work) {
    this.#out = this.#out.then(() => {
      if (this.#closed || this.#connection === 0) return UV_ECANCELED;
      return work().then(() => 0, (error) => {
        request.error = error.message;
        return this.#closed ? UV_ECANCELED : UV_ECONNRESET;
      });
    }, () => UV_ECANCELED).then((status) => {
      process.nextTick(() => done(status));
    });
  }

  writev(request, chunks, allBuffers) {
    if (allBuffers) return this.writeBuffer(request, Buffer.concat(chunks));
    const buffers = [];
    for (let i = 0; i < chunks.length; i += 2) {
      buffers.push(typeof chunks[i] === 'string' ? Buffer.from(chunks[i], chunks[i + 1]) : chunks[i]);
    }
    return this.writeBuffer(request, Buffer.concat(buffers));
  }

  writeUtf8String(request, text) {
    return this.writeBuffer(request, Buffer.from(text, 'utf8'));
  }

  writeAsciiString(request, text) {
    return this.writeBuffer(request, Buffer.from(text, 'latin1'));
  }

  writeLatin1String(request, text) {
    return this.writeBuffer(request, Buffer.from(text, 'latin1'));
  }

  writeUcs2String(request, text) {
    return this.writeBuffer(request, Buffer.from(text, 'utf16le'));
  }

  shutdown(request) {
    if (this.#isOfAnother(request)) return UV_ECONNRESET;
    this.#send(request, (status) => request.oncomplete(status), () => tcp.finish(this.#connection));
    return 0;
  }

  // === The end ===

  close(callback) {
    if (!this.#closed) {
      this.#closed = true;
      if (this.#connection !== 0) tcp.close(this.#connection);
    }
    // As in Node.js after all that the end of the socket has put off: `error` comes before `close`.
    if (typeof callback === 'function') process.nextTick(() => process.nextTick(() => callback.call(this)));
  }

  reset(callback) {
    this.close(callback);
    return 0;
  }

  // === What can be asked and set ===

  getpeername(out) {
    if (this.#peer === undefined) return UV_EBADF;
    Object.assign(out, this.#peer);
    return 0;
  }

  getsockname(out) {
    if (this.#local === undefined) return UV_EBADF;
    Object.assign(out, this.#local);
    return 0;
  }

  getAsyncId() {
    return 0;
  }

  hasRef() {
    return !this.#closed;
  }

  ref() {}
  unref() {}

  // Each connection has these as the server sets them.
  setNoDelay() {
    return 0;
  }

  setKeepAlive() {
    return 0;
  }

  bind() {
    return UV_ENOTSUP;
  }

  bind6() {
    return UV_ENOTSUP;
  }
}

module.exports = {
  TCP,
  TCPConnectWrap: class TCPConnectWrap {},
  constants: { SOCKET, SERVER, UV_TCP_IPV6ONLY: 1, UV_TCP_REUSEPORT: 2 },
};
