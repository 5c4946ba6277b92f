// Node.js's `buffer` binding over the isolate's.
'use strict';

const { bytes, web } = internalBinding('holm').natives;
const { TypedArrayPrototypeSet, Uint8Array, uncurryThis } = primordials;
const [UTF8, LATIN1, ASCII, HEX, BASE64, BASE64URL, UTF16] = [0, 1, 2, 3, 4, 5, 6];
const fillOf = uncurryThis(Uint8Array.prototype.fill);
const subarray = uncurryThis(Uint8Array.prototype.subarray);
const copyWithin = uncurryThis(Uint8Array.prototype.copyWithin);

const slice = (encoding) => (buffer, start = 0, end = buffer.length) => {
  if (end > buffer.length) end = buffer.length;
  return start >= end ? '' : bytes.decode(buffer, encoding, start, end);
};

const write = (encoding) => (buffer, string, offset, length) => writeStatic(buffer, string, offset, length, encoding);

function writeStatic(buffer, string, offset = 0, length = buffer.length - offset, encoding = UTF8) {
  if (offset > buffer.length) throw outOfBounds('"offset" is outside of buffer bounds');
  return bytes.encodeInto(string, buffer, encoding, offset, length);
}

function outOfBounds(message) {
  const error = new RangeError(message);
  error.code = 'ERR_BUFFER_OUT_OF_BOUNDS';
  return error;
}

const asBytes = (view) =>
  view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

const ENCODINGS = ['ascii', 'latin1', 'utf16le', 'utf8', 'base64', 'base64url', 'hex', 'buffer'];
// In the order of Node.js's `enum encoding`: ASCII, UTF8, BASE64, UCS2, BINARY, HEX, BUFFER, BASE64URL.
const NUMBERS = [ASCII, UTF8, BASE64, UTF16, LATIN1, HEX, undefined, BASE64URL];

function encodeAll(string, encoding) {
  const size = encoding === UTF16 ? string.length * 2 : encoding === UTF8 ? bytes.utf8Length(string) : string.length;
  const target = new Uint8Array(size);
  return subarray(target, 0, bytes.encodeInto(string, target, encoding, 0, size));
}

/** Where a search begins, or -1 if it cannot find anything. */
function startOf(length, needle, offset, forward) {
  if (offset < 0) offset = length + offset;
  if (offset < 0) {
    if (forward) return 0;
    return -1;
  }
  if (offset > length - needle) {
    if (forward) return needle === 0 && offset <= length ? offset : offset > length ? -1 : offset + needle > length ? -1 : offset;
    return length - needle;
  }
  return offset;
}

function search(haystack, needle, offset, forward, step) {
  haystack = asBytes(haystack);
  const from = startOf(haystack.length, needle.length, offset, forward);
  if (needle.length === 0) return offset < 0 ? Math.max(haystack.length + offset, 0) : Math.min(offset, haystack.length);
  if (from < 0 || haystack.length < needle.length) return -1;
  if (step === 1) return bytes.indexOf(haystack, needle, from, forward);
  // Two bytes a unit: this loop can be ended, one in the engine's program could not.
  const last = haystack.length - needle.length;
  for (let at = from - from % step; forward ? at <= last : at >= 0; at += forward ? step : -step) {
    let i = 0;
    while (i < needle.length && haystack[at + i] === needle[i]) i++;
    if (i === needle.length) return at;
  }
  return -1;
}

function swap(view, size) {
  const target = asBytes(view);
  for (let at = 0; at + size <= target.length; at += size) {
    for (let i = 0; i < size / 2; i++) {
      const held = target[at + i];
      target[at + i] = target[at + size - 1 - i];
      target[at + size - 1 - i] = held;
    }
  }
  return view;
}

