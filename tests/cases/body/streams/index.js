const answers = {
  "/chunks": () => {
    const chunks = ["one ", "two ", "three"];
    return new Response(new ReadableStream({
      pull(controller) {
        const chunk = chunks.shift();
        if (chunk === undefined) controller.close();
        else controller.enqueue(new TextEncoder().encode(chunk));
      },
    }));
  },
  "/slow": () => {
    const { readable, writable } = new TransformStream();
    (async () => {
      const writer = writable.getWriter();
      for (const word of ["a", "b", "c"]) {
        await scheduler.wait(2);
        await writer.write(new TextEncoder().encode(word));
      }
      await writer.close();
    })();
    return new Response(readable);
  },
  "/strings": () => new Response(new ReadableStream({
    async pull(controller) {
      controller.enqueue(this.sent ? "text is no bytes" : new TextEncoder().encode("part"));
      this.sent = true;
      await scheduler.wait(5);
    },
  })),
  "/encoded": () => new Response(ReadableStream.from(["text", " as bytes"]).pipeThrough(new TextEncoderStream())),
  "/generator": () => new Response((async function* () {
    yield new TextEncoder().encode("from ");
    yield new TextEncoder().encode("a generator");
  })()),
  "/fails": () => new Response(new ReadableStream({
    async pull(controller) {
      if (this.sent) throw new Error("the source failed");
      this.sent = true;
      controller.enqueue(new TextEncoder().encode("part"));
      await scheduler.wait(5);
    },
  })),
  "/fixed": () => {
    const { readable, writable } = new FixedLengthStream(5);
    const writer = writable.getWriter();
    writer.write(new TextEncoder().encode("fixed"));
    writer.close();
    return new Response(readable);
  },
  "/identity": () => {
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    writer.write(new TextEncoder().encode("identity"));
    writer.close();
    return new Response(readable);
  },
  "/upper": (request) => new Response(
    request.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TransformStream({ transform: (text, controller) => controller.enqueue(text.toUpperCase()) }))
      .pipeThrough(new TextEncoderStream()),
  ),
  "/tee": async (request) => {
    const [left, right] = request.body.tee();
    return Response.json([await new Response(left).text(), await new Response(right).text()]);
  },
  "/byob": async (request) => {
    const reader = request.body.getReader({ mode: "byob" });
    const sizes = [];
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(4));
      if (done) break;
      sizes.push(value.byteLength);
    }
    return Response.json(sizes);
  },
  "/at-least": async (request) => {
    const reader = request.body.getReader({ mode: "byob" });
    const { value } = await reader.read(new Uint8Array(8), { min: 8 });
    return new Response(value);
  },
  "/gzip": () => new Response(
    new Blob(["compressed"]).stream().pipeThrough(new CompressionStream("gzip")).pipeThrough(new DecompressionStream("gzip")),
  ),
  "/megabytes": () => {
    let left = 64;
    const chunk = new Uint8Array(65536).fill(120);
    return new Response(new ReadableStream({
      pull(controller) {
        if (left-- === 0) controller.close();
        else controller.enqueue(chunk);
      },
    }));
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
