// `EventSource`: server-sent events (WHATWG HTML 9.2) over fetch(), and over any stream with the platform's `EventSource.from`.
//
// It lives as long as the invocation that made it. A connection that ends is made again after the time that the server asked
// for, with `last-event-id`; a stream that was given is not.

import { core, primordials } from "ext:core/mod.js";
import { cancelReader, chunkBytes, nextChunk, streamOf } from "ext:holm/body.js";
import { byteLength, encodeUtf8 } from "ext:holm/bytes.js";
import { DOMException, events, finishInterface, seams, streams, text, url as urls } from "ext:holm/engine.js";
import { toResponse } from "ext:holm/fetch.js";
import { valueIn } from "ext:holm/headers.js";
import { requireOwner } from "ext:holm/owner.js";
import { responseBody, responseList, responseStatus } from "ext:holm/response.js";

const {
  NumberParseInt,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectPrototypeIsPrototypeOf,
  PromisePrototypeThen,
  RegExpPrototypeExec,
  StringFromCharCode,
  StringPrototypeCharCodeAt,
  StringPrototypeIndexOf,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  StringPrototypeToLowerCase,
  TypeError,
  uncurryThis,
} = primordials;
const { op_body_cancel, op_fetch, op_operation_cancel } = core.ops;
const { defineEventHandler, ErrorEvent, Event, EventTarget, MessageEvent, setIsTrusted } = events;
const { acquireReadableStreamDefaultReader, isReadableStreamLocked, ReadableStreamPrototype } = streams;
const { URL, URLPrototype } = urls;
const dispatchEvent = uncurryThis(EventTarget.prototype.dispatchEvent);
const hrefOf = uncurryThis(URLPrototype.toString);
const originOf = uncurryThis(ObjectGetOwnPropertyDescriptor(URLPrototype, "origin").get);
const decode = uncurryThis(text.TextDecoder.prototype.decode);
const { TextDecoder } = text;

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

const RETRY_MS = 2_000;
/** One event may have as much; a line or an event without end is no event stream. */
const MOST_CHARACTERS = 8 * 1024 * 1024;
const DIGITS = /^[0-9]+$/;
const NUL = /\0/;

const kFrom = { __proto__: null };
const ignore = () => {};

function dispatch(target, event) {
  setIsTrusted(event, true);
  dispatchEvent(target, event);
}

/** Lines into events (WHATWG HTML 9.2.6). */
class Parser {
  lastEventId = "";
  retry = RETRY_MS;
  #emit;
  #rest = "";
  #skipsLineFeed = false;
  #data = "";
  #hasData = false;
  #type = "";
  #id = undefined;
  #started = false;

  constructor(emit, lastEventId, retry) {
    this.#emit = emit;
    this.lastEventId = lastEventId;
    this.retry = retry;
  }

