async function told(promise) {
  try {
    return Response.json(await promise);
  } catch (error) {
    return Response.json(`${error.name}: ${error.message}`);
  }
}

const answers = {
  "/refused": () => told(fetch("http://127.0.0.1:2/")),
  "/no-such-host": () => told(fetch("http://no-such-host.invalid/")),
  "/private": () => told(fetch("http://10.0.0.1/")),
  "/scheme": () => told(fetch("ftp://example.com/")),
  "/not-a-url": () => told((async () => fetch("nowhere"))()),
  "/dies": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/dies`);
    return told(response.text());
  },
  "/dies-through": (request, env) => fetch(`${env.UPSTREAM}/dies`),
  "/dies-chunked": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/dies-chunked`);
    const reader = response.body.getReader();
    const first = new TextDecoder().decode((await reader.read()).value);
    return told(reader.read().then(() => first + " and more"));
  },
  "/dies-transformed": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/dies`);
    return new Response(response.body.pipeThrough(new TransformStream()));
  },
  "/get-with-body": (request, env) => told((async () => fetch(env.UPSTREAM, { method: "GET", body: "x" }))()),
  "/used-body": async (request, env) => {
    await request.text();
    return told((async () => fetch(`${env.UPSTREAM}/echo`, request))());
  },
  "/fine": (request, env) => fetch(`${env.UPSTREAM}/text`),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
