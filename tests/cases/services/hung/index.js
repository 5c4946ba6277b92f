import { WorkerEntrypoint } from "cloudflare:workers";

const failed = (promise) => promise.then((value) => `no failure: ${value}`, (error) => error.message);

export class Own extends WorkerEntrypoint {
  fetch() {
    return new Promise(() => {});
  }
  never() {
    return new Promise(() => {});
  }
  deeper() {
    return this.ctx.exports.Own.never();
  }
  async slow() {
    await scheduler.wait(50);
    return "slow";
  }
}

const answers = {
  "/method": ({ CALLEE }) => failed(CALLEE.never()),
  "/pipelined": ({ CALLEE }) => failed(CALLEE.never().more(1)),
  "/callback": ({ CALLEE }) => failed(CALLEE.after(() => 1)),
  "/fetch": ({ CALLEE }) => failed(CALLEE.fetch("https://callee.example/")),
  "/own": (env, { exports }) => failed(exports.Own.never()),
  "/own-fetch": (env, { exports }) => failed(exports.Own.fetch("https://own.example/")),
  "/own-deeper": (env, { exports }) => failed(exports.Own.deeper()),
  "/beside": async ({ CALLEE }, { exports }) =>
    Promise.all([failed(CALLEE.never()), CALLEE.slow(), failed(exports.Own.never()), exports.Own.slow()]),
  // What the other side waits for may still come from this one.
  "/caller": ({ CALLEE }) => CALLEE.waits(async () => {
    await scheduler.wait(100);
    return "from the caller";
  }),
  "/door": async ({ CALLEE }) => {
    const door = await CALLEE.door();
    const opened = door.opened();
    await scheduler.wait(100);
    await door.open();
    return opened;
  },
  "/stream": ({ CALLEE }) => CALLEE.reads(new ReadableStream({
    type: "bytes",
    async pull(controller) {
      await scheduler.wait(100);
      controller.enqueue(new TextEncoder().encode("slowly"));
      controller.close();
    },
  })),
  "/itself": () => new Promise(() => {}),
};

export default {
  async fetch(request, env, ctx) {
    return Response.json(await answers[new URL(request.url).pathname](env, ctx));
  },
};
