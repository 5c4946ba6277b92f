// The Cache API: `caches.default`, `caches.open(name)`. What is kept, and what a request gets of it, is Rust's
// (runtime/apis/cache). A response that is in memory is answered with in the same turn.

import { core, primordials } from "ext:core/mod.js";
import { pump, takeBody } from "ext:holm/body.js";
import { finishInterface } from "ext:holm/engine.js";
import { toResponse } from "ext:holm/fetch.js";
import { requireOwner } from "ext:holm/owner.js";
import { isRequest, requestParts } from "ext:holm/request.js";
import { isResponse, parseUrl, responseBody, responseList, responseStatus, streamLength, webSockets } from "ext:holm/response.js";

const {
  ObjectGetPrototypeOf,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  StringPrototypeStartsWith,
  TypeError,
} = primordials;
const { op_body_open, op_cache_delete, op_cache_match, op_cache_put } = core.ops;

const kNew = { __proto__: null };
const MOST_NAME = 1024;

/** What a request, or a URL, is looked for by. */
function keyOf(input) {
  const key = isRequest(input) ? requestParts(input) : { __proto__: null, method: "GET", url: parseUrl(input), list: "" };
  if (!StringPrototypeStartsWith(key.url, "http://") && !StringPrototypeStartsWith(key.url, "https://")) {
    throw new TypeError("Invalid URL. Cache API keys must be fully-qualified, valid URLs.");
  }
  return key;
}

const ignoresMethod = (options) => options !== undefined && options !== null && !!options.ignoreMethod;

const found = (head) => head === null ? undefined : toResponse(head);

export class Cache {
  #name;

  constructor(key = undefined, name = "") {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    this.#name = name;
  }

  /** A fresh response, `undefined` if there is none. */
  match(request, options = undefined) {
    try {
      missing("match", 1, arguments.length);
      const name = this.#name;
      const ignored = ignoresMethod(options);
      const { method, url, list } = keyOf(request);
      if (method !== "GET" && !ignored) return PromiseResolve(undefined);
      // What is here at once is a list without a prototype.
      const head = op_cache_match(requireOwner(), name, url, list);
      return head === null || ObjectGetPrototypeOf(head) === null ? PromiseResolve(found(head)) : PromisePrototypeThen(head, found);
    } catch (error) {
      return PromiseReject(error);
    }
  }

  put(request, response) {
    try {
      missing("put", 2, arguments.length);
      const name = this.#name;
      const { method, url, list } = keyOf(request);
      if (!isResponse(response)) {
        throw new TypeError("Failed to execute 'put' on 'Cache': parameter 2 is not of type 'Response'.");
      }
      if (method !== "GET") throw new TypeError("Cannot cache response to non-GET request.");
      if (webSockets.heldBy(response) !== null) throw new TypeError("Cannot cache WebSocket upgrade response.");
      const body = responseBody(response);
      const owner = requireOwner();
      const answered = responseList(response);
      const status = responseStatus(response);
      if (body === null) return op_cache_put(owner, name, url, list, status, answered, null);
      const data = takeBody(body);
      if (data !== undefined) return op_cache_put(owner, name, url, list, status, answered, data);
      const handle = op_body_open(owner, streamLength(body, answered));
      const put = op_cache_put(owner, name, url, list, status, answered, handle);
      pump(owner, body, handle, () => {});
      return put;
    } catch (error) {
      return PromiseReject(error);
    }
  }

  /** Whether there was one. */
  delete(request, options = undefined) {
    try {
      missing("delete", 1, arguments.length);
      const name = this.#name;
      const ignored = ignoresMethod(options);
      const { method, url } = keyOf(request);
      if (method !== "GET" && !ignored) return PromiseResolve(false);
      return op_cache_delete(requireOwner(), name, url);
    } catch (error) {
      return PromiseReject(error);
    }
  }
}

finishInterface(Cache);

export class CacheStorage {
  #default = new Cache(kNew, "");

  constructor(key = undefined) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
  }

  get default() {
    return this.#default;
  }

  open(name) {
    try {
      void this.#default; // throws on a wrong receiver
      missing("open", 1, arguments.length, "CacheStorage");
      name = `${name}`;
      if (name === "" || name.length > MOST_NAME) {
        throw new TypeError(`The name of a cache has 1 to ${MOST_NAME} characters.`);
      }
      return PromiseResolve(new Cache(kNew, name));
    } catch (error) {
      return PromiseReject(error);
    }
  }
}

finishInterface(CacheStorage, ["default"]);

function missing(method, expected, present, type = "Cache") {
  if (present >= expected) return;
  throw new TypeError(
    `Failed to execute '${method}' on '${type}': ${expected} argument${expected === 1 ? "" : "s"} required, but only ${present} present.`,
  );
}

export const caches = new CacheStorage(kNew);
