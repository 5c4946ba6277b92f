import { part } from "./parts/part.js";

export default {
  fetch: () => Response.json({ part, url: typeof import.meta.url }),
};
