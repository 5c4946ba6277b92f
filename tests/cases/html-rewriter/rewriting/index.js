const page = (html, headers = {}) => new Response(html, { headers: { "content-type": "text/html", ...headers } });
const rewriter = (selector, handlers) => new HTMLRewriter().on(selector, handlers);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const stream = (...chunks) => {
  const { readable, writable } = new IdentityTransformStream();
  (async () => {
    const writer = writable.getWriter();
    for (const chunk of chunks) {
      await wait(1);
      await writer.write(new TextEncoder().encode(chunk));
    }
    await writer.close();
  })();
  return readable;
};

/** Each: what is transformed, and by what. */
const answers = {
  "places": () =>
    rewriter("b", {
      element(b) {
        b.before("<1>").before("<i>2</i>", { html: true }).prepend("3").append("4", { html: false }).after("5");
      },
    }).transform(page("x<b>y</b>z")),
  "replace": () => rewriter("b", { element: (b) => void b.replace("<u>&</u>", { html: true }) }).transform(page("x<b>y<i></i></b>z")),
  "inner": () => rewriter("b", { element: (b) => void b.setInnerContent("<&>") }).transform(page("x<b>y</b>z")),
  "remove": () =>
    new HTMLRewriter()
      .on("b", { element(b) { b.remove(); b.setAttribute("removed", String(b.removed)); } })
      .on("i", { element: (i) => void i.removeAndKeepContent() })
      .transform(page("x<b>y</b><i>k<u>e</u></i>z")),
  "attributes": () =>
    rewriter("a", {
      element(a) {
        const before = [...a.attributes].map(([name, value]) => `${name}=${value}`).join(";");
        a.setAttribute("data-before", before);
        a.setAttribute("href", a.getAttribute("HREF").replace("http:", "https:"));
        a.removeAttribute("target");
        a.setAttribute("data-has", `${a.hasAttribute("target")},${a.hasAttribute("id")},${a.getAttribute("none")}`);
      },
    }).transform(page(`<a HREF="http://x.example/?a&b" target=_blank id>x</a>`)),
  "names": () =>
    new HTMLRewriter()
      .on("b", { element(b) { b.tagName = "strong"; } })
      .on("svg *", { element(inner) { inner.setAttribute("ns", inner.namespaceURI); } })
      .on("p", { element(p) { p.setAttribute("ns", p.namespaceURI); p.setAttribute("name", p.tagName); } })
      .transform(page("<b>x</b><svg><path></path></svg><P></P>")),
  "end-tags": () =>
    rewriter("div", {
      element(div) {
        let replaced = false;
        div.onEndTag(() => { replaced = true; });
        div.onEndTag(async (tag) => {
          await wait(1);
          tag.before(`[${tag.name},${replaced}]`).after("!");
          tag.name = "section";
        });
      },
    }).transform(page("<div><div>x</div></div>")),
  "comments": () =>
    new HTMLRewriter()
      .on("p", {
        comments(comment) {
          if (comment.text === "drop") comment.remove();
          else comment.text = comment.text.toUpperCase();
          comment.before(String(comment.removed));
        },
      })
      .onDocument({ comments: (comment) => void comment.after("<hr>", { html: true }) })
      .transform(page("<!--a--><p><!--b--><!--drop--></p>")),
  "text": () => {
    let text = "";
    return rewriter("p", {
      text(chunk) {
        text += chunk.text;
        if (!chunk.lastInTextNode) return chunk.remove();
        chunk.replace(text.split("").reverse().join(""));
        text = "";
      },
    }).transform(page("<p>one</p><p>two &amp; three</p>four"));
  },
  "document": () =>
    new HTMLRewriter()
      .onDocument({
        doctype(doctype) { this.doctype = [doctype.name, doctype.publicId, doctype.systemId].join("|"); },
        end(end) { end.append(`<i>${this.doctype}</i>`, { html: true }).append("<&>"); },
      })
      .transform(page(`<!DOCTYPE html PUBLIC "-//W3C//DTD" "http://x/y.dtd"><p></p>`)),
  "order": async () => {
    const seen = [];
    const handler = (name) => ({
      async element(element) {
        seen.push(`${name} begins`);
        await wait(name === "first" ? 4 : 1);
        seen.push(`${name} ends`);
        element.setAttribute(name, "");
      },
    });
    const response = new HTMLRewriter().on("b", handler("first")).on("b", handler("second")).transform(page("<b></b><b></b>"));
    seen.push("transformed");
    seen.push(await response.text());
    return Response.json(seen);
  },
  "receiver": () => {
    class Counter {
      count = 0;
      element(element) { element.setAttribute("n", String(this.count++)); }
    }
    return rewriter("i", new Counter()).transform(page("<i></i><i></i><i></i>"));
  },
  "selectors": async () => {
    const html = `<div id=one class="a b" lang=en-US data-x="One two"><p>1</p><p class=lead>2</p><span>3</span><p>4</p></div>`;
    const selectors = [
      "*", "p", "div p", "div > p", "p:first-child", "p:nth-child(2n)", "p:nth-of-type(3)", "p:not(.lead)", ".lead", "#one",
      "[lang]", `[lang="en-US"]`, `[data-x~=two]`, `[data-x^="one" i]`, `[data-x$=two s]`, `[data-x*="e t"]`, `[lang|=en]`, "p, span",
    ];
    const counts = {};
    for (const selector of selectors) {
      counts[selector] = 0;
      await rewriter(selector, { element() { counts[selector]++; } }).transform(page(html)).text();
    }
    return Response.json(counts);
  },
  "content-stream": () =>
    rewriter("b", { element: (b) => void b.replace(stream("<s", "tr", "eam>"), { html: true }) }).transform(page("x<b>y</b>z")),
  "content-response": (request, env) =>
    rewriter("b", {
      async element(b) {
        b.setInnerContent(await fetch(`${env.UPSTREAM}/text`));
        b.append(new Response("<escaped>"));
        b.after(new Response(null));
      },
    }).transform(page("x<b>y</b>z")),
  "chained": () =>
    rewriter("i", { element: (i) => void i.append("2") }).transform(
      rewriter("b", { element: (b) => void b.append("<i>1</i>", { html: true }) }).transform(page("<b></b>")),
    ),
  "head": () => {
    const original = page("<b></b>", { "content-length": "7", "x-kept": "yes" });
    const transformed = rewriter("b", { element: (b) => void b.append("more") })
      .transform(new Response(original.body, { status: 201, headers: original.headers }));
    transformed.headers.set("x-own", `${original.bodyUsed},${transformed.status}`);
    return transformed;
  },
  "no-body": async () => {
    const empty = new Response(null, { status: 204 });
    return Response.json(rewriter("b", {}).transform(empty) === empty);
  },
  "charset": () =>
    rewriter("b", { element: (b) => void b.after("\u20ac"), text: (text) => { if (text.text !== "") text.replace(`[${text.text}]`); } })
      .transform(page(new Uint8Array([60, 98, 62, 0xe9, 60, 47, 98, 62]), { "content-type": "text/html; charset=iso-8859-1" })),
  "upstream": async (request, env) =>
    new HTMLRewriter()
      .onDocument({ text: (text) => void (text.lastInTextNode && text.before("</p>", { html: true })), end: (end) => void end.append("!") })
      .transform(await fetch(`${env.UPSTREAM}/gzip`)),
  "twice": async () => {
    const shared = rewriter("b", { element: (b) => void b.append("x") });
    const [one, two] = await Promise.all([shared.transform(page("<b>1</b>")).text(), shared.transform(page("<b>2</b>")).text()]);
    return Response.json([one, two]);
  },
};

export default {
  fetch(request, env) {
    return answers[new URL(request.url).pathname.slice(1)](request, env);
  },
};
