const answers = {
  "/loop"() {
    for (;;);
  },
  "/microtasks"() {
    const next = () => Promise.resolve().then(next);
    return next();
  },
  "/regex"() {
    return Response.json(/^(a+)+$/.test("a".repeat(40) + "b"));
  },
  "/getter-after-the-end"() {
    try {
      for (;;);
    } finally {
      for (;;);
    }
  },
  async "/turns"() {
    for (;;) {
      for (let i = 0; i < 1_000_000; i++);
      await scheduler.wait(1);
    }
  },
  "/wait-until"(request, env, ctx) {
    ctx.waitUntil((async () => {
      await scheduler.wait(1);
      for (;;);
    })());
    return new Response("answered before");
  },
  "/in-a-stream": () => new Response(new ReadableStream({
    async pull(controller) {
      if (this.sent) for (;;);
      this.sent = true;
      controller.enqueue(new TextEncoder().encode("part"));
      await scheduler.wait(5);
    },
  })),
  "/thrower"() {
    throw {
      toString() {
        for (;;);
      },
    };
  },
  "/rejection-handler"() {
    addEventListener("unhandledrejection", () => {
      for (;;);
    });
    Promise.reject(new Error("loops"));
    return new Promise(() => {});
  },
  "/fine": () => new Response("fine"),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
