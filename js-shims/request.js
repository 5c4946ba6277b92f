// `Request`, WHATWG Fetch §5.4, with the platform's `cf`.
//
// The incoming request is a shell: method, URL, headers and cf are asked of Rust when a script touches them, its
// AbortSignal exists once `signal` was read. Used by fetch.js and entry.js.

import { core, primordials } from "ext:core/mod.js";
import { Body, cloneBody, extractBody, HANDLE, impliedType, mixinBody, moveBody } from "ext:holm/body.js";
import { abort, DOMException, finishInterface } from "ext:holm/engine.js";
import { flag } from "ext:holm/environment.js";
import { headerList, headerListFrom, IMMUTABLE, MUTABLE, newHeaders, valueIn, withHeader } from "ext:holm/headers.js";
import { ownOptions, requestOptionsAreClean } from "ext:holm/options.js";
import { parseUrl } from "ext:holm/response.js";

const {
  JSONParse,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeGetSize,
  MapPrototypeSet,
  ObjectPrototypeIsPrototypeOf,
  RegExpPrototypeExec,
  SafeMap,
  StringPrototypeToUpperCase,
  TypeError,
} = primordials;
const { op_request_cf, op_request_headers, op_request_method, op_request_url, op_signal_watch } = core.ops;
const { AbortSignalPrototype, createDependentAbortSignal, newSignal, signalAbort } = abort;

/** Methods that the standard writes in upper case, whatever the script has written. */
const NORMALIZED = { __proto__: null, DELETE: true, GET: true, HEAD: true, OPTIONS: true, POST: true, PUT: true };

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const CONTENT_TYPE = "content-type";
const OPTIONS = ["method", "headers", "body", "redirect", "signal", "cf", "cache", "integrity", "keepalive"];

const kNew = { __proto__: null };

/** Signals of incoming requests that scripts looked at, by invocation. */
const watched = new SafeMap();

/** hooks.clientGone: the client went away before the end. */
export function abortWatched(owner) {
  const signal = MapPrototypeGet(watched, owner);
  if (signal === undefined) return;
  MapPrototypeDelete(watched, owner);
  signal[signalAbort](new DOMException("The client has disconnected", "AbortError"));
}

/** hooks.ended */
export function forgetWatched(owner) {
  if (MapPrototypeGetSize(watched) !== 0) MapPrototypeDelete(watched, owner);
}

/** What few requests have. */
class Rare {
  redirect = "follow";
  cache = undefined;
  /** @type {AbortSignal | undefined} given by the script: what fetch() obeys */
  given = undefined;
  /** @type {AbortSignal | undefined} what `signal` shows */
  shown = undefined;
  cf = undefined;
  /** @type {number} the invocation whose `cf` this request carries on, 0 for none */
  cfOwner = 0;
  integrity = "";
  keepalive = false;
}

/** @type {(owner: number, handle: number) => Request} */
let incomingRequest;
/** @type {(value: any) => boolean} */
let isRequest;
/** @type {(request: Request) => { method: string, url: string, list: string, body: Body | null, redirect: string, signal: AbortSignal | undefined, cache: string | undefined }} */
let requestParts;

export class Request {
  /** The invocation it came in with, 0 if a script made it. */
  #owner = 0;
  #method = undefined;
  #url = undefined;
  /** The header list while nobody has looked at `headers`; `undefined`: not asked for yet. */
  #list = undefined;
  #headers = undefined;
  /** @type {Body | null} */
  #body = null;
  /** @type {Rare | undefined} */
  #rare = undefined;

