import * as workers from "cloudflare:workers";
import { atStart, greeting } from "./greeting.js";

const { env, waitUntil, withEnv, DurableObject, RpcTarget, WorkerEntrypoint } = workers;

let globalScope;
try {
  waitUntil(Promise.resolve());
} catch (error) {
  globalScope = error.message;
}

const answers = {
  "/env": () => ({ atStart, now: greeting(), list: env.LIST, keys: Object.keys(env), has: "LIST" in env, absent: env.OTHER === undefined }),
  "/with-env": async () => {
    const sync = withEnv({ GREETING: "Salve" }, greeting);
    const nested = withEnv({ GREETING: "a" }, () => withEnv({ GREETING: "b" }, greeting) + greeting());
    const later = withEnv({ GREETING: "Ciao" }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return greeting();
    });
    let thrown;
    try {
      withEnv({}, () => {
        throw new Error("mine");
      });
    } catch (error) {
      thrown = error.message;
    }
    return { sync, nested, before: greeting(), later: await later, after: greeting(), thrown };
  },
  "/classes": () => {
    const [ctx, own] = [{}, {}];
    class Own extends WorkerEntrypoint {}
    const made = new Own(ctx, own);
    return {
      kept: made.ctx === ctx && made.env === own,
      object: new DurableObject(ctx, own).env === own,
      target: new RpcTarget() instanceof RpcTarget,
      names: [WorkerEntrypoint.name, DurableObject.name, RpcTarget.name],
    };
  },
  "/wait-until": () => {
    waitUntil(new Promise((resolve) => setTimeout(resolve, 1)).then(() => console.log("the work is done")));
    return { globalScope };
  },
  "/import": async () => {
    const again = await import("cloudflare:workers");
    const missing = await import(["cloudflare", "nothing"].join(":")).catch((error) => error.message);
    return { same: again.env === env, missing };
  },
};

export default class extends WorkerEntrypoint {
  async fetch(request) {
    return Response.json(await answers[new URL(request.url).pathname]());
  }
}
