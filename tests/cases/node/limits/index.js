import { createCipheriv, createHash, pbkdf2Sync, scryptSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";

// Each takes seconds, or more memory than there is, unless it is ended.
const paths = {
  "/pbkdf2": () => pbkdf2Sync("password", "salt", 100_000, 1 << 16, "sha512"),
  "/hash": () => {
    const data = Buffer.alloc(32 << 20);
    for (let i = 0; i < 1000; i++) createHash("sha256").update(data).digest();
  },
  "/cipher": () => {
    const data = Buffer.alloc(8 << 20);
    const cipher = createCipheriv("aes-256-gcm", Buffer.alloc(32), Buffer.alloc(12));
    for (let i = 0; i < 1000; i++) cipher.update(data);
  },
  "/gzip": () => {
    const data = crypto.getRandomValues(new Uint8Array(65536));
    for (let i = 0; i < 10_000; i++) gzipSync(data, { level: 9 });
  },
  "/bomb": () => {
    // A hundred megabytes of zeros in a hundred kilobytes, again and again.
    const part = gzipSync(Buffer.alloc(1 << 20));
    const bomb = Buffer.concat(Array.from({ length: 1000 }, () => part));
    return gunzipSync(bomb).length;
  },
  "/scrypt": () => {
    for (let i = 0; i < 1000; i++) scryptSync("password", "salt", 64);
  },
  "/files": () => {
    for (let i = 0; i < 10_000; i++) writeFileSync(`/tmp/${i}`, Buffer.alloc(1 << 20));
  },
  "/": () => brotliDecompressSync(Buffer.from("iwWASGVsbG8sIHdvcmxkAw==", "base64")).toString(),
};

export default {
  fetch: (request) => new Response(String(paths[new URL(request.url).pathname]())),
};
