import assert from "node:assert";
import { addAbortSignal, compose, Duplex, duplexPair, finished, PassThrough, Readable, Transform, Writable } from "node:stream";
import { arrayBuffer, buffer, json, text } from "node:stream/consumers";
import { finished as whenFinished, pipeline } from "node:stream/promises";
import * as web from "node:stream/web";

const upper = () => new Transform({
  transform(chunk, encoding, done) {
    done(null, chunk.toString().toUpperCase());
  },
});

const tests = {
  async pipelines() {
    const parts = [];
    await pipeline(Readable.from(["a", "b", "c"]), upper(), async function* (source) {
      for await (const chunk of source) yield `${chunk}!`;
    }, new Writable({
      write(chunk, encoding, done) {
        parts.push(chunk.toString());
        done();
      },
    }));
    assert.match(parts.join(""), /^A!?B!?C!$/);
    const failing = new Transform({
      transform(chunk, encoding, done) {
        done(new Error("broke"));
      },
    });
    await assert.rejects(pipeline(Readable.from(["a"]), failing, new PassThrough().resume()), /broke/);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 1);
    await assert.rejects(pipeline(new Readable({ read() {} }), new PassThrough(), { signal: controller.signal }), { name: "AbortError" });
  },
  async backpressure() {
    let pulled = 0;
    const source = new Readable({
      highWaterMark: 2,
      objectMode: true,
      read() {
        this.push(pulled++ < 10 ? { n: pulled } : null);
      },
    });
    const slow = new Writable({
      highWaterMark: 1,
      objectMode: true,
      write(chunk, encoding, done) {
        setTimeout(done, 1);
      },
    });
    assert.equal(slow.write({}), false);
    await new Promise((resolve) => slow.once("drain", resolve));
    await pipeline(source, slow);
    assert.equal(pulled, 11);
  },
  async helpers() {
    assert.deepEqual(await Readable.from([1, 2, 3, 4]).filter((n) => n % 2).map((n) => n * 10).toArray(), [10, 30]);
    assert.equal(await Readable.from([1, 2, 3]).reduce((sum, n) => sum + n, 0), 6);
    assert.equal(await text(compose(Readable.from(["x", "y"]), upper())), "XY");
    assert.deepEqual(await json(Readable.from(['{"a":', "1}"])), { a: 1 });
    assert.equal((await buffer(Readable.from([Buffer.from("ab")]))).toString("hex"), "6162");
    assert.equal((await arrayBuffer(Readable.from([Buffer.from("ab")]))).byteLength, 2);
    const [one, other] = duplexPair();
    one.end("over there");
    assert.equal(await text(other), "over there");
    const stopped = addAbortSignal(AbortSignal.abort(), new PassThrough());
    await assert.rejects(whenFinished(stopped), { name: "AbortError" });
    await new Promise((resolve) => finished(Readable.from(["x"]).resume(), resolve));
    const decoded = new PassThrough().setEncoding("utf8");
    decoded.write(Buffer.from([0xe2, 0x82]));
    decoded.end(Buffer.from([0xac]));
    assert.equal(await text(decoded), "\u20ac");
  },
  async web() {
    assert.equal(web.ReadableStream, ReadableStream);
    assert.equal(await new Response(Readable.toWeb(Readable.from([Buffer.from("to "), Buffer.from("web")]))).text(), "to web");
    assert.equal(await text(Readable.fromWeb(new Response("from web").body)), "from web");
    const { readable, writable } = new TransformStream();
    const sink = Writable.fromWeb(writable);
    sink.write("a");
    sink.end("b");
    assert.equal(await text(Readable.fromWeb(readable)), "ab");
    const pair = Duplex.toWeb(upper());
    const writer = pair.writable.getWriter();
    writer.write(Buffer.from("loud"));
    writer.close();
    assert.equal(await new Response(pair.readable).text(), "LOUD");
    const duplex = Duplex.fromWeb(new TransformStream());
    duplex.end("around");
    assert.equal(await text(duplex), "around");
  },
};

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/body") {
      // The body of a request through Node.js's streams into that of the response.
      const shouted = Readable.fromWeb(request.body).pipe(upper());
      return new Response(Readable.toWeb(shouted));
    }
    await tests[pathname.slice(1)]();
    return new Response("as in Node.js");
  },
};
