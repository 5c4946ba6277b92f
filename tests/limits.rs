//! What one request uses up is taken from nobody else: not from other requests of its worker, not from other workers.

mod support;

use support::client::Answer;
use support::client::Client;
use support::process::Dev;
use support::process::Serve;
use support::project::Project;
use support::project::config;

const NEIGHBOURS: &str = r#"
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/loop") for (;;);
    if (pathname === "/wait") {
      // Many turns, so that one of them comes after the loop.
      for (let i = 0; i < 100; i++) await scheduler.wait(2);
      return new Response("waited");
    }
    return new Response("fine");
  },
};
"#;

fn answers_of(client: Client, paths: &[&'static str]) -> Vec<Answer> {
    let threads: Vec<_> = paths.iter().copied().map(|path| std::thread::spawn(move || client.get(path))).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn a_request_that_loops_ends_and_those_beside_it_in_the_worker_finish() {
    let project = Project::worker(NEIGHBOURS);
    let dev = Dev::start(project.path(), &[]);
    let waiting = std::thread::spawn({
        let client = dev.client();
        move || answers_of(client, &["/wait"; 8])
    });
    let looped = dev.client().get("/loop");
    assert_eq!((looped.status, looped.error()), (503, "cpu_exceeded"));
    for answer in waiting.join().unwrap() {
        assert_eq!((answer.status, answer.text().as_str()), (200, "waited"));
    }
    assert_eq!(dev.client().get("/").text(), "fine");
}

#[test]
fn requests_that_arrive_while_another_loops_are_answered() {
    let project = Project::worker(NEIGHBOURS);
    let dev = Dev::start(project.path(), &[]);
    let paths = ["/", "/loop", "/", "/", "/loop", "/", "/wait", "/loop", "/"];
    for (path, answer) in paths.iter().zip(answers_of(dev.client(), &paths)) {
        let expected = if *path == "/loop" { 503 } else { 200 };
        assert_eq!(answer.status, expected, "{path}: {}", answer.text());
    }
}

#[test]
fn a_worker_in_an_endless_loop_takes_nothing_from_another_worker() {
    let directory = Project::with(&[
        (
            "holm.toml",
            "[server]\nhttp = \"127.0.0.1:0\"\n[[worker]]\nproject = \"bad\"\nhostnames = [\"bad.example\"]\n[[worker]]\nproject = \"good\"\nhostnames = [\"good.example\"]\n",
        ),
        ("bad/wrangler.jsonc", &config("bad", "")),
        ("bad/index.js", NEIGHBOURS),
        ("good/wrangler.jsonc", &config("good", "")),
        ("good/index.js", NEIGHBOURS),
    ]);
    let server = Serve::start(&directory.file("holm.toml"));
    let client = server.http();
    let looping =
        std::thread::spawn(move || (0..10).map(|_| client.get_at("bad.example", "/loop").status).collect::<Vec<_>>());
    let mut answered = 0;
    while !looping.is_finished() {
        let answer = client.get_at("good.example", "/");
        assert_eq!((answer.status, answer.text().as_str()), (200, "fine"));
        answered += 1;
    }
    assert!(answered > 0);
    assert!(looping.join().unwrap().iter().all(|status| *status == 503));
}

#[test]
fn a_worker_that_fills_its_memory_starts_afresh_and_takes_nothing_from_another_worker() {
    let greedy = r#"
const grow = {
  "/arrays": (kept) => kept.push(Array.from({ length: 10_000 }, (_, i) => ({ i }))),
  "/one-array": (kept) => kept.push(...new Array(100_000).fill(kept.length)),
  "/strings": (kept) => kept.push(Array.from({ length: 10_000 }, (_, i) => `text ${kept.length} ${i}`)),
  "/map": (kept) => kept.push(new Map(Array.from({ length: 10_000 }, (_, i) => [i, [i]]))),
};

export default {
  async fetch(request) {
    const kept = [];
    const more = grow[new URL(request.url).pathname];
    if (more === undefined) return new Response("fine");
    for (;;) {
      more(kept);
      await scheduler.wait(0);
    }
  },
};
"#;
    let directory = Project::with(&[
        (
            "holm.toml",
            "[server]\nhttp = \"127.0.0.1:0\"\n[limits]\ncpu_ms = 20_000\nmemory_mb = 32\n[[worker]]\nproject = \"greedy\"\nhostnames = [\"greedy.example\"]\n[[worker]]\nproject = \"good\"\nhostnames = [\"good.example\"]\n",
        ),
        ("greedy/wrangler.jsonc", &config("greedy", "")),
        ("greedy/index.js", greedy),
        ("good/wrangler.jsonc", &config("good", "")),
        ("good/index.js", NEIGHBOURS),
    ]);
    let server = Serve::start(&directory.file("holm.toml"));
    let client = server.http();
    for path in ["/arrays", "/one-array", "/strings", "/map"] {
        let answer = client.get_at("greedy.example", path);
        assert_eq!((answer.status, answer.error()), (503, "memory_exceeded"), "{path}");
        assert_eq!(client.get_at("greedy.example", "/").text(), "fine", "after {path}");
        assert_eq!(client.get_at("good.example", "/").text(), "fine", "after {path}");
    }
}

#[test]
fn the_wall_clock_ends_a_request_that_waits_too_long() {
    let directory = Project::with(&[
        (
            "holm.toml",
            "[server]\nhttp = \"127.0.0.1:0\"\n[[worker]]\nproject = \"slow\"\nhostnames = [\"slow.example\"]\nlimits = { wall_ms = 50, wait_until_ms = 50 }\n",
        ),
        ("slow/wrangler.jsonc", &config("slow", "")),
        (
            "slow/index.js",
            "export default { async fetch(request, env, ctx) { if (request.method === 'POST') { ctx.waitUntil(scheduler.wait(60_000)); return new Response('answered'); } await scheduler.wait(60_000); } };",
        ),
    ]);
    let server = Serve::start(&directory.file("holm.toml"));
    let answer = server.http().get_at("slow.example", "/");
    assert_eq!((answer.status, answer.error()), (504, "wall_exceeded"));
    let post = http::Request::post("/").header("host", "slow.example").body(bytes::Bytes::new()).unwrap();
    assert_eq!(server.http().send(post).text(), "answered");
    server.output().wait_for("waitUntil\\(\\) tasks did not complete");
}

/// What a turn has answered counts once the turn has been left: the client never gets the answer of a request that was ended.
#[test]
fn an_answer_given_in_a_turn_that_is_ended_is_not_sent() {
    let project = Project::worker(
        r#"
export default {
  fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname === "/microtasks") (function again() { Promise.resolve().then(again); })();
    if (pathname === "/later") ctx.waitUntil(scheduler.wait(5).then(() => { for (;;); }));
    return new Response("answered");
  },
};
"#,
    );
    let dev = Dev::start(project.path(), &[]);
    let flood = dev.client().get("/microtasks");
    assert_eq!((flood.status, flood.error()), (503, "cpu_exceeded"));
    let later = dev.client().get("/later");
    assert_eq!((later.status, later.text().as_str()), (200, "answered"));
    assert_eq!(dev.client().get("/").text(), "answered");
}

