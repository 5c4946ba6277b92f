const answers = {
  "/text": () => new Response("text"),
  "/stream": () => new Response(new Blob(["text"]).stream()),
  "/null": () => new Response(null, { headers: { "content-length": "99" } }),
  "/claims-more": () => new Response("four", { headers: { "content-length": "99" } }),
  "/claims-less": () => new Response("four", { headers: { "content-length": "1" } }),
  "/not-modified": () => new Response(null, { status: 304, headers: { etag: '"a"' } }),
  "/method": (request) => new Response(request.method, { headers: { "x-method": request.method } }),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
