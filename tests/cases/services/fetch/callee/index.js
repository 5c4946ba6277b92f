export default {
  async fetch(request, env, ctx) {
    const { pathname, search } = new URL(request.url);
    switch (pathname) {
      case "/fine":
        return new Response("fine");
      case "/cf":
        return Response.json(request.cf ?? null);
      case "/echo":
        return new Response(request.body);
      case "/throws":
        throw new RangeError("thrown by the callee");
      case "/loops":
        for (;;);
      case "/trickle":
        return new Response(new ReadableStream({
          async pull(controller) {
            await scheduler.wait(1);
            controller.enqueue(new Uint8Array(1));
          },
          cancel() {
            console.log("the trickle is cancelled");
          },
        }));
      case "/never":
        return new Promise((resolve) => setTimeout(resolve, 60_000));
      case "/redirect":
        return new Response(null, { status: 307, headers: { location: "/arrived" } });
      case "/endless":
        return Response.redirect("http://x/endless");
      case "/arrived":
        return new Response(`${request.method} ${await request.text()}`);
    }
    const body = { method: request.method, at: pathname + search, a: request.headers.get("x-a"), body: await request.text(), props: ctx.props };
    return Response.json(body, { status: 201, statusText: "Made", headers: { "x-b": "2" } });
  },
};

export class Named {
  constructor(ctx) {
    this.ctx = ctx;
  }

  fetch() {
    return Response.json(this.ctx.props);
  }
}
