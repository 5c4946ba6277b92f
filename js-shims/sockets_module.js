// The module `cloudflare:sockets`: TCP with and without TLS. Loaded when it is first imported.
//
// A socket is there at once; reading and writing wait for the connection. Connections go where subrequests may go, count as
// one, and live as long as the invocation that made them.

import { core, primordials } from "ext:core/mod.js";
import { closeByteStream } from "ext:holm/blob.js";
import { byteLength, isBufferSource, viewOf } from "ext:holm/bytes.js";
import { finishInterface, streams } from "ext:holm/engine.js";
import { currentOwner, requireOwner } from "ext:holm/owner.js";

const {
  NumberIsInteger,
  ObjectGetOwnPropertyDescriptor,
  Promise,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  RegExpPrototypeExec,
  StringPrototypeEndsWith,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  TypeError,
  Uint8Array,
  uncurryThis,
} = primordials;
const { op_tcp_close, op_tcp_connect, op_tcp_finish, op_tcp_read, op_tcp_start_tls, op_tcp_write } = core.ops;
const {
  createReadableByteStream,
  isReadableStreamLocked,
  readableByteStreamControllerEnqueue,
  readableByteStreamControllerError,
  WritableStream,
  WritableStreamDefaultController,
} = streams;
const isWritableStreamLocked = uncurryThis(ObjectGetOwnPropertyDescriptor(WritableStream.prototype, "locked").get);
const failWriter = uncurryThis(WritableStreamDefaultController.prototype.error);

const kNew = { __proto__: null };
const ignore = () => {};
const ADDRESS = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]/?#@\s]+):([0-9]{1,5})$/;
const HOST = /^[^:[\]/?#@\s]+$/;
const IPV6 = /^[0-9A-Fa-f:.]+$/;
const SMTP = 25;
const NO_PROTOCOLS = new Uint8Array(0);

/** A promise with its ends; nobody has to listen to it. */
class Deferred {
  promise;
  resolve;
  reject;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    PromisePrototypeThen(this.promise, ignore, ignore);
  }
}

/** @type {(socket: Socket, port: number, tls: boolean) => void} */
let begin;

export class Socket {
  #owner = 0;
  #id = 0;
  #host = "";
  #security = "off";
  #allowHalfOpen = false;
  #highWaterMark = undefined;
  #opened = new Deferred();
  #closed = new Deferred();
  #readable;
  #writable;
  #upgraded = false;
  /** `close()` was called, or both directions are over. */
  #over = false;
  #readOver = false;
  #writeOver = false;
  #controller = undefined;
  #writeController = undefined;

