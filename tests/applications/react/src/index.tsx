import { Suspense, use, useId } from "react";
import { renderToReadableStream } from "react-dom/server";

const waited = new Map<string, Promise<string>>();

function Late({ id }: { id: string }) {
  let text = waited.get(id);
  if (text === undefined) waited.set(id, text = scheduler.wait(5).then(() => `loaded ${id}`));
  return <p id={useId()}>{use(text)}</p>;
}

function Page({ id }: { id: string }) {
  return (
    <html lang="en">
      <head><title>React</title></head>
      <body>
        <h1>At once</h1>
        <Suspense fallback={<p>loading</p>}><Late id={id} /></Suspense>
      </body>
    </html>
  );
}

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const errors: string[] = [];
    const stream = await renderToReadableStream(<Page id={crypto.randomUUID()} />, {
      onError: (error) => void errors.push(String(error)),
      signal: request.signal,
    });
    // For robots the page comes whole.
    if (pathname === "/whole") await stream.allReady;
    return new Response(stream, { headers: { "content-type": "text/html" } });
  },
};
