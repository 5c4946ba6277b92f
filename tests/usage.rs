//! The usage ledger: its lines add up to what was counted, whatever happens to the file.

mod support;

use std::collections::HashSet;
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use support::DEADLINE;
use support::client::Client;
use support::process::Serve;
use support::project::Project;
use support::project::config;

const SOURCE: &str = "export default { async fetch(request) {
  if (request.url.endsWith('/stream')) {
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    (async () => { for (let i = 0; i < 5; i++) await writer.write(new Uint8Array(1000)); await writer.close(); })();
    return new Response(readable);
  }
  return new Response(await request.text());
} };\n";

/// A server of the workers `a` and `b`, both of the tenant `acme`, with a ledger.
fn start(project: &Project, usage: &str) -> Serve {
    let mut text = "[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n".to_owned();
    text.push_str(&format!("[usage]\npath = \"usage.jsonl\"\n{usage}\n"));
    for name in ["a", "b"] {
        project.write(&format!("{name}/wrangler.jsonc"), &config(name, ""));
        project.write(&format!("{name}/index.js"), SOURCE);
        text.push_str(&format!(
            "[[worker]]\nproject = \"{name}\"\nhostnames = [\"{name}.example\"]\ntenant = \"acme\"\n"
        ));
    }
    project.write("holm.toml", &text);
    Serve::start(&project.file("holm.toml"))
}

fn post(client: Client, host: &str, body: &'static str) {
    let request = http::Request::post("/").header("host", host).body(Bytes::from_static(body.as_bytes())).unwrap();
    assert_eq!(client.send(request).text(), body);
}

/// All lines of the ledger, each (`boot`, `seq`) once, whichever file it is in.
fn lines(project: &Project) -> Vec<Value> {
    let mut seen = HashSet::new();
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(project.path()).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_name().to_string_lossy().starts_with("usage.jsonl") || !entry.path().is_file() {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.extend(records.filter(|line| seen.insert(format!("{} {}", line["boot"], line["seq"]))));
    }
    lines
}

fn sum(project: &Project, worker: &str, field: &str) -> u64 {
    let lines = lines(project).into_iter().filter(|line| line["worker"] == worker && line["tenant"] == "acme");
    lines.map(|line| line[field].as_u64().unwrap()).sum()
}

fn wait_for(project: &Project, worker: &str, requests: u64) {
    let until = Instant::now() + DEADLINE;
    while sum(project, worker, "requests") != requests {
        assert!(Instant::now() < until, "{:?}", lines(project));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Ends the server, and answers what it counted at last.
fn stop(serve: Serve) {
    serve.process.signal("TERM");
    let ended = serve.process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}

#[test]
fn the_lines_add_up_to_the_counters() {
    let project = Project::empty();
    let serve = start(&project, "interval_seconds = 1");
    let client = serve.http();
    for _ in 0..10 {
        post(client, "a.example", "12345");
    }
    assert_eq!(client.get_at("b.example", "/stream").body.len(), 5_000);
    wait_for(&project, "a", 10);
    wait_for(&project, "b", 1);
    for _ in 0..5 {
        post(client, "a.example", "123");
    }
    // What is counted when the last request has ended is what the end writes.
    let until = Instant::now() + DEADLINE;
    let ok = "holm_requests_total{worker=\"a\",tenant=\"acme\",outcome=\"ok\"}";
    while serve.metric(ok) != 15.0 || serve.metric("holm_connections_open") != 0.0 {
        assert!(Instant::now() < until);
    }
    let of = "{worker=\"a\",tenant=\"acme\"}";
    let counted = [
        ("cpu_us", (serve.metric(&format!("holm_cpu_seconds_total{of}")) * 1e6) as u64),
        ("wall_ms", (serve.metric(&format!("holm_request_duration_seconds_sum{of}")) * 1e3) as u64),
        ("bytes_in", serve.metric(&format!("holm_request_body_bytes_total{of}")) as u64),
        ("bytes_out", serve.metric(&format!("holm_response_body_bytes_total{of}")) as u64),
        ("subrequests", 0),
        ("requests", 15),
    ];
    assert_eq!((counted[2].1, counted[3].1), (65, 65));
    stop(serve);
    for (field, expected) in counted {
        assert!(sum(&project, "a", field).abs_diff(expected) <= 1, "{field}: {expected} {:?}", lines(&project));
    }
    assert_eq!((sum(&project, "b", "bytes_out"), sum(&project, "b", "requests")), (5_000, 1));
    let boots: HashSet<_> = lines(&project).iter().map(|line| line["boot"].to_string()).collect();
    assert_eq!(boots.len(), 1);
}

#[test]
fn two_runs_share_one_file() {
    let project = Project::empty();
    for _ in 0..2 {
        let serve = start(&project, "");
        post(serve.http(), "a.example", "x");
        stop(serve);
    }
    assert_eq!(sum(&project, "a", "requests"), 2);
    let boots: HashSet<_> = lines(&project).iter().map(|line| line["boot"].to_string()).collect();
    assert_eq!(boots.len(), 2);
}

#[test]
fn a_ledger_that_is_renamed_goes_on_in_a_new_file() {
    let project = Project::empty();
    let serve = start(&project, "interval_seconds = 1");
    post(serve.http(), "a.example", "x");
    wait_for(&project, "a", 1);
    std::fs::rename(project.file("usage.jsonl"), project.file("usage.jsonl.kept")).unwrap();
    serve.process.signal("HUP");
    post(serve.http(), "a.example", "x");
    wait_for(&project, "a", 2);
    assert!(project.file("usage.jsonl").exists());
}

#[test]
fn a_full_disk_stops_no_request_and_loses_nothing() {
    let project = Project::empty();
    std::os::unix::fs::symlink("/dev/full", project.file("usage.jsonl")).unwrap();
    let serve = start(&project, "interval_seconds = 1");
    post(serve.http(), "a.example", "x");
    serve.output().wait_for("the usage ledger cannot be written");
    assert_eq!(serve.metric("holm_usage_held_back"), 1.0);
    post(serve.http(), "a.example", "x");
    std::fs::remove_file(project.file("usage.jsonl")).unwrap();
    serve.output().wait_for("the usage ledger can be written again");
    stop(serve);
    assert_eq!(sum(&project, "a", "requests"), 2);
}

#[test]
fn a_ledger_that_cannot_be_opened_is_an_error_at_the_start() {
    let project = Project::empty();
    project.write("holm.toml", "[server]\nhttp = \"127.0.0.1:0\"\n[usage]\npath = \"no/such/usage.jsonl\"\n");
    let ended = Serve::refused(&project.file("holm.toml"));
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.output.contains("no/such/usage.jsonl") && ended.output.contains("[usage] path"), "{}", ended.output);
}
