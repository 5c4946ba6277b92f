import { AsyncLocalStorage } from "node:async_hooks";

const storage = new AsyncLocalStorage();

export default {
  fetch: () =>
    storage.run("here", async () => {
      await scheduler.wait(1);
      const others = await import("node:events").catch(() => "refused");
      return Response.json([storage.getStore(), others, "Buffer" in globalThis]);
    }),
};