  feed(string) {
    if (string === "") return;
    if (!this.#started) {
      this.#started = true;
      if (StringPrototypeCharCodeAt(string, 0) === 0xfeff) string = StringPrototypeSlice(string, 1);
    }
    if (this.#skipsLineFeed && StringPrototypeCharCodeAt(string, 0) === 10) string = StringPrototypeSlice(string, 1);
    this.#skipsLineFeed = false;
    let begin = 0;
    for (let at = 0; at < string.length; at++) {
      const code = StringPrototypeCharCodeAt(string, at);
      if (code !== 10 && code !== 13) continue;
      const line = this.#rest + StringPrototypeSlice(string, begin, at);
      this.#rest = "";
      if (code === 13) {
        if (at + 1 === string.length) this.#skipsLineFeed = true;
        else if (StringPrototypeCharCodeAt(string, at + 1) === 10) at++;
      }
      begin = at + 1;
      this.#line(line);
    }
    this.#rest += StringPrototypeSlice(string, begin);
    if (this.#rest.length + this.#data.length > MOST_CHARACTERS) throw new TypeError("An event of the stream is too large.");
  }

  #line(line) {
    if (line === "") {
      this.#dispatch();
      return;
    }
    const colon = StringPrototypeIndexOf(line, ":");
    if (colon === 0) return;
    const field = colon === -1 ? line : StringPrototypeSlice(line, 0, colon);
    let value = colon === -1 ? "" : StringPrototypeSlice(line, colon + 1);
    if (StringPrototypeCharCodeAt(value, 0) === 32) value = StringPrototypeSlice(value, 1);
    if (field === "data") {
      this.#data += this.#hasData ? `\n${value}` : value;
      this.#hasData = true;
    } else if (field === "event") {
      this.#type = value;
    } else if (field === "id") {
      if (RegExpPrototypeExec(NUL, value) === null) this.#id = value;
    } else if (field === "retry" && RegExpPrototypeExec(DIGITS, value) !== null) {
      this.retry = NumberParseInt(value, 10);
    }
  }

  #dispatch() {
    if (this.#id !== undefined) this.lastEventId = this.#id;
    const data = this.#data;
    const type = this.#type === "" ? "message" : this.#type;
    const has = this.#hasData;
    this.#data = "";
    this.#type = "";
    this.#hasData = false;
    if (has) this.#emit(type, data, this.lastEventId);
  }
}

export class EventSource extends EventTarget {
  #url = "";
  #origin = "";
  #state = CONNECTING;
  #withCredentials = false;
  #reconnects = true;
  #lastEventId = "";
  #retry = RETRY_MS;
  #operation = 0;
  #reader = undefined;
  #timer = 0;

