import { createServer } from "node:http";
import { handleAsNodeRequest, httpServerHandler } from "cloudflare:node";

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/echo") {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      response.setHeader("x-method", request.method);
      response.appendHeader("set-cookie", "a=1");
      response.appendHeader("set-cookie", "b=2");
      response.writeHead(201, "Made", { "content-type": "application/json" });
      response.end(JSON.stringify({ url: request.url, name: request.headers["x-name"], body: Buffer.concat(parts).toString() }));
    });
  } else if (pathname === "/stream") {
    response.write("one ");
    setTimeout(() => {
      response.write("two ");
      response.end("three");
    }, 1);
  } else if (pathname === "/large") {
    const chunk = "x".repeat(100_000);
    let left = 20;
    const more = () => {
      while (left-- > 0) if (!response.write(chunk)) return response.once("drain", more);
      response.end();
    };
    more();
  } else if (pathname === "/empty") {
    response.writeHead(204).end();
  } else if (pathname === "/throws") {
    throw new Error("in the listener");
  } else if (pathname === "/destroyed") {
    response.destroy();
  } else {
    response.statusCode = 404;
    response.end("nothing here");
  }
});
server.listen(8080);

const handler = httpServerHandler({ port: 8080 });

export default {
  async fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (pathname === "/direct") return handleAsNodeRequest(8080, new Request("http://localhost/stream"), env, context);
    if (pathname === "/nobody") {
      return handleAsNodeRequest(1, request, env, context).catch((error) => new Response(error.message));
    }
    return handler.fetch(request, env, context);
  },
};
