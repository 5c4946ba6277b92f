const answers = {
  "/empty": () => new Response(),
  "/null": () => new Response(null, { status: 204 }),
  "/string": () => new Response("text"),
  "/bytes": () => new Response(new Uint8Array([104, 105])),
  "/view": () => new Response(new DataView(new TextEncoder().encode("xhix").buffer, 1, 2)),
  "/buffer": () => new Response(new TextEncoder().encode("buffer").buffer),
  "/blob": () => new Response(new Blob(["<p>", "blob"], { type: "text/html" })),
  "/params": () => new Response(new URLSearchParams({ a: "1 2" })),
  "/form": () => {
    const form = new FormData();
    form.set("name", "value");
    return new Response(form);
  },
  "/json": () => Response.json({ a: 1 }, { status: 201, headers: { "x-more": "yes" } }),
  "/redirect": () => Response.redirect("https://example.com/next", 307),
  "/number": () => new Response(42),
  "/own-type": () => new Response("<p>", { headers: { "content-type": "text/html" } }),
  "/status-text": () => new Response("tea", { status: 418, statusText: "I am a teapot" }),
  "/body-of-204": () => new Response("text", { status: 204 }),
  "/bad-status": () => new Response("", { status: 999 }),
  "/same-twice": () => {
    answers.kept ??= new Response("once");
    return answers.kept;
  },
  "/read-then-sent": async () => {
    const response = new Response("read");
    await response.text();
    return response;
  },
  "/clone-sent": async () => {
    const response = new Response("both");
    const copy = response.clone();
    return new Response(`${await copy.text()} ${await response.text()}`);
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
