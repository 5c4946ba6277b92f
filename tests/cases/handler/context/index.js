const answers = {
  "/members"(request, env, ctx) {
    return Response.json({
      passThrough: ctx.passThroughOnException(),
      props: ctx.props,
      type: Object.prototype.toString.call(ctx),
    });
  },
  "/detached"(request, env, ctx) {
    const { waitUntil } = ctx;
    waitUntil(Promise.resolve());
    return new Response("unreachable");
  },
  "/throws-after-pass-through"(request, env, ctx) {
    ctx.passThroughOnException();
    throw new Error("no origin to pass through to");
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
