//! Many requests at once while isolates are condemned, and failures in a turn of somebody else.

use std::time::Duration;
use std::time::Instant;

use crate::row::Client as Outcome;
use crate::row::Worker;
use crate::runner;
use crate::runner::Neighbour;
use crate::support::client::Client;
use crate::support::client::get;
use crate::support::frames::Frames;
use crate::support::frames::HEADERS;
use crate::support::process::Serve;
use crate::support::project::Project;
use crate::support::project::config;
use crate::support::raw::Raw;
use crate::table::ROWS;

pub const ALL: &[(&str, fn())] = &[
    ("no request is lost while isolates are condemned for their CPU time", cpu),
    ("no request is lost while isolates are condemned for their memory", memory),
    ("a request that waits for another one's promise is told when that ended for a limit", waits_for_another),
    ("every failure at once harms no request but its own", all_at_once),
    ("a connection outlives the errors of its requests", connection),
    ("a process that stood still goes on where it was", suspended),
    ("a rejection in another request's turn is logged as its own request's", rejection_elsewhere),
    ("what an ended request left behind writes on the account of the one that runs it", log_of_an_ended_request),
];

const WORKER: &str = "
let settle;
let shared;
let log;
export default {
  async fetch(request, env, ctx) {
    switch (new URL(request.url).pathname) {
      case '/cpu': for (;;);
      case '/memory': {
        const kept = [];
        for (;;) { kept.push(new Array(100_000).fill(0)); await null; }
      }
      case '/lead':
        // Enough turns for another request to find the promise.
        shared = (async () => { console.log('leading'); await scheduler.wait(200); for (;;); })();
        await shared;
        break;
      case '/follow':
        console.log('following');
        await shared;
        break;
      case '/reject':
        new Promise((resolve) => settle = resolve).then(() => { throw new Error('rejected there'); });
        console.log('ready');
        await request.text();
        break;
      case '/settle':
        settle();
        break;
      case '/throw':
        throw new Error('CANARY');
      case '/ticks': {
        let ticks = 0;
        const id = setInterval(() => ticks++, 20);
        console.log('ticking');
        await request.text();
        clearInterval(id);
        return Response.json(ticks);
      }
      case '/leave':
        log = (text) => console.log(text);
        break;
      case '/use':
        for (let i = 0; i < 100; i++) log('x'.repeat(1000));
        break;
    }
    await null;
    return new Response('fine');
  },
};
";

fn start(limits: &str) -> (Project, Serve) {
    let project = Project::with(&[
        (
            "holm.toml",
            &format!(
                "[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[limits]\n{limits}\n\
                 [[worker]]\nproject = \"a\"\nhostnames = [\"a.example\"]\n"
            ),
        ),
        ("a/wrangler.jsonc", &config("a", "")),
        ("a/index.js", WORKER),
    ]);
    let serve = Serve::start(&project.file("holm.toml"));
    (project, serve)
}

/// Every `one_in`th request exceeds its limit; the others are answered, whatever happens to their isolate.
fn storm(serve: &Serve, path: &'static str, code: &'static str, (threads, each, one_in): (usize, usize, usize)) {
    let client = serve.http();
    let asked: Vec<_> = (0..threads)
        .map(|thread| {
            std::thread::spawn(move || {
                for number in 0..each {
                    let bad = (thread + number) % one_in == 0;
                    let answer = client.get_at("a.example", if bad { path } else { "/" });
                    let expected = if bad { (503, code, false) } else { (200, "", true) };
                    assert_eq!((answer.status, answer.error(), answer.text() == "fine"), expected);
                }
            })
        })
        .collect();
    for thread in asked {
        thread.join().unwrap();
    }
    let total = (threads * each) as f64;
    let counted = |outcome: &str| {
        serve.metric(&format!("holm_requests_total{{worker=\"a\",tenant=\"a\",outcome=\"{outcome}\"}}"))
    };
    // The last invocations end a moment after their answers.
    let until = Instant::now() + crate::support::DEADLINE;
    while counted("ok") + counted(code) < total && Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(counted("ok") + counted(code), total, "each request is counted once");
}

fn cpu() {
    let (_project, serve) = start("cpu_ms = 20");
    storm(&serve, "/cpu", "cpu_exceeded", (8, 25, 5));
}

fn memory() {
    let (_project, serve) = start("memory_mb = 32\ncpu_ms = 20_000");
    storm(&serve, "/memory", "memory_exceeded", (4, 12, 4));
}

