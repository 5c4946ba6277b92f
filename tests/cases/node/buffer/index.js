import assert from "node:assert";
import { Blob, Buffer, constants, isUtf8, SlowBuffer } from "node:buffer";
import { StringDecoder } from "node:string_decoder";

const tests = {
  encodings() {
    const text = "h\u00e9llo \u20ac \u{1f600}";
    for (const encoding of ["utf8", "utf16le", "ucs2", "base64", "base64url", "hex", "latin1", "ascii", "binary"]) {
      const bytes = Buffer.from(text, "utf8");
      const there = bytes.toString(encoding);
      if (encoding !== "ascii" && encoding !== "utf16le" && encoding !== "ucs2") {
        assert.deepStrictEqual(Buffer.from(there, encoding), bytes, encoding);
      }
    }
    assert.equal(Buffer.from(text, "utf16le").toString("utf16le"), text);
    assert.equal(Buffer.from("\ud800x").toString("hex"), "efbfbd78");
    assert.equal(Buffer.from([0xff, 0x61]).toString(), "\ufffda");
    assert.equal(Buffer.from([0xef, 0xbb, 0xbf, 0x61]).toString(), "\ufeffa");
    assert.equal(Buffer.from("YW\n Jj!", "base64").toString("latin1"), "abc");
    assert.equal(Buffer.from("YQ==YQ==", "base64").toString("latin1"), "a");
    assert.equal(Buffer.from("_-8", "base64").toString("hex"), "ffef");
    assert.equal(Buffer.from("abcz12", "hex").toString("hex"), "ab");
    assert.equal(Buffer.from([0xe1]).toString("ascii"), "a");
    assert.throws(() => Buffer.from("a", "nonsense"), { code: "ERR_UNKNOWN_ENCODING" });
    assert.equal(Buffer.byteLength(text), 15);
    assert.equal(Buffer.byteLength("YQ==", "base64"), 1);
  },
  searching() {
    const bytes = Buffer.from("hello, hello");
    assert.equal(bytes.indexOf("hello", 1), 7);
    assert.equal(bytes.lastIndexOf("hello"), 7);
    assert.equal(bytes.lastIndexOf("hello", 6), 0);
    assert.equal(bytes.indexOf("l", -3), 9);
    assert.equal(bytes.indexOf(""), 0);
    assert.equal(bytes.indexOf("", 99), 12);
    assert.equal(bytes.indexOf("absent"), -1);
    assert.equal(bytes.indexOf(0x6f), 4);
    assert.equal(bytes.indexOf(Buffer.from("lo,")), 3);
    assert(bytes.includes("o, h") && !bytes.includes("x"));
    const wide = Buffer.from("abcabc", "utf16le");
    assert.equal(wide.indexOf("ca", 0, "utf16le"), 4);
    assert.equal(wide.lastIndexOf("b", undefined, "utf16le"), 8);
  },
  numbers() {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32BE(-2, 0);
    bytes.writeUInt16LE(0xabcd, 4);
    assert.equal(bytes.toString("hex"), "fffffffecdab0000");
    assert.equal(bytes.readInt32BE(0), -2);
    bytes.writeDoubleLE(1.5);
    assert.equal(bytes.readDoubleLE(), 1.5);
    bytes.writeBigUInt64BE(2n ** 63n);
    assert.equal(bytes.readBigUInt64BE(), 2n ** 63n);
    assert.throws(() => bytes.readInt32BE(6), { code: "ERR_OUT_OF_RANGE" });
    assert.throws(() => bytes.writeUInt8(256), { code: "ERR_OUT_OF_RANGE" });
  },
  parts() {
    const bytes = Buffer.from("abcdef");
    const part = bytes.subarray(1, 3);
    part[0] = 0x58;
    assert.equal(bytes.toString(), "aXcdef");
    assert(part instanceof Buffer && part instanceof Uint8Array);
    assert.equal(Buffer.concat([part, Buffer.from("!")], 2).toString(), "Xc");
    assert.equal(bytes.copy(bytes, 2, 0, 3), 3);
    assert.equal(bytes.toString(), "aXaXcf");
    assert.equal(Buffer.alloc(5, "ab").toString(), "ababa");
    assert.equal(Buffer.alloc(4, "YQ==", "base64").toString(), "aaaa");
    assert.equal(bytes.fill(0).toString("hex"), "000000000000");
    assert.equal(Buffer.compare(Buffer.from("a"), Buffer.from("b")), -1);
    assert.equal(Buffer.from("xaby").compare(Buffer.from("ab"), 0, 2, 1, 3), 0);
    assert.deepEqual(Buffer.from("ab").toJSON(), { type: "Buffer", data: [97, 98] });
    assert.equal(Buffer.from("0102", "hex").swap16().toString("hex"), "0201");
    assert(Buffer.isBuffer(bytes) && !Buffer.isBuffer(new Uint8Array(1)));
    assert.equal(typeof SlowBuffer, "function");
    assert(isUtf8(Buffer.from("\u20ac")) && !isUtf8(Buffer.from([0x80])));
    assert.equal(globalThis.Buffer, Buffer);
    assert.equal(Blob, globalThis.Blob);
    assert(constants.MAX_STRING_LENGTH > 0);
  },
  decoder() {
    const decoder = new StringDecoder("utf8");
    const parts = [[0xf0], [0x9f, 0x98], [0x80, 0x61], [0xe2, 0x82]];
    assert.deepEqual(parts.map((part) => decoder.write(Buffer.from(part))), ["", "", "\u{1f600}a", ""]);
    assert.equal(decoder.end(), "\ufffd");
    const base64 = new StringDecoder("base64");
    assert.equal(base64.write(Buffer.from("ab")) + base64.write(Buffer.from("cd")) + base64.end(), "YWJjZA==");
    const wide = new StringDecoder("utf16le");
    assert.equal(wide.write(Buffer.from([0x3d, 0xd8, 0x00])) + wide.write(Buffer.from([0xde])), "\u{1f600}");
  },
};

export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    tests[pathname.slice(1)]();
    return new Response("as in Node.js");
  },
};
