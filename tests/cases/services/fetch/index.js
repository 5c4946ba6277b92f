const thrown = (promise) => promise.then(() => "no error", (error) => [error.name, error.message, error.remote]);

const answers = {
  "/request": async (env) => {
    const response = await env.CALLEE.fetch("https://any.example/path?q=1", { method: "PUT", headers: { "x-a": "1" }, body: "sent" });
    return { status: response.status, text: response.statusText, header: response.headers.get("x-b"), url: response.url, ...(await response.json()) };
  },
  "/incoming": async (env, request) => (await env.CALLEE.fetch(request)).json(),
  "/cf": async (env) => (await env.CALLEE.fetch(new Request("http://x/cf", { cf: { colo: "here" } }))).json(),
  "/named": async (env) => (await env.NAMED.fetch("http://x/")).json(),
  "/absent": (env) => thrown(env.ABSENT.fetch("http://x/")),
  "/throws": async (env) => [await thrown(env.CALLEE.fetch("http://x/throws")), await (await env.CALLEE.fetch("http://x/fine")).text()],
  "/loops": async (env) => [await thrown(env.CALLEE.fetch("http://x/loops")), await (await env.CALLEE.fetch("http://x/fine")).text()],
  "/streams": async (env) => {
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    const response = await env.CALLEE.fetch("http://x/echo", { method: "POST", body: readable });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const seen = [];
    for (const word of ["one", "two", "three"]) {
      await writer.write(new TextEncoder().encode(word));
      seen.push((await reader.read()).value);
    }
    await writer.close();
    seen.push((await reader.read()).done);
    return seen;
  },
  "/redirect": async (env) => {
    const followed = await env.CALLEE.fetch("http://x/redirect", { method: "POST", body: "again" });
    const manual = await env.CALLEE.fetch("http://x/redirect", { redirect: "manual" });
    const endless = await thrown(env.CALLEE.fetch("http://x/endless"));
    return [await followed.text(), manual.status, manual.headers.get("location"), endless];
  },
  "/depth": async (env, request) => {
    const depth = Number(new URL(request.url).searchParams.get("n"));
    try {
      return (await env.SELF.fetch(`http://x/depth?n=${depth + 1}`)).json();
    } catch (error) {
      return [depth, error.message];
    }
  },
  "/width": async (env) => {
    for (let n = 1;; n++) {
      try {
        await (await env.CALLEE.fetch("http://x/fine")).text();
      } catch (error) {
        return [n, error.message];
      }
    }
  },
  "/abort": async (env) => {
    const controller = new AbortController();
    const before = thrown(env.CALLEE.fetch("http://x/never", { signal: AbortSignal.abort(new Error("too late")) }));
    const response = await env.CALLEE.fetch("http://x/trickle", { signal: controller.signal });
    const reader = response.body.getReader();
    await reader.read();
    controller.abort(new Error("enough"));
    return [await before, await thrown(reader.read())];
  },
  "/binding": (env) => [typeof env.CALLEE, Object.keys(env), env.CALLEE.then === undefined, String(Object.prototype.toString.call(env.CALLEE))],
};

let early;
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/start") return Response.json(early);
    return Response.json(await answers[pathname](env, request));
  },
};

import { env } from "cloudflare:workers";
try {
  env.CALLEE.fetch("http://x/").catch((error) => early = error.message);
} catch (error) {
  early = error.message;
}
