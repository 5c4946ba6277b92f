const kept = {};

async function told(work) {
  try {
    return Response.json(await work());
  } catch (error) {
    return Response.json(`${error.name}: ${error.message}`);
  }
}

const answers = {
  "/keep": async (request, env) => {
    kept.request = request;
    kept.response = await fetch(`${env.UPSTREAM}/text`);
    kept.answer = await fetch(`${env.UPSTREAM}/text`);
    kept.clone = request.clone();
    return new Response("kept");
  },
  "/use-request": () => told(() => kept.request.text()),
  "/use-clone": () => told(() => kept.clone.text()),
  "/use-response": () => told(() => kept.response.text()),
  "/send-response": () => kept.answer,
  "/fine": () => new Response("fine"),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
