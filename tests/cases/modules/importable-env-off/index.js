import { env, withEnv } from "cloudflare:workers";

export default {
  fetch: (request, own) => Response.json({ imported: Object.keys(env), own: own.NAME, with: withEnv({ a: 1 }, () => env.a) }),
};
