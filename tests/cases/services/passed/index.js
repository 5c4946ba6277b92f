const thrown = (promise) => promise.then((value) => ["no error", value], (error) => [error.constructor.name, error.name, error.message, error.remote]);
const aborted = (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve([signal.reason.constructor.name, signal.reason.name, signal.reason.message])));

const answers = {
  "/service": ({ CALLEE, OTHER }) => CALLEE.use(OTHER),
  "/own": async ({ CALLEE }, ctx) => [await CALLEE.use(ctx.exports.Here), await (await CALLEE.own()).greet("Grace")],
  "/back": async ({ CALLEE, OTHER }) => {
    using got = await CALLEE.back(OTHER);
    return [got.service === got.again, await got.service.greet("Ada"), (await got.service.fetch("https://other.example/x")).status];
  },
  "/nested": ({ CALLEE, OTHER }) => CALLEE.nested(OTHER),
  "/kept": async ({ CALLEE, OTHER }) => [await CALLEE.keep(OTHER), await CALLEE.useKept()],
  "/aborts": ({ CALLEE, OTHER }) => CALLEE.aborts(OTHER),
  "/connect": ({ OTHER }) => thrown((async () => OTHER.connect("a:1"))()),
  "/signal": async ({ CALLEE }) => {
    const controller = new AbortController();
    const watching = CALLEE.watch(controller.signal);
    setTimeout(() => controller.abort(), 10);
    const other = new AbortController();
    const reasoned = CALLEE.watch(other.signal);
    setTimeout(() => other.abort("a text"), 10);
    return [await watching, await reasoned, await CALLEE.watch(AbortSignal.abort()), await CALLEE.watch(AbortSignal.timeout(5)), await CALLEE.same(new AbortController().signal)];
  },
  "/stops": async ({ CALLEE }) => {
    const controller = new AbortController();
    return CALLEE.work((count) => {
      if (count === 2) controller.abort();
      return count;
    }, controller.signal);
  },
  "/result": async ({ CALLEE }) => {
    using got = await CALLEE.lateSignal();
    return await Promise.all([aborted(got.signal), aborted(got.timeout)]);
  },
  "/exception": ({ CALLEE }) => thrown(CALLEE.exception()),
};

export const Here = { fetch: (request) => new Response(`here ${request.method}`), greet: (name) => `here ${name}` };

export default {
  async fetch(request, env, ctx) {
    return Response.json(await answers[new URL(request.url).pathname](env, ctx));
  },
};
