const answers = {
  "/sync": () => new Response("sync"),
  "/async": async () => new Response("async"),
  "/promise": () => Promise.resolve(new Response("promise")),
  "/thenable": () => ({ then: (resolve) => resolve(new Response("thenable")) }),
  "/later": async () => {
    await scheduler.wait(5);
    return new Response("later");
  },
  "/this"() {
    return new Response(String(this === answers));
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