/// Each failure of the table that ends in an error, several times and all of them at once, beside a good worker.
fn all_at_once() {
    const EACH: usize = 5;
    let project = Project::empty();
    let mut text = "[server]\nhttp = \"127.0.0.1:0\"\n".to_owned();
    let mut expected = Vec::new();
    for (index, row) in ROWS.iter().enumerate() {
        let (Outcome::Error(status, code), "") = (&row.client, row.ceilings) else { continue };
        let (name, host) = (format!("row-{index}"), format!("row-{index}.example"));
        runner::write_worker(&project, &name, &row.worker);
        text += &format!("[[worker]]\nproject = \"{name}\"\nhostnames = [\"{host}\"]\nlimits = {{ {} }}\n", row.limits);
        expected.push((row.name, host, *status, *code));
    }
    runner::write_worker(&project, "good", &Worker::Module(runner::GOOD));
    text += "[[worker]]\nproject = \"good\"\nhostnames = [\"good.example\"]\n";
    project.write("holm.toml", &text);
    let serve = Serve::start(&project.file("holm.toml"));
    let neighbour = Neighbour::start(&serve);
    let client = serve.http();
    let asked: Vec<_> = expected
        .into_iter()
        .map(|(name, host, status, code)| {
            std::thread::spawn(move || {
                for _ in 0..EACH {
                    let answer = client.get_at(&host, "/fail");
                    assert_eq!((answer.status, answer.error()), (status, code), "{name}");
                }
            })
        })
        .collect();
    assert!(asked.len() > 10);
    for thread in asked {
        thread.join().unwrap();
    }
    neighbour.stop();
}

fn connection() {
    let (_project, serve) = start("");
    let address = serve.http().address;
    let mut raw = Raw::connect(address);
    for (path, status) in [("/throw", "500"), ("/cpu", "503"), ("/throw", "500"), ("/", "200")] {
        raw.write(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n"));
        raw.read_until(&format!("HTTP/1.1 {status} [^\0]*(request_id|fine)[^\0]*$"));
        raw.forget();
    }
    let mut frames = Frames::connect(address, &[]);
    for (stream, path) in [(1, "/throw"), (3, "/cpu"), (5, "/"), (7, "/throw"), (9, "/")] {
        frames.get(stream, "a.example", path);
    }
    let mut statuses = std::collections::BTreeMap::new();
    while statuses.len() < 5 {
        let head = frames.read_until(|frame| frame.kind == HEADERS);
        statuses.insert(head.stream, head.status());
    }
    assert_eq!(statuses.into_values().collect::<Vec<_>>(), [500, 503, 200, 500, 200]);
}

/// As a virtual machine that is suspended: nothing is taken for late that could not have been earlier.
fn suspended() {
    const STILL: Duration = Duration::from_millis(1_500);
    let (_project, serve) = start("");
    let began = Instant::now();
    let mut raw = Raw::connect(serve.http().address);
    raw.write("POST /ticks HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n");
    serve.output().wait_for("\"ticking\"");
    serve.process.signal_family("STOP");
    std::thread::sleep(STILL);
    serve.process.signal_family("CONT");
    assert_eq!(serve.http().get_at("a.example", "/").text(), "fine");
    raw.chunk("");
    let answer = raw.read_until(r"(?s)\r\n\r\n\d+$");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let ticks: u128 = answer.rsplit('\n').next().unwrap().parse().unwrap();
    let awake = (began.elapsed() - STILL).as_millis() / 20;
    assert!(ticks <= awake + 2, "{ticks} ticks of 20 ms, {awake} of them awake: what was missed is not made up for");
}

fn waits_for_another() {
    let (_project, serve) = start("");
    let client = serve.http();
    let lead = std::thread::spawn(move || client.get_at("a.example", "/lead"));
    serve.output().wait_for("\"leading\"");
    let follow = std::thread::spawn(move || client.get_at("a.example", "/follow"));
    let lead = lead.join().unwrap();
    assert_eq!((lead.status, lead.error()), (503, "cpu_exceeded"));
    let follow = follow.join().unwrap();
    assert_eq!((follow.status, follow.error()), (503, "isolate_reset"), "{}", follow.text());
    let record = serve.invocation("/follow");
    assert_eq!(record["outcome"], "isolate_reset");
    assert_eq!(client.get_at("a.example", "/").text(), "fine");
}

fn rejection_elsewhere() {
    let (_project, serve) = start("");
    let client = serve.http();
    let mut waiting = Raw::connect(client.address);
    waiting.write("POST /reject HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n");
    serve.output().wait_for("\"ready\"");
    assert_eq!(client.get_at("a.example", "/settle").status, 200);
    waiting.chunk("");
    assert!(waiting.read_until("(?s)\r\n\r\n.*fine").starts_with("HTTP/1.1 200 "));
    let own = serve.invocation("/reject")["request_id"].clone();
    let records = serve.records();
    let line = records.iter().find(|line| line["message"].as_str().is_some_and(|text| text.contains("rejected there")));
    assert_eq!(line.expect("the rejection is logged")["request_id"], own);
}

fn log_of_an_ended_request() {
    let (_project, serve) = start("log_bytes = 10_000");
    let client: Client = serve.http();
    assert_eq!(client.get_at("a.example", "/leave").status, 200);
    serve.invocation("/leave");
    for round in 1..=2 {
        let request = get(&format!("/use?{round}")).header("host", "a.example").body(bytes::Bytes::new()).unwrap();
        assert_eq!(client.send(request).status, 200);
        serve.invocation(&format!("/use?{round}"));
        let log = serve.output().text();
        assert_eq!(log.matches("log limit reached").count(), round, "{log}");
        assert_eq!(log.matches(&"x".repeat(1000)).count(), round * 10, "{log}");
    }
}
