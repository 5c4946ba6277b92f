import assert from "node:assert";
import { channel, subscribe, tracingChannel } from "node:diagnostics_channel";
import EventEmitter, { captureRejectionSymbol, getEventListeners, on, once } from "node:events";
import { performance, PerformanceObserver } from "node:perf_hooks";
import { AsyncLocalStorage } from "node:async_hooks";

const tests = {
  async emitter() {
    const emitter = new EventEmitter();
    const seen = [];
    emitter.on("x", (value) => seen.push(["on", value]));
    emitter.prependOnceListener("x", (value) => seen.push(["once", value]));
    assert(emitter.emit("x", 1) && emitter.emit("x", 2) && !emitter.emit("y"));
    assert.deepEqual(seen, [["once", 1], ["on", 1], ["on", 2]]);
    assert.deepEqual(emitter.eventNames(), ["x"]);
    assert.throws(() => emitter.emit("error", new Error("unheard")), /unheard/);
    setTimeout(() => emitter.emit("later", "a", "b"), 1);
    assert.deepEqual(await once(emitter, "later"), ["a", "b"]);
    setTimeout(() => {
      emitter.emit("many", 1);
      emitter.emit("many", 2);
    }, 1);
    const many = [];
    for await (const [value] of on(emitter, "many")) {
      many.push(value);
      if (many.length === 2) break;
    }
    assert.deepEqual(many, [1, 2]);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 1);
    await assert.rejects(once(emitter, "never", { signal: controller.signal }), { name: "AbortError" });
  },
  async rejections() {
    const emitter = new EventEmitter({ captureRejections: true });
    emitter.on("x", async () => {
      throw new Error("captured");
    });
    emitter.emit("x");
    const [error] = await once(emitter, "error").catch((error) => [error]);
    assert.equal(error.message, "captured");
    assert.equal(typeof captureRejectionSymbol, "symbol");
  },
  async targets() {
    const target = new EventTarget();
    setTimeout(() => target.dispatchEvent(new Event("x")), 1);
    const [event] = await once(target, "x");
    assert.equal(event.type, "x");
    assert.deepEqual(getEventListeners(target, "x"), []);
  },
  async channels() {
    const seen = [];
    subscribe("a", (message, name) => seen.push([message, name]));
    channel("a").publish(1);
    assert.deepEqual(seen, [[1, "a"]]);
    const storage = new AsyncLocalStorage();
    channel("b").bindStore(storage, (data) => data.id);
    assert.equal(channel("b").runStores({ id: 7 }, () => storage.getStore()), 7);
    const traced = [];
    const tracing = tracingChannel("work");
    tracing.subscribe({ start: () => traced.push("start"), end: () => traced.push("end"), asyncEnd: () => traced.push("asyncEnd") });
    await tracing.tracePromise(async () => 1, {});
    assert.deepEqual(traced, ["start", "end", "asyncEnd"]);
    assert.equal(performance, globalThis.performance);
    new PerformanceObserver(() => {}).observe({ entryTypes: ["mark"] });
  },
};

export default {
  async fetch(request) {
    await tests[new URL(request.url).pathname.slice(1)]();
    return new Response("as in Node.js");
  },
};