  constructor(key = undefined, host = "", security = "off", options = undefined) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    this.#host = host;
    this.#security = security;
    this.#allowHalfOpen = options.allowHalfOpen;
    this.#highWaterMark = options.highWaterMark;
    this.#owner = requireOwner();
    this.#readable = createReadableByteStream(
      (controller) => {
        this.#controller = controller;
      },
      () => this.#pull(),
      () => {
        this.#readOver = true;
        this.#endIfOver();
        return PromiseResolve(undefined);
      },
    );
    this.#writable = new WritableStream({
      __proto__: null,
      start: (controller) => {
        this.#writeController = controller;
      },
      write: (chunk) => this.#write(chunk),
      close: () => this.#finish(),
      abort: () => {
        this.#writeOver = true;
        this.#end(undefined);
      },
    }, { __proto__: null, highWaterMark: this.#highWaterMark ?? 1 });
  }

  static {
    begin = (socket, port, tls) => {
      PromisePrototypeThen(
        op_tcp_connect(socket.#owner, socket.#host, port, tls),
        (connected) => socket.#connected(connected[0], connected[1], connected[2]),
        (error) => socket.#end(error),
      );
    };
  }

  #connected(id, remoteAddress, localAddress) {
    if (this.#over) {
      op_tcp_close(this.#owner, id);
      return;
    }
    this.#id = id;
    this.#opened.resolve({ remoteAddress, localAddress });
  }

  async #pull() {
    await this.#opened.promise;
    let read;
    try {
      read = await op_tcp_read(currentOwner(), this.#id);
    } catch (error) {
      if (this.#upgraded) return;
      this.#end(error);
      throw error;
    }
    if (read === undefined || this.#over || this.#upgraded) return;
    if (read !== null) {
      readableByteStreamControllerEnqueue(this.#controller, read[0]);
      return;
    }
    this.#readOver = true;
    closeByteStream(this.#controller);
    if (this.#allowHalfOpen || this.#writeOver) this.#endIfOver();
    else PromisePrototypeThen(this.#finish(), ignore, ignore);
  }

  async #write(chunk) {
    if (!isBufferSource(chunk)) {
      throw new TypeError("A chunk written to a socket has to be an ArrayBuffer or a view; encode strings with TextEncoder.");
    }
    await this.#opened.promise;
    if (this.#over || this.#writeOver) throw new TypeError("The socket has been closed.");
    const bytes = viewOf(chunk);
    if (byteLength(bytes) === 0) return;
    try {
      await op_tcp_write(currentOwner(), this.#id, bytes);
    } catch (error) {
      this.#end(error);
      throw error;
    }
  }

  async #finish() {
    await this.#opened.promise;
    if (this.#writeOver || this.#over) return;
    this.#writeOver = true;
    try {
      await op_tcp_finish(currentOwner(), this.#id);
    } catch (error) {
      this.#end(error);
      throw error;
    }
    this.#endIfOver();
  }

  #endIfOver() {
    if (this.#readOver && this.#writeOver) this.#end(undefined);
  }

  /** `error`: why, if it is not the script's own wish. */
  #end(error) {
    if (this.#over) return;
    this.#over = true;
    const open = this.#id !== 0;
    if (open) op_tcp_close(this.#owner, this.#id);
    if (error === undefined) {
      if (!open) this.#opened.reject(new TypeError("The socket was closed before it was connected."));
      this.#closed.resolve(undefined);
      if (!this.#readOver) readableByteStreamControllerError(this.#controller, new TypeError("The socket has been closed."));
    } else {
      this.#opened.reject(error);
      this.#closed.reject(error);
      if (!this.#readOver) readableByteStreamControllerError(this.#controller, error);
    }
    if (!this.#writeOver) failWriter(this.#writeController, error ?? new TypeError("The socket has been closed."));
  }

  get readable() {
    return this.#readable;
  }

  get writable() {
    return this.#writable;
  }

  get opened() {
    return this.#opened.promise;
  }

  get closed() {
    return this.#closed.promise;
  }

  get upgraded() {
    return this.#upgraded;
  }

  get secureTransport() {
    return this.#security;
  }

  close() {
    try {
      if (!this.#upgraded) this.#end(undefined);
      return this.#closed.promise;
    } catch (error) {
      return PromiseReject(error);
    }
  }

  /** The same connection, with TLS from here on; this socket is over. */
  startTls(options = undefined) {
    if (this.#security !== "starttls") {
      throw new TypeError(
        this.#security === "on"
          ? "Cannot startTls on a TLS socket."
          : "secureTransport must be set to 'starttls' for startTls to be called.",
      );
    }
    if (this.#upgraded || this.#over) throw new TypeError("The socket has been upgraded or closed.");
    if (isReadableStreamLocked(this.#readable) || isWritableStreamLocked(this.#writable)) {
      throw new TypeError("Release the locks of the socket's readable and writable before startTls().");
    }
    const expected = options === undefined || options === null ? undefined : options.expectedServerHostname;
    const name = expected === undefined || expected === null ? this.#host : `${expected}`;
    const secure = new Socket(kNew, this.#host, "on", { allowHalfOpen: this.#allowHalfOpen, highWaterMark: this.#highWaterMark });
    this.#upgraded = true;
    this.#upgrade(secure, name);
    return secure;
  }

  async #upgrade(secure, name) {
    try {
      await this.#opened.promise;
      const id = this.#id;
      await op_tcp_start_tls(currentOwner(), id, name, NO_PROTOCOLS, "");
      this.#id = 0;
      this.#closed.resolve(undefined);
      secure.#connected(id, "", "");
    } catch (error) {
      this.#closed.reject(error);
      if (this.#id !== 0) op_tcp_close(this.#owner, this.#id);
      secure.#end(error);
    }
  }
}

finishInterface(Socket, ["readable", "writable", "upgraded", "secureTransport"]);

/** Where to: a string `host:port`, or an object. */
function parsed(address) {
  if (typeof address === "object" && address !== null) {
    const { hostname, port } = address;
    const number = +port;
    const host = unbracketed(`${hostname}`);
    if (!NumberIsInteger(number) || number < 1 || number > 65535) {
      throw new TypeError(`The port of the address is not between 1 and 65535: ${port}`);
    }
    if (RegExpPrototypeExec(HOST, host) === null && RegExpPrototypeExec(IPV6, host) === null) {
      throw new TypeError(`The hostname of the address is not valid: ${hostname}`);
    }
    return { host, port: number };
  }
  const text = `${address}`;
  const parts = RegExpPrototypeExec(ADDRESS, text);
  const port = parts === null ? 0 : +parts[2];
  if (port < 1 || port > 65535) {
    throw new TypeError(`Specified address could not be parsed: ${text}. Write it as "host:port".`);
  }
  return { host: unbracketed(parts[1]), port };
}

const unbracketed = (host) =>
  StringPrototypeStartsWith(host, "[") && StringPrototypeEndsWith(host, "]") ? StringPrototypeSlice(host, 1, -1) : host;

function settings(options) {
  if (options === undefined || options === null) return { secureTransport: "off", allowHalfOpen: false, highWaterMark: undefined };
  if (typeof options !== "object") throw new TypeError("Failed to execute 'connect': parameter 2 is not of type 'SocketOptions'.");
  const { secureTransport = "off", allowHalfOpen = false, highWaterMark } = options;
  if (secureTransport !== "off" && secureTransport !== "on" && secureTransport !== "starttls") {
    throw new TypeError(`Unsupported value in secureTransport socket option: ${secureTransport}`);
  }
  return { secureTransport, allowHalfOpen: !!allowHalfOpen, highWaterMark: highWaterMark === undefined ? undefined : +highWaterMark };
}

/** Opens a TCP connection. */
export function connect(address, options = undefined) {
  if (arguments.length < 1) throw new TypeError("Failed to execute 'connect': 1 argument required, but only 0 present.");
  requireOwner();
  const { host, port } = parsed(address);
  const { secureTransport, allowHalfOpen, highWaterMark } = settings(options);
  if (port === SMTP) {
    throw new TypeError("Connections to port 25 are not allowed: mail is not sent from here. Use the port for submission, 587 or 465.");
  }
  const socket = new Socket(kNew, host, secureTransport, { allowHalfOpen, highWaterMark });
  begin(socket, port, secureTransport === "on");
  return socket;
}

const module = { __proto__: null, connect };
export default module;
