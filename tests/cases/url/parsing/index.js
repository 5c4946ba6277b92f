const answers = {
  "/parts": () => {
    const { origin, host, port, pathname, search, hash } = new URL("../b?x=1&y=%20#top", "https://Example.com:443/a/c/");
    return Response.json({ origin, host, port, pathname, search, hash });
  },
  "/search-params": () => {
    const params = new URLSearchParams("b=2&a=1&a=3");
    params.append("c", "x y&z");
    params.delete("b");
    params.sort();
    return Response.json({ text: String(params), all: params.getAll("a"), size: params.size });
  },
  "/live": () => {
    const url = new URL("https://example.com/");
    url.searchParams.set("q", "ä");
    return new Response(url.href);
  },
  "/invalid": () => Response.json([URL.canParse("nowhere"), (() => {
    try {
      new URL("nowhere");
    } catch (error) {
      return error.name;
    }
  })()]),
  "/idna": () => new Response(new URL("https://münchen.example/").host),
  "/pattern": () => {
    const pattern = new URLPattern({ pathname: "/users/:id(\\d+)" });
    return Response.json([pattern.test("https://a.example/users/42"), pattern.exec("https://a.example/users/42").pathname.groups.id, pattern.test("https://a.example/users/x")]);
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
