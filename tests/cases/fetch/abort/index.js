async function told(promise) {
  try {
    return Response.json(await promise);
  } catch (error) {
    return Response.json(`${error.name}: ${error.message}`);
  }
}

const answers = {
  "/before": (request, env) => {
    const controller = new AbortController();
    controller.abort();
    return told(fetch(`${env.UPSTREAM}/text`, { signal: controller.signal }));
  },
  "/while-waiting": (request, env) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 5);
    return told(fetch(`${env.UPSTREAM}/hold`, { signal: controller.signal }));
  },
  "/reason": (request, env) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new RangeError("changed my mind")), 5);
    return told(fetch(`${env.UPSTREAM}/hold`, { signal: controller.signal }));
  },
  "/timeout": (request, env) => told(fetch(`${env.UPSTREAM}/hold`, { signal: AbortSignal.timeout(5) })),
  "/while-reading": async (request, env) => {
    const controller = new AbortController();
    const response = await fetch(`${env.UPSTREAM}/hold-body`, { signal: controller.signal });
    setTimeout(() => controller.abort(), 5);
    return told(response.text());
  },
  "/cancel-body": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/hold-body`);
    await response.body.cancel();
    return Response.json("cancelled");
  },
  "/any": (request, env) => {
    const signal = AbortSignal.any([AbortSignal.timeout(5), new AbortController().signal]);
    return told(fetch(`${env.UPSTREAM}/hold`, { signal }));
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
