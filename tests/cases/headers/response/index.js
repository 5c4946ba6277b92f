const answers = {
  "/cookies": () => {
    const response = new Response("cookies");
    response.headers.append("set-cookie", "a=1; Path=/");
    response.headers.append("Set-Cookie", "b=2, with a comma");
    return response;
  },
  "/combined": () => {
    const response = new Response("combined");
    response.headers.append("vary", "accept");
    response.headers.append("vary", "accept-language");
    return response;
  },
  "/replaced": () => {
    const response = new Response("replaced", { headers: { "x-a": "1" } });
    response.headers.set("X-A", "2");
    response.headers.delete("content-type");
    return response;
  },
  "/latin1": () => new Response("latin1", { headers: { "x-name": "caf\u00e9" } }),
  "/pairs": () => new Response("pairs", { headers: [["x-a", "1"], ["x-b", "2"]] }),
  "/connection": () => new Response("own", { headers: { connection: "close", "transfer-encoding": "chunked", "keep-alive": "timeout=9", "x-holm-error": "forged", "x-kept": "yes" } }),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
