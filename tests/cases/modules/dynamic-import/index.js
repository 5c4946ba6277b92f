export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/part") {
      const { answer, loaded } = await import("./part.js");
      return Response.json({ answer, loaded: loaded() });
    }
    if (pathname === "/json") return Response.json((await import("./data.json")).default);
    try {
      await import(pathname);
    } catch (error) {
      return Response.json(String(error));
    }
  },
};
