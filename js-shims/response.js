// `Response`, WHATWG Fetch §5.5, with the platform's `cf`, `webSocket` and `encodeBody`, and how one is answered with.
//
// The hot path: a handler's `new Response("text", { headers })` keeps a header list (one string) and a body record; no
// Headers object and no stream exist until somebody looks. `respond` hands them to Rust in one op.
// Used by fetch.js (answers of subrequests) and entry.js (answers of handlers).

import { core, primordials } from "ext:core/mod.js";
import {
  Body,
  chunkBytes,
  cloneBody,
  extractBody,
  HANDLE,
  impliedType,
  isEmptyBody,
  mixinBody,
  pumpAnswer,
  streamOf,
  takeBody,
  TEXT,
} from "ext:holm/body.js";
import { byteLength } from "ext:holm/bytes.js";
import { finishInterface, load, streams, url as urls } from "ext:holm/engine.js";
import { promisedLength } from "ext:holm/identity_streams.js";
import { ownOptions, responseOptionsAreClean } from "ext:holm/options.js";
import { headerList, headerListFrom, IMMUTABLE, MUTABLE, newHeaders, valueIn, withHeader, withoutHeader } from "ext:holm/headers.js";

const {
  JSONStringify,
  NumberIsInteger,
  ObjectPrototypeIsPrototypeOf,
  PromisePrototypeThen,
  RangeError,
  RegExpPrototypeExec,
  TypeError,
  uncurryThis,
} = primordials;
const {
  op_body_abort,
  op_body_cancel,
  op_body_open,
  op_compression_finish,
  op_compression_new,
  op_compression_write,
  op_fail,
  op_respond,
  op_respond_socket,
} = core.ops;
const { ReadableStream, readableStreamCancel, TransformStream, TransformStreamDefaultController } = streams;
const enqueue = uncurryThis(TransformStreamDefaultController.prototype.enqueue);
const pipeThrough = uncurryThis(ReadableStream.prototype.pipeThrough);
const { URL, URLPrototype } = urls;
const hrefOf = uncurryThis(URLPrototype.toString);

const STREAM_FAILED = 4;

const NOT_A_REASON = /[^\t\x20-\x7e\x80-\xff]/;
const CONTENT_TYPE = "content-type";
const OPTIONS = ["status", "statusText", "headers", "cf", "encodeBody", "webSocket"];
const isNullBodyStatus = (status) => status === 204 || status === 205 || status === 304 || status === 101;
const isRedirectStatus = (status) =>
  status === 301 || status === 302 || status === 303 || status === 307 || status === 308;

const ignore = () => {};
const kNew = { __proto__: null };

/** Filled by websocket.js: before it is loaded, nothing is a WebSocket. */
export const webSockets = {
  __proto__: null,
  /** @type {(value: any) => boolean} */
  isOne: () => false,
  /** @type {(socket: object) => number} its number, for the answer; throws where it cannot go there */
  answerWith: undefined,
  /** @type {(response: Response, socket: object) => void} */
  give: undefined,
  /** @type {(response: Response) => object | null} */
  heldBy: undefined,
};

/** What only few responses have. */
class Rare {
  url = "";
  redirected = false;
  type = "default";
  guard = MUTABLE;
  cf = undefined;
  encodeBody = "automatic";
  webSocket = null;
}

/** @type {(value: any) => boolean} */
let isResponse;
/** @type {(owner: number, response: Response) => void} throws what makes the response unusable */
let respond;
/** @type {(status: number, statusText: string, url: string, redirected: boolean, headers: string, handle: number) => Response} */
let fetchedResponse;
/** @type {(response: Response) => Body | null} */
let responseBody;
/** @type {(response: Response) => string} */
let responseList;
/** @type {(response: Response) => number} */
let responseStatus;
/** @type {(original: Response, body: Body) => Response} the same head with another body, whose length is not known */
let responseWith;

