import assert from "node:assert";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import zlib from "node:zlib";

const text = Buffer.from("a text that repeats itself, a text that repeats itself. ".repeat(2000));
const noise = () => crypto.getRandomValues(new Uint8Array(40_000));

async function through(stream, input, size = 1000) {
  const parts = [];
  const pieces = [];
  for (let at = 0; at < input.length; at += size) pieces.push(input.subarray(at, at + size));
  await pipeline(Readable.from(pieces), stream, new Writable({
    write(chunk, encoding, done) {
      parts.push(chunk);
      done();
    },
  }));
  return Buffer.concat(parts);
}

const tests = {
  async whole() {
    for (const [pack, unpack] of [["gzip", "gunzip"], ["deflate", "inflate"], ["deflateRaw", "inflateRaw"], ["brotliCompress", "brotliDecompress"]]) {
      for (const input of [text, noise(), Buffer.alloc(0)]) {
        const packed = zlib[`${pack}Sync`](input);
        assert.deepEqual(new Uint8Array(zlib[`${unpack}Sync`](packed)), new Uint8Array(input), pack);
        const later = await promisify(zlib[unpack])(await promisify(zlib[pack])(input));
        assert.deepEqual(new Uint8Array(later), new Uint8Array(input), pack);
      }
      assert(zlib[`${pack}Sync`](text).length < 1000, pack);
    }
    assert.equal(zlib.unzipSync(zlib.deflateSync("x")).toString(), "x");
    assert.equal(zlib.unzipSync(zlib.gzipSync("x")).toString(), "x");
    assert.equal(zlib.crc32("hello"), 907060870);
    assert.equal(zlib.crc32("lo", zlib.crc32("hel")), 907060870);
  },
  async streams() {
    for (const [Pack, Unpack] of [["createGzip", "createGunzip"], ["createDeflate", "createInflate"], ["createDeflateRaw", "createInflateRaw"], ["createBrotliCompress", "createBrotliDecompress"], ["createGzip", "createUnzip"]]) {
      for (const size of [1, 700, 1 << 20]) {
        const input = size === 1 ? text.subarray(0, 500) : text;
        const packed = await through(zlib[Pack](), input, size);
        assert.deepEqual(await through(zlib[Unpack](), packed, size), input, `${Pack} ${size}`);
      }
    }
    // What the web's streams pack is unpacked here, and the other way round.
    const web = new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip")));
    assert.deepEqual(zlib.gunzipSync(Buffer.from(await web.arrayBuffer())), text);
    const back = new Blob([zlib.gzipSync(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
    assert.deepEqual(Buffer.from(await new Response(back).arrayBuffer()), text);
  },
  async flush() {
    const gzip = zlib.createGzip();
    const seen = [];
    gzip.on("data", (chunk) => seen.push(chunk));
    gzip.write("now");
    await new Promise((resolve) => gzip.flush(resolve));
    const gunzip = zlib.createGunzip();
    const first = new Promise((resolve) => gunzip.once("data", resolve));
    gunzip.write(Buffer.concat(seen));
    assert.equal((await first).toString(), "now");
    gzip.destroy();
    gunzip.destroy();
  },
  async options() {
    const small = zlib.deflateSync(text, { level: 1, windowBits: 9, chunkSize: 64 });
    assert.deepEqual(zlib.inflateSync(small, { chunkSize: 100 }), text);
    const stored = zlib.deflateSync(text, { level: 0 });
    assert(stored.length > text.length);
    const dictionary = Buffer.from("a text that repeats itself");
    const with_ = zlib.deflateSync("a text that repeats itself!", { dictionary });
    assert.equal(zlib.inflateSync(with_, { dictionary }).toString(), "a text that repeats itself!");
    assert.throws(() => zlib.inflateSync(with_), { code: "Z_NEED_DICT" });
    const quick = zlib.brotliCompressSync(text, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } });
    assert.deepEqual(zlib.brotliDecompressSync(quick), text);
    assert.throws(() => zlib.gunzipSync(zlib.gzipSync(text), { maxOutputLength: 1000 }), { code: "ERR_BUFFER_TOO_LARGE" });
    assert.deepEqual(zlib.gunzipSync(Buffer.concat([zlib.gzipSync("a"), zlib.gzipSync("b")])).toString(), "ab");
  },
  async errors() {
    assert.throws(() => zlib.gunzipSync(Buffer.from("no gzip at all")), { code: "Z_DATA_ERROR" });
    assert.throws(() => zlib.gunzipSync(zlib.gzipSync(text).subarray(0, 50)), { code: "Z_BUF_ERROR", message: "unexpected end of file" });
    assert.throws(() => zlib.brotliDecompressSync(Buffer.from([255, 255, 255])));
    await assert.rejects(promisify(zlib.inflate)(Buffer.from("nonsense")), { code: "Z_DATA_ERROR" });
    await assert.rejects(through(zlib.createGunzip(), zlib.gzipSync(text).subarray(0, 100)), { code: "Z_BUF_ERROR" });
    assert.throws(() => zlib.deflateSync("x", { level: 10 }), { code: "ERR_OUT_OF_RANGE" });
    assert.throws(() => zlib.zstdCompressSync("x"), { code: "ERR_METHOD_NOT_IMPLEMENTED" });
  },
  bomb() {
    const bomb = zlib.gzipSync(Buffer.alloc(10 << 20));
    assert(bomb.length < 20_000);
    assert.throws(() => zlib.gunzipSync(bomb, { maxOutputLength: 1 << 20 }), { code: "ERR_BUFFER_TOO_LARGE" });
  },
};

export default {
  async fetch(request) {
    await tests[new URL(request.url).pathname.slice(1)]();
    return new Response("as in Node.js");
  },
};
