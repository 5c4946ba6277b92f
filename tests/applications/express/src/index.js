import { httpServerHandler } from "cloudflare:node";
import express from "express";

const app = express();
app.disable("x-powered-by");
app.use(express.json());
app.use(express.urlencoded({ extended: true }));
app.use((request, response, next) => {
  response.set("x-seen", request.get("user-agent") ?? "nobody");
  next();
});

app.get("/", (request, response) => response.send("Hello Express"));
app.get("/users/:id", (request, response) => response.json({ id: request.params.id, query: request.query }));
app.post("/echo", (request, response) => response.status(201).json(request.body));
app.get("/redirect", (request, response) => response.redirect(302, "/"));
app.get("/cookie", (request, response) => response.cookie("a", "1", { httpOnly: true }).type("text").send("set"));
app.get("/stream", async (request, response) => {
  response.write("one ");
  await new Promise((resolve) => setTimeout(resolve, 1));
  response.end("two");
});
app.get("/fails", async () => {
  throw new Error("on purpose");
});
app.use((request, response) => response.status(404).send(`no ${request.path}`));
app.use((error, request, response, next) => {
  void next;
  response.status(500).send(`failed: ${error.message}`);
});

app.listen(3000);

export default httpServerHandler({ port: 3000 });
