//! One account for all the memory of an isolate: whatever a script makes, it is refused or ended at its limit; the process
//! lives, and a worker beside it notices nothing.

mod support;

use support::client::Client;
use support::client::post;
use support::process::Serve;
use support::project::Project;
use support::project::config;

/// Each path makes something without end, or as much as the name says.
const GREEDY: &str = r#"
const until = async (make) => {
  const kept = [];
  for (;;) {
    kept.push(make(kept.length));
    if (kept.length % 100 === 0) await null;
  }
};
const MB = 1 << 20;

const cases = {
  "/": () => "fine",
  // Ends with the turn.
  "/objects": () => until((i) => Array.from({ length: 1000 }, (_, j) => ({ i, j }))),
  "/small-buffers": () => until(() => new ArrayBuffer(60_000)),
  "/materialized-buffers": () => until(() => new Uint8Array(8).buffer),
  "/resized-buffers": () => until(() => {
    const buffer = new ArrayBuffer(0, { maxByteLength: MB });
    buffer.resize(MB);
    return buffer;
  }),
  "/wasm-memories": () => until(() => new WebAssembly.Memory({ initial: 16 })),
  "/wasm-tables": () => until(() => new WebAssembly.Table({ initial: 900_000, element: "anyfunc" })),
  "/formatters": () => until(() => new Intl.DateTimeFormat("ar-EG-u-nu-arab")),
  "/collators": () => until(() => new Intl.Collator("de")),
  "/decoders": () => until(() => new TextDecoder("shift_jis")),
  "/urls": () => until((i) => new URL(`http://a.example/${i}`)),
  "/encoded": () => until(() => new TextEncoder().encode("x".repeat(MB))),
  "/map": () => { const map = new Map(); for (let i = 0;; i++) map.set(`${i}`, i); },
  "/flat-strings": () => until((i) => { const s = `${i}`.repeat(MB); s.charCodeAt(1); return s; }),
  // Refused; the script lives on.
  "/buffers": () => refusedAt(() => until(() => new ArrayBuffer(MB))),
  "/blobs": () => refusedAt(() => until(() => new Blob([new Uint8Array(MB)]))),
  "/clones": () => { const one = new Uint8Array(MB); return refusedAt(() => until(() => structuredClone(one))); },
  "/resizable-buffers": () => refusedAt(() => until(() => new ArrayBuffer(1, { maxByteLength: MB }))),
  "/resizable-clones": () => { const one = new ArrayBuffer(1, { maxByteLength: MB }); return refusedAt(() => until(() => structuredClone([{ one }]))); },
  "/resizable-transfers": () => refusedAt(() => until(() => new ArrayBuffer(1, { maxByteLength: MB }).transfer())),
  "/empty-wasm-memories": () => refusedAt(() => until(() => new WebAssembly.Memory({ initial: 0 }))),
  "/reserved": () => refusedAt(() => new ArrayBuffer(8, { maxByteLength: 2 ** 52 })),
  "/one-buffer": () => refusedAt(() => new Uint8Array(2 ** 33)),
  "/one-wasm-memory": () => refusedAt(() => new WebAssembly.Memory({ initial: 32_768 })),
  "/grown-wasm-memory": () => refusedAt(() => { const memory = new WebAssembly.Memory({ initial: 1 }); for (;;) memory.grow(16); }),
  "/one-string": () => refusedAt(() => "x".repeat(2 ** 30)),
  "/headers": () => refusedAt(() => { const headers = new Headers(); for (let i = 0; i < 40_000; i++) headers.append(`a${i}`, "b"); return new Response(null, { headers }); }),
  "/rewriter-contents": () => { const text = "x".repeat(MB); return refusedAt(() => rewritten("<b>", "", 0, (b) => { for (;;) b.append(text); })); },
  "/rewriter-documents": () => refusedAt(() => Promise.all(Array.from({ length: 60 }, () => rewritten("<b ", "x".repeat(MB / 16), 40, () => {})))),
  "/rewriter-elements": () => refusedAt(() => Promise.all(Array.from({ length: 60 }, () => rewritten("", "<b>".repeat(2_000), 10, () => {})))),
  "/json-depth": () => refusedAt(() => JSON.parse("[".repeat(1e6))),
  "/clone-depth": () => refusedAt(() => structuredClone(nested())),
  "/stringify-depth": () => refusedAt(() => JSON.stringify(nested())),
  "/recursion": () => refusedAt(() => { const recurse = () => recurse(); recurse(); }),
  "/pattern-depth": () => refusedAt(() => new URLPattern({ pathname: "(".repeat(1e5) + ")".repeat(1e5) })),
  // Large for a moment; the turn may end before it is found out.
  "/holes": () => `${new Array(32 * MB - 1).length}`,
  "/flat-string": () => { let s = "a"; for (let i = 0; i < 27; i++) s += s; return `${s.charCodeAt(1)}`; },
  "/log-depth": () => { console.log(nested()); return "ok"; },
  "/cause-depth": () => { let error = new Error("deepest"); for (let i = 0; i < 1e5; i++) error = new Error("above", { cause: error }); throw error; },
};

