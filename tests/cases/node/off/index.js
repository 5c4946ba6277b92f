export default {
  async fetch() {
    const names = ["Buffer", "process", "global", "setImmediate"].filter((name) => name in globalThis);
    const imported = await import("node:events").catch((error) => error.message);
    return Response.json({ names, imported, timer: typeof setTimeout(() => {}, 0) });
  },
};
