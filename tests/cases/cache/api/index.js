const BASE = "http://cache.example";
const cached = (body, headers = {}, init = {}) => new Response(body, { ...init, headers: { "cache-control": "max-age=60", ...headers } });

async function told(work) {
  try {
    return await work();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

const status = async (response) => response === undefined ? "nothing" : `${response.status} ${await response.text()}`;

const table = {
  "a response is found again, by its URL and by a request": async () => {
    await caches.default.put(`${BASE}/a?b`, cached("one", { etag: '"1"', "x-own": "kept" }));
    const byUrl = await caches.default.match(`${BASE}/a?b`);
    const byRequest = await caches.default.match(new Request(`${BASE}/a?b`));
    return [await status(byUrl), await status(byRequest), byUrl.headers.get("cf-cache-status"), byUrl.headers.get("x-own"), byUrl.headers.has("age")];
  },
  "the whole URL counts, with its fragment": async () => {
    await caches.default.put(`${BASE}/f#1`, cached("one"));
    return [await status(await caches.default.match(`${BASE}/f#1`)), await status(await caches.default.match(`${BASE}/f`))];
  },
  "named caches are apart": async () => {
    const [one, two] = [await caches.open("one"), await caches.open("two")];
    await one.put(`${BASE}/n`, cached("one"));
    return [await status(await one.match(`${BASE}/n`)), await status(await two.match(`${BASE}/n`)), await status(await caches.default.match(`${BASE}/n`)), await status(await (await caches.open("one")).match(`${BASE}/n`))];
  },
  "the last one put is the one": async () => {
    await caches.default.put(`${BASE}/l`, cached("first"));
    await caches.default.put(`${BASE}/l`, cached("last", {}, { status: 404 }));
    return status(await caches.default.match(`${BASE}/l`));
  },
  "delete says whether there was one": async () => {
    await caches.default.put(`${BASE}/d`, cached("x"));
    return [await caches.default.delete(`${BASE}/d`), await caches.default.delete(`${BASE}/d`), await status(await caches.default.match(`${BASE}/d`))];
  },
  "another method finds nothing, unless it is ignored": async () => {
    await caches.default.put(`${BASE}/m`, cached("x"));
    const post = new Request(`${BASE}/m`, { method: "POST" });
    return [
      await status(await caches.default.match(post)), await status(await caches.default.match(post, { ignoreMethod: true })),
      await caches.default.delete(post), await caches.default.delete(post, { ignoreMethod: true }),
    ];
  },
  "conditions and ranges": async () => {
    await caches.default.put(`${BASE}/r`, cached("0123456789", { etag: '"v"', "last-modified": "Wed, 01 Jan 2020 00:00:00 GMT" }));
    const ask = async (headers) => {
      const response = await caches.default.match(new Request(`${BASE}/r`, { headers }));
      return `${response.status} ${response.headers.get("content-range")} ${await response.text()}`;
    };
    return [
      await ask({ "if-none-match": '"v"' }), await ask({ "if-none-match": '"w"' }), await ask({ "if-modified-since": "Wed, 01 Jan 2020 00:00:00 GMT" }),
      await ask({ range: "bytes=2-4" }), await ask({ range: "bytes=-2" }), await ask({ range: "bytes=99-" }),
    ];
  },
  "what says that it is not to be kept is not": async () => {
    const results = [];
    for (const [name, response] of Object.entries({
      "no-store": new Response("x", { headers: { "cache-control": "no-store" } }),
      "private": new Response("x", { headers: { "cache-control": "private, max-age=60" } }),
      "nothing": new Response("x"),
      "cookie": cached("x", { "set-cookie": "a=1" }),
      "not-modified": cached(null, {}, { status: 304 }),
      "cookie-allowed": new Response("x", { headers: { "cache-control": "max-age=60, private=set-cookie", "set-cookie": "a=1" } }),
    })) {
      await caches.default.put(`${BASE}/no/${name}`, response);
      const found = await caches.default.match(`${BASE}/no/${name}`);
      results.push(`${name}: ${await status(found)} ${found?.headers.get("set-cookie")}`);
    }
    return results;
  },
  "a request's own cache-control has no say": async () => {
    const request = new Request(`${BASE}/q`, { headers: { "cache-control": "no-store" } });
    await caches.default.put(request, cached("x"));
    return status(await caches.default.match(request));
  },
  "vary": async () => {
    const ask = (language) => new Request(`${BASE}/v`, { headers: { "accept-language": language } });
    await caches.default.put(ask("de"), cached("deutsch", { vary: "Accept-Language" }));
    return [await status(await caches.default.match(ask("de"))), await status(await caches.default.match(ask("en")))];
  },
  "it goes stale": async () => {
    await caches.default.put(`${BASE}/s`, cached("x", { "cache-control": "max-age=1" }));
    const before = await status(await caches.default.match(`${BASE}/s`));
    while (await caches.default.match(`${BASE}/s`) !== undefined) await scheduler.wait(200);
    return before;
  },
  "streams and upstreams are kept": async (env) => {
    const chunks = ["a", "b", "c"];
    const stream = new ReadableStream({
      async pull(controller) {
        await scheduler.wait(1);
        if (chunks.length === 0) controller.close();
        else controller.enqueue(new TextEncoder().encode(chunks.shift()));
      },
    });
    await caches.default.put(`${BASE}/stream`, cached(stream));
    const upstream = await fetch(`${env.UPSTREAM}/text`);
    const kept = new Response(upstream.body, upstream);
    kept.headers.set("cache-control", "max-age=60");
    await caches.default.put(`${BASE}/upstream`, kept.clone());
    return [await status(await caches.default.match(`${BASE}/stream`)), await status(await caches.default.match(`${BASE}/upstream`)), await kept.text()];
  },
  "errors": async () => [
    await told(() => caches.default.put(new Request(`${BASE}/e`, { method: "POST" }), cached("x"))),
    await told(() => caches.default.put(`${BASE}/e`, cached("x", {}, { status: 206 }))),
    await told(() => caches.default.put(`${BASE}/e`, cached("x", { vary: "*" }))),
    await told(() => caches.default.put(`${BASE}/e`, "x")),
    await told(() => caches.default.put(`${BASE}/e`)),
    await told(() => caches.default.match()),
    await told(() => caches.default.match("/relative")),
    await told(() => caches.default.match("ftp://a.example/")),
    await told(() => caches.open("")),
    await told(() => new Cache()),
    await told(() => new CacheStorage()),
    await told(async () => { const used = cached("x"); await used.text(); await caches.default.put(`${BASE}/e`, used); }),
    await told(() => caches.default.put(`${BASE}/e`, cached(new ReadableStream({ pull(c) { c.error(new Error("source")); } })))),
    await told(() => caches.default.put(`${BASE}/e`, cached(new Uint8Array(17 << 20)))),
  ],
  "a response from the cache cannot be changed": async () => {
    await caches.default.put(`${BASE}/i`, cached("x"));
    const found = await caches.default.match(`${BASE}/i`);
    return told(() => found.headers.set("a", "b"));
  },
};

export default {
  async fetch(request, env) {
    const name = decodeURIComponent(new URL(request.url).pathname.slice(1));
    if (name === "page") {
      const found = await caches.default.match(request);
      if (found !== undefined) return found;
      const made = cached("made", { "content-type": "text/plain" });
      await caches.default.put(request, made.clone());
      return made;
    }
    return Response.json(await table[name](env));
  },
};
