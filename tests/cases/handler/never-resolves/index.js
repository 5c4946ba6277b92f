const answers = {
  "/never": () => new Promise(() => {}),
  "/forgotten": async () => {
    await new Promise(() => {});
    return new Response("never");
  },
  "/stuck-body": () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })),
  "/fine": () => new Response("fine"),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
