import { AsyncLocalStorage, AsyncResource, executionAsyncId } from "node:async_hooks";

const storage = new AsyncLocalStorage();
const other = new AsyncLocalStorage({ defaultValue: "default", name: "other" });
const atStart = new AsyncResource("AtStart");
let kept;

const paths = {
  async "/awaits"() {
    return storage.run({ id: 1 }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      const inner = await other.run("inner", async () => {
        await null;
        return [storage.getStore().id, other.getStore()];
      });
      return [inner, other.getStore(), storage.exit(() => storage.getStore() ?? "exited"), executionAsyncId()];
    });
  },
  async "/everything-started"() {
    return storage.run("mine", () =>
      Promise.all([
        new Promise((resolve) => setTimeout(() => resolve(storage.getStore()))),
        new Promise((resolve) => setImmediate(() => resolve(storage.getStore()))),
        new Promise((resolve) => process.nextTick(() => resolve(storage.getStore()))),
        new Promise((resolve) => queueMicrotask(() => resolve(storage.getStore()))),
        crypto.subtle.digest("SHA-256", new Uint8Array(1)).then(() => storage.getStore()),
        fetch("data:,x").then(() => storage.getStore()),
      ]));
  },
  async "/beside"(request) {
    const id = new URL(request.url).search;
    return storage.run(id, async () => {
      for (let i = 0; i < 5; i++) await scheduler.wait(1);
      return storage.getStore() === id;
    });
  },
  "/enter"() {
    storage.enterWith("entered");
    const before = storage.getStore();
    storage.disable();
    return [before, storage.getStore() ?? "disabled"];
  },
  "/bind"() {
    const snapshot = storage.run("first", () => AsyncLocalStorage.snapshot());
    const bound = storage.run("bound", () => AsyncLocalStorage.bind(function (a) {
      return [this.name, a, storage.getStore()];
    }));
    const resource = storage.run("resource", () => new AsyncResource("Mine"));
    return storage.run("second", () => [
      snapshot(() => storage.getStore()),
      bound.call({ name: "self" }, 1),
      resource.runInAsyncScope(() => storage.getStore()),
      resource.bind(() => storage.getStore())(),
      atStart.runInAsyncScope(() => storage.getStore() ?? "none"),
      storage.getStore(),
      bound.length,
    ]);
  },
  async "/own-io"() {
    // A resource of the global scope does not make its callback's I/O the global scope's.
    return atStart.runInAsyncScope(async () => (await fetch("data:,ok")).text());
  },
  "/keep"() {
    kept = storage.run("of another request", () => AsyncLocalStorage.snapshot());
    return "kept";
  },
  "/use-kept"() {
    try {
      return kept(() => storage.getStore());
    } catch (error) {
      return error.message;
    }
  },
  "/throws"() {
    try {
      storage.run(1, () => {
        throw new Error("thrown");
      });
    } catch (error) {
      return [error.message, storage.getStore() ?? "restored"];
    }
  },
};

export default {
  async fetch(request) {
    return Response.json(await paths[new URL(request.url).pathname](request));
  },
};
