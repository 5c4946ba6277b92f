// `WebSocket` and `WebSocketPair`: the ends that a script holds.
//
// An end is a number; messages move in Rust (runtime/isolate/socket). Once it was accepted, `listen` takes one message after
// the other and dispatches it in the context in which it was accepted. A pair's ends are alike; one of them may move into an
// answer, and is the client's from then on. Used by response.js and fetch.js, once a script has touched it.

import { core, primordials } from "ext:core/mod.js";
import { blobBytes, isBlob, newBlob } from "ext:holm/blob.js";
import { byteLength, encodeUtf8, isBufferSource, viewOf } from "ext:holm/bytes.js";
import { DOMException, events, finishInterface, url as urls, webidl } from "ext:holm/engine.js";
import { toResponse } from "ext:holm/fetch.js";
import { currentOwner, requireOwner } from "ext:holm/owner.js";
import { webSockets } from "ext:holm/response.js";

const {
  ArrayPrototypeIncludes,
  ArrayPrototypeJoin,
  ArrayPrototypeSymbolIterator,
  JSONParse,
  ObjectDefineProperty,
  PromisePrototypeThen,
  RegExpPrototypeExec,
  StringPrototypeIncludes,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  StringPrototypeToWellFormed,
  SymbolIterator,
  TypedArrayPrototypeGetBuffer,
  TypeError,
  uncurryThis,
} = primordials;
const {
  op_fetch,
  op_socket_accept,
  op_socket_close,
  op_socket_over,
  op_socket_pair,
  op_socket_receive,
  op_socket_send,
} = core.ops;
const { defineEventHandler, CloseEvent, ErrorEvent, Event, EventTarget, MessageEvent, setIsTrusted } = events;
const { URL, URLPrototype } = urls;
const hrefOf = uncurryThis(URLPrototype.toString);
const dispatchEvent = uncurryThis(EventTarget.prototype.dispatchEvent);

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

// What op_socket_receive answers first.
const TEXT = 1;
const BINARY = 2;
const CLOSE = 3;

const NO_CODE = 1005;
const REASON_BYTES = 123;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const kNew = { __proto__: null };
const flags = JSONParse(core.ops.op_settings()).flags ?? {};
const BINARY_TYPE = flags.websocket_standard_binary_type === true ? "blob" : "arraybuffer";
const REPLIES_TO_CLOSE = flags.web_socket_auto_reply_to_close === true;

function dispatch(target, event) {
  setIsTrusted(event, true);
  dispatchEvent(target, event);
}

/** @type {(value: any) => boolean} */
let isWebSocket;
/** @type {(socket: WebSocket) => number} the end's number, for an answer; throws where it cannot be one */
let answerWith;
let onMessage;
let onClose;
let onBroken;
let endOf;
/** @type {(id: number, protocol: string) => WebSocket} */
let newSocket;

class WebSocket extends EventTarget {
  #id = 0;
  #owner = 0;
  #state = CONNECTING;
  /** `true`: it went out with an answer. */
  #moved = false;
  #accepted = false;
  #halfOpen = false;
  #closedHere = false;
  #closedThere = false;
  #binaryType = BINARY_TYPE;
  #url = null;
  #protocol = "";