  constructor(url, init = undefined) {
    super();
    if (url === kFrom) {
      this.#reconnects = false;
      return;
    }
    if (arguments.length < 1) {
      throw new TypeError("Failed to construct 'EventSource': 1 argument required, but only 0 present.");
    }
    let parsed;
    try {
      parsed = new URL(`${url}`);
    } catch {
      throw new DOMException(`Cannot open an EventSource to '${url}'. The URL is invalid.`, "SyntaxError");
    }
    this.#url = hrefOf(parsed);
    if (!StringPrototypeStartsWith(this.#url, "http:") && !StringPrototypeStartsWith(this.#url, "https:")) {
      throw new DOMException(`Cannot open an EventSource to '${url}'. The scheme has to be http or https.`, "SyntaxError");
    }
    if (init !== undefined && init !== null && init.withCredentials) {
      throw new DOMException("The init.withCredentials option is not supported. It must be false or undefined.", "NotSupportedError");
    }
    this.#origin = originOf(parsed);
    requireOwner();
    this.#connect();
  }

  /** Events of a stream that is here: of a response's body, say. */
  static from(stream) {
    if (!ObjectPrototypeIsPrototypeOf(ReadableStreamPrototype, stream)) {
      throw new TypeError("Failed to execute 'from' on 'EventSource': parameter 1 is not of type 'ReadableStream'.");
    }
    requireOwner();
    if (isReadableStreamLocked(stream)) throw new TypeError("This ReadableStream is currently locked to a reader.");
    const source = new EventSource(kFrom);
    const reader = acquireReadableStreamDefaultReader(stream);
    source.#reader = reader;
    source.#state = OPEN;
    source.#read(reader);
    return source;
  }

  #connect() {
    let headers = "accept\0text/event-stream\0cache-control\0no-cache";
    if (this.#lastEventId !== "") headers += `\0last-event-id\0${asBytes(this.#lastEventId)}`;
    let begun;
    try {
      begun = op_fetch(requireOwner(), "GET", this.#url, headers, null, 0, 0);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#operation = begun[0];
    PromisePrototypeThen(begun[1], (head) => this.#answered(toResponse(head)), (error) => this.#lost(error));
  }

  #answered(response) {
    this.#operation = 0;
    const body = responseBody(response);
    if (this.#state === CLOSED) {
      if (body !== null && body.source !== 0) op_body_cancel(0, body.source);
      return;
    }
    const type = valueIn(responseList(response), "content-type");
    if (responseStatus(response) !== 200 || type === null || !isEventStream(type)) {
      if (body !== null && body.source !== 0) op_body_cancel(0, body.source);
      this.#fail(
        responseStatus(response) === 200
          ? new TypeError(`The content type of the answer is not text/event-stream, but ${type}.`)
          : new TypeError(`The server answered with status ${responseStatus(response)}.`),
      );
      return;
    }
    this.#state = OPEN;
    dispatch(this, new Event("open"));
    if (this.#state === CLOSED) return;
    if (body === null) {
      this.#lost(undefined);
      return;
    }
    this.#reader = acquireReadableStreamDefaultReader(streamOf(body));
    this.#read(this.#reader);
  }

  async #read(reader) {
    const decoder = new TextDecoder();
    const parser = new Parser((type, data, lastEventId) => {
      if (this.#state === CLOSED) return;
      this.#lastEventId = lastEventId;
      dispatch(this, new MessageEvent(type, { __proto__: null, data, lastEventId, origin: this.#origin }));
    }, this.#lastEventId, this.#retry);
    try {
      for (;;) {
        const read = await nextChunk(reader);
        if (this.#state === CLOSED) return;
        if (read === null) break;
        parser.feed(decode(decoder, chunkBytes(read.chunk), { __proto__: null, stream: true }));
        this.#retry = parser.retry;
      }
      this.#lost(undefined);
    } catch (error) {
      if (this.#state === CLOSED) return;
      PromisePrototypeThen(cancelReader(reader, error), ignore, ignore);
      this.#lost(error);
    }
  }

  /** The connection is gone; another one is made, where that is possible. */
  #lost(error) {
    this.#operation = 0;
    this.#reader = undefined;
    if (this.#state === CLOSED) return;
    if (!this.#reconnects) {
      this.#fail(error);
      return;
    }
    this.#state = CONNECTING;
    dispatch(this, errorEvent(error));
    if (this.#state === CLOSED) return;
    this.#timer = seams.startTimer(() => {
      this.#timer = 0;
      if (this.#state === CONNECTING) this.#connect();
    }, this.#retry, false);
  }

  #fail(error) {
    this.#state = CLOSED;
    dispatch(this, errorEvent(error));
  }

  close() {
    if (this.#state === CLOSED) return;
    this.#state = CLOSED;
    if (this.#operation !== 0) op_operation_cancel(this.#operation);
    if (this.#timer !== 0) seams.cancelTimer(this.#timer);
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader !== undefined) PromisePrototypeThen(cancelReader(reader, undefined), ignore, ignore);
  }

  get url() {
    return this.#url;
  }

  get withCredentials() {
    return this.#withCredentials;
  }

  get readyState() {
    return this.#state;
  }
}

finishInterface(EventSource, ["url", "readyState", "withCredentials"]);
defineEventHandler(EventSource.prototype, "open");
defineEventHandler(EventSource.prototype, "message");
defineEventHandler(EventSource.prototype, "error");

const STATES = ["CONNECTING", "OPEN", "CLOSED"];
for (let i = 0; i < STATES.length; i++) {
  const constant = { __proto__: null, value: i, writable: false, enumerable: true, configurable: false };
  ObjectDefineProperty(EventSource, STATES[i], constant);
  ObjectDefineProperty(EventSource.prototype, STATES[i], constant);
}

const errorEvent = (error) =>
  error === undefined ? new Event("error") : new ErrorEvent("error", { __proto__: null, error, message: messageOf(error) });

function messageOf(error) {
  try {
    return `${error.message}`;
  } catch {
    return "The event stream failed.";
  }
}

function isEventStream(type) {
  const semicolon = StringPrototypeIndexOf(type, ";");
  const essence = StringPrototypeToLowerCase(semicolon === -1 ? type : StringPrototypeSlice(type, 0, semicolon));
  return RegExpPrototypeExec(EVENT_STREAM, essence) !== null;
}

const EVENT_STREAM = /^[\t ]*text\/event-stream[\t ]*$/;

/** UTF-8, as a string of bytes for a header. */
function asBytes(string) {
  const bytes = encodeUtf8(string);
  let result = "";
  for (let i = 0; i < byteLength(bytes); i++) result += StringFromCharCode(bytes[i]);
  return result;
}