/// A promise that one request leaves and another resolves: the answer goes out although its own request has no turn then.
#[test]
fn an_answer_given_in_the_turn_of_another_request_is_sent() {
    let project = Project::worker(
        r#"
let resolve;
const wanted = new Promise((callback) => { resolve = callback; });

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/waits") {
      const signal = new Promise((callback) => setTimeout(callback, 20_000));
      return new Response(await Promise.race([wanted, signal.then(() => "late")]));
    }
    resolve("from another");
    await scheduler.wait(300);
    return new Response("resolved");
  },
};
"#,
    );
    let dev = Dev::start(project.path(), &[]);
    let waiting = std::thread::spawn({
        let client = dev.client();
        move || client.get("/waits")
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(dev.client().get("/resolves").text(), "resolved");
    let answer = waiting.join().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "from another"));
}

const BOMBS: &str = r#"
/** Zeros, compressed. */
async function pack(format, megabytes) {
  const zeros = new ReadableStream({
    start() { this.left = megabytes; },
    pull(controller) {
      if (this.left-- > 0) controller.enqueue(new Uint8Array(1 << 20));
      else controller.close();
    },
  });
  return new Response(zeros.pipeThrough(new CompressionStream(format))).arrayBuffer();
}

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const format = searchParams.get("format");
    if (pathname === "/pack") return new Response(await pack(format, Number(searchParams.get("mb"))));
    const unpacking = new DecompressionStream(format);
    const writer = unpacking.writable.getWriter();
    const bytes = new Uint8Array(await request.arrayBuffer());
    // What fails here fails the reading side too.
    writer.write(bytes).catch(() => {});
    const reader = unpacking.readable.getReader();
    let length = 0;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        length += value.byteLength;
        if (length === Number(searchParams.get("expect"))) break;
      }
    } catch (error) {
      return new Response(`${error.name}: ${error.message}`);
    }
    return new Response(String(length));
  },
};
"#;

#[test]
fn a_decompression_bomb_fails_before_it_fills_the_machine() {
    let directory = Project::with(&[
        (
            "holm.toml",
            "[server]\nhttp = \"127.0.0.1:0\"\n[limits]\ncpu_ms = 20_000\nmemory_mb = 64\n[[worker]]\nproject = \"bombs\"\nhostnames = [\"bombs.example\"]\n",
        ),
        ("bombs/wrangler.jsonc", &config("bombs", "")),
        ("bombs/index.js", BOMBS),
    ]);
    let server = Serve::start(&directory.file("holm.toml"));
    let send = |path: &str, body: Vec<u8>| {
        let mut request = support::client::post(path, body);
        request.headers_mut().insert("host", "bombs.example".parse().unwrap());
        server.http().send(request)
    };
    for format in ["gzip", "deflate", "deflate-raw"] {
        let small = server.http().get_at("bombs.example", &format!("/pack?format={format}&mb=4"));
        assert_eq!(small.status, 200, "{}", small.text());
        let answer = send(&format!("/unpack?format={format}&expect={}", 4 << 20), small.body.clone());
        assert_eq!(answer.text(), (4 << 20).to_string(), "{format}");

        let bomb = server.http().get_at("bombs.example", &format!("/pack?format={format}&mb=1024"));
        assert_eq!(bomb.status, 200, "{}", bomb.text());
        assert!(bomb.body.len() < 2 << 20, "{} bytes", bomb.body.len());
        let before = server.process.resident();
        let answer = send(&format!("/unpack?format={format}"), bomb.body.clone());
        let refused = answer.status == 200 && answer.text().starts_with("TypeError: The output is larger");
        assert!(refused || answer.error() == "memory_exceeded", "{format}: {} {}", answer.status, answer.text());
        let grown = server.process.resident().saturating_sub(before);
        assert!(grown < 400 << 20, "{format}: {} MiB more", grown >> 20);
    }
}
