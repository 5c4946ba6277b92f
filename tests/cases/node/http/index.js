import assert from "node:assert";
import http, { Agent, request } from "node:http";
import https from "node:https";
import { json, text } from "node:stream/consumers";

const answer = (sent) => new Promise((resolve, reject) => sent.on("response", resolve).on("error", reject));

const tests = {
  async get(upstream) {
    const response = await new Promise((resolve, reject) => http.get(`${upstream}/text`, resolve).on("error", reject));
    assert.equal(response.statusCode, 200);
    assert.equal(response.statusMessage, "OK");
    assert.match(response.headers["content-type"], /^text\/plain/);
    assert.equal(await text(response), "hello upstream\n");
    assert(response.complete);
  },
  async post(upstream) {
    const { hostname, port } = new URL(upstream);
    const sent = request({ hostname, port, path: "/echo?a=1", method: "POST", headers: { "X-Name": "value" }, agent: new Agent({ keepAlive: true }), auth: "user:pass" });
    assert.equal(sent.getHeader("x-name"), "value");
    sent.setHeader("X-More", "more");
    sent.write("first ");
    sent.end("second");
    const echoed = await json(await answer(sent));
    assert.deepEqual([echoed.method, echoed.path, echoed.body], ["POST", "/echo?a=1", "first second"]);
    assert.equal(echoed.headers["x-name"], "value");
    assert.equal(echoed.headers["x-more"], "more");
    assert.equal(echoed.headers.authorization, "Basic dXNlcjpwYXNz");
  },
  async stream(upstream) {
    const response = await answer(http.get(`${upstream}/bytes/300000`));
    let length = 0;
    for await (const chunk of response) length += chunk.length;
    assert.equal(length, 300_000);
  },
  async errors(upstream) {
    await assert.rejects(answer(http.get("http://127.0.0.1:1/")), (error) => error instanceof Error && error.code.startsWith("E"));
    const controller = new AbortController();
    const sent = http.get(`${upstream}/text`, { signal: controller.signal });
    controller.abort();
    await assert.rejects(answer(sent), { name: "AbortError" });
    const destroyed = http.get(`${upstream}/text`);
    destroyed.destroy(new Error("changed my mind"));
    await assert.rejects(answer(destroyed), /changed my mind/);
    assert.throws(() => https.get(`${upstream}/text`), { code: "ERR_INVALID_PROTOCOL" });
    assert.throws(() => http.request({ path: "/a b" }), { code: "ERR_UNESCAPED_CHARACTERS" });
    assert.throws(() => http.request({ headers: { "bad name": "x" } }), { code: "ERR_INVALID_HTTP_TOKEN" });
    assert.throws(() => http.validateHeaderValue("x", "a\nb"), { code: "ERR_INVALID_CHAR" });
    assert(http.METHODS.includes("PATCH") && http.STATUS_CODES[418] === "I'm a Teapot");
  },
};

export default {
  async fetch(request, env) {
    await tests[new URL(request.url).pathname.slice(1)](env.UPSTREAM);
    return new Response("as in Node.js");
  },
};