async function refusedAt(make) {
  try {
    const made = await make();
    if (made instanceof Response) return made;
    return "made";
  } catch (error) {
    return `refused: ${error.name}`;
  }
}

/** A document that does not end, rewritten: after `begin`, `more` so many times. */
function rewritten(begin, more, times, element) {
  const chunk = new TextEncoder().encode(more);
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode(begin)),
    pull: (controller) => { if (times-- > 0) controller.enqueue(chunk); },
  }, { highWaterMark: 0 });
  return new HTMLRewriter().on("b", { element }).transform(new Response(body)).text();
}

function nested() {
  let value = {};
  for (let i = 0; i < 1e6; i++) value = { value };
  return value;
}

export default {
  async fetch(request) {
    const made = await cases[new URL(request.url).pathname]();
    return made instanceof Response ? made : new Response(made);
  },
};
"#;

const QUIET: &str = "export default { fetch: () => new Response('fine') };";

fn server(greedy: &str, memory_mb: u64) -> (Project, Serve) {
    let configuration = format!(
        "[server]\nhttp = \"127.0.0.1:0\"\n[limits]\ncpu_ms = 60_000\nmemory_mb = {memory_mb}\n\
         [[worker]]\nproject = \"greedy\"\nhostnames = [\"greedy.example\"]\n\
         [[worker]]\nproject = \"quiet\"\nhostnames = [\"quiet.example\"]\n"
    );
    let directory = Project::with(&[
        ("holm.toml", &configuration),
        ("greedy/wrangler.jsonc", &config("greedy", "")),
        ("greedy/index.js", greedy),
        ("quiet/wrangler.jsonc", &config("quiet", "")),
        ("quiet/index.js", QUIET),
    ]);
    let server = Serve::start(&directory.file("holm.toml"));
    (directory, server)
}

/// Both workers answer: the process is the one it was, since nothing starts another.
fn all_is_well(client: Client, after: &str) {
    assert_eq!(client.get_at("quiet.example", "/").text(), "fine", "the neighbour after {after}");
    assert_eq!(client.get_at("greedy.example", "/").text(), "fine", "the same worker after {after}");
}

#[test]
fn what_a_script_keeps_without_end_ends_its_turn_at_the_limit() {
    let (_directory, server) = server(GREEDY, 32);
    let client = server.http();
    for path in [
        "/objects",
        "/small-buffers",
        "/materialized-buffers",
        "/resized-buffers",
        "/wasm-memories",
        "/wasm-tables",
        "/formatters",
        "/collators",
        "/decoders",
        "/urls",
        "/encoded",
        "/map",
        "/flat-strings",
    ] {
        let answer = client.get_at("greedy.example", path);
        assert_eq!((answer.status, answer.error()), (503, "memory_exceeded"), "{path}: {}", answer.text());
        all_is_well(client, path);
    }
}

#[test]
fn what_can_be_refused_is_refused_and_the_script_lives_on() {
    let (_directory, server) = server(GREEDY, 64);
    let client = server.http();
    for (path, error) in [
        ("/buffers", "RangeError"),
        ("/blobs", "RangeError"),
        ("/clones", ""),
        ("/resizable-buffers", "RangeError"),
        ("/resizable-clones", "RangeError"),
        ("/resizable-transfers", "RangeError"),
        ("/empty-wasm-memories", "RangeError"),
        ("/reserved", "RangeError"),
        ("/one-buffer", "RangeError"),
        ("/one-wasm-memory", "RangeError"),
        ("/grown-wasm-memory", "RangeError"),
        ("/one-string", "RangeError"),
        ("/rewriter-contents", "RangeError"),
        ("/json-depth", ""),
        ("/clone-depth", ""),
        ("/recursion", "RangeError"),
        ("/pattern-depth", "TypeError"),
    ] {
        let answer = client.get_at("greedy.example", path);
        let text = answer.text();
        assert_eq!(answer.status, 200, "{path}: {:?} {text}", answer.error());
        assert!(text.starts_with("refused: ") && text.ends_with(error), "{path}: {text}");
        all_is_well(client, path);
    }
    let answer = client.get_at("greedy.example", "/headers");
    assert_eq!((answer.status, answer.error()), (500, "exception"), "{}", answer.text());
    all_is_well(client, "/headers");
}

