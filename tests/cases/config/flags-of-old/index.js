export default {
  async fetch(request, env, ctx) {
    const text = await new Response(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])).text();
    return Response.json({
      absent: ["navigator", "Navigator", "WeakRef", "FinalizationRegistry", "MessageChannel", "MessagePort"].filter((name) => name in globalThis),
      cookies: "getSetCookie" in Headers.prototype,
      methods: ["patch", "put", "Get"].map((method) => new Request("http://x", { method }).method),
      mark: text.charCodeAt(0) === 0xfeff,
      exports: ctx.exports === undefined,
      flag: Cloudflare.compatibilityFlags.global_navigator,
    });
  },
};
