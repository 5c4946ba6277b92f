const answers = {
  "/rejection"() {
    Promise.reject(new Error("nobody listens"));
    return new Response("fine");
  },
  "/handled-later"() {
    const promise = Promise.reject(new Error("somebody listens, later"));
    queueMicrotask(() => promise.catch(() => {}));
    return new Response("fine");
  },
  async "/in-a-timer"() {
    setTimeout(() => {
      throw new Error("thrown in a timer");
    });
    await scheduler.wait(5);
    return new Response("fine");
  },
  "/report"() {
    reportError(new Error("reported"));
    return new Response("fine");
  },
  "/event"() {
    addEventListener("unhandledrejection", (event) => {
      console.log("seen:", event.reason.message);
      event.preventDefault();
    }, { once: true });
    Promise.reject(new Error("caught globally"));
    return new Response("fine");
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
