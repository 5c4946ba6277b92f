// `FormData`, XMLHttpRequest §5, and its two wire formats: multipart/form-data (RFC 7578) and
// application/x-www-form-urlencoded. Used by body.js.

import { primordials } from "ext:core/mod.js";
import { blobBytes, blobType, fileName, fileOf, isBlob, isFile, lastModifiedOf, newBlob } from "ext:holm/blob.js";
import { byteLength, concat, decodeUtf8, encodeUtf8, part } from "ext:holm/bytes.js";
import { finishInterface, url } from "ext:holm/engine.js";
import { makePairIterable } from "ext:holm/pairs.js";

const {
  ArrayPrototypePush,
  MathFloor,
  MathRandom,
  RegExpPrototypeExec,
  SafeRegExp,
  StringPrototypeIndexOf,
  StringPrototypeReplace,
  StringPrototypeSlice,
  StringPrototypeToLowerCase,
  StringPrototypeToWellFormed,
  StringPrototypeTrim,
  TypedArrayPrototypeIndexOf,
  TypeError,
} = primordials;

/** @type {(value: any) => boolean} */
let isFormData;
/** @type {(data: FormData) => [string, string | File][]} */
let entriesOf;

const USV = (value) => StringPrototypeToWellFormed(`${value}`);

function entryValue(method, value, filename, count) {
  if (isBlob(value)) {
    if (filename !== undefined) return fileOf(value, USV(filename), isFile(value) ? lastModifiedOf(value) : undefined);
    return isFile(value) ? value : fileOf(value, "blob");
  }
  if (count > 2) {
    throw new TypeError(`Failed to execute '${method}' on 'FormData': parameter 2 is not of type 'Blob'.`);
  }
  return USV(value);
}

function requireArguments(method, expected, present) {
  if (present < expected) {
    throw new TypeError(
      `Failed to execute '${method}' on 'FormData': ${expected} argument${expected === 1 ? "" : "s"} required, but only ${present} present.`,
    );
  }
}

export class FormData {
  /** @type {[string, string | File][]} */
  #entries = [];

  constructor(form = undefined) {
    if (form !== undefined) {
      throw new TypeError("Failed to construct 'FormData': parameter 1 is not of type 'HTMLFormElement'.");
    }
  }

  static {
    isFormData = (value) => typeof value === "object" && value !== null && #entries in value;
    entriesOf = (data) => data.#entries;
  }

  append(name, value, filename = undefined) {
    requireArguments("append", 2, arguments.length);
    const count = filename === undefined ? 2 : arguments.length;
    ArrayPrototypePush(this.#entries, [USV(name), entryValue("append", value, filename, count)]);
  }

  delete(name) {
    requireArguments("delete", 1, arguments.length);
    this.#entries = without(this.#entries, USV(name));
  }

  get(name) {
    requireArguments("get", 1, arguments.length);
    name = USV(name);
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i++) if (entries[i][0] === name) return entries[i][1];
    return null;
  }

  getAll(name) {
    requireArguments("getAll", 1, arguments.length);
    name = USV(name);
    const entries = this.#entries;
    const found = [];
    for (let i = 0; i < entries.length; i++) if (entries[i][0] === name) ArrayPrototypePush(found, entries[i][1]);
    return found;
  }

  has(name) {
    requireArguments("has", 1, arguments.length);
    name = USV(name);
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i++) if (entries[i][0] === name) return true;
    return false;
  }

  set(name, value, filename = undefined) {
    requireArguments("set", 2, arguments.length);
    name = USV(name);
    const count = filename === undefined ? 2 : arguments.length;
    const entry = [name, entryValue("set", value, filename, count)];
    const entries = this.#entries;
    const kept = [];
    let placed = false;
    for (let i = 0; i < entries.length; i++) {
      if (entries[i][0] !== name) {
        ArrayPrototypePush(kept, entries[i]);
      } else if (!placed) {
        placed = true;
        ArrayPrototypePush(kept, entry);
      }
    }
    if (!placed) ArrayPrototypePush(kept, entry);
    this.#entries = kept;
  }
}

makePairIterable("FormData", FormData.prototype, (data) => {
  if (!isFormData(data)) throw new TypeError("Illegal invocation");
  return entriesOf(data);
});
finishInterface(FormData);

