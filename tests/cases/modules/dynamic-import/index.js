export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/part") {
      const { answer, loaded } = await import("./part.js");
      return Response.json({ answer, loaded: loaded() });
    }
    if (pathname === "/json") return Response.json((await import("./data.json")).default);
    if (pathname === "/attributes") {
      // The bundler leaves a specifier alone that it cannot know.
      const name = ["cloudflare", "workers"].join(":");
      const known = typeof (await import(name, { with: { type: "json" } })).env;
      return Response.json([known, await import(name, { with: { other: "1" } }).catch(String)]);
    }
    try {
      await import(pathname);
    } catch (error) {
      return Response.json(String(error));
    }
  },
};
