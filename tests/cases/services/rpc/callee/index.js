import { DurableObject, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Counter extends RpcTarget {
  #count = 0;
  own = "an instance's own";

  increment(by = 1) {
    return this.#count += by;
  }

  get count() {
    return this.#count;
  }

  child() {
    return new Counter();
  }

  [Symbol.dispose]() {
    console.log(`a counter at ${this.#count} is disposed`);
  }
}

let kept;

export default class extends WorkerEntrypoint {
  own = () => "an instance's own";

  add(a, b) {
    return a + b;
  }

  echo(value) {
    return value;
  }

  types(...values) {
    return values.map((value) => Object.prototype.toString.call(value));
  }

  counter() {
    return new Counter();
  }

  both() {
    return { counter: new Counter(), name: "both", nested: [new Counter()] };
  }

  maker() {
    return (a) => (b) => a + b;
  }

  async callBack(callback, value) {
    return `called back: ${await callback(value)}`;
  }

  async callTarget(target) {
    const before = await target.value;
    return [before, await target.twice(4)];
  }

  keep(callback) {
    kept = callback.dup();
  }

  async useKept() {
    return kept(1);
  }

  async useDisposed(callback) {
    callback[Symbol.dispose]();
    return callback(1);
  }

  fails() {
    const error = new TypeError("no such luck", { cause: new Error("the cause") });
    error.code = 7;
    throw error;
  }

  failsWith(value) {
    throw value;
  }

  stream(chunks) {
    return new ReadableStream({
      type: "bytes",
      pull(controller) {
        if (chunks-- > 0) controller.enqueue(new Uint8Array(100_000).fill(65));
        else controller.close();
      },
      cancel(reason) {
        console.log(`the stream was cancelled: ${reason.message}`);
      },
    });
  }

  async read(stream) {
    let length = 0;
    for await (const chunk of stream) length += chunk.length;
    return length;
  }

  async write(writable, words) {
    const writer = writable.getWriter();
    for (const word of words) await writer.write(new TextEncoder().encode(word));
    await writer.close();
  }

  respond(request) {
    return new Response(request.body, { status: 202, headers: { "x-method": request.method, "x-a": request.headers.get("x-a") } });
  }

  headers(headers) {
    headers.set("x-more", "1");
    return headers;
  }

  bytes(length) {
    return new Uint8Array(length);
  }

  size(bytes) {
    return bytes.length;
  }

  get version() {
    return 5;
  }

  forever() {
    return new Promise((resolve) => setTimeout(resolve, 60_000));
  }

  spin() {
    for (;;);
  }
}

export const plain = {
  double: (n) => n * 2,
  who: (name, env, ctx) => `${name} ${typeof env} ${typeof ctx.waitUntil}`,
};

export class Room extends DurableObject {
  add(a, b) {
    return a + b;
  }
}

export class Loose {
  add(a, b) {
    return a + b;
  }
}
