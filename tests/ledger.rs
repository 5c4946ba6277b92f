//! CPU time is charged to the invocation that used it, however many others are in flight in the same isolate.
//!
//! The clock stands still while code runs, so the work is a number of rounds: calibrated against the server's own record of
//! a request alone, then measured again among others. The records are in thread CPU time, so a busy machine does not matter.

mod support;

use support::client::Client;
use support::process::Serve;
use support::project::Project;
use support::project::config;

const TURNS: u64 = 4;
const BURNED_US: u64 = 20_000;
const TOLERANCE_US: u64 = 2_000;
const PAIRS: usize = 25;

const WORKER: &str = r#"
function burn(rounds) {
  let value = 1;
  for (let i = 0; i < rounds; i++) value = (Math.imul(value, 1664525) + 1013904223) | 0;
  return value;
}

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    let value = 0;
    for (let turn = 0; turn < 4; turn++) {
      if (pathname === "/burn") value ^= burn(Number(searchParams.get("rounds")) / 4);
      await scheduler.wait(5);
    }
    return Response.json(value);
  },
};
"#;

/// The CPU time in the record of the request to `path`, in microseconds.
fn charged(server: &Serve, path: &str) -> u64 {
    let record = server.invocation(path);
    assert_eq!(record["outcome"], "ok", "{record}");
    record["cpu_us"].as_u64().unwrap()
}

fn alone(server: &Serve, client: Client, name: &str, path: &str) -> u64 {
    let mut times: Vec<u64> = (0..9)
        .map(|run| {
            let path = format!("{path}&as={name}-{run}.");
            assert_eq!(client.get_at("a.example", &path).status, 200);
            charged(server, &path)
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn fifty_invocations_at_once_each_pay_for_what_they_used() {
    let project = Project::with(&[
        (
            "holm.toml",
            "[server]\nhttp = \"127.0.0.1:0\"\n[[worker]]\nproject = \"worker\"\nhostnames = [\"a.example\"]\nlimits = { cpu_ms = 50 }\n",
        ),
        ("worker/wrangler.jsonc", &config("worker", "")),
        ("worker/index.js", WORKER),
    ]);
    let server = Serve::start(&project.file("holm.toml"));
    let client = server.http();

    // Until the engine has compiled the loop for good, a run says nothing about the next.
    alone(&server, client, "warm", "/burn?rounds=4000000");
    let sample = 4_000_000;
    let sampled = alone(&server, client, "sample", &format!("/burn?rounds={sample}"));
    let rounds = sample * BURNED_US / sampled;
    let burning = format!("/burn?rounds={}", rounds - rounds % TURNS);
    let burn_alone = alone(&server, client, "alone", &burning);
    let sleep_alone = alone(&server, client, "alone", "/sleep?rounds=0");
    assert!(burn_alone.abs_diff(BURNED_US) < BURNED_US / 2, "calibrated to {burn_alone} µs");

    let paths: Vec<(u64, String)> = (0..PAIRS)
        .flat_map(|n| {
            [
                (burn_alone, format!("{burning}&as=burner-{n}.")),
                (sleep_alone, format!("/sleep?rounds=0&as=sleeper-{n}.")),
            ]
        })
        .collect();
    let requests: Vec<_> = paths
        .iter()
        .map(|(_, path)| {
            let path = path.clone();
            std::thread::spawn(move || client.get_at("a.example", &path).status)
        })
        .collect();
    for request in requests {
        assert_eq!(request.join().unwrap(), 200);
    }

    let mut wrong = Vec::new();
    for (expected, path) in &paths {
        let charged = charged(&server, path);
        if charged.abs_diff(*expected) > TOLERANCE_US {
            wrong.push(format!("{path}: {charged} µs among others, {expected} µs alone"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} ledgers are wrong:\n{}", wrong.len(), paths.len(), wrong.join("\n"));
    let turns = server.invocation(&paths[0].1)["turns"].as_u64().unwrap();
    assert!(turns > TURNS, "{turns} turns");
}

const DERIVES: &str = r#"
export default {
  async fetch(request, env, ctx) {
    const { pathname, searchParams } = new URL(request.url);
    const derive = async () => {
      const password = await crypto.subtle.importKey("raw", new Uint8Array(8), "PBKDF2", false, ["deriveBits"]);
      const algorithm = { name: "PBKDF2", hash: "SHA-512", salt: new Uint8Array(8), iterations: 100_000 };
      return crypto.subtle.deriveBits(algorithm, password, 512);
    };
    if (pathname === "/sleep") await scheduler.wait(100);
    if (pathname === "/derive") await derive();
    // Nobody waits for the result; the work is done all the same.
    if (pathname === "/leave") derive();
    if (pathname === "/many") await Promise.all(Array.from({ length: 200 }, derive));
    return new Response("done");
  },
};
"#;

/// What the pool's thread does is charged to who asked for it, and ends the request that asked for too much.
#[test]
fn work_beside_the_isolates_thread_is_charged_to_who_asked_for_it() {
    let project = Project::with(&[
        (
            "holm.toml",
            "[server]\nhttp = \"127.0.0.1:0\"\n[limits]\ncpu_ms = 2_000\n[[worker]]\nproject = \"worker\"\nhostnames = [\"a.example\"]\n",
        ),
        ("worker/wrangler.jsonc", &config("worker", "")),
        ("worker/index.js", DERIVES),
    ]);
    let server = Serve::start(&project.file("holm.toml"));
    let client = server.http();
    assert_eq!(client.get_at("a.example", "/none?as=warm.").status, 200);

    assert_eq!(client.get_at("a.example", "/derive?as=alone.").status, 200);
    let alone = charged(&server, "/derive?as=alone.");
    // 200,000 compressions of SHA-512: no machine does one in less than 50 ns.
    assert!(alone > 10_000, "{alone} µs for 100,000 iterations");
    assert_eq!(client.get_at("a.example", "/leave?as=left.").status, 200);
    let left = charged(&server, "/leave?as=left.");
    assert!(left > alone / 2, "{left} µs when nobody waits, {alone} µs alone");

    let paths: Vec<String> =
        (0..8).flat_map(|n| [format!("/derive?as=deriving-{n}."), format!("/sleep?as=sleeping-{n}.")]).collect();
    let requests: Vec<_> = paths
        .iter()
        .cloned()
        .map(|path| std::thread::spawn(move || client.get_at("a.example", &path).status))
        .collect();
    for request in requests {
        assert_eq!(request.join().unwrap(), 200);
    }
    for path in &paths {
        let charged = charged(&server, path);
        if path.starts_with("/sleep") {
            assert!(charged < TOLERANCE_US, "{path}: {charged} µs");
        } else {
            assert!(charged > alone / 2 && charged < alone * 2, "{path}: {charged} µs, {alone} µs alone");
        }
    }

    let answer = client.get_at("a.example", "/many?as=many.");
    assert_eq!((answer.status, answer.error()), (503, "cpu_exceeded"));
    assert_eq!(server.invocation("/many?as=many.")["outcome"], "cpu_exceeded");
    assert_eq!(client.get_at("a.example", "/none?as=after.").status, 200);
}