#[test]
fn what_is_large_for_a_moment_costs_nobody_the_process() {
    let (_directory, server) = server(GREEDY, 64);
    let client = server.http();
    for path in [
        "/holes",
        "/flat-string",
        "/log-depth",
        "/cause-depth",
        "/stringify-depth",
        "/rewriter-documents",
        "/rewriter-elements",
    ] {
        let answer = client.get_at("greedy.example", path);
        assert!([200, 500, 503].contains(&answer.status), "{path}: {}", answer.text());
        all_is_well(client, path);
    }
}

#[test]
fn a_worker_that_was_refused_buffers_has_its_memory_back_in_the_next_request() {
    let (_directory, server) = server(
        r#"
let kept = [];
export default {
  fetch(request) {
    if (new URL(request.url).pathname === "/one") return new Response(`${new ArrayBuffer(32e6).byteLength}`);
    try {
      for (;;) kept.push(new ArrayBuffer(1e6));
    } catch (error) {
      const made = kept.length;
      kept = [];
      return new Response(`${made > 40 && made < 70} ${error.name}`);
    }
  },
};
"#,
        64,
    );
    let client = server.http();
    for _ in 0..5 {
        assert_eq!(client.get_at("greedy.example", "/fill").text(), "true RangeError");
        assert_eq!(client.get_at("greedy.example", "/one").text(), "32000000");
    }
}

#[test]
fn an_isolate_that_leaks_is_replaced_and_no_request_fails() {
    let (_directory, server) = server(
        r#"
const kept = [];
const id = `${Math.random()}`;
export default {
  async fetch() {
    const made = new Uint8Array(1 << 20).fill(1);
    await scheduler.wait(1);
    kept.push(made);
    return new Response(id);
  },
};
"#,
        32,
    );
    let client = server.http();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                (0..100)
                    .map(|_| {
                        let answer = client.get_at("greedy.example", "/");
                        assert_eq!(answer.status, 200, "{:?}", answer.error());
                        answer.text()
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut isolates: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    isolates.sort_unstable();
    isolates.dedup();
    // About thirty requests fill one.
    assert!(isolates.len() > 8, "{} isolates", isolates.len());
    server.output().wait_for("nearly all the memory");
}

#[test]
fn each_worker_has_its_own_limit() {
    let fill = r#"
export default {
  fetch() {
    const kept = [];
    for (let i = 0; i < 40; i++) kept.push(new Array(1 << 17).fill(i));
    return new Response("fits");
  },
};
"#;
    let directory = Project::with(&[
        (
            "holm.toml",
            "[server]\nhttp = \"127.0.0.1:0\"\n[limits]\ncpu_ms = 60_000\nmemory_mb = 256\n\
             [[worker]]\nproject = \"worker\"\nname = \"large\"\nhostnames = [\"large.example\"]\n\
             [[worker]]\nproject = \"worker\"\nname = \"small\"\nhostnames = [\"small.example\"]\nlimits = { memory_mb = 24 }\n",
        ),
        ("worker/wrangler.jsonc", &config("worker", "")),
        ("worker/index.js", fill),
    ]);
    let server = Serve::start(&directory.file("holm.toml"));
    let client = server.http();
    assert_eq!(client.get_at("large.example", "/").text(), "fits");
    let small = client.get_at("small.example", "/");
    assert_eq!((small.status, small.error()), (503, "memory_exceeded"));
}

#[test]
fn bodies_that_rust_holds_count() {
    let (_directory, server) = server(
        r#"
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/collect") {
      try {
        return new Response(`${(await request.arrayBuffer()).byteLength}`);
      } catch (error) {
        return new Response(`refused: ${error.message}`);
      }
    }
    // More than the isolate may hold, at the client's pace.
    let left = 20;
    return new Response(new ReadableStream({
      pull(controller) {
        if (left-- === 0) controller.close();
        else controller.enqueue(new Uint8Array(8 << 20));
      },
    }));
  },
};
"#,
        64,
    );
    let client = server.http();
    let sent = |bytes: usize| {
        let mut request = post("/collect", vec![0; bytes]);
        request.headers_mut().insert("host", "greedy.example".parse().unwrap());
        client.send(request).text()
    };
    assert_eq!(sent(10 << 20), (10 << 20).to_string());
    assert!(sent(80 << 20).contains("does not fit into the worker's memory limit"));
    assert_eq!(sent(10 << 20), (10 << 20).to_string());
    let streamed = client.get_at("greedy.example", "/stream");
    assert_eq!(streamed.body.len(), 20 * (8 << 20));
    assert_eq!(client.get_at("quiet.example", "/").text(), "fine");
}
