// What React Router's (and Remix's) build makes of an application's routes, and the handler that serves it.
import { createElement as h } from "react";
import { renderToReadableStream } from "react-dom/server.edge";
import {
  createCookieSessionStorage, createRequestHandler, data, Form, isRouteErrorResponse, Links, Meta, Outlet, redirect, ServerRouter,
  useActionData, useLoaderData, useRouteError,
} from "react-router";

const sessions = createCookieSessionStorage({ cookie: { name: "session", secrets: ["s3cret"], path: "/", httpOnly: true, sameSite: "lax" } });

const root = {
  default: () => h("html", { lang: "en" }, h("head", null, h(Meta), h(Links)), h("body", null, h(Outlet))),
  ErrorBoundary() {
    const error = useRouteError();
    const text = isRouteErrorResponse(error) ? `${error.status} ${error.data}` : "an error";
    return h("html", null, h("body", null, h("h1", null, text)));
  },
};

const home = {
  meta: ({ loaderData }) => [{ title: `Hello ${loaderData.name}` }, { name: "description", content: "a page" }],
  loader: async ({ request }) => {
    const session = await sessions.getSession(request.headers.get("cookie"));
    return { name: session.get("name") ?? "world", at: new Date(0), big: 2n ** 70n };
  },
  action: async ({ request }) => {
    const form = await request.formData();
    const name = form.get("name");
    if (!name) return data({ problem: "a name is needed" }, { status: 400 });
    const session = await sessions.getSession();
    session.set("name", name);
    return redirect("/", { headers: { "set-cookie": await sessions.commitSession(session) } });
  },
  headers: () => ({ "cache-control": "private" }),
  default() {
    const { name } = useLoaderData();
    const action = useActionData();
    return h("main", null, h("h1", null, "Hello ", name), action && h("p", { role: "alert" }, action.problem),
      h(Form, { method: "post" }, h("input", { name: "name" })));
  },
};

const item = {
  loader: ({ params }) => {
    if (params.id === "9") throw new Response("no such item", { status: 404 });
    if (params.id === "8") throw new Error("on purpose");
    return { id: params.id };
  },
  default() {
    return h("p", null, "Item ", useLoaderData().id);
  },
};

/** No component: an answer of its own. */
const feed = { loader: () => new Response("<rss/>", { headers: { "content-type": "application/rss+xml" } }) };

async function handleRequest(request, status, headers, entry) {
  const stream = await renderToReadableStream(h(ServerRouter, { context: entry, url: request.url }), { signal: request.signal });
  headers.set("content-type", "text/html");
  return new Response(stream, { status, headers });
}

const route = (id, module, path, more) => [id, { id, path, parentId: id === "root" ? undefined : "root", module, ...more }];
const routes = Object.fromEntries([
  route("root", root, ""), route("home", home, undefined, { index: true }), route("item", item, "items/:id"), route("feed", feed, "feed.xml"),
]);
const manifest = Object.fromEntries(Object.values(routes).map(({ id, parentId, path, index, module }) => [id, {
  id, parentId, path, index, module: `/assets/${id}.js`, imports: [], hasAction: "action" in module, hasLoader: "loader" in module,
  hasClientAction: false, hasClientLoader: false, hasClientMiddleware: false, hasErrorBoundary: "ErrorBoundary" in module,
}]));

const handler = createRequestHandler({
  entry: { module: { default: handleRequest, handleError: (error) => console.log(`handled: ${error.message ?? error.status}`) } },
  routes,
  assets: { entry: { module: "/assets/entry.js", imports: [] }, routes: manifest, url: "/assets/manifest.js", version: "1" },
  assetsBuildDirectory: "build/client", basename: "/", publicPath: "/", future: {}, isSpaMode: false, ssr: true, prerender: [],
  routeDiscovery: { mode: "initial" },
}, "production");

export default { fetch: (request) => handler(request) };