function without(entries, name) {
  const kept = [];
  for (let i = 0; i < entries.length; i++) if (entries[i][0] !== name) ArrayPrototypePush(kept, entries[i]);
  return kept;
}

// === Writing ===

const LINE_BREAK = new SafeRegExp(/\r\n?|\n/g);
const TO_ESCAPE = new SafeRegExp(/[\r\n"]/g);
const escapes = { __proto__: null, "\r": "%0D", "\n": "%0A", '"': "%22" };
const escape = (character) => escapes[character];

const normalizeLines = (string) => StringPrototypeReplace(string, LINE_BREAK, "\r\n");
const escapeName = (name, isFilename) =>
  StringPrototypeReplace(isFilename ? name : normalizeLines(name), TO_ESCAPE, escape);

function newBoundary() {
  const digits = "0123456789abcdefghijklmnopqrstuvwxyz";
  let boundary = "----HolmFormBoundary";
  for (let i = 0; i < 24; i++) boundary += digits[MathFloor(MathRandom() * 36)];
  return boundary;
}

/** Multipart bytes of a FormData and the `content-type` with the boundary. */
export function formDataBody(data) {
  const boundary = newBoundary();
  const chunks = [];
  let length = 0;
  const write = (bytes) => {
    ArrayPrototypePush(chunks, bytes);
    length += byteLength(bytes);
  };
  const entries = entriesOf(data);
  for (let i = 0; i < entries.length; i++) {
    const name = entries[i][0];
    const value = entries[i][1];
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escapeName(name, false)}"`;
    if (typeof value === "string") {
      write(encodeUtf8(`${head}\r\n\r\n${normalizeLines(value)}\r\n`));
    } else {
      const type = blobType(value) || "application/octet-stream";
      write(encodeUtf8(`${head}; filename="${escapeName(fileName(value), true)}"\r\nContent-Type: ${type}\r\n\r\n`));
      write(blobBytes(value));
      write(encodeUtf8("\r\n"));
    }
  }
  write(encodeUtf8(`--${boundary}--\r\n`));
  return { __proto__: null, bytes: concat(chunks, length), type: `multipart/form-data; boundary=${boundary}` };
}

// === Reading ===

const NOT_A_FORM = "Unrecognized Content-Type header value. FormData can only parse the following MIME types: " +
  "multipart/form-data, application/x-www-form-urlencoded";

/** @param {Uint8Array} bytes @param {string} type the `content-type` header */
export function parseFormData(bytes, type) {
  const semicolon = StringPrototypeIndexOf(type, ";");
  const essence = StringPrototypeToLowerCase(
    StringPrototypeTrim(semicolon === -1 ? type : StringPrototypeSlice(type, 0, semicolon)),
  );
  const data = new FormData();
  if (essence === "application/x-www-form-urlencoded") {
    const pairs = url.parseUrlEncoded(bytes);
    const entries = entriesOf(data);
    for (let i = 0; i < pairs.length; i++) ArrayPrototypePush(entries, [pairs[i][0], pairs[i][1]]);
    return data;
  }
  if (essence !== "multipart/form-data") throw new TypeError(NOT_A_FORM);
  const boundary = parameter(semicolon === -1 ? "" : StringPrototypeSlice(type, semicolon), "boundary");
  if (boundary === undefined || boundary === "") {
    throw new TypeError("No boundary string in Content-Type header. The multipart/form-data MIME type requires a boundary parameter.");
  }
  parseMultipart(bytes, encodeUtf8(boundary), entriesOf(data));
  return data;
}

// One `; name=value` or `; name="value"`; sticky, so the parameters are read one after the other.
const PARAMETER = /;[ \t]*([^=; \t"]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;]*))/g;
const BACKSLASH = new SafeRegExp(/\\(.)/g);
const escapedCharacter = (_match, character) => character;

/** The value of a MIME or disposition parameter. `unescape`: whether `\"` means a quote. */
function parameter(string, name, unescape = true) {
  PARAMETER.lastIndex = 0;
  for (let match; (match = RegExpPrototypeExec(PARAMETER, string)) !== null;) {
    if (StringPrototypeToLowerCase(match[1]) !== name) continue;
    if (match[2] === undefined) return StringPrototypeTrim(match[3]);
    return unescape ? StringPrototypeReplace(match[2], BACKSLASH, escapedCharacter) : match[2];
  }
  return undefined;
}

const CR = 13;
const LF = 10;
const DASH = 45;

function startsWith(bytes, prefix, at) {
  const length = byteLength(prefix);
  if (at + length > byteLength(bytes)) return false;
  for (let i = 0; i < length; i++) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}

/** Index of `needle` at or after `from`, -1 if absent. */
function indexOf(bytes, needle, from) {
  const first = needle[0];
  for (let at = from;; at++) {
    at = TypedArrayPrototypeIndexOf(bytes, first, at);
    if (at === -1 || startsWith(bytes, needle, at)) return at;
  }
}

const LINE_END = encodeUtf8("\r\n");
const HEAD_END = encodeUtf8("\r\n\r\n");
const malformed = () => new TypeError("The multipart/form-data body is malformed.");

function parseMultipart(bytes, boundary, entries) {
  const delimiter = concat([encodeUtf8("--"), boundary], byteLength(boundary) + 2);
  const partEnd = concat([LINE_END, delimiter], byteLength(delimiter) + 2);
  // What comes before the first delimiter is a preamble, to be ignored.
  let at = startsWith(bytes, delimiter, 0) ? 0 : indexOf(bytes, partEnd, 0);
  if (at === -1) throw malformed();
  if (bytes[at] === CR) at += 2;
  at += byteLength(delimiter);
  for (;;) {
    if (bytes[at] === DASH && bytes[at + 1] === DASH) return;
    while (bytes[at] === 32 || bytes[at] === 9) at++;
    if (bytes[at] !== CR || bytes[at + 1] !== LF) throw malformed();
    at += 2;
    let head;
    if (bytes[at] === CR && bytes[at + 1] === LF) {
      head = "";
      at += 2;
    } else {
      const headEnd = indexOf(bytes, HEAD_END, at);
      if (headEnd === -1) throw malformed();
      head = decodeUtf8(part(bytes, at, headEnd));
      at = headEnd + 4;
    }
    // A part without content may end right after its head.
    const end = indexOf(bytes, partEnd, at - 2);
    if (end === -1) throw malformed();
    ArrayPrototypePush(entries, entryOf(head, part(bytes, at, end < at ? at : end)));
    at = end + byteLength(partEnd);
  }
}

function entryOf(head, content) {
  const disposition = fieldIn(head, "content-disposition");
  const name = disposition === undefined ? undefined : parameter(disposition, "name", false);
  if (name === undefined || !isFormDataPart(disposition)) throw malformed();
  const filename = parameter(disposition, "filename", false);
  if (filename === undefined) return [unescapeName(name), decodeUtf8(content)];
  const type = fieldIn(head, "content-type") ?? "text/plain";
  const blob = newBlob([content], byteLength(content), StringPrototypeToLowerCase(type));
  return [unescapeName(name), fileOf(blob, unescapeName(filename))];
}

const isFormDataPart = (disposition) =>
  StringPrototypeToLowerCase(StringPrototypeSlice(disposition, 0, 9)) === "form-data";

const ESCAPED = new SafeRegExp(/%0[dD]|%0[aA]|%22|\\"/g);
const unescapes = { __proto__: null, "%0d": "\r", "%0a": "\n", "%22": '"', '\\"': '"' };
const unescapeName = (name) =>
  StringPrototypeIndexOf(name, "%") === -1 && StringPrototypeIndexOf(name, "\\") === -1
    ? name
    : StringPrototypeReplace(name, ESCAPED, (match) => unescapes[StringPrototypeToLowerCase(match)]);

/** The value of a field in a part's head, `undefined` if absent. */
function fieldIn(head, name) {
  for (let at = 0; at < head.length;) {
    let end = StringPrototypeIndexOf(head, "\r\n", at);
    if (end === -1) end = head.length;
    const colon = StringPrototypeIndexOf(head, ":", at);
    if (
      colon !== -1 && colon < end &&
      StringPrototypeToLowerCase(StringPrototypeTrim(StringPrototypeSlice(head, at, colon))) === name
    ) {
      return StringPrototypeTrim(StringPrototypeSlice(head, colon + 1, end));
    }
    at = end + 2;
  }
  return undefined;
}

export { isFormData };
