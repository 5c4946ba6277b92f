const answers = {
  "/all": (request) => Response.json(Object.fromEntries([...request.headers].filter(([name]) => name.startsWith("x-") || name === "cookie"))),
  "/url": (request) => Response.json({ url: request.url, method: request.method, redirect: request.redirect }),
  "/cf": (request) => Response.json({ protocol: request.cf.httpProtocol }),
  "/ip": (request) => new Response(request.headers.get("cf-connecting-ip")),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
