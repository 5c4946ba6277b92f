// `Headers`, WHATWG Fetch §5.1, with the platform's `getAll("set-cookie")`.
//
// A header list is ONE string, `name\0value\0name\0value`, from the socket to the socket: that is how it crosses
// between Rust and JavaScript, and how it is kept here. Names in it are lower-case tokens, values are byte strings
// without NUL, CR and LF (they cannot be confused with separators). `Headers` is only made when somebody looks.
// Used by request.js, response.js and fetch.js.

import { core, primordials } from "ext:core/mod.js";
import { finishInterface } from "ext:holm/engine.js";
import { makePairIterable } from "ext:holm/pairs.js";

const {
  ArrayIsArray,
  ArrayPrototypePush,
  ArrayPrototypeSort,
  MapPrototypeGet,
  MapPrototypeGetSize,
  MapPrototypeSet,
  ObjectDefineProperty,
  ObjectKeys,
  RegExpPrototypeExec,
  SafeMap,
  StringPrototypeCharCodeAt,
  StringPrototypeIndexOf,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  StringPrototypeToLowerCase,
  SymbolFor,
  SymbolIterator,
  TypeError,
} = primordials;
const { op_request_headers } = core.ops;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NOT_IN_A_VALUE = /[\0\r\n]/;
const NOT_A_BYTE = /[^\x00-\xff]/;

// Names already checked, as written → lower-case. Bounded, since a script can make up names for ever.
const KNOWN_NAMES = 512;
const knownNames = new SafeMap();

/** Checks and lower-cases a header name. */
export function headerName(name) {
  const known = MapPrototypeGet(knownNames, name);
  if (known !== undefined) return known;
  name = `${name}`;
  if (RegExpPrototypeExec(TOKEN, name) === null) throw new TypeError("Invalid header name.");
  const lower = StringPrototypeToLowerCase(name);
  if (MapPrototypeGetSize(knownNames) < KNOWN_NAMES && name.length < 64) MapPrototypeSet(knownNames, name, lower);
  return lower;
}

const isSpace = (code) => code === 32 || code === 9 || code === 10 || code === 13;

/** Checks and trims a header value. Text outside Latin-1 is sent as UTF-8, as the platform does. */
export function headerValue(value) {
  if (typeof value !== "string") value = `${value}`;
  let end = value.length;
  if (end === 0) return value;
  if (
    StringPrototypeCharCodeAt(value, 0) <= 32 || StringPrototypeCharCodeAt(value, end - 1) <= 32
  ) {
    let start = 0;
    while (start < end && isSpace(StringPrototypeCharCodeAt(value, start))) start++;
    while (end > start && isSpace(StringPrototypeCharCodeAt(value, end - 1))) end--;
    value = StringPrototypeSlice(value, start, end);
  }
  if (RegExpPrototypeExec(NOT_IN_A_VALUE, value) !== null) throw new TypeError("Invalid header value.");
  if (RegExpPrototypeExec(NOT_A_BYTE, value) !== null) value = core.encodeBinaryString(core.encode(value));
  return value;
}

/** Appends a checked pair to a header list. */
export const withHeader = (list, name, value) => list === "" ? `${name}\0${value}` : `${list}\0${name}\0${value}`;

/** The combined value of a lower-case name in a header list, `null` if absent. */
export function valueIn(list, name) {
  let found = null;
  const end = list.length;
  for (let at = 0; at < end;) {
    const split = StringPrototypeIndexOf(list, "\0", at);
    if (split === -1) break;
    let next = StringPrototypeIndexOf(list, "\0", split + 1);
    if (next === -1) next = end;
    if (split - at === name.length && StringPrototypeStartsWith(list, name, at)) {
      const value = StringPrototypeSlice(list, split + 1, next);
      found = found === null ? value : `${found}, ${value}`;
    }
    at = next + 1;
  }
  return found;
}

