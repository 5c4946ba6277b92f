// A page from Markdown: `marked` makes the HTML, HTMLRewriter finishes it while it streams.
import { marked } from "marked";

const ARTICLE = `# Edge *notes*

Some [outside](https://example.com/a?b=1&c=2) and [inside](/about) links, and an ![image](cat.png).

## Second

| a | b |
|---|---|
| 1 | \`<2>\` |

- [x] done
- [ ] open

<script>alert("no")</script>
`;

const SHELL = `<!doctype html><html><head><title>?</title></head><body><nav></nav><article></article><footer>words: <b id="count"></b></footer></body></html>`;

class Anchors {
  toc = [];

  #text = "";

  element(heading) {
    const at = this.toc.push("") - 1;
    heading.setAttribute("id", `h${at + 1}`);
    this.#text = "";
    heading.onEndTag(() => {
      this.toc[at] = this.#text;
    });
  }

  text({ text }) {
    this.#text += text;
  }
}

export default {
  async fetch(request, env, ctx) {
    const rendered = new Response(marked.parse(ARTICLE, { gfm: true }), { headers: { "content-type": "text/html" } });
    const anchors = new Anchors();
    let words = 0;
    const article = await new HTMLRewriter()
      .on("h1, h2", anchors)
      .on("script", { element: (script) => script.remove() })
      .on("a[href^='http']", {
        async element(link) {
          // Something that has to be asked for first.
          await scheduler.wait(1);
          link.setAttribute("rel", "noopener").setAttribute("target", "_blank").after("<sup>ext</sup>", { html: true });
        },
      })
      .on("img", { element: (image) => image.setAttribute("src", new URL(image.getAttribute("src"), "https://cdn.example/").href).setAttribute("loading", "lazy") })
      .onDocument({ text: ({ text }) => { words += text.split(/\s+/).filter(Boolean).length; } })
      .transform(rendered)
      .text();

    const page = new HTMLRewriter()
      .on("title", { element: (title) => title.setInnerContent(anchors.toc[0]) })
      .on("nav", { element: (nav) => nav.setInnerContent(anchors.toc.map((text, index) => `<a href="#h${index + 1}">${text}</a>`).join(""), { html: true }) })
      .on("article", { element: (element) => element.setInnerContent(new Response(article), { html: true }) })
      .on("#count", { element: (count) => count.setInnerContent(`${words}`) })
      .transform(new Response(SHELL, { headers: { "content-type": "text/html; charset=utf-8" } }));
    return page;
  },
};