  constructor(input, init = undefined) {
    if (input === kNew) return;
    if (arguments.length < 1) {
      throw new TypeError("Failed to construct 'Request': 1 argument required, but only 0 present.");
    }
    const base = isRequest(input) ? input : undefined;
    if (base === undefined) {
      this.#url = parseUrl(input);
      this.#method = "GET";
      this.#list = "";
    } else {
      this.#url = base.#readUrl();
      this.#method = base.#readMethod();
      this.#list = base.#headerList();
      this.#inherit(base);
    }
    let body;
    if (init !== undefined && init !== null) {
      body = isRequest(init) ? this.#initializeFrom(init) : this.#initialize(init);
    }
    const method = this.#method;
    if (body !== undefined && body !== null) {
      if (method === "GET" || method === "HEAD") {
        throw new TypeError("Request with a GET or HEAD method cannot have a body.");
      }
      this.#body = body;
    } else if (body === undefined && base !== undefined && base.#body !== null && method !== "GET" && method !== "HEAD") {
      this.#body = moveBody(base.#body);
    }
  }

  /** Settings of another request: redirect mode, signal, cf. */
  #inherit(base) {
    const rare = base.#rare;
    if (base.#owner !== 0) {
      const own = this.#ensureRare();
      own.redirect = rare === undefined ? "manual" : rare.redirect;
      own.cfOwner = base.#owner;
    }
    if (rare !== undefined) {
      const own = this.#ensureRare();
      own.redirect = rare.redirect;
      own.cache = rare.cache;
      own.given = rare.given;
      own.cf = rare.cf;
      if (rare.cfOwner !== 0) own.cfOwner = rare.cfOwner;
      own.integrity = rare.integrity;
      own.keepalive = rare.keepalive;
    }
  }

  /** `new Request(url, request)`: the body is shared, not read, so that it can pass through. */
  #initializeFrom(init) {
    this.#method = init.#readMethod();
    this.#list = init.#headerList();
    this.#inherit(init);
    return init.#body;
  }

  #initialize(init) {
    if (typeof init !== "object" && typeof init !== "function") {
      throw new TypeError("Failed to construct 'Request': parameter 2 is not of type 'RequestInit'.");
    }
    const { method, headers, body, redirect, signal, cf, cache, integrity, keepalive } = requestOptionsAreClean()
      ? init
      : ownOptions(init, OPTIONS);
    if (method !== undefined) this.#method = checkedMethod(method);
    if (headers !== undefined) this.#list = headerListFrom(headers);
    if (redirect !== undefined) {
      if (redirect !== "follow" && redirect !== "manual" && redirect !== "error") {
        throw new TypeError('Invalid redirect value, must be one of "follow", "manual" or "error".');
      }
      this.#ensureRare().redirect = redirect;
    }
    if (signal !== undefined) {
      if (signal !== null && !ObjectPrototypeIsPrototypeOf(AbortSignalPrototype, signal)) {
        throw new TypeError("Failed to construct 'Request': 'signal' is not of type 'AbortSignal'.");
      }
      this.#ensureRare().given = signal ?? undefined;
    }
    if (cf !== undefined && cf !== null) this.#ensureRare().cf = cf;
    if (cache !== undefined) {
      if (cache !== "default" && cache !== "no-store" && cache !== "no-cache" && cache !== "reload") {
        throw new TypeError(`Unsupported cache mode: ${cache}`);
      }
      this.#ensureRare().cache = cache;
    }
    if (integrity !== undefined) this.#ensureRare().integrity = `${integrity}`;
    if (keepalive !== undefined) this.#ensureRare().keepalive = !!keepalive;
    if (body === undefined || body === null) return body;
    const extracted = extractBody(body);
    if (impliedType !== "" && valueIn(this.#list, CONTENT_TYPE) === null) {
      this.#list = withHeader(this.#list, CONTENT_TYPE, impliedType);
    }
    return extracted;
  }

  #ensureRare() {
    return this.#rare ??= new Rare();
  }

  #readMethod() {
    return this.#method ??= op_request_method(this.#owner);
  }

  #readUrl() {
    return this.#url ??= op_request_url(this.#owner);
  }

  #headerList() {
    if (this.#headers !== undefined) return headerList(this.#headers);
    return this.#list ??= op_request_headers(this.#owner);
  }

  #redirect() {
    const rare = this.#rare;
    return rare !== undefined ? rare.redirect : this.#owner === 0 ? "follow" : "manual";
  }

  static {
    isRequest = (value) => typeof value === "object" && value !== null && #owner in value;

    incomingRequest = (owner, handle) => {
      const request = new Request(kNew);
      request.#owner = owner;
      if (handle !== 0) request.#body = new Body(HANDLE, handle);
      return request;
    };

    requestParts = (request) => ({
      __proto__: null,
      method: request.#readMethod(),
      url: request.#readUrl(),
      list: request.#headerList(),
      body: request.#body,
      redirect: request.#redirect(),
      signal: request.#rare?.given,
      cache: request.#rare?.cache,
    });
  }

  get method() {
    return this.#readMethod();
  }

  get url() {
    return this.#readUrl();
  }

  get headers() {
    return this.#headers ??= newHeaders(this.#list, this.#owner === 0 ? MUTABLE : IMMUTABLE, this.#owner);
  }

  get redirect() {
    return this.#redirect();
  }

  get signal() {
    const rare = this.#rare ?? (this.#owner === 0 ? this.#ensureRare() : this.#incomingRare());
    if (rare.shown !== undefined) return rare.shown;
    if (this.#owner === 0) {
      rare.shown = rare.given === undefined ? newSignal() : createDependentAbortSignal([rare.given], "Request.signal");
    } else {
      const signal = newSignal();
      rare.shown = signal;
      MapPrototypeSet(watched, this.#owner, signal);
      op_signal_watch(this.#owner);
    }
    return rare.shown;
  }

  #incomingRare() {
    const rare = this.#ensureRare();
    rare.redirect = "manual";
    return rare;
  }

  get cf() {
    const rare = this.#rare;
    if (rare !== undefined) {
      if (rare.cf !== undefined || (this.#owner === 0 && rare.cfOwner === 0)) return rare.cf;
      return rare.cf = parseCf(this.#owner === 0 ? rare.cfOwner : this.#owner);
    }
    return this.#owner === 0 ? undefined : this.#incomingRare().cf = parseCf(this.#owner);
  }

  get cache() {
    return this.#rare?.cache;
  }

  get integrity() {
    const rare = this.#rare;
    return rare === undefined ? "" : rare.integrity;
  }

  get keepalive() {
    const rare = this.#rare;
    return rare === undefined ? false : rare.keepalive;
  }

  clone() {
    const body = this.#body;
    const copy = new Request(kNew);
    if (body !== null) copy.#body = cloneBody(body);
    copy.#method = this.#readMethod();
    copy.#url = this.#readUrl();
    copy.#list = this.#headerList();
    copy.#inherit(this);
    return copy;
  }

  static {
    const bodyOf = (target) => target.#body;
    const typeOf = (target) => valueIn(target.#headerList(), CONTENT_TYPE) ?? "";
    mixinBody(Request.prototype, bodyOf, typeOf);
  }
}

finishInterface(Request, ["method", "url", "headers", "bodyUsed", "redirect", "signal", "cf"]);

function parseCf(owner) {
  const json = op_request_cf(owner);
  return json === "" ? undefined : JSONParse(json);
}

function checkedMethod(method) {
  if (method === "GET" || method === "POST") return method;
  method = `${method}`;
  if (RegExpPrototypeExec(TOKEN, method) === null) throw new TypeError(`Invalid HTTP method string: ${method}`);
  const upper = StringPrototypeToUpperCase(method);
  if (upper === "CONNECT" || upper === "TRACE" || upper === "TRACK") {
    throw new TypeError(`'${upper}' HTTP method is unsupported.`);
  }
  return NORMALIZED[upper] === true || flag("upper_case_all_http_methods") ? upper : method;
}

export { incomingRequest, isRequest, requestParts };
