const answers = {
  "/by-time": async () => {
    const order = [];
    await Promise.all([20, 1, 10].map((ms) => new Promise((resolve) => setTimeout(() => resolve(order.push(ms)), ms))));
    return Response.json(order);
  },
  "/same-time": async () => {
    const order = [];
    for (let i = 0; i < 5; i++) setTimeout(() => order.push(i), 3);
    await scheduler.wait(10);
    return Response.json(order);
  },
  "/arguments": () => new Promise((resolve) => setTimeout((a, b) => resolve(Response.json([a, b])), 1, "first", 2)),
  "/cleared": async () => {
    const seen = [];
    const cleared = setTimeout(() => seen.push("cleared"), 1);
    setTimeout(() => seen.push("kept"), 1);
    clearTimeout(cleared);
    clearTimeout(undefined);
    clearTimeout(4_000_000);
    await scheduler.wait(5);
    return Response.json(seen);
  },
  "/interval": () => new Promise((resolve) => {
    let ticks = 0;
    const interval = setInterval(() => {
      if (++ticks < 3) return;
      clearInterval(interval);
      resolve(Response.json(ticks));
    }, 1);
  }),
  "/nested": () => new Promise((resolve) => {
    setTimeout(() => setTimeout(() => resolve(new Response("nested")), 1), 1);
  }),
  "/not-a-function": () => {
    try {
      setTimeout("code()", 1);
    } catch (error) {
      return Response.json(error.name);
    }
  },
  "/wait-aborted": async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 1);
    try {
      await scheduler.wait(10_000, { signal: controller.signal });
    } catch (error) {
      return Response.json(error.name);
    }
  },
  "/timeout-signal": async () => {
    const signal = AbortSignal.timeout(1);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return Response.json(signal.reason.name);
  },
  "/microtasks": async () => {
    const order = [];
    setTimeout(() => order.push("timer"), 0);
    queueMicrotask(() => order.push("microtask"));
    order.push("now");
    await scheduler.wait(5);
    return Response.json(order);
  },
  "/number": () => Response.json(typeof setTimeout(() => {}, 0)),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
