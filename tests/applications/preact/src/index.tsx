import { createContext } from "preact";
import { useContext, useState } from "preact/hooks";
import { renderToString } from "preact-render-to-string";
import { renderToReadableStream } from "preact-render-to-string/stream";

const Name = createContext("nobody");

function Greeting({ loud }: { loud: boolean }) {
  const name = useContext(Name);
  const [mark] = useState(loud ? "!" : ".");
  return <h1 class="greeting">Hello, {name}{mark}</h1>;
}

function Page({ name }: { name: string }) {
  return (
    <html>
      <body>
        <Name.Provider value={name}>
          <Greeting loud={true} />
          <ul>{["a", "b"].map((item) => <li key={item}>{item}</li>)}</ul>
        </Name.Provider>
      </body>
    </html>
  );
}

export default {
  fetch(request: Request): Response {
    const { pathname, searchParams } = new URL(request.url);
    const page = <Page name={searchParams.get("name") ?? "world"} />;
    const headers = { "content-type": "text/html; charset=utf-8" };
    return new Response(pathname === "/stream" ? renderToReadableStream(page) : `<!doctype html>${renderToString(page)}`, { headers });
  },
};
