// A JSON API over items: routes, status codes and error bodies. Every answer is JSON, errors included.

import { Hono, type Context } from "hono";
import { HTTPException } from "hono/http-exception";

import { checkFields, checkNewItem, type Item, type Problems } from "./item";

interface Env {
  MAX_ITEMS: string;
}

type App = { Bindings: Env };

// Lives as long as the isolate and is seen by that isolate only. Use KV, D1 or a Durable Object for
// data that has to outlive it.
const items = new Map<number, Item>();
let lastId = 0;

const app = new Hono<App>();

app.get("/items", (c) => c.json({ items: [...items.values()] }));

app.post("/items", async (c) => {
  const checked = checkNewItem(await readJson(c));
  if (!checked.ok) return invalid(c, checked.problems);
  if (items.size >= Number(c.env.MAX_ITEMS)) {
    throw new HTTPException(507, { message: "the list is full: delete an item first" });
  }
  const item: Item = { id: ++lastId, ...checked.value };
  items.set(item.id, item);
  return c.json(item, 201, { Location: `/items/${item.id}` });
});

app.all("/items", (c) => methodNotAllowed(c, "GET, HEAD, POST"));

app.get("/items/:id{[0-9]+}", (c) => c.json(find(c.req.param("id"))));

app.patch("/items/:id{[0-9]+}", async (c) => {
  const checked = checkFields(await readJson(c));
  if (!checked.ok) return invalid(c, checked.problems);
  // Looked up after the last `await`: what another request deletes meanwhile must not come back.
  const item: Item = { ...find(c.req.param("id")), ...checked.value };
  items.set(item.id, item);
  return c.json(item);
});

app.delete("/items/:id{[0-9]+}", (c) => {
  items.delete(find(c.req.param("id")).id);
  return c.body(null, 204);
});

app.all("/items/:id{[0-9]+}", (c) => methodNotAllowed(c, "GET, HEAD, PATCH, DELETE"));

app.notFound((c) => c.json({ error: `no such path: ${c.req.path}` }, 404));

app.onError((error, c) => {
  if (error instanceof HTTPException) return c.json({ error: error.message }, error.status);
  console.error(error);
  return c.json({ error: "internal error" }, 500);
});

export default app;

function find(id: string): Item {
  const item = items.get(Number(id));
  if (item === undefined) throw new HTTPException(404, { message: `no item ${id}` });
  return item;
}

async function readJson(c: Context<App>): Promise<unknown> {
  const type = c.req.header("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new HTTPException(415, { message: "send the body as application/json" });
  }
  try {
    return await c.req.json();
  } catch {
    throw new HTTPException(400, { message: "the body is not valid JSON" });
  }
}

function invalid(c: Context<App>, problems: Problems): Response {
  return c.json({ error: "invalid item", problems }, 422);
}

function methodNotAllowed(c: Context<App>, allow: string): Response {
  return c.json({ error: `${c.req.method} is not allowed here` }, 405, { Allow: allow });
}
