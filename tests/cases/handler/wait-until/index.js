const answers = {
  "/later"(request, env, ctx) {
    ctx.waitUntil(scheduler.wait(20).then(() => console.log("done after the answer")));
    return new Response("answered first");
  },
  "/chain"(request, env, ctx) {
    ctx.waitUntil(
      scheduler.wait(5).then(() => {
        ctx.waitUntil(scheduler.wait(5).then(() => console.log("second round")));
      }),
    );
    return new Response("chained");
  },
  "/rejects"(request, env, ctx) {
    ctx.waitUntil(scheduler.wait(5).then(() => {
      throw new Error("failed in the background");
    }));
    return new Response("still fine");
  },
  "/never"(request, env, ctx) {
    ctx.waitUntil(new Promise(() => {}));
    return new Response("answered");
  },
  "/not-a-promise"(request, env, ctx) {
    ctx.waitUntil(42);
    return new Response("fine");
  },
  "/without"(request, env, ctx) {
    setTimeout(() => console.log("nobody waits for me"), 1);
    setTimeout(() => console.log("never seen"), 10_000);
    ctx.waitUntil(scheduler.wait(10).then(() => console.log("waited")));
    return new Response("fine");
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
