// A reverse proxy that changes text while it streams. Bodies are never collected in memory: the first
// byte leaves before the last one has arrived, and a slow client slows the upstream down.

interface Env {
  /** Origin of the upstream; a path in it is kept as a prefix. */
  UPSTREAM: string;
}

const RAW = "/raw/";

export default {
  async fetch(request, env): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname.startsWith(RAW)) {
      // The body of this answer never enters JavaScript: the runtime joins the two connections.
      return forward(request, env, url.pathname.slice(RAW.length - 1) + url.search);
    }
    const whole = new Request(request);
    // Half a text has no first line, and its offsets are those of the upstream's text.
    whole.headers.delete("range");
    return shout(await forward(whole, env, url.pathname + url.search));
  },
} satisfies ExportedHandler<Env>;

async function forward(request: Request, env: Env, target: string): Promise<Response> {
  // Joined as text: `new URL(target, base)` would take a target such as `//evil.example/` for another host.
  const address = env.UPSTREAM.replace(/\/+$/, "") + target;
  try {
    // A redirect is the client's to follow; a proxy passes it on.
    return await fetch(new Request(address, request), { redirect: "manual" });
  } catch (error) {
    console.error(`upstream ${address}:`, error);
    return new Response("The upstream cannot be reached.\n", { status: 502 });
  }
}

/** The same response with its text in capitals, below a line that says so. What is not UTF-8 text passes untouched. */
function shout(response: Response): Response {
  const type = (response.headers.get("content-type") ?? "").toLowerCase();
  const isUtf8 = !type.includes("charset=") || /charset="?utf-8/.test(type);
  if (!type.startsWith("text/") || !isUtf8) return response;

  const headers = new Headers(response.headers);
  // These describe the bytes that the upstream sent, which are not the bytes that leave here.
  for (const name of ["content-length", "content-encoding", "etag", "accept-ranges"]) headers.delete(name);

  // No body: the answer to HEAD, or a status that has none.
  const body = response.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(upperCase())
    .pipeThrough(new TextEncoderStream());
  return new Response(body, { status: response.status, statusText: response.statusText, headers });
}

function upperCase(): TransformStream<string, string> {
  return new TransformStream({
    start(controller) {
      controller.enqueue("-- in capitals, by stream-proxy --\n");
    },
    transform(text, controller) {
      controller.enqueue(text.toUpperCase());
    },
  });
}
