// The worker is its own server of events.

const bytes = (text) => new TextEncoder().encode(text);
const stream = (...pieces) => new ReadableStream({
  async pull(controller) {
    const piece = pieces.shift();
    if (piece === undefined) controller.close();
    else controller.enqueue(bytes(piece));
  },
});

async function collected(source, count, types = ["message"]) {
  const seen = [];
  await new Promise((resolve) => {
    const note = (text) => {
      seen.push(text);
      if (seen.length === count) resolve();
    };
    source.onopen = () => note(`open ${source.readyState}`);
    source.onerror = ({ message }) => note(`error ${source.readyState} ${message ?? ""}`);
    for (const type of types) source.addEventListener(type, ({ data, lastEventId, origin }) => note(`${type} ${JSON.stringify(data)} ${lastEventId}`));
  });
  source.close();
  return [...seen, source.readyState];
}

const told = (work) => {
  try {
    return work();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};

const table = {
  "from": () => collected(EventSource.from(stream("\ufeffdata: one\r", "\n\r\ndata: two\ndata:three\n\n", ": comment\nevent: own\nid: 7\ndata\n\n", "data: cut off")), 4, ["message", "own"]),
  "reconnects": (origin) => collected(new EventSource(`${origin}/events`), 5),
  "refused": async (origin) => [await collected(new EventSource(`${origin}/not-events`), 1), await collected(new EventSource(`${origin}/missing`), 1)],
  "errors": () => [told(() => new EventSource()), told(() => new EventSource("nonsense")), told(() => new EventSource("http://a.example/", { withCredentials: true })), told(() => EventSource.from("x")), EventSource.CONNECTING, EventSource.CLOSED],
};

export default {
  async fetch(request) {
    const { origin, pathname } = new URL(request.url);
    const events = { headers: { "content-type": "text/event-stream; charset=utf-8" } };
    if (pathname === "/events") return new Response(`retry: 1\nid: ${+(request.headers.get("last-event-id") ?? 0) + 1}\ndata: ${request.headers.get("last-event-id")}\n\n`, events);
    if (pathname === "/not-events") return new Response("text");
    if (pathname === "/missing") return new Response("gone", { status: 404, ...events });
    return Response.json(await table[pathname.slice(1)](origin));
  },
};
