import { ServiceStub, WorkerEntrypoint } from "cloudflare:workers";

export class Other extends WorkerEntrypoint {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/redirect") return Response.redirect("https://other.example/done", 302);
    if (pathname === "/wait") {
      await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
      console.log("the request was aborted");
      return new Response("late");
    }
    const body = request.body === null ? "" : await request.text();
    return new Response(`${request.method} ${pathname} ${body} ${request.headers.get("x-sent")} ${this.ctx.props.from}`, { headers: { "x-answer": "yes" }, status: 201 });
  }

  greet(name) {
    return `hello ${name}, ${this.ctx.props.from}`;
  }
}

let held;

export default class extends WorkerEntrypoint {
  async use(service) {
    const response = await service.fetch("https://other.example/path", { method: "POST", body: "sent", headers: { "x-sent": "header" } });
    const redirected = await service.fetch(new Request("https://other.example/redirect"));
    return [
      service instanceof ServiceStub, response.status, response.headers.get("x-answer"), await response.text(), await service.greet("Ada"),
      await redirected.text(), Object.keys(service),
    ];
  }

  async aborts(service) {
    const controller = new AbortController();
    const answer = service.fetch("https://other.example/wait", { signal: controller.signal }).catch((error) => `${error.name}: ${error.message}`);
    await scheduler.wait(10);
    controller.abort();
    return answer;
  }

  back(service) {
    return { service, again: service };
  }

  own() {
    return this.ctx.exports.Other({ props: { from: "the callee" } });
  }

  async nested(service) {
    return this.ctx.exports.default.use(service);
  }

  async keep(service) {
    held = service;
    return "kept";
  }

  async useKept() {
    try {
      return await held.greet("late");
    } catch (error) {
      return error.message;
    }
  }

  async watch(signal) {
    if (signal.aborted) return ["aborted before", signal.reason?.name, signal.reason?.message ?? signal.reason];
    const reason = await new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason)));
    return [signal instanceof AbortSignal, signal.aborted, reason?.name, reason?.message ?? reason];
  }

  async work(callback, signal) {
    const steps = [];
    while (!signal.aborted) steps.push(await callback(steps.length));
    return steps;
  }

  same(signal) {
    return signal.aborted;
  }

  lateSignal() {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new RangeError("by the callee")), 10);
    return { signal: controller.signal, timeout: AbortSignal.timeout(5) };
  }

  exception() {
    throw new DOMException("gone", "NotFoundError");
  }
}
