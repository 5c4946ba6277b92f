async function told(promise) {
  try {
    return Response.json((await promise).status);
  } catch (error) {
    return Response.json(`${error.name}: ${error.message}`);
  }
}

const answers = {
  "/follow": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/redirect/302?to=/redirect/301?to=/text`);
    return Response.json([response.status, response.redirected, new URL(response.url).pathname, await response.text()]);
  },
  "/manual": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/redirect/302?to=/text`, { redirect: "manual" });
    return Response.json([response.status, response.headers.get("location"), response.redirected]);
  },
  "/error": async (request, env) => told(fetch(`${env.UPSTREAM}/redirect/302?to=/text`, { redirect: "error" })),
  "/loop": async (request, env) => told(fetch(`${env.UPSTREAM}/loop`)),
  "/303": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/redirect/303?to=/echo`, { method: "POST", body: "sent" });
    const { method, body } = await response.json();
    return Response.json([method, body]);
  },
  "/307": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/redirect/307?to=/echo`, { method: "POST", body: "sent" });
    const { method, body } = await response.json();
    return Response.json([method, body]);
  },
  "/307-stream": async (request, env) => told(fetch(`${env.UPSTREAM}/redirect/307?to=/echo`, { method: "POST", body: new Blob(["sent"]).stream() })),
  "/passed-on": (request, env) => fetch(new Request(`${env.UPSTREAM}/redirect/302?to=/text`, request)),
  "/unknown-mode": async (request, env) => told((async () => fetch(env.UPSTREAM, { redirect: "maybe" }))()),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
