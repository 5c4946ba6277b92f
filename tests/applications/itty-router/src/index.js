import { AutoRouter, cors, error, html, status, withContent } from "itty-router";

const { preflight, corsify } = cors({ origin: "*" });
const router = AutoRouter({ before: [preflight], finally: [corsify] });

router
  .get("/", () => html("<h1>itty</h1>"))
  .get("/hello/:name", ({ params, query }) => ({ hello: params.name, loud: query.loud ?? "no" }))
  .post("/echo", withContent, ({ content }) => ({ content }))
  .get("/empty", () => status(204))
  .get("/refused", () => error(402, "pay first"));

export default { ...router };
