import assert from "node:assert";
import timers from "node:timers";
import { scheduler as nodeScheduler, setImmediate as immediate, setInterval as interval, setTimeout as wait } from "node:timers/promises";

const tests = {
  async objects() {
    const timeout = setTimeout(() => assert.fail("was cleared"), 1);
    assert.equal(timeout.constructor.name, "Timeout");
    assert(timeout.hasRef() && timeout.ref() === timeout && timeout.unref() === timeout);
    assert(Number.isInteger(+timeout));
    clearTimeout(timeout);
    const byNumber = setTimeout(() => assert.fail("was cleared by its number"), 1);
    clearTimeout(+byNumber);
    const values = await new Promise((resolve) => setTimeout((...values) => resolve(values), 1, "a", "b"));
    assert.deepEqual(values, ["a", "b"]);
    let count = 0;
    await new Promise((resolve) => {
      const repeated = setInterval(() => {
        if (++count === 3) {
          clearInterval(repeated);
          resolve();
        }
      }, 1);
    });
    await wait(5);
    assert.equal(count, 3);
    assert.equal(timers.setTimeout, setTimeout);
    assert.throws(() => setTimeout("text"), { code: "ERR_INVALID_ARG_TYPE" });
  },
  async refresh() {
    let fired = 0;
    const timeout = setTimeout(() => fired++, 10);
    timeout.refresh();
    await wait(30);
    assert.equal(fired, 1);
    { using scoped = setTimeout(() => assert.fail("was disposed of"), 1); void scoped; }
    await wait(5);
  },
  async promises() {
    assert.equal(await wait(1, "value"), "value");
    assert.equal(await immediate("now"), "now");
    await nodeScheduler.wait(1);
    let count = 0;
    for await (const value of interval(1, "x")) {
      assert.equal(value, "x");
      if (++count === 3) break;
    }
    const signal = AbortSignal.abort(new Error("why"));
    await assert.rejects(wait(1000, undefined, { signal }), (error) => error.name === "AbortError" && error.cause.message === "why");
    const controller = new AbortController();
    const waiting = wait(60_000, undefined, { signal: controller.signal });
    controller.abort();
    await assert.rejects(waiting, { code: "ABORT_ERR" });
  },
};

export default {
  async fetch(request) {
    await tests[new URL(request.url).pathname.slice(1)]();
    return new Response("as in Node.js");
  },
};
