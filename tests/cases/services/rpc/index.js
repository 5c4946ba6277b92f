import { RpcPromise, RpcStub, RpcTarget } from "cloudflare:workers";

const thrown = (promise) => promise.then((value) => ["no error", value], (error) => [error.name, error.message]);
const tried = (run) => thrown((async () => run())());


class Target extends RpcTarget {
  #value = 3;
  get value() {
    return this.#value;
  }
  twice(n) {
    return n * 2;
  }
}

const answers = {
  "/values": async ({ CALLEE }) => {
    const buffer = new ArrayBuffer(4);
    const cyclic = { name: "a" };
    cyclic.self = cyclic;
    const sent = {
      date: new Date(5), map: new Map([["k", new Set([1, 2])]]), bytes: new Uint8Array([1, 2]), big: 12345678901234567890n,
      undef: undefined, nan: NaN, regexp: /a+/gi, twice: [buffer, buffer], cyclic, error: new RangeError("inner"), sparse: [1, , 3], "__proto__x": 1,
    };
    const got = await CALLEE.echo(sent);
    return {
      date: got.date.getTime(), set: [...got.map.get("k")], bytes: [...got.bytes], big: String(got.big), undef: "undef" in got && got.undef === undefined,
      nan: Number.isNaN(got.nan), regexp: String(got.regexp), same: got.twice[0] === got.twice[1], cyclic: got.cyclic.self === got.cyclic,
      error: [got.error instanceof RangeError, got.error.message], hole: 1 in got.sparse, sum: await CALLEE.add(1, 2), nothing: (await CALLEE.echo()) === undefined,
    };
  },
  "/refused": async ({ CALLEE }) => [
    await thrown(CALLEE.echo(new (class Foo {})())),
    await thrown(CALLEE.echo({ deep: [Symbol("s")] })),
    await thrown(CALLEE.echo(new WeakMap())),
    await thrown(CALLEE.echo(CALLEE.add)),
  ],
  "/members": async ({ CALLEE, PLAIN, LOOSE, ROOM }) => ({
    missing: await thrown(CALLEE.missing()),
    own: await thrown(CALLEE.own()),
    inherited: [CALLEE.hasOwnProperty("add"), String(CALLEE.add)],
    reserved: await thrown(CALLEE.alarm()),
    socket: await thrown(CALLEE.webSocketMessage()),
    constructed: await tried(() => CALLEE.add.constructor),
    property: await CALLEE.version,
    object: [await PLAIN.double(4), await PLAIN.who("Ada"), await thrown(PLAIN.double(1, 2)), await thrown(PLAIN.missing())],
    loose: await thrown(LOOSE.add(1, 2)),
    room: await thrown(ROOM.add(1, 2)),
  }),
  "/targets": async ({ CALLEE }) => {
    using counter = await CALLEE.counter();
    await counter.increment();
    const [two, ten] = await Promise.all([counter.increment(), counter.increment(8)]);
    using child = await counter.child();
    return { two, ten, count: await counter.count, own: await thrown(counter.own), child: await child.increment(), stub: counter instanceof RpcStub, kind: typeof counter };
  },
  "/pipelining": async ({ CALLEE }) => {
    const counter = CALLEE.counter();
    const results = await Promise.all([counter.increment(2), counter.child().child().increment(3), counter.increment(2)]);
    const both = CALLEE.both();
    return [...results, await both.counter.increment(7), await both.name, await both.nested[0].increment(9), counter instanceof RpcPromise, await thrown(CALLEE.fails().anything.more())];
  },
  "/functions": async ({ CALLEE }) => {
    const made = await CALLEE.maker();
    const inner = await made(10);
    const calls = [];
    const back = await CALLEE.callBack((value) => {
      calls.push(value);
      return value * 3;
    }, 5);
    return [await inner(5), await CALLEE.maker()(1)(2), back, calls, await thrown(CALLEE.callBack(() => {
      throw new RangeError("thrown by the callback");
    }, 1))];
  },
  "/target-argument": async ({ CALLEE }) => CALLEE.callTarget(new Target()),
  "/lifetimes": async ({ CALLEE }) => {
    const log = [];
    const callback = Object.assign((n) => n + 1, { [Symbol.dispose]: () => log.push("disposed") });
    const used = await CALLEE.callBack(callback, 1);
    await scheduler.wait(20);
    const stub = await CALLEE.counter();
    const copy = stub.dup();
    stub[Symbol.dispose]();
    const after = await tried(() => stub.increment());
    const still = await copy.increment();
    copy[Symbol.dispose]();
    const result = await CALLEE.both();
    result[Symbol.dispose]();
    return { used, log, after, still, all: await tried(() => result.counter.increment()), callee: await thrown(CALLEE.useDisposed(callback)), callbackOver: await tried(() => CALLEE.keep((n) => n).then(() => CALLEE.useKept())) };
  },
  "/errors": async ({ CALLEE }) => {
    const error = await CALLEE.fails().catch((error) => error);
    return {
      is: error instanceof TypeError, name: error.name, message: error.message, remote: error.remote, code: error.code, cause: error.cause?.message,
      text: await CALLEE.failsWith("text").catch((value) => value), object: await CALLEE.failsWith({ a: 1 }).catch((value) => value.a),
      custom: await thrown(CALLEE.failsWith(Object.assign(new Error("custom"), { name: "CustomError" }))),
    };
  },
  "/streams": async ({ CALLEE }) => {
    const stream = await CALLEE.stream(20);
    let length = 0;
    for await (const chunk of stream) length += chunk.length;
    const cancelled = (await CALLEE.stream(20)).getReader();
    await cancelled.read();
    await cancelled.cancel(new Error("enough"));
    const { readable, writable } = new TransformStream();
    const [text] = await Promise.all([new Response(readable).text(), CALLEE.write(writable, ["a", "b", "c"])]);
    return { length, read: await CALLEE.read(new Response("x".repeat(300_000)).body), piped: await CALLEE.read(await CALLEE.stream(3)), text };
  },
  "/http": async ({ CALLEE }, request) => {
    const response = await CALLEE.respond(new Request("http://x/", { method: "POST", headers: { "x-a": "b" }, body: "hello" }));
    const headers = await CALLEE.headers(new Headers({ "x-one": "1" }));
    const streamed = await CALLEE.respond(request);
    return [response.status, response.headers.get("x-method"), response.headers.get("x-a"), await response.text(), [...headers], streamed.status, await streamed.text()];
  },
  "/sizes": async ({ CALLEE }) => [
    await CALLEE.size(new Uint8Array(2 << 20)),
    (await CALLEE.bytes(1 << 20)).length,
  ],
  "/ended": async ({ CALLEE }) => [await thrown(CALLEE.spin()), await CALLEE.add(1, 1)],
  "/local": async () => {
    const log = [];
    const target = new Target();
    target[Symbol.dispose] = () => log.push("disposed");
    using stub = new RpcStub(target);
    const copy = stub.dup();
    const twice = await copy.twice(2);
    copy[Symbol.dispose]();
    return [twice, await stub.value, [...log], await tried(() => new RpcStub({}))];
  },
};

let stolen;
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/keep") {
      stolen = await env.CALLEE.counter();
      return new Response(`${await stolen.increment()}`);
    }
    if (pathname === "/steal") return Response.json(await tried(() => stolen.increment()));
    return Response.json(await answers[pathname](env, request));
  },
};