  constructor(url, protocols = undefined) {
    super();
    if (url === kNew) return;
    if (arguments.length < 1) {
      throw new TypeError("Failed to construct 'WebSocket': 1 argument required, but only 0 present.");
    }
    const { href, target } = targetOf(url);
    const offered = protocolList(protocols);
    this.#url = href;
    this.#owner = requireOwner();
    let headers = "upgrade\0websocket";
    if (offered.length > 0) headers += `\0sec-websocket-protocol\0${ArrayPrototypeJoin(offered, ", ")}`;
    const begun = op_fetch(this.#owner, "GET", target, headers, null, 1, 0);
    PromisePrototypeThen(begun[1], (head) => this.#connected(head, offered), (error) => this.#failed(error));
  }

  /** The answer to a handshake that the constructor began. */
  #connected(head, offered) {
    const socket = webSockets.heldBy(toResponse(head));
    if (socket === null) {
      this.#failed(
        new TypeError(
          `Failed to establish the WebSocket connection: expected server to reply with HTTP status code 101 (switching protocols), but received ${head[0]} instead.`,
        ),
      );
      return;
    }
    this.#id = socket.#id;
    if (this.#state === CLOSING) {
      op_socket_close(this.#owner, this.#id, NO_CODE, "");
      this.#failed(new TypeError("WebSocket was closed before the connection was established."));
      return;
    }
    if (socket.#protocol !== "" && !ArrayPrototypeIncludes(offered, socket.#protocol)) {
      op_socket_close(this.#owner, this.#id, 1002, "");
      this.#failed(new TypeError("Failed to establish the WebSocket connection: the server chose a protocol that was not offered."));
      return;
    }
    this.#protocol = socket.#protocol;
    this.#halfOpen = !REPLIES_TO_CLOSE;
    this.#state = OPEN;
    this.#accepted = true;
    op_socket_accept(this.#owner, this.#id);
    dispatch(this, new Event("open"));
    listen(this);
  }

  #failed(error) {
    this.#state = CLOSED;
    dispatch(this, new ErrorEvent("error", { __proto__: null, error, message: messageOf(error) }));
    dispatch(this, new CloseEvent("close", { __proto__: null, code: 1006, reason: "", wasClean: false }));
  }

  static {
    isWebSocket = (value) => typeof value === "object" && value !== null && #closedThere in value;

    answerWith = (socket) => {
      if (socket.#accepted) {
        throw new TypeError("Can't return WebSocket in a Response after calling accept().");
      }
      if (socket.#moved || socket.#id === 0) {
        throw new TypeError("Can't return WebSocket that was already used in a response.");
      }
      socket.#moved = true;
      return socket.#id;
    };

    newSocket = (id, protocol) => {
      const socket = new WebSocket(kNew);
      socket.#id = id;
      socket.#owner = currentOwner();
      socket.#state = OPEN;
      socket.#protocol = protocol;
      return socket;
    };
  }

  /** Takes messages from now on. Those that came before are dispatched first. */
  accept(options = undefined) {
    const halfOpen = options === undefined || options === null ? undefined : options.allowHalfOpen;
    if (this.#moved) throw new TypeError("Can't accept() WebSocket that was already used in a response.");
    if (this.#id === 0) throw new TypeError("Can't accept() WebSocket that was created by its constructor; it accepts by itself.");
    if (this.#accepted) return;
    op_socket_accept(currentOwner(), this.#id);
    this.#accepted = true;
    this.#halfOpen = halfOpen === undefined ? !REPLIES_TO_CLOSE : !!halfOpen;
    listen(this);
  }

  send(message) {
    if (arguments.length < 1) {
      throw new TypeError("Failed to execute 'send' on 'WebSocket': 1 argument required, but only 0 present.");
    }
    if (this.#state === CONNECTING) {
      throw new DOMException("Failed to execute 'send' on 'WebSocket': Still in CONNECTING state.", "InvalidStateError");
    }
    if (!this.#accepted) throw new TypeError("You must call accept() on this WebSocket before sending messages.");
    if (this.#closedHere) throw new TypeError("Can't call WebSocket send() after close().");
    if (this.#state === CLOSED) return;
    const data = isBufferSource(message) ? viewOf(message) : isBlob(message) ? blobBytes(message) : `${message}`;
    op_socket_send(currentOwner(), this.#id, data);
  }

  close(code = undefined, reason = undefined) {
    let status = NO_CODE;
    if (code !== undefined) {
      status = +code >>> 0;
      if (!(status === 1000 || (status >= 1001 && status <= 1014 && status !== 1004 && status !== 1005 && status !== 1006) ||
        (status >= 3000 && status <= 4999))) {
        throw new DOMException(`Invalid WebSocket close code: ${status}.`, "InvalidAccessError");
      }
    }
    let text = "";
    if (reason !== undefined) {
      text = StringPrototypeToWellFormed(`${reason}`);
      if (code === undefined) throw new TypeError("If you specify a WebSocket close reason, you must also specify a code.");
      if (byteLength(encodeUtf8(text)) > REASON_BYTES) {
        throw new DOMException(`WebSocket close reason must not be longer than ${REASON_BYTES} bytes.`, "SyntaxError");
      }
    }
    if (this.#state === CONNECTING) {
      this.#state = CLOSING;
      return;
    }
    if (!this.#accepted) throw new TypeError("You must call accept() on this WebSocket before sending messages.");
    if (this.#closedHere || this.#state === CLOSED) return;
    this.#reply(status, text);
  }

  #reply(code, reason) {
    op_socket_close(currentOwner(), this.#id, code, reason);
    this.#closedHere = true;
    this.#state = this.#closedThere ? CLOSED : CLOSING;
  }

  static {
    onMessage = (socket, kind, data) => {
      if (kind === BINARY) {
        data = socket.#binaryType === "blob" ? newBlob([data], byteLength(data), "") : TypedArrayPrototypeGetBuffer(data);
      }
      dispatch(socket, new MessageEvent("message", { __proto__: null, data, origin: socket.#url ?? "" }));
    };

    onClose = (socket, code, reason) => {
      socket.#closedThere = true;
      if (socket.#closedHere) socket.#state = CLOSED;
      else if (socket.#halfOpen) socket.#state = CLOSING;
      else socket.#reply(code, reason);
      dispatch(socket, new CloseEvent("close", { __proto__: null, code, reason, wasClean: true }));
    };

    onBroken = (socket, message) => {
      const over = socket.#closedThere;
      socket.#state = CLOSED;
      if (over) return;
      const error = new TypeError(message);
      dispatch(socket, new ErrorEvent("error", { __proto__: null, error, message }));
      dispatch(socket, new CloseEvent("close", { __proto__: null, code: 1006, reason: message, wasClean: false }));
    };

    endOf = (socket) => ({ __proto__: null, owner: socket.#owner, id: socket.#id });
  }

  get readyState() {
    return this.#state;
  }

  get url() {
    return this.#url;
  }

  get protocol() {
    return this.#protocol;
  }

  get extensions() {
    void this.#state;
    return "";
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(type) {
    type = `${type}`;
    if (type === "blob" || type === "arraybuffer") this.#binaryType = type;
    else throw new DOMException(`'${type}' is not a valid value for binaryType; use "blob" or "arraybuffer".`, "SyntaxError");
  }
}

finishInterface(WebSocket, ["readyState", "url", "protocol", "extensions", "binaryType"]);
defineEventHandler(WebSocket.prototype, "open");
defineEventHandler(WebSocket.prototype, "message");
defineEventHandler(WebSocket.prototype, "close");
defineEventHandler(WebSocket.prototype, "error");

const STATES = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];
for (let i = 0; i < STATES.length; i++) {
  const constant = { __proto__: null, value: i, writable: false, enumerable: true, configurable: false };
  ObjectDefineProperty(WebSocket, STATES[i], constant);
  ObjectDefineProperty(WebSocket.prototype, STATES[i], constant);
  ObjectDefineProperty(WebSocket, `READY_STATE_${STATES[i]}`, constant);
  ObjectDefineProperty(WebSocket.prototype, `READY_STATE_${STATES[i]}`, constant);
}

/** Dispatches what comes, until nothing more can. */
async function listen(socket) {
  const { owner, id } = endOf(socket);
  for (;;) {
    const message = await op_socket_receive(owner, id);
    if (message === null) {
      onBroken(socket, "WebSocket disconnected prematurely without sending a close frame.");
      break;
    }
    const kind = message[0];
    if (kind === TEXT || kind === BINARY) {
      onMessage(socket, kind, message[1]);
    } else if (kind === CLOSE) {
      onClose(socket, message[1], message[2]);
      break;
    } else {
      onBroken(socket, message[1]);
      break;
    }
  }
  op_socket_over(owner, id);
}

/** The URL of a WebSocket, and where its handshake is sent to. */
function targetOf(url) {
  let href;
  try {
    href = hrefOf(new URL(`${url}`));
  } catch {
    throw new DOMException(`WebSocket Constructor: The url is invalid: ${url}`, "SyntaxError");
  }
  if (StringPrototypeStartsWith(href, "http:") || StringPrototypeStartsWith(href, "https:")) {
    href = `ws${StringPrototypeSlice(href, 4)}`;
  }
  if (!StringPrototypeStartsWith(href, "ws:") && !StringPrototypeStartsWith(href, "wss:")) {
    throw new DOMException("WebSocket Constructor: The url scheme must be ws, wss, http or https.", "SyntaxError");
  }
  if (StringPrototypeIncludes(href, "#")) {
    throw new DOMException("WebSocket Constructor: The url fragment must be empty.", "SyntaxError");
  }
  return { href, target: `http${StringPrototypeSlice(href, 2)}` };
}

function protocolList(protocols) {
  if (protocols === undefined) return [];
  const list = typeof protocols === "object" && protocols !== null
    ? webidl.converters["sequence<DOMString>"](protocols, "Failed to construct 'WebSocket'", "Argument 2")
    : [`${protocols}`];
  const seen = { __proto__: null };
  for (let i = 0; i < list.length; i++) {
    if (RegExpPrototypeExec(TOKEN, list[i]) === null || seen[list[i]] === true) {
      throw new DOMException(`WebSocket Constructor: The protocol ${list[i]} is no token, or there twice.`, "SyntaxError");
    }
    seen[list[i]] = true;
  }
  return list;
}

function messageOf(error) {
  try {
    return `${error.message}`;
  } catch {
    return "The WebSocket connection failed.";
  }
}

/** Two ends that talk to each other. */
export class WebSocketPair {
  constructor() {
    const ids = op_socket_pair(requireOwner());
    for (let i = 0; i < 2; i++) {
      ObjectDefineProperty(this, i, {
        __proto__: null,
        value: newSocket(ids[i], ""),
        writable: false,
        enumerable: true,
        configurable: true,
      });
    }
  }

  [SymbolIterator]() {
    return ArrayPrototypeSymbolIterator([this[0], this[1]]);
  }
}

finishInterface(WebSocketPair);

webSockets.isOne = isWebSocket;
webSockets.answerWith = answerWith;

export { newSocket, WebSocket };
