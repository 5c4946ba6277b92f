// Documents that come in pieces, are large, or never end.

const encoder = new TextEncoder();
const kept = {};
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const html = (body) => new Response(body, { headers: { "content-type": "text/html" } });

function pieces(...list) {
  return new ReadableStream({
    async pull(controller) {
      await wait(1);
      const piece = list.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(encoder.encode(piece));
    },
  });
}

const answers = {
  // A tag and a character that are cut in two are put together again.
  "cut": () =>
    new HTMLRewriter().on("a", { element: (a) => void a.setAttribute("title", a.getAttribute("title") + "!") })
      .transform(html(pieces("<p>x<", "a tit", "le=\"y", "\">", "z</", "a>"))),
  // The second half is written only after the first has reached the client.
  "early": () => {
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    writer.write(encoder.encode("<p>first</p>"));
    kept.writer = writer;
    setInterval(() => {}, 5);
    return new HTMLRewriter().on("p", { element: (p) => void p.setAttribute("seen", "") }).transform(html(readable));
  },
  "large": () => {
    const row = "<tr><td class=a>cell</td><td>" + "x".repeat(200) + "</td></tr>";
    let left = 2_000;
    const body = new ReadableStream({
      pull(controller) {
        if (left-- === 0) controller.close();
        else controller.enqueue(encoder.encode(row));
      },
    });
    let cells = 0;
    return new HTMLRewriter()
      .on("td.a", { element(td) { cells++; td.setInnerContent(""); } })
      .on("td", { text(text) { text.remove(); } })
      .onDocument({ end(end) { end.append(`${cells} cells`); } })
      .transform(html(body));
  },
  "slow-handlers": () => {
    let running = 0;
    return new HTMLRewriter()
      .on("i", {
        async element(i) {
          if (++running > 1) throw new Error("two handlers run at once");
          await wait(2);
          running--;
          i.replace(String(running));
        },
      })
      .transform(html("<i></i>".repeat(20)));
  },
  // The transformed body is read by the worker itself.
  "read": async () => {
    const transformed = new HTMLRewriter().on("b", { element: (b) => void b.remove() }).transform(html(pieces("1<b>", "2</b>", "3")));
    let text = "";
    for await (const chunk of transformed.body) text += new TextDecoder().decode(chunk);
    return new Response(text);
  },
  "tee": async () => {
    const transformed = new HTMLRewriter().on("b", { element: (b) => void b.remove() }).transform(html("1<b>2</b>3"));
    const clone = transformed.clone();
    return Response.json([await transformed.text(), await clone.text()]);
  },
};

export default {
  fetch(request, env) {
    return answers[new URL(request.url).pathname.slice(1)](request, env);
  },
};
