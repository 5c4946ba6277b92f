import { cache, tracing } from "cloudflare:workers";

const thrown = (run) => {
  try {
    return run();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};
const outside = tracing.getActiveSpan();

const answers = {
  "/spans": async (ctx) => {
    const seen = [];
    const value = await tracing.enterSpan("outer", async (outer, a, b) => {
      seen.push(outer === tracing.getActiveSpan(), a + b, outer.isTraced);
      await scheduler.wait(1);
      seen.push(outer === tracing.getActiveSpan());
      ctx.tracing.startActiveSpan("inner", (inner) => {
        seen.push(inner === tracing.getActiveSpan(), inner === outer);
        tracing.withActiveSpan(outer, () => seen.push(outer === tracing.getActiveSpan()));
        inner.end();
      });
      const free = tracing.startSpan("free");
      seen.push(free === tracing.getActiveSpan(), free instanceof tracing.Span);
      free.end();
      return "value";
    }, 1, 2);
    const root = tracing.getActiveSpan();
    seen.push(root === tracing.getActiveSpan(), root instanceof tracing.Span, outside === undefined, ctx.tracing === tracing);
    return [value, seen];
  },
  "/span": () => {
    const span = tracing.startSpan("a");
    return [
      span.setAttribute("a", 1) === span, span.setAttributes({ b: "x", c: undefined }) === span, span.setStatus({ code: "error", message: "m" }) === span,
      span.updateName("b") === span, span.recordException(new Error("e")) === undefined, span.spanContext(),
    ];
  },
  "/errors": async () => [
    thrown(() => tracing.enterSpan("a")), thrown(() => tracing.enterSpan("a", () => { throw new RangeError("inside"); })), thrown(() => tracing.withActiveSpan({}, () => {})),
    thrown(() => tracing.startSpan("a").setStatus({ code: "bad" })), thrown(() => new tracing.Span()), thrown(() => tracing.startSpan()),
  ],
  "/cache": async (ctx) => [ctx.cache === undefined, await cache.purge({ tags: ["a"] }).catch((error) => error.message), await cache.invalidate({}).catch((error) => error.name)],
};

export default {
  async fetch(request, env, ctx) {
    return Response.json(await answers[new URL(request.url).pathname](ctx));
  },
};
