// Node.js's `zlib` binding: steps of a stream, into buffers that the module owns.
'use strict';

const { worker: { nextTick }, zlib } = internalBinding('holm').natives;
const { zlib: constants } = internalBinding('constants');
const {
  BROTLI_DECODE, BROTLI_ENCODE, BROTLI_PARAM_LGWIN, BROTLI_PARAM_QUALITY, GUNZIP, UNZIP, Z_BUF_ERROR, Z_DATA_ERROR, Z_FINISH,
  Z_NEED_DICT, Z_OK, Z_STREAM_END,
} = constants;

const EMPTY = new Uint8Array(0);
const NAMES = { '__proto__': null, '2': 'Z_NEED_DICT', '-2': 'Z_STREAM_ERROR', '-3': 'Z_DATA_ERROR', '-5': 'Z_BUF_ERROR' };

class Stream {
  _mode;
  _stream;
  _state;
  _done;
  _options;
  _closed = false;

  constructor(mode) {
    this._mode = mode;
  }

  _start(options, state, done) {
    this._options = options;
    this._state = state;
    this._done = done;
    this._stream = zlib.open(...options);
  }

  reset() {
    const old = this._stream;
    this._stream = zlib.open(...this._options);
    zlib.close(old);
  }

  close() {
    this._closed = true;
    if (this._stream !== undefined) zlib.close(this._stream);
    this._stream = undefined;
  }

  getAsyncId() {
    return 0;
  }

  /** Answers whether it went well; tells `onerror` otherwise. */
  _step(flush, input, inputAt, inputLength, output, outputAt, outputLength) {
    const from = input === null || input === undefined ? EMPTY : new Uint8Array(input.buffer, input.byteOffset + inputAt, inputLength);
    const to = new Uint8Array(output.buffer, output.byteOffset + outputAt, outputLength);
    const { 0: code, 1: read, 2: written } = zlib.write(this._stream, flush, from, to);
    this._state[0] = outputLength - written;
    this._state[1] = inputLength - read;
    const problem = this._problem(code, flush);
    if (problem === undefined) return true;
    this.onerror(problem[0], problem[1], problem[2]);
    return false;
  }

  write(...step) {
    nextTick(() => {
      if (this._closed) return;
      if (this._step(...step) && !this._closed) this._done();
    });
  }

  writeSync(...step) {
    return this._step(...step);
  }
}

class Zlib extends Stream {
  init(windowBits, level, memLevel, strategy, state, done, dictionary) {
    void memLevel;
    void strategy;
    this._dictionary = dictionary;
    this._start([this._mode, windowBits, level, bytesOf(dictionary)], state, done);
  }

  params(level, strategy) {
    void strategy;
    const code = zlib.level(this._stream, level);
    if (code !== Z_OK) this.onerror('Failed to set parameters', code, NAMES[code]);
    this._options[2] = level;
  }

  _problem(code, flush) {
    switch (code) {
      case Z_OK:
      case Z_BUF_ERROR:
        if (this._state[0] !== 0 && flush === Z_FINISH) return ['unexpected end of file', Z_BUF_ERROR, 'Z_BUF_ERROR'];
        return undefined;
      case Z_STREAM_END:
        return undefined;
      case Z_NEED_DICT:
        return ['Missing dictionary', Z_NEED_DICT, 'Z_NEED_DICT'];
      case Z_DATA_ERROR: {
        const isGzip = this._mode === GUNZIP || this._mode === UNZIP;
        if (this._dictionary !== undefined) return ['Bad dictionary', code, NAMES[code]];
        return [isGzip ? 'incorrect header check' : 'invalid stored block lengths', code, NAMES[code]];
      }
      default:
        return ['Zlib error', code, NAMES[code] ?? 'Z_STREAM_ERROR'];
    }
  }
}

function bytesOf(dictionary) {
  if (dictionary === undefined || dictionary === null) return EMPTY;
  return ArrayBuffer.isView(dictionary) ?
    new Uint8Array(dictionary.buffer, dictionary.byteOffset, dictionary.byteLength) :
    new Uint8Array(dictionary);
}

/** A parameter of Brotli that was not given is all ones. */
const given = (value, otherwise) => value === undefined || value === 0xffffffff || value === -1 ? otherwise : value;

class Brotli extends Stream {
  init(parameters, state, done) {
    const quality = given(parameters[BROTLI_PARAM_QUALITY], 9);
    const window = given(parameters[BROTLI_PARAM_LGWIN], 22);
    this._start([this._mode, window, quality, EMPTY], state, done);
  }

  params() {}

  _problem(code) {
    if (code === Z_OK) return undefined;
    if (code === Z_BUF_ERROR) return ['unexpected end of file', Z_BUF_ERROR, 'Z_BUF_ERROR'];
    return this._mode === BROTLI_DECODE ?
      ['Decompression failed', code, 'ERR_BROTLI_DECODER_ERROR'] :
      ['Compression failed', code, 'ERR_BROTLI_COMPRESSION_FAILED'];
  }
}

class Unavailable {
  constructor() {
    const error = new Error('zlib: Zstandard is not available in a worker.');
    error.code = 'ERR_METHOD_NOT_IMPLEMENTED';
    throw error;
  }
}

module.exports = {
  Zlib,
  BrotliEncoder: class BrotliEncoder extends Brotli {
    constructor() {
      super(BROTLI_ENCODE);
    }
  },
  BrotliDecoder: class BrotliDecoder extends Brotli {
    constructor() {
      super(BROTLI_DECODE);
    }
  },
  ZstdCompress: Unavailable,
  ZstdDecompress: Unavailable,
  crc32(data, before) {
    if (typeof data === 'string') data = require('buffer').Buffer.from(data);
    return zlib.crc32(data, before ?? 0);
  },
};
