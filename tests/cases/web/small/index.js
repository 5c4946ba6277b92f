// The small things that workers have beside the web's own.

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const bytes = (text) => new TextEncoder().encode(text);
const told = async (work) => {
  try {
    return await work();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};

const table = {
  "md5": async () => [
    hex(await crypto.subtle.digest("MD5", bytes("abc"))), hex(await crypto.subtle.digest({ name: "md5" }, bytes("").buffer)),
    hex(await crypto.subtle.digest("SHA-1", bytes("abc"))), crypto.subtle.digest.length,
    await told(() => crypto.subtle.digest("MD4", bytes("abc"))), await told(() => crypto.subtle.digest("MD5")),
  ],
  "digest-stream": async () => {
    const stream = new crypto.DigestStream("SHA-256");
    const writer = stream.getWriter();
    await writer.write(bytes("ab"));
    await writer.write(bytes("xcx").subarray(1, 2));
    const before = `${stream.bytesWritten}`;
    await writer.close();
    const piped = new crypto.DigestStream({ name: "MD5" });
    await new Response("abc").body.pipeTo(piped);
    const aborted = new crypto.DigestStream("SHA-512");
    aborted.abort(new Error("no more"));
    return [before, hex(await stream.digest), hex(await piped.digest), await told(() => aborted.digest), await told(() => new crypto.DigestStream("x")), stream instanceof WritableStream];
  },
  "timing-safe-equal": async () => [
    crypto.subtle.timingSafeEqual(bytes("same"), bytes("same")), crypto.subtle.timingSafeEqual(bytes("same"), bytes("sane")),
    await told(() => crypto.subtle.timingSafeEqual(bytes("a"), bytes("ab"))), await told(() => crypto.subtle.timingSafeEqual("a", "a")),
  ],
  "headers-get-all": async () => {
    const headers = new Headers([["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x", "1"]]);
    return [headers.getAll("Set-Cookie"), headers.getSetCookie(), await told(() => headers.getAll("x"))];
  },
  "cf": async (env) => {
    const request = new Request("http://a.example/", { cf: { colo: "XXX" } });
    return [request.cf, new Request(request).cf, new Request(request, { cf: { a: 1 } }).cf, request.clone().cf, new Response(null, { cf: { b: 2 } }).cf, new Request("http://a.example/").cf ?? "none"];
  },
  "scheduler": async () => {
    const controller = new AbortController();
    const waiting = told(() => scheduler.wait(60_000, { signal: controller.signal }));
    controller.abort();
    return [await scheduler.wait(1) ?? "waited", await waiting];
  },
  "navigator": () => [navigator.userAgent, navigator.language, navigator.languages, navigator.platform, navigator.hardwareConcurrency, navigator instanceof Navigator],
  "flags": () => [Cloudflare.compatibilityFlags.nodejs_compat ?? false, Object.isFrozen(Cloudflare.compatibilityFlags), typeof Cloudflare.compatibilityFlags.web_socket_auto_reply_to_close],
  "message-channel": async () => {
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((resolve) => { port1.onmessage = ({ data }) => resolve(data); });
    port2.onmessage = ({ data }) => port2.postMessage({ ...data, back: new Map([[1, 2]]) });
    port1.postMessage({ there: true });
    const { there, back } = await answer;
    return [there, [...back], await told(() => port1.postMessage(() => {}))];
  },
  "identity-stream": async () => {
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    writer.write(bytes("hello")).catch(() => {});
    const reader = readable.getReader({ mode: "byob" });
    const first = await reader.read(new Uint8Array(3));
    const second = await reader.read(new Uint8Array(10));
    return [new TextDecoder().decode(first.value), new TextDecoder().decode(second.value), await told(() => writer.write("text"))];
  },
  "read-at-least": async () => {
    const pieces = ["ab", "cd", "ef", "g"];
    const source = () => {
      const rest = [...pieces];
      return new ReadableStream({ type: "bytes", pull(c) { rest.length === 0 ? (c.close(), c.byobRequest?.respond(0)) : c.enqueue(bytes(rest.shift())); } });
    };
    const reader = source().getReader({ mode: "byob" });
    const first = await reader.readAtLeast(3, new Uint8Array(10));
    const second = await reader.readAtLeast(100 - 90, new Uint8Array(10));
    const third = await reader.readAtLeast(1, new Uint8Array(10));
    const min = await source().getReader({ mode: "byob" }).read(new Uint8Array(10), { min: 5 });
    return [new TextDecoder().decode(first.value), new TextDecoder().decode(second.value), third.done, new TextDecoder().decode(min.value), await told(() => source().getReader({ mode: "byob" }).readAtLeast(0, new Uint8Array(1)))];
  },
  "fixed-length": async () => {
    const send = async (length, text) => {
      const { readable, writable } = new FixedLengthStream(length);
      const writer = writable.getWriter();
      const written = told(async () => { await writer.write(bytes(text)); await writer.close(); return "written"; });
      return [await told(() => new Response(readable).text()), await written];
    };
    return [await send(4, "four"), await send(4, "fiver"), await send(4, "six"), await told(() => new FixedLengthStream(-1))];
  },
};

export default {
  async fetch(request, env) {
    const name = new URL(request.url).pathname.slice(1);
    const gzipped = new Uint8Array([31, 139, 8, 0, 0, 0, 0, 0, 2, 255, 203, 72, 205, 201, 201, 87, 72, 175, 202, 44, 224, 2, 0, 57, 124, 99, 86, 11, 0, 0, 0]);
    if (name === "encoded") return new Response("hello".repeat(1000), { headers: { "content-encoding": "gzip" } });
    if (name === "encoded-read") {
      const response = await fetch(`${new URL(request.url).origin}/encoded`);
      return new Response(`${(await response.text()).length} ${response.headers.get("content-encoding")}`);
    }
    if (name === "manual") return new Response(gzipped, { encodeBody: "manual", headers: { "content-encoding": "gzip" } });
    if (name === "brotli") return new Response("hello ".repeat(100_000), { headers: { "content-encoding": "br" } });
    if (name === "brotli-stream") {
      const parts = new ReadableStream({
        async start(controller) {
          for (let i = 0; i < 10; i++) {
            controller.enqueue(new TextEncoder().encode(`part ${i} `));
            await scheduler.wait(1);
          }
          controller.close();
        },
      });
      return new Response(parts, { headers: { "content-encoding": "br" } });
    }
    if (name === "brotli-read") {
      const { origin } = new URL(request.url);
      const whole = await fetch(`${origin}/brotli`);
      const streamed = await fetch(`${origin}/brotli-stream`);
      return Response.json([
        (await whole.text()) === "hello ".repeat(100_000), (await streamed.text()) === Array.from({ length: 10 }, (_, i) => `part ${i} `).join(""),
        whole.headers.get("content-encoding") === null,
      ]);
    }
    if (name === "beacon") {
      navigator.sendBeacon(`${env.UPSTREAM}/echo`, "data");
      return new Response("sent");
    }
    if (name === "incoming-cf") return Response.json(request.cf);
    return Response.json(await table[name](env));
  },
};
