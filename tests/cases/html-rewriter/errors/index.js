// What HTMLRewriter refuses, and how.

const html = (body) => new Response(body, { headers: { "content-type": "text/html" } });

async function thrown(work) {
  try {
    const value = await work();
    return `nothing: ${value}`;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

const read = (selector, handlers, text = "<b>x</b>") => new HTMLRewriter().on(selector, handlers).transform(html(text)).text();

const table = {
  "no new": () => HTMLRewriter(),
  "no selector": () => new HTMLRewriter().on(),
  "no handlers": () => new HTMLRewriter().on("b"),
  "handlers that are none": () => new HTMLRewriter().on("b", 1),
  "a handler that is none": () => new HTMLRewriter().on("b", { element: 1 }),
  "document handlers that are none": () => new HTMLRewriter().onDocument(null),
  "selector: empty": () => new HTMLRewriter().on("", {}),
  "selector: a pseudo-element": () => new HTMLRewriter().on("b::before", {}),
  "selector: a sibling": () => new HTMLRewriter().on("a + b", {}),
  "selector: too deep": () => new HTMLRewriter().on(":not(".repeat(100) + "b" + ")".repeat(100), {}),
  "not a response": () => new HTMLRewriter().transform("<b>"),
  "a used response": async () => {
    const response = html("<b>");
    await response.text();
    new HTMLRewriter().transform(response);
  },
  "an encoding that is none": () =>
    new HTMLRewriter().transform(new Response("x", { headers: { "content-type": "text/html; charset=nonsense" } })),
  "an encoding that is not like ASCII": () =>
    new HTMLRewriter().transform(new Response("x", { headers: { "content-type": "text/html; charset=utf-16le" } })),
  "a handler throws": () => read("b", { element() { throw new RangeError("its own"); } }),
  "a handler rejects": () => read("b", { async text() { await null; throw new RangeError("later"); } }),
  "an end tag's handler throws": () => read("b", { element: (b) => void b.onEndTag(() => { throw new Error("at the end"); }) }),
  "a token is kept": async () => {
    let token;
    await read("b", { element(b) { token = b; } });
    return token.tagName;
  },
  "an iterator is kept": async () => {
    let iterator;
    await read("b", { element(b) { iterator = b.attributes; } });
    return iterator.next();
  },
  "a token that is made": () => {
    let Element;
    return read("b", { element(b) { Element = b.constructor; } }).then(() => new Element());
  },
  "a tag name that is none": () => read("b", { element(b) { b.tagName = "a b"; } }),
  "an attribute name that is none": () => read("b", { element(b) { b.setAttribute("a b", ""); } }),
  "a comment that would end": () => read("b", { comments(c) { c.text = "-->"; } }, "<b><!--x--></b>"),
  "an end tag of an element that has none": () => read("img", { element(img) { img.onEndTag(() => {}); } }, "<img>"),
  "an end tag handler that is none": () => read("b", { element(b) { b.onEndTag("x"); } }),
  "a content stream that fails": () =>
    read("b", { element(b) { b.append(new ReadableStream({ start(c) { c.error(new Error("content")); } })); } }),
  "a content stream of strings": () =>
    read("b", { element(b) { b.append(new ReadableStream({ start(c) { c.enqueue("text"); } })); } }),
  "a content stream that is locked": () =>
    read("b", { element(b) { const s = new ReadableStream(); s.getReader(); b.append(s); } }),
  "a source that fails": () =>
    new HTMLRewriter().transform(html(new ReadableStream({ pull(c) { c.error(new Error("source")); } }))).text(),
  "a document that keeps too much": () => read("b", { element() {} }, "<b " + "x".repeat(4_000_000)),
};

export default {
  async fetch(request, env) {
    const path = new URL(request.url).pathname;
    if (path === "/table") {
      const results = {};
      for (const name in table) results[name] = await thrown(table[name]);
      return Response.json(results);
    }
    if (path === "/answer") {
      return new HTMLRewriter().on("i", { element() { throw new Error("in the answer"); } }).transform(html("<b>" + "x".repeat(100_000) + "</b><i></i>"));
    }
    if (path === "/later") {
      const { readable, writable } = new IdentityTransformStream();
      const writer = writable.getWriter();
      writer.write(new TextEncoder().encode("<b>" + "x".repeat(100_000)));
      setTimeout(() => void writer.write(new TextEncoder().encode("</b><i></i>")), 20);
      return new HTMLRewriter().on("i", { element() { throw new Error("later in the answer"); } }).transform(html(readable));
    }
    if (path === "/spin") {
      return new HTMLRewriter().on("b", { element() { for (;;); } }).transform(html("<b></b>"));
    }
    if (path === "/endless") {
      const chunk = new TextEncoder().encode("<b></b>".repeat(4_000));
      const endless = new ReadableStream({ pull(controller) { controller.enqueue(chunk); } });
      await new HTMLRewriter().on("b", { element: (b) => void b.remove() }).transform(html(endless)).text();
    }
    return new Response("alive");
  },
};
