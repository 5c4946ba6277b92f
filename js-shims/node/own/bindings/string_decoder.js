// Node.js's `string_decoder` binding: what a decoder keeps between chunks lies in a buffer that the module owns.
'use strict';

const { bytes } = internalBinding('holm').natives;
const { Uint8Array, uncurryThis } = primordials;
const subarray = uncurryThis(Uint8Array.prototype.subarray);

const encodings = ['ascii', 'utf8', 'base64', 'utf16le', 'latin1', 'hex', 'buffer', 'base64url'];
const NUMBERS = [2, 0, 4, 6, 1, 3, 0, 5];

const kIncompleteCharactersStart = 0;
const kIncompleteCharactersEnd = 4;
const kMissingBytes = 4;
const kBufferedBytes = 5;
const kEncodingField = 6;
const kNumFields = 7;
const kSize = 7;

/** How many bytes at the end are the beginning of something longer: `[kept, missing]`. */
function unfinished(encoding, input) {
  const { length } = input;
  switch (encodings[encoding]) {
    case 'utf16le': {
      const odd = length % 2;
      if (length - odd >= 2 && (input[length - odd - 1] & 0xfc) === 0xd8) return [odd + 2, 2 - odd];
      return odd === 1 ? [1, 1] : [0, 0];
    }
    case 'base64':
    case 'base64url': {
      const rest = length % 3;
      return rest === 0 ? [0, 0] : [rest, 3 - rest];
    }
    case 'utf8': {
      for (let back = 1; back <= Math.min(3, length); back++) {
        const byte = input[length - back];
        if ((byte & 0xc0) === 0x80) continue;
        const size = byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 && byte < 0xf0 ? 3 : byte >= 0xc2 && byte < 0xe0 ? 2 : 1;
        if (size <= back) return [0, 0];
        if (back > 1) {
          // The second byte has a narrower range after some first ones.
          const second = input[length - back + 1];
          if ((byte === 0xe0 && second < 0xa0) || (byte === 0xed && second > 0x9f) ||
              (byte === 0xf0 && second < 0x90) || (byte === 0xf4 && second > 0x8f)) return [0, 0];
        }
        return [back, size - back];
      }
      return [0, 0];
    }
    default:
      return [0, 0];
  }
}

function decode(state, chunk) {
  if (!ArrayBuffer.isView(chunk)) {
    const error = new TypeError('The "buf" argument must be an instance of Buffer, TypedArray, or DataView.');
    error.code = 'ERR_INVALID_ARG_TYPE';
    throw error;
  }
  const encoding = state[kEncodingField];
  const input = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const buffered = state[kBufferedBytes];
  let all = input;
  if (buffered > 0) {
    all = new Uint8Array(buffered + input.length);
    all.set(subarray(state, kIncompleteCharactersStart, buffered));
    all.set(input, buffered);
  }
  const { 0: kept, 1: missing } = unfinished(encoding, all);
  const end = all.length - kept;
  state[kBufferedBytes] = kept;
  state[kMissingBytes] = missing;
  for (let i = 0; i < kept; i++) state[kIncompleteCharactersStart + i] = all[end + i];
  return end === 0 ? '' : bytes.decode(all, NUMBERS[encoding], 0, end);
}

function flush(state) {
  const buffered = state[kBufferedBytes];
  state[kBufferedBytes] = 0;
  state[kMissingBytes] = 0;
  if (buffered === 0) return '';
  const encoding = state[kEncodingField];
  const end = encodings[encoding] === 'utf16le' ? buffered - buffered % 2 : buffered;
  return bytes.decode(state, NUMBERS[encoding], 0, end);
}

module.exports = {
  encodings, decode, flush, kIncompleteCharactersStart, kIncompleteCharactersEnd, kMissingBytes, kBufferedBytes,
  kEncodingField, kNumFields, kSize,
};
