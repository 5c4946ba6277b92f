import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import { basicAuth } from "hono/basic-auth";
import { bodyLimit } from "hono/body-limit";
import { compress } from "hono/compress";
import { contextStorage, getContext } from "hono/context-storage";
import { getCookie, setSignedCookie, getSignedCookie } from "hono/cookie";
import { cors } from "hono/cors";
import { csrf } from "hono/csrf";
import { etag } from "hono/etag";
import { HTTPException } from "hono/http-exception";
import { sign } from "hono/jwt";
import { jwt } from "hono/jwt";
import { logger } from "hono/logger";
import { poweredBy } from "hono/powered-by";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { streamSSE, streamText } from "hono/streaming";
import { timing, startTime, endTime } from "hono/timing";
import { z } from "zod";

type Env = { Bindings: { USER: string; PASSWORD: string }; Variables: { greeting: string } };

const SECRET = "a secret of thirty-two characters";
const app = new Hono<Env>();

app.use(logger());
app.use(contextStorage());
app.use(poweredBy({ serverName: "Holm" }));
app.use("/secure/*", secureHeaders(), requestId());
app.use("/cors/*", cors({ origin: "https://example.com", allowMethods: ["GET", "PUT"] }));
app.use("/etag", etag());
app.use("/compressed", compress({ threshold: 10 }));
app.use("/form", csrf());
app.use("/limited", bodyLimit({ maxSize: 10, onError: (c) => c.text("too large", 413) }));
app.use("/admin", async (c, next) => basicAuth({ username: c.env.USER, password: c.env.PASSWORD })(c, next));
app.use("/token/*", jwt({ secret: SECRET, alg: "HS256" }));
app.use("/timed", timing());

app.get("/", (c) => c.text("Hello Hono"));
app.get("/users/:id{[0-9]+}", (c) => c.json({ id: c.req.param("id"), query: c.req.queries("tag") ?? [] }));
app.get("/secure/x", (c) => c.text(c.get("requestId").length > 10 ? "has an id" : "has none"));
app.get("/cors/x", (c) => c.text("x"));
app.get("/etag", (c) => c.text("the same text"));
app.get("/compressed", (c) => c.text("x".repeat(2000)));
app.post("/form", async (c) => c.json(await c.req.parseBody()));
app.post("/limited", async (c) => c.text(await c.req.text()));
app.get("/admin", (c) => c.text("welcome"));
app.get("/token", async (c) => c.text(await sign({ sub: "ada", exp: Math.floor(Date.now() / 1000) + 60 }, SECRET)));
app.get("/token/own", async (c) => {
  const token = await sign({ sub: "ada", exp: Math.floor(Date.now() / 1000) + 60 }, SECRET);
  return app.request("/token/check", { headers: { authorization: `Bearer ${token}` } }, c.env);
});
app.get("/token/check", (c) => c.json({ sub: c.get("jwtPayload").sub }));
app.get("/cookie", async (c) => {
  await setSignedCookie(c, "session", "ada", SECRET, { httpOnly: true });
  return c.text(getCookie(c, "seen") ?? "not seen");
});
app.get("/cookie/check", async (c) => c.text(String(await getSignedCookie(c, SECRET, "session"))));
app.post("/validated", zValidator("json", z.object({ name: z.string().min(2), age: z.number().int() })), (c) =>
  c.json({ greeting: `${c.req.valid("json").name} is ${c.req.valid("json").age}` }));
app.get("/events", (c) =>
  streamSSE(c, async (stream) => {
    for (let i = 0; i < 3; i++) {
      await stream.writeSSE({ data: `number ${i}`, event: "count", id: String(i) });
      await stream.sleep(1);
    }
  }));
app.get("/stream", (c) =>
  streamText(c, async (stream) => {
    await stream.write("one ");
    await stream.sleep(1);
    await stream.write("two");
  }));
app.get("/timed", (c) => {
  startTime(c, "work");
  endTime(c, "work");
  return c.text("timed");
});
const helper = async () => {
  await null;
  return getContext<Env>().var.greeting;
};
app.get("/context", async (c) => {
  c.set("greeting", "from the async context");
  return c.text(await helper());
});
app.get("/teapot", () => {
  throw new HTTPException(418, { message: "short and stout" });
});
app.route("/nested", new Hono().get("/deep", (c) => c.html("<p>deep</p>")));
app.notFound((c) => c.json({ missing: c.req.path }, 404));
app.onError((error, c) => error instanceof HTTPException ? error.getResponse() : c.text(`failed: ${error.message}`, 500));
app.get("/broken", () => {
  throw new Error("on purpose");
});

export default app;
