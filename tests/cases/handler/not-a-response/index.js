const answers = {
  "/undefined"() {},
  "/null": () => null,
  "/string": () => "text",
  "/number": async () => 42,
  "/object": () => ({ status: 200 }),
  "/look-alike": () => Object.create(Response.prototype),
  "/promise-of-undefined": () => Promise.resolve(),
  "/error-response": () => Response.error(),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
