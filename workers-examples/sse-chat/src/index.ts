// A chat over server-sent events: a page, a stream of a room's messages, and a way to say something.

import page from "./page.html";
import { messagesAfter, resumeAt, say, type Message } from "./rooms";

const ROOM = /^[a-z0-9-]{1,32}$/;
const NAME_MAX = 32;
const TEXT_MAX = 500;

const POLL_MS = 250;
const KEEP_ALIVE_MS = 15_000;

export default {
  async fetch(request): Promise<Response> {
    const url = new URL(request.url);
    switch (`${request.method} ${url.pathname}`) {
      case "GET /":
        return new Response(page, { headers: { "content-type": "text/html;charset=UTF-8" } });
      case "GET /events":
        return events(request, url.searchParams.get("room") ?? "lobby");
      case "POST /say":
        return receive(request);
      default:
        return refuse(404, "no such path");
    }
  },
} satisfies ExportedHandler;

function events(request: Request, room: string): Response {
  if (!ROOM.test(room)) return refuse(400, "room: lower-case letters, digits and '-', at most 32");

  // Sent by EventSource when it reconnects.
  let seen = resumeAt(Number(request.headers.get("last-event-id") ?? 0));
  const { signal } = request;
  const encoder = new TextEncoder();

  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encoder.encode("retry: 1000\n\n"));
    },
    // Called when the client has room for more, so that a slow client holds up nobody but itself.
    async pull(controller) {
      for (let waited = 0; waited < KEEP_ALIVE_MS; waited += POLL_MS) {
        if (signal.aborted) return controller.close();
        const news = messagesAfter(room, seen);
        const last = news.at(-1);
        if (last !== undefined) {
          seen = last.id;
          return controller.enqueue(encoder.encode(news.map(frame).join("")));
        }
        await scheduler.wait(POLL_MS);
      }
      // A comment: proxies on the way see that the connection is alive.
      controller.enqueue(encoder.encode(": keep-alive\n\n"));
    },
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

/** JSON has no raw line breaks, so that one `data` line always holds a message. */
function frame({ id, name, text }: Message): string {
  return `id: ${id}\ndata: ${JSON.stringify({ name, text })}\n\n`;
}

async function receive(request: Request): Promise<Response> {
  // Another site's page cannot send this type without asking first (CORS), which nobody here answers.
  if (!request.headers.get("content-type")?.startsWith("application/json")) {
    return refuse(415, "send the body as application/json");
  }
  const input = await request.json<Record<string, unknown> | null>().catch(() => null);
  const { room = "lobby", name, text } = input ?? {};
  if (typeof room !== "string" || !ROOM.test(room)) {
    return refuse(422, "room: lower-case letters, digits and '-', at most 32");
  }
  if (typeof name !== "string" || name === "" || name.length > NAME_MAX) {
    return refuse(422, `name: 1 to ${NAME_MAX} characters`);
  }
  if (typeof text !== "string" || text === "" || text.length > TEXT_MAX) {
    return refuse(422, `text: 1 to ${TEXT_MAX} characters`);
  }
  return Response.json({ id: say(room, name, text).id }, { status: 201 });
}

function refuse(status: number, error: string): Response {
  return Response.json({ error }, { status });
}
