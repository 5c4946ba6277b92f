const answers = {
  "/get": (request) => {
    const { headers } = request;
    return Response.json([headers.get("X-Name"), headers.has("x-name"), headers.get("x-absent"), headers.get("x-list")]);
  },
  "/immutable": (request) => {
    try {
      request.headers.set("x-name", "other");
    } catch (error) {
      return Response.json(String(error));
    }
  },
  "/copy": (request) => {
    const copy = new Request(request, { headers: new Headers(request.headers) });
    copy.headers.set("x-name", "other");
    return Response.json([request.headers.get("x-name"), copy.headers.get("x-name")]);
  },
  "/cookies": () => {
    const headers = new Headers([["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-a", "1"], ["x-a", "2"]]);
    return Response.json({ getSetCookie: headers.getSetCookie(), getAll: headers.getAll("Set-Cookie"), entries: [...headers] });
  },
  "/get-all-of-others": () => {
    try {
      new Headers().getAll("x-a");
    } catch (error) {
      return Response.json(error.name);
    }
  },
  "/errors": () => {
    const failing = {
      name: () => new Headers({ "a b": "1" }),
      empty: () => new Headers().set("", "1"),
      lineBreak: () => new Headers().set("a", "1\r\nb: 2"),
      nul: () => new Headers().append("a", "\0"),
      notPairs: () => new Headers([["a"]]),
      missing: () => new Headers().get(),
    };
    const names = Object.entries(failing).map(([name, fail]) => {
      try {
        fail();
        return [name, "no error"];
      } catch (error) {
        return [name, error.name];
      }
    });
    return Response.json(Object.fromEntries(names));
  },
  "/order": () => Response.json([...new Headers({ b: "2", A: "1", c: " 3 " }).entries()]),
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
