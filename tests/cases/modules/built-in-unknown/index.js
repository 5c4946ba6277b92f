import { env } from "cloudflare:worker";

export default { fetch: () => Response.json(env) };