/** A header list as [name, value] pairs, in its order. */
function pairsIn(list) {
  const pairs = [];
  const end = list.length;
  for (let at = 0; at < end;) {
    const split = StringPrototypeIndexOf(list, "\0", at);
    if (split === -1) break;
    let next = StringPrototypeIndexOf(list, "\0", split + 1);
    if (next === -1) next = end;
    ArrayPrototypePush(pairs, [
      StringPrototypeSlice(list, at, split),
      StringPrototypeSlice(list, split + 1, next),
    ]);
    at = next + 1;
  }
  return pairs;
}

/** The list without a name; the new value goes where the first old one was. */
function replaced(list, name, value) {
  const pairs = pairsIn(list);
  let result = "";
  for (let i = 0; i < pairs.length; i++) {
    const pair = pairs[i];
    if (pair[0] !== name) {
      result = withHeader(result, pair[0], pair[1]);
    } else if (value !== null) {
      result = withHeader(result, name, value);
      value = null;
    }
  }
  return value === null ? result : withHeader(result, name, value);
}

/** The list without a lower-case name. */
export const withoutHeader = (list, name) => valueIn(list, name) === null ? list : replaced(list, name, null);

/** Fetch's "sort and combine". `set-cookie` is never combined. */
function sortAndCombine(list) {
  const pairs = pairsIn(list);
  // Stable, so several `set-cookie` and the parts of a combined value keep their order.
  ArrayPrototypeSort(pairs, (a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0);
  const combined = [];
  for (let i = 0; i < pairs.length; i++) {
    const pair = pairs[i];
    const last = combined.length === 0 ? undefined : combined[combined.length - 1];
    if (last !== undefined && last[0] === pair[0] && pair[0] !== "set-cookie") {
      last[1] = `${last[1]}, ${pair[1]}`;
    } else {
      ArrayPrototypePush(combined, pair);
    }
  }
  return combined;
}

function cookiesIn(list) {
  const pairs = pairsIn(list);
  const cookies = [];
  for (let i = 0; i < pairs.length; i++) {
    if (pairs[i][0] === "set-cookie") ArrayPrototypePush(cookies, pairs[i][1]);
  }
  return cookies;
}

function pairOf(entry) {
  if (ArrayIsArray(entry)) {
    if (entry.length === 2) return entry;
  } else if (entry !== null && typeof entry === "object" && typeof entry[SymbolIterator] === "function") {
    const pair = [];
    for (const item of entry) {
      ArrayPrototypePush(pair, item);
      if (pair.length > 2) break;
    }
    if (pair.length === 2) return pair;
  }
  throw new TypeError("Failed to construct 'Headers': each header must be a [name, value] pair.");
}

export const MUTABLE = 0;
export const IMMUTABLE = 1;

const kNew = { __proto__: null };

/** @type {(list: string | undefined, guard: 0 | 1, owner?: number) => Headers} */
let newHeaders;
/** @type {(headers: Headers) => string} */
let headerList;
/** @type {(value: any) => boolean} */
let isHeaders;

export class Headers {
  /** @type {string | undefined} `undefined`: the incoming request's, not asked for yet */
  #list = "";
  #guard = MUTABLE;
  #owner = 0;
  #sorted = undefined;

  constructor(init = undefined) {
    if (init === kNew) return;
    if (init !== undefined) this.#list = headerListFrom(init);
  }

  static {
    newHeaders = (list, guard, owner = 0) => {
      const headers = new Headers(kNew);
      headers.#list = list;
      headers.#guard = guard;
      headers.#owner = owner;
      return headers;
    };
    headerList = (headers) => headers.#read();
    isHeaders = (value) => typeof value === "object" && value !== null && #list in value;
  }

  #read() {
    return this.#list ??= op_request_headers(this.#owner);
  }

  #write(list) {
    this.#list = list;
    this.#sorted = undefined;
  }

  #assertMutable() {
    if (this.#guard === IMMUTABLE) throw new TypeError("Can't modify immutable headers.");
  }

  append(name, value) {
    if (arguments.length < 2) missingArguments("append", 2, arguments.length);
    name = headerName(name);
    value = headerValue(value);
    this.#assertMutable();
    this.#write(withHeader(this.#read(), name, value));
  }

  delete(name) {
    if (arguments.length < 1) missingArguments("delete", 1, arguments.length);
    name = headerName(name);
    this.#assertMutable();
    this.#write(replaced(this.#read(), name, null));
  }

  get(name) {
    if (arguments.length < 1) missingArguments("get", 1, arguments.length);
    return valueIn(this.#read(), headerName(name));
  }

  getAll(name) {
    if (arguments.length < 1) missingArguments("getAll", 1, arguments.length);
    if (headerName(name) !== "set-cookie") {
      throw new TypeError('getAll() can only be used with the header name "Set-Cookie".');
    }
    return cookiesIn(this.#read());
  }

  getSetCookie() {
    return cookiesIn(this.#read());
  }

  has(name) {
    if (arguments.length < 1) missingArguments("has", 1, arguments.length);
    return valueIn(this.#read(), headerName(name)) !== null;
  }

  set(name, value) {
    if (arguments.length < 2) missingArguments("set", 2, arguments.length);
    name = headerName(name);
    value = headerValue(value);
    this.#assertMutable();
    const list = this.#read();
    this.#write(valueIn(list, name) === null ? withHeader(list, name, value) : replaced(list, name, value));
  }

  static {
    const pairsOf = (headers) => {
      if (!isHeaders(headers)) throw new TypeError("Illegal invocation");
      return headers.#sorted ??= sortAndCombine(headers.#read());
    };
    makePairIterable("Headers", Headers.prototype, pairsOf);
    finishInterface(Headers);
    inspectAsEntries(Headers.prototype, pairsOf);
  }
}

function missingArguments(method, expected, present) {
  throw new TypeError(
    `Failed to execute '${method}' on 'Headers': ${expected} argument${
      expected === 1 ? "" : "s"
    } required, but only ${present} present.`,
  );
}

function inspectAsEntries(prototype, pairsOf) {
  ObjectDefineProperty(prototype, SymbolFor("Deno.privateCustomInspect"), {
    __proto__: null,
    value(inspect, options) {
      const shown = {};
      const pairs = isHeaders(this) ? pairsOf(this) : [];
      for (let i = 0; i < pairs.length; i++) {
        ObjectDefineProperty(shown, pairs[i][0], {
          __proto__: null,
          value: pairs[i][1],
          enumerable: true,
          configurable: true,
          writable: true,
        });
      }
      return `Headers ${inspect(shown, options)}`;
    },
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

/** The header list of a HeadersInit: `Headers`, pairs, or a record. */
export function headerListFrom(init) {
  if (init === undefined || init === null) return "";
  if (typeof init !== "object" && typeof init !== "function") {
    throw new TypeError(
      "Failed to construct 'Headers': the provided value is not of type '(sequence<sequence<ByteString>> or record<ByteString, ByteString>)'.",
    );
  }
  if (isHeaders(init)) return headerList(init);
  let list = "";
  if (ArrayIsArray(init)) {
    for (let i = 0; i < init.length; i++) {
      const pair = pairOf(init[i]);
      list = withHeader(list, headerName(pair[0]), headerValue(pair[1]));
    }
    return list;
  }
  if (typeof init[SymbolIterator] === "function") {
    for (const entry of init) {
      const pair = pairOf(entry);
      list = withHeader(list, headerName(pair[0]), headerValue(pair[1]));
    }
    return list;
  }
  const names = ObjectKeys(init);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    list = withHeader(list, headerName(name), headerValue(init[name]));
  }
  return list;
}

export { headerList, isHeaders, newHeaders };