/** What encodes a body; `undefined` for a coding that is not known. */
function encoderOf(coding) {
  if (coding === "br") return brotliStream();
  const format = coding === "gzip" || coding === "x-gzip" ? "gzip" : coding;
  if (format !== "gzip" && format !== "deflate") return undefined;
  const { CompressionStream } = load("ext:deno_web/14_compression.js");
  return new CompressionStream(format);
}

/** As deno_web's CompressionStream, which does not offer it. */
function brotliStream() {
  const coder = op_compression_new("br", false);
  const pass = (controller, output) => {
    if (output !== undefined && byteLength(output) !== 0) enqueue(controller, output);
  };
  return new TransformStream({
    __proto__: null,
    transform: (chunk, controller) => pass(controller, op_compression_write(coder, chunkBytes(chunk))),
    flush: (controller) => pass(controller, op_compression_finish(coder, true)),
    cancel: () => {
      op_compression_finish(coder, false);
    },
  });
}

export class Response {
  #status = 200;
  #statusText = "";
  /** The header list while nobody has looked at `headers`. */
  #list = "";
  #headers = undefined;
  /** @type {Body | null} */
  #body = null;
  /** @type {Rare | undefined} */
  #rare = undefined;

  constructor(body = null, init = undefined) {
    if (body === kNew) return;
    if (init !== undefined && init !== null) this.#initialize(init);
    if (body !== null) this.#setBody(extractBody(body), impliedType);
  }

  #initialize(init) {
    if (isResponse(init)) {
      this.#status = init.#status;
      this.#statusText = init.#statusText;
      this.#list = init.#headerList();
      if (init.#rare?.cf !== undefined) this.#ensureRare().cf = init.#rare.cf;
      if (init.#status === 0) this.#status = 200;
      if (init.#rare !== undefined && init.#rare.webSocket !== null) this.#ensureRare().webSocket = init.#rare.webSocket;
      return;
    }
    if (typeof init !== "object" && typeof init !== "function") {
      throw new TypeError("Failed to construct 'Response': parameter 2 is not of type 'ResponseInit'.");
    }
    const { status, statusText, headers, cf, encodeBody, webSocket } = responseOptionsAreClean()
      ? init
      : ownOptions(init, OPTIONS);
    if (webSocket !== undefined && webSocket !== null) {
      if (!webSockets.isOne(webSocket)) {
        throw new TypeError("Failed to construct 'Response': member webSocket is not of type 'WebSocket'.");
      }
      if (status !== 101) throw new RangeError("Responses with a WebSocket must have status code 101.");
      this.#status = 101;
      this.#ensureRare().webSocket = webSocket;
    } else if (status !== undefined) {
      this.#status = checkedStatus(status);
    }
    if (statusText !== undefined) this.#statusText = checkedReason(statusText);
    if (headers !== undefined) this.#list = headerListFrom(headers);
    if (cf !== undefined && cf !== null) this.#ensureRare().cf = cf;
    if (encodeBody !== undefined) {
      if (encodeBody !== "automatic" && encodeBody !== "manual") {
        throw new TypeError(`encodeBody: unexpected value: ${encodeBody}`);
      }
      if (encodeBody === "manual") this.#ensureRare().encodeBody = encodeBody;
    }
  }

  #setBody(body, type) {
    if (isNullBodyStatus(this.#status)) {
      // An empty body is what frameworks pass for "none"; the platform tolerates it.
      if (isEmptyBody(body)) return;
      throw new TypeError("Response with null body status (101, 204, 205, or 304) cannot have a body.");
    }
    this.#body = body;
    if (type !== "") {
      const list = this.#list;
      if (list === "") this.#list = `${CONTENT_TYPE}\0${type}`;
      else if (valueIn(list, CONTENT_TYPE) === null) this.#list = withHeader(list, CONTENT_TYPE, type);
    }
  }

  #ensureRare() {
    return this.#rare ??= new Rare();
  }

  #headerList() {
    return this.#headers === undefined ? this.#list : headerList(this.#headers);
  }

