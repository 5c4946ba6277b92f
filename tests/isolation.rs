//! Two requests in one isolate: what belongs to one is of no use to the other, even while both are in flight.

mod support;

use support::process::Dev;
use support::project::Project;
use support::raw::Raw;
use support::upstream::Upstream;

const WORKER: &str = r#"
const kept = {};

async function told(work) {
  try {
    return Response.json(await work());
  } catch (error) {
    return Response.json(`${error.name}: ${error.message}`);
  }
}

const answers = {
  "/keep": async (request, env) => {
    kept.request = request;
    kept.response = await fetch(`${env.UPSTREAM}/text`);
    kept.answer = await fetch(`${env.UPSTREAM}/text`);
    kept.reader = (await fetch(`${env.UPSTREAM}/hold-body`)).body.getReader();
    // A timer keeps the request alive: without one, nothing of its own could ever wake it.
    setInterval(() => {}, 5);
    const { readable, writable } = new TransformStream();
    kept.writer = writable.getWriter();
    console.log("kept");
    return new Response(readable);
  },
  "/rewrite": () =>
    new HTMLRewriter()
      .on("b", {
        async element(b) {
          kept.element = b;
          setInterval(() => {}, 5);
          console.log("kept");
          await new Promise(() => {});
        },
      })
      .transform(new Response("<b></b>")),
  "/element": () => told(() => kept.element.tagName),
  "/request": () => told(() => kept.request.text()),
  "/clone": () => told(() => kept.request.clone().text()),
  "/cancel": () => told(() => kept.response.body.cancel()),
  "/response": () => told(() => kept.response.text()),
  "/reader": () => told(() => kept.reader.read()),
  "/answer": () => kept.answer,
  "/finish": async () => {
    kept.writer.write(new TextEncoder().encode("written by another"));
    kept.writer.close();
    return new Response("finished");
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
"#;

#[test]
fn the_io_of_a_request_that_is_in_flight_is_refused_to_another() {
    let project = Project::worker(WORKER);
    let upstream = Upstream::start();
    let dev = Dev::start(project.path(), &["--var", &format!("UPSTREAM:{}", upstream.url())]);
    let mut begun = Raw::connect(dev.address);
    begun.write("POST /keep HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    begun.chunk("private");
    dev.output().wait_for("^kept$");
    let named = regex::Regex::new(r"Created by request (\d+), used by request (\d+)").unwrap();
    for path in ["/request", "/clone", "/cancel", "/response", "/reader"] {
        let told = dev.client().get(path).text();
        assert!(told.starts_with("\"Error: Cannot perform I/O on behalf of a different request."), "{path}: {told}");
        // Both are named: the one that made it, and the one that wants it.
        let numbers = named.captures(&told).unwrap_or_else(|| panic!("{path}: {told}"));
        assert!(numbers[1] == *"1" && numbers[2] != *"1", "{path}: {told}");
    }
    let refused = dev.client().get("/answer");
    assert_eq!((refused.status, refused.json()["error"].as_str()), (500, Some("exception")));
    assert!(refused.text().contains("Cannot perform I/O on behalf of a different request"), "{}", refused.text());

    // What is no I/O can be shared: the first request's own pump writes what it was given.
    assert_eq!(dev.client().get("/finish").text(), "finished");
    begun.chunk("");
    assert!(begun.read_to_end().contains("written by another"));
}

#[test]
fn an_element_of_a_document_that_another_request_rewrites_is_refused() {
    let project = Project::worker(WORKER);
    let dev = Dev::start(project.path(), &[]);
    let mut begun = Raw::connect(dev.address);
    begun.write("GET /rewrite HTTP/1.1\r\nHost: localhost\r\n\r\n");
    dev.output().wait_for("^kept$");
    let told = dev.client().get("/element").text();
    assert!(told.contains("Cannot perform I/O on behalf of a different request"), "{told}");
}

#[test]
fn a_promise_that_another_request_resolves_continues_for_the_one_that_waits() {
    let project = Project::worker(
        r#"
let resolve;
const shared = new Promise((done) => (resolve = done));

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/resolve") {
      resolve();
      return new Response("resolved");
    }
    const alive = setInterval(() => {}, 5);
    console.log("waiting");
    await shared;
    clearInterval(alive);
    await scheduler.wait(1);
    return new Response(pathname);
  },
};
"#,
    );
    let dev = Dev::start(project.path(), &[]);
    let client = dev.client();
    let waiting = ["/a", "/b"].map(|path| std::thread::spawn(move || client.get(path).text()));
    dev.output().wait_for("(?s)^waiting$.*^waiting$");
    assert_eq!(client.get("/resolve").text(), "resolved");
    assert_eq!(waiting.map(|request| request.join().unwrap()), ["/a", "/b"]);
}
