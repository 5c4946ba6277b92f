const answers = {
  "/fifty": async (request, env) => {
    const texts = await Promise.all(Array.from({ length: 50 }, () => fetch(`${env.UPSTREAM}/text`).then((response) => response.text())));
    return Response.json(texts.length);
  },
  "/fifty-one": async (request, env) => {
    let done = 0;
    try {
      for (;;) {
        const response = await fetch(`${env.UPSTREAM}/text`);
        await response.text();
        done++;
      }
    } catch (error) {
      return Response.json([done, `${error.name}: ${error.message}`]);
    }
  },
  "/redirects": async (request, env) => {
    let done = 0;
    try {
      for (;;) {
        const response = await fetch(`${env.UPSTREAM}/redirect/302?to=/text`);
        await response.text();
        done++;
      }
    } catch (error) {
      return Response.json([done, error.message]);
    }
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