module.exports = {
  // The engine's bound of an ArrayBuffer; a worker's memory limit is far below it.
  kMaxLength: 2 ** 53 - 1,
  kStringMaxLength: 2 ** 29 - 24,
  setBufferPrototype() {},
  getZeroFillToggle() {},
  createUnsafeArrayBuffer: (size) => new ArrayBuffer(size),
  setDetachKey() {},

  byteLengthUtf8: (string) => bytes.utf8Length(string),
  compare: (left, right) => bytes.compare(left, right),
  compareOffset(source, target, targetStart, sourceStart, targetEnd, sourceEnd) {
    if (sourceStart > source.length) throw outOfBounds('"sourceStart" is outside of buffer bounds');
    if (targetStart > target.length) throw outOfBounds('"targetStart" is outside of buffer bounds');
    return bytes.compare(
      subarray(asBytes(source), sourceStart, sourceEnd),
      subarray(asBytes(target), targetStart, targetEnd),
    );
  },
  copy(source, target, targetStart, sourceStart, count) {
    const from = subarray(asBytes(source), sourceStart, sourceStart + count);
    TypedArrayPrototypeSet(asBytes(target), from, targetStart);
    return from.length;
  },
  copyArrayBuffer(target, targetOffset, source, sourceOffset, count) {
    TypedArrayPrototypeSet(new Uint8Array(target), new Uint8Array(source, sourceOffset, count), targetOffset);
  },
  /** -1: the range is none. -2: the value has no bytes. */
  fill(buffer, value, start, end, encoding) {
    if (start < 0 || end > buffer.length) return -2;
    if (start >= end) return;
    let pattern;
    if (typeof value === 'string') {
      pattern = encodeAll(value, numberOf(encoding));
    } else if (ArrayBuffer.isView(value)) {
      pattern = asBytes(value);
    } else {
      fillOf(buffer, value & 255, start, end);
      return;
    }
    if (pattern.length === 0) return -1;
    const count = Math.min(pattern.length, end - start);
    TypedArrayPrototypeSet(buffer, subarray(pattern, 0, count), start);
    for (let done = count; done < end - start; done *= 2) {
      copyWithin(buffer, start + done, start, start + Math.min(done, end - start - done));
    }
  },
  isAscii: (input) => bytes.isAscii(ArrayBuffer.isView(input) ? input : new Uint8Array(input)),
  isUtf8: (input) => bytes.isUtf8(ArrayBuffer.isView(input) ? input : new Uint8Array(input)),
  indexOfBuffer: (buffer, value, offset, encoding, forward) =>
    search(buffer, asBytes(value), offset, forward, NUMBERS[encoding] === UTF16 ? 2 : 1),
  indexOfNumber(buffer, value, offset, forward) {
    return search(buffer, new Uint8Array([value]), offset, forward, 1);
  },
  indexOfString(buffer, value, offset, encoding, forward) {
    const number = NUMBERS[encoding] ?? UTF8;
    return search(buffer, encodeAll(value, number), offset, forward, number === UTF16 ? 2 : 1);
  },
  swap16: (buffer) => swap(buffer, 2),
  swap32: (buffer) => swap(buffer, 4),
  swap64: (buffer) => swap(buffer, 8),

  atob(input) {
    try {
      return web.atob(input);
    } catch {
      return -1;
    }
  },
  btoa(input) {
    try {
      return web.btoa(input);
    } catch {
      return -1;
    }
  },

  asciiSlice: slice(ASCII),
  base64Slice: slice(BASE64),
  base64urlSlice: slice(BASE64URL),
  latin1Slice: slice(LATIN1),
  hexSlice: slice(HEX),
  ucs2Slice: slice(UTF16),
  utf8Slice: slice(UTF8),
  base64Write: write(BASE64),
  base64urlWrite: write(BASE64URL),
  hexWrite: write(HEX),
  ucs2Write: write(UTF16),
  asciiWriteStatic: (buffer, string, offset, length) => writeStatic(buffer, string, offset, length, LATIN1),
  latin1WriteStatic: (buffer, string, offset, length) => writeStatic(buffer, string, offset, length, LATIN1),
  utf8WriteStatic: (buffer, string, offset, length) => writeStatic(buffer, string, offset, length, UTF8),

  numberOf,
  ENCODINGS,
};

function numberOf(encoding) {
  switch (`${encoding ?? 'utf8'}`.toLowerCase()) {
    case 'utf8': case 'utf-8': return UTF8;
    case 'latin1': case 'binary': case 'ascii': return LATIN1;
    case 'hex': return HEX;
    case 'base64': return BASE64;
    case 'base64url': return BASE64URL;
    case 'ucs2': case 'ucs-2': case 'utf16le': case 'utf-16le': return UTF16;
    default: return UTF8;
  }
}
