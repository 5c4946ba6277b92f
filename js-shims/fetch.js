// `fetch()`: checks and shapes; the exchange, redirects and limits are Rust's (runtime/apis/fetch).

import { core, primordials } from "ext:core/mod.js";
import { failBody, pump, takeBody } from "ext:holm/body.js";
import { lazyShim } from "ext:holm/built_in_modules.js";
import { abort } from "ext:holm/engine.js";
import { valueIn, withHeader } from "ext:holm/headers.js";
import { currentOwner, requireOwner } from "ext:holm/owner.js";
import { isRequest, Request, requestParts } from "ext:holm/request.js";
import { fetchedResponse, responseBody, streamLength, webSockets } from "ext:holm/response.js";

const {
  ObjectGetOwnPropertyDescriptor,
  Promise,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  StringPrototypeStartsWith,
  TypeError,
  uncurryThis,
} = primordials;
const { op_body_abort, op_body_open, op_fetch, op_fetch_data, op_operation_cancel } = core.ops;
const { add: addAlgorithm, AbortSignalPrototype, remove: removeAlgorithm } = abort;
const isAborted = uncurryThis(ObjectGetOwnPropertyDescriptor(AbortSignalPrototype, "aborted").get);
const reasonOf = uncurryThis(ObjectGetOwnPropertyDescriptor(AbortSignalPrototype, "reason").get);

const redirectModes = { __proto__: null, follow: 0, manual: 1, error: 2 };

const loadWebSocket = lazyShim("websocket.js");

export function toResponse(head) {
  const response = fetchedResponse(head[0], head[1], head[2], head[3], head[4], head[5]);
  if (head[6] > 0) {
    webSockets.give(response, loadWebSocket().newSocket(head[6], valueIn(head[4], "sec-websocket-protocol") ?? ""));
  }
  return response;
}

/** @returns {Promise<Response>} */
export function fetch(input, init = undefined) {
  try {
    if (arguments.length < 1) {
      throw new TypeError("Failed to execute 'fetch': 1 argument required, but only 0 present.");
    }
    const request = (init === undefined || init === null) && isRequest(input) ? input : new Request(input, init);
    return exchange(requestParts(request));
  } catch (error) {
    return PromiseReject(error);
  }
}

/** How a request leaves for the network: `[operation, promise of the answer's head]`. */
const overNetwork = (owner, parts, list, data) =>
  op_fetch(owner, parts.method, parts.url, list, data, redirectModes[parts.redirect], 0);

/**
 * @param {ReturnType<typeof requestParts>} parts
 * @param {typeof overNetwork} begin
 */
export function exchange(parts, begin = overNetwork) {
  const { url, body, signal } = parts;
  const isData = begin === overNetwork && StringPrototypeStartsWith(url, "data:");
  if (!isData && !StringPrototypeStartsWith(url, "https://") && !StringPrototypeStartsWith(url, "http://")) {
    throw new TypeError(`Fetch API cannot load: ${url}`);
  }
  if (signal !== undefined && isAborted(signal)) {
    if (body !== null) failBody(body, reasonOf(signal));
    return PromiseReject(reasonOf(signal));
  }
  if (isData) return PromiseResolve(toResponse(op_fetch_data(requireOwner(), url)));
  const owner = currentOwner();
  let { list } = parts;
  if (parts.cache !== undefined && parts.cache !== "default") {
    if (valueIn(list, "cache-control") === null) list = withHeader(list, "cache-control", "no-cache");
    if (valueIn(list, "pragma") === null) list = withHeader(list, "pragma", "no-cache");
  }
  let data = null;
  let streamed = 0;
  if (body !== null) {
    data = takeBody(body) ?? null;
    if (data === null) {
      streamed = op_body_open(owner, streamLength(body, list));
      data = streamed;
    }
  }
  const begun = begin(owner, parts, list, data);
  if (streamed === 0 && signal === undefined) return PromisePrototypeThen(begun[1], toResponse);
  return interruptible(owner, begun, body, streamed, signal);
}

/** An exchange that the script can break: by its signal, or by an error of the stream that it sends. */
function interruptible(owner, begun, body, streamed, signal) {
  const operation = begun[0];
  return new Promise((resolve, reject) => {
    /** @type {Response | undefined} */
    let response;
    let over = false;
    const fail = (reason) => {
      if (over) {
        const answer = response === undefined ? null : responseBody(response);
        if (answer !== null) failBody(answer, reason);
        return;
      }
      over = true;
      op_operation_cancel(operation);
      if (streamed !== 0) op_body_abort(streamed, "The request was aborted.");
      reject(reason);
    };
    const onAbort = () => fail(reasonOf(signal));
    const forget = () => {
      if (signal !== undefined) signal[removeAlgorithm](onAbort);
    };
    if (signal !== undefined) signal[addAlgorithm](onAbort);
    if (streamed !== 0) {
      pump(owner, body, streamed, (error) => {
        if (over) return;
        forget();
        fail(error);
      });
    }
    PromisePrototypeThen(begun[1], (head) => {
      if (over) return;
      over = true;
      response = toResponse(head);
      const answer = responseBody(response);
      if (answer === null) forget();
      else if (signal !== undefined) answer.release = forget;
      resolve(response);
    }, (error) => {
      forget();
      if (over) return;
      over = true;
      reject(error);
    });
  });
}
