// Option bags of the request path. What a script has put on Object.prototype is nobody's option: one request could
// otherwise decide the status of every answer after it.

import { primordials } from "ext:core/mod.js";

const { ObjectHasOwn, ObjectPrototype, ReflectGetPrototypeOf } = primordials;

/**
 * The options of a bag that are its own or inherited from anything but Object.prototype.
 * @param {object} bag
 * @param {string[]} names
 */
export function ownOptions(bag, names) {
  const own = { __proto__: null };
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    for (let holder = bag; holder !== null && holder !== ObjectPrototype; holder = ReflectGetPrototypeOf(holder)) {
      if (ObjectHasOwn(holder, name)) {
        own[name] = bag[name];
        break;
      }
    }
  }
  return own;
}

/** `true` while Object.prototype has none of the options of `Response`. Written out: each is one cached lookup. */
export const responseOptionsAreClean = () =>
  !("status" in ObjectPrototype || "statusText" in ObjectPrototype || "headers" in ObjectPrototype ||
    "cf" in ObjectPrototype || "encodeBody" in ObjectPrototype || "webSocket" in ObjectPrototype);

/** The same for `Request` and `fetch`. */
export const requestOptionsAreClean = () =>
  !("method" in ObjectPrototype || "headers" in ObjectPrototype || "body" in ObjectPrototype ||
    "redirect" in ObjectPrototype || "signal" in ObjectPrototype || "cf" in ObjectPrototype ||
    "cache" in ObjectPrototype || "integrity" in ObjectPrototype || "keepalive" in ObjectPrototype);