  static {
    isResponse = (value) => typeof value === "object" && value !== null && #status in value;

    respond = (owner, response) => {
      const status = response.#status;
      if (status === 0) throw new TypeError("Response.error() cannot be sent as an answer.");
      const list = response.#headerList();
      const body = response.#body;
      if (response.#rare !== undefined && response.#rare.webSocket !== null) {
        op_respond_socket(owner, list, webSockets.answerWith(response.#rare.webSocket));
        return;
      }
      const coding = body === null || list === "" ? null : valueIn(list, "content-encoding");
      if (coding !== null && (response.#rare === undefined || response.#rare.encodeBody === "automatic")) {
        respondCoded(owner, response, list, coding);
        return;
      }
      if (body === null) {
        op_respond(owner, status, response.#statusText, list, null);
        return;
      }
      const data = takeBody(body);
      if (data !== undefined) {
        op_respond(owner, status, response.#statusText, list, data);
        return;
      }
      const handle = op_body_open(owner, streamLength(body, list));
      try {
        op_respond(owner, status, response.#statusText, list, handle);
      } catch (error) {
        op_body_abort(handle, "The answer could not be sent.");
        PromisePrototypeThen(readableStreamCancel(body.stream, error), ignore, ignore);
        throw error;
      }
      pumpAnswer(owner, body, handle, (error) => op_fail(owner, STREAM_FAILED, error));
    };

    /** The platform encodes what a script says is encoded, unless it has done so itself (`encodeBody: "manual"`). */
    const respondCoded = (owner, response, list, coding) => {
      const coded = new Response(kNew);
      coded.#status = response.#status;
      coded.#statusText = response.#statusText;
      coded.#ensureRare().encodeBody = "manual";
      const body = response.#body;
      const encoder = encoderOf(coding);
      if (encoder === undefined) {
        // A coding of the script's own.
        coded.#list = list;
        coded.#body = body;
      } else {
        coded.#list = withoutHeader(list, "content-length");
        coded.#body = extractBody(pipeThrough(streamOf(body), encoder));
      }
      respond(owner, coded);
    };

    fetchedResponse = (status, statusText, url, redirected, headers, handle) => {
      const response = new Response(kNew);
      response.#status = status;
      response.#statusText = statusText;
      response.#list = headers;
      const rare = response.#ensureRare();
      rare.guard = IMMUTABLE;
      rare.url = url;
      rare.redirected = redirected;
      if (handle !== 0) {
        // `new Response(upstream.body, upstream)` has to work for a 304, too.
        if (isNullBodyStatus(status)) op_body_cancel(0, handle);
        else response.#body = new Body(HANDLE, handle);
      }
      return response;
    };

    responseBody = (response) => response.#body;

    webSockets.give = (response, socket) => {
      response.#ensureRare().webSocket = socket;
    };
    webSockets.heldBy = (response) => response.#rare === undefined ? null : response.#rare.webSocket;

    responseList = (response) => response.#headerList();

    responseStatus = (response) => response.#status;

    responseWith = (original, body) => {
      const response = new Response(null, original);
      response.#list = withoutHeader(response.#list, "content-length");
      response.#body = body;
      return response;
    };
  }

  static error() {
    const response = new Response(kNew);
    response.#status = 0;
    const rare = response.#ensureRare();
    rare.type = "error";
    rare.guard = IMMUTABLE;
    return response;
  }

  static redirect(url, status = 302) {
    if (arguments.length < 1) {
      throw new TypeError("Failed to execute 'redirect' on 'Response': 1 argument required, but only 0 present.");
    }
    const location = parseUrl(url);
    status = +status;
    if (!isRedirectStatus(status)) throw new RangeError(`Invalid redirect status code: ${status}`);
    const response = new Response(kNew);
    response.#status = status;
    response.#list = `location\0${location}`;
    response.#ensureRare().guard = IMMUTABLE;
    return response;
  }

  static json(data, init = undefined) {
    if (arguments.length < 1) {
      throw new TypeError("Failed to execute 'json' on 'Response': 1 argument required, but only 0 present.");
    }
    const string = JSONStringify(data);
    if (string === undefined) throw new TypeError("Failed to execute 'json' on 'Response': the data is not JSON serializable.");
    const response = new Response(kNew);
    if (init !== undefined && init !== null) response.#initialize(init);
    response.#setBody(new Body(TEXT, string), "application/json");
    return response;
  }

  get type() {
    const rare = this.#rare;
    return rare === undefined ? "default" : rare.type;
  }

  get url() {
    const rare = this.#rare;
    return rare === undefined ? "" : rare.url;
  }

  get redirected() {
    const rare = this.#rare;
    return rare !== undefined && rare.redirected;
  }

  get status() {
    return this.#status;
  }

  get ok() {
    const status = this.#status;
    return status >= 200 && status <= 299;
  }

  get statusText() {
    return this.#statusText;
  }

  get headers() {
    return this.#headers ??= newHeaders(this.#list, this.#rare === undefined ? MUTABLE : this.#rare.guard);
  }

  get cf() {
    return this.#rare?.cf;
  }

  get webSocket() {
    const rare = this.#rare;
    return rare === undefined ? null : rare.webSocket;
  }

  clone() {
    const body = this.#body;
    if (this.#rare !== undefined && this.#rare.webSocket !== null) {
      throw new TypeError("Cannot clone a response to a WebSocket handshake.");
    }
    const copy = new Response(kNew);
    if (body !== null) copy.#body = cloneBody(body);
    copy.#status = this.#status;
    copy.#statusText = this.#statusText;
    copy.#list = this.#headerList();
    const rare = this.#rare;
    if (rare !== undefined) {
      const copied = copy.#ensureRare();
      copied.url = rare.url;
      copied.redirected = rare.redirected;
      copied.type = rare.type;
      copied.guard = rare.guard;
      copied.cf = rare.cf;
      copied.encodeBody = rare.encodeBody;
    }
    return copy;
  }

  static {
    const bodyOf = (target) => target.#body;
    const typeOf = (target) => valueIn(target.#headerList(), CONTENT_TYPE) ?? "";
    mixinBody(Response.prototype, bodyOf, typeOf);
  }
}

finishInterface(Response, ["status", "statusText", "headers", "ok", "bodyUsed", "redirected", "type", "url"]);

function checkedStatus(status) {
  if (typeof status !== "number" || !NumberIsInteger(status)) status = +status >>> 0;
  if (status < 200 || status > 599) {
    throw new RangeError("Responses may only be constructed with status codes in the range 200 to 599, inclusive.");
  }
  return status;
}

function checkedReason(text) {
  text = `${text}`;
  if (text !== "" && RegExpPrototypeExec(NOT_A_REASON, text) !== null) {
    throw new TypeError("Failed to construct 'Response': invalid statusText.");
  }
  return text;
}

/** The length of a streaming body: a FixedLengthStream's, or the script's own `content-length`; -1 if unknown. */
export function streamLength(body, list) {
  const promised = promisedLength(body.stream);
  if (promised !== -1) return promised;
  const value = list === "" ? null : valueIn(list, "content-length");
  if (value === null || value === "") return -1;
  const length = +value;
  return NumberIsInteger(length) && length >= 0 ? length : -1;
}

/** Any value to a URL's serialization. Throws the platform's TypeError. */
export function parseUrl(input) {
  if (ObjectPrototypeIsPrototypeOf(URLPrototype, input)) return hrefOf(input);
  const string = `${input}`;
  try {
    return hrefOf(new URL(string));
  } catch {
    throw new TypeError(`Invalid URL: ${string}`);
  }
}

export { fetchedResponse, isResponse, respond, responseBody, responseList, responseStatus, responseWith };
