const answers = {
  "/get": (request, env) => fetch(`${env.UPSTREAM}/text`),
  "/post": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/echo?a=1`, { method: "POST", body: "sent", headers: { "x-a": "1" } });
    const { method, path, body, headers } = await response.json();
    return Response.json({ method, path, body, a: headers["x-a"], type: headers["content-type"], length: headers["content-length"] });
  },
  "/methods": async (request, env) => {
    const methods = ["put", "DELETE", "PATCH", "OPTIONS"];
    const answers = await Promise.all(methods.map((method) => fetch(`${env.UPSTREAM}/echo`, { method })));
    return Response.json(await Promise.all(answers.map(async (answer) => (await answer.json()).method)));
  },
  "/bodies": async (request, env) => {
    const bodies = [new Uint8Array([104, 105]), new Blob(["blob"]), new URLSearchParams({ a: "1" }), new Blob(["stream"]).stream()];
    const answers = await Promise.all(bodies.map((body) => fetch(`${env.UPSTREAM}/echo`, { method: "POST", body })));
    return Response.json(await Promise.all(answers.map(async (answer) => (await answer.json()).body)));
  },
  "/response": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/status/404`);
    return Response.json({ status: response.status, ok: response.ok, redirected: response.redirected, url: response.url === `${env.UPSTREAM}/status/404`, text: await response.text() });
  },
  "/no-content": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/status/204`);
    return Response.json({ status: response.status, body: response.body, text: await response.text() });
  },
  "/immutable": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/text`);
    try {
      response.headers.set("x-a", "1");
    } catch (error) {
      const copy = new Response(response.body, response);
      copy.headers.set("x-error", error.name);
      return copy;
    }
  },
  "/cookies": (request, env) => fetch(`${env.UPSTREAM}/cookies`),
  "/gzip": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/gzip`);
    return Response.json([await response.text(), response.headers.get("content-encoding")]);
  },
  "/gzip-through": (request, env) => fetch(`${env.UPSTREAM}/gzip`),
  "/pass": (request, env) => fetch(new Request(`${env.UPSTREAM}/echo`, request)),
  "/megabytes": (request, env) => fetch(`${env.UPSTREAM}/bytes/3000000`),
  "/count-bytes": async (request, env) => {
    const response = await fetch(`${env.UPSTREAM}/bytes/3000000`);
    let bytes = 0;
    for await (const chunk of response.body) bytes += chunk.byteLength;
    return Response.json(bytes);
  },
  "/at-once": async (request, env) => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => fetch(`${env.UPSTREAM}/bytes/${i}`)));
    return Response.json(await Promise.all(answers.map(async (answer) => (await answer.text()).length)));
  },
  "/up": (request, env) => fetch(`${env.UPSTREAM}/echo`, { method: "POST", body: request.body }),
  "/user-agent": async (request, env) => Response.json(Object.keys((await (await fetch(`${env.UPSTREAM}/echo`)).json()).headers).sort()),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
