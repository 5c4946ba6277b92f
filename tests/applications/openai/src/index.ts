import OpenAI from "openai";

const WORDS = ["Hello", ", ", "world", "!"];

/** What the API answers, as far as the client asks: server-sent events, or an error. */
async function api(request: Request): Promise<Response> {
  if (request.headers.get("authorization") !== "Bearer key") {
    return Response.json({ error: { message: "Incorrect API key provided", type: "invalid_request_error", code: "invalid_api_key" } }, { status: 401 });
  }
  const { stream, messages } = await request.json<{ stream?: boolean; messages: { content: string }[] }>();
  const chunk = (delta: object, finish: string | null) => ({
    id: "1", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason: finish }],
  });
  if (!stream) {
    const message = { role: "assistant", content: `You said: ${messages[0].content}` };
    return Response.json({ id: "1", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message, finish_reason: "stop" }] });
  }
  const { readable, writable } = new TransformStream();
  const writer = writable.getWriter();
  const encoder = new TextEncoder();
  (async () => {
    for (const word of WORDS) {
      // Events are cut where they should not be.
      const event = encoder.encode(`data: ${JSON.stringify(chunk({ content: word }, null))}\n\n`);
      await writer.write(event.slice(0, 20));
      await scheduler.wait(1);
      await writer.write(event.slice(20));
    }
    await writer.write(encoder.encode(`data: ${JSON.stringify(chunk({}, "stop"))}\n\ndata: [DONE]\n\n`));
    await writer.close();
  })();
  return new Response(readable, { headers: { "content-type": "text/event-stream" } });
}

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname, origin } = new URL(request.url);
    if (pathname.startsWith("/v1/")) return api(request);
    const client = new OpenAI({ apiKey: pathname === "/refused" ? "wrong" : "key", baseURL: `${origin}/v1`, maxRetries: 0 });
    const messages = [{ role: "user" as const, content: "hi" }];
    if (pathname === "/whole") {
      const completion = await client.chat.completions.create({ model: "m", messages });
      return new Response(completion.choices[0].message.content);
    }
    try {
      const stream = await client.chat.completions.create({ model: "m", messages, stream: true });
      const parts: string[] = [];
      for await (const part of stream) parts.push(part.choices[0]?.delta?.content ?? "");
      return Response.json(parts);
    } catch (error) {
      if (!(error instanceof OpenAI.APIError)) throw error;
      return Response.json([error.status, error.code, error.constructor.name]);
    }
  },
};
