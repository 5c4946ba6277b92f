//! What an operator sees of a server: `/metrics`, `/workers`, health, the line of each request, what an answer has cost.

mod support;

use std::collections::HashSet;
use std::io::Read;
use std::time::Instant;

use bytes::Bytes;
use regex::Regex;
use support::DEADLINE;
use support::client::Answer;
use support::client::Client;
use support::client::get;
use support::process::Serve;
use support::project::Project;
use support::project::config;
use support::raw::Raw;
use support::tls;

const SERVER: &str = "[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n";

/// `/throw`, `/spin`, `/log?TEXT`, `/pass` (a body that goes through untouched), or an echo.
const SOURCE: &str = "export default { async fetch(request, env) {
  const url = new URL(request.url);
  if (url.pathname === '/throw') throw new Error('CANARY of a tenant');
  if (url.pathname === '/spin') for (;;);
  if (url.pathname === '/log') { console.log(decodeURIComponent(url.search.slice(1))); return new Response('logged'); }
  if (url.pathname === '/pass') return new Response(request.body);
  return new Response(await request.text());
} };\n";

fn add_worker(project: &Project, name: &str) {
    project.write(&format!("{name}/wrangler.jsonc"), &config(name, ""));
    project.write(&format!("{name}/index.js"), SOURCE);
}

fn worker(name: &str, more: &str) -> String {
    format!("[[worker]]\nproject = \"{name}\"\nhostnames = [\"{name}.example\"]\n{more}\n")
}

/// A server with `more` at the end of `[server]`, and the worker `a` of the tenant `acme`.
fn start(more: &str) -> (Project, Serve) {
    let project = Project::empty();
    add_worker(&project, "a");
    project.write("holm.toml", &format!("{SERVER}{more}\n{}", worker("a", "tenant = \"acme\"")));
    let serve = Serve::start(&project.file("holm.toml"));
    (project, serve)
}

fn post(serve: &Serve, path: &str, body: &'static str) -> Answer {
    serve
        .http()
        .send(http::Request::post(path).header("host", "a.example").body(Bytes::from_static(body.as_bytes())).unwrap())
}

/// Waits for a sample to have a value: a request is counted when its invocation ends, a moment after its answer.
fn wait_for(serve: &Serve, sample: &str, value: f64) {
    let until = Instant::now() + DEADLINE;
    while serve.metric(sample) != value {
        assert!(Instant::now() < until, "no {sample} {value} in:\n{}", serve.admin().get("/metrics").text());
        std::thread::yield_now();
    }
}

#[test]
fn requests_are_counted_by_worker_tenant_and_outcome() {
    let (_project, serve) = start("");
    for _ in 0..3 {
        assert_eq!(post(&serve, "/echo", "12345").text(), "12345");
    }
    assert_eq!(post(&serve, "/pass", "1234567").text(), "1234567");
    assert_eq!(serve.http().get_at("a.example", "/throw").status, 500);
    assert_eq!(serve.http().get_at("a.example", "/spin").status, 503);
    assert_eq!(serve.http().get_at("nobody.example", "/").status, 404);
    let of = "worker=\"a\",tenant=\"acme\"";
    wait_for(&serve, &format!("holm_requests_total{{{of},outcome=\"ok\"}}"), 4.0);
    wait_for(&serve, &format!("holm_requests_total{{{of},outcome=\"exception\"}}"), 1.0);
    wait_for(&serve, &format!("holm_requests_total{{{of},outcome=\"cpu_exceeded\"}}"), 1.0);
    wait_for(&serve, "holm_requests_refused_total{code=\"unknown_host\"}", 1.0);
    wait_for(&serve, &format!("holm_request_body_bytes_total{{{of}}}"), 22.0);
    let cpu = serve.metric(&format!("holm_cpu_seconds_total{{{of}}}"));
    assert!(cpu >= 0.05, "a request that used its 50 ms is not in {cpu}");
    assert_eq!(serve.metric(&format!("holm_request_duration_seconds_count{{{of}}}")), 6.0);
    assert_eq!(serve.metric(&format!("holm_queue_wait_seconds_count{{{of}}}")), 6.0);
    assert!(serve.metric(&format!("holm_response_body_bytes_total{{{of}}}")) > 22.0, "the error pages count too");
    assert!(serve.metric(&format!("holm_isolate_starts_total{{{of}}}")) >= 1.0);
    assert!(serve.metric("holm_connections_accepted_total") >= 7.0);
    assert!(serve.metric("holm_watchdog_lag_seconds_count") >= 1.0);
}

#[test]
fn the_page_is_what_prometheus_reads() {
    let (_project, serve) = start("");
    post(&serve, "/", "x");
    let answer = serve.admin().get("/metrics");
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let sample =
        Regex::new(r#"^([a-z_]+?)(_bucket|_sum|_count)?(\{([a-z_]+="([^"\\]|\\.)*",?)+\})? -?[0-9.]+$"#).unwrap();
    let (mut family, mut seen) = (String::new(), HashSet::new());
    for line in answer.text().lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap().to_owned();
            assert!(seen.insert(line.to_owned()), "{family} is there twice");
            let kind = rest.split(' ').nth(1).unwrap();
            assert_eq!(kind == "counter", family.ends_with("_total"), "{line}");
        } else if !line.starts_with("# HELP ") {
            assert!(sample.is_match(line), "{line}");
            assert!(line.starts_with(&family), "{line} is not of {family}");
            let key = line.rsplit_once(' ').unwrap().0.to_owned();
            assert!(seen.insert(key), "{line} is there twice");
        }
    }
    for state in ["blank", "serving", "draining", "condemned"] {
        assert!(answer.text().contains(&format!("holm_isolates{{state=\"{state}\"}} ")));
    }
    assert!(answer.text().contains(&format!("holm_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_list_of_workers_has_state_limits_and_the_last_error_but_not_its_text() {
    let (_project, serve) = start("");
    let failed = serve.http().get_at("a.example", "/throw");
    wait_for(&serve, "holm_requests_total{worker=\"a\",tenant=\"acme\",outcome=\"exception\"}", 1.0);
    let list = serve.admin().get("/workers");
    let worker = &list.json()[0];
    assert_eq!((worker["name"].as_str(), worker["tenant"].as_str()), (Some("a"), Some("acme")));
    assert_eq!(worker["isolates"][0]["state"], "serving");
    assert_eq!((worker["in_flight"].as_u64(), worker["queue"].as_u64()), (Some(0), Some(0)));
    assert_eq!(worker["limits"]["cpu_ms"], 50);
    assert_eq!(worker["last_error"]["code"], "exception");
    assert_eq!(worker["last_error"]["request_id"], failed.header("x-holm-request-id"));
    for page in [list.text(), serve.admin().get("/metrics").text(), failed.text()] {
        assert!(!page.contains("CANARY"), "{page}");
    }
}

#[test]
fn a_browser_gets_nothing_from_the_admin_listener() {
    let (_project, serve) = start("");
    let admin = serve.admin();
    let send = |method: &str, headers: &[(&str, &str)]| {
        let mut request = http::Request::builder().method(method).uri("/metrics");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        admin.send(request.body(Bytes::new()).unwrap())
    };
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("host", "evil.example")],
        &[("host", "evil.example:9090")],
        &[("host", "localhost.evil.example")],
        &[("host", "169.254.169.254.nip.io")],
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            let answer = send(method, headers);
            assert_eq!(answer.status, 403, "{method} {headers:?}");
            assert_eq!(answer.header("access-control-allow-origin"), "");
        }
    }
    assert_eq!(send("POST", &[("content-type", "text/plain")]).status, 405);
    assert_eq!(send("GET", &[("host", "localhost:9090")]).status, 200);
}

#[test]
fn the_line_of_a_request_has_the_id_that_its_client_saw() {
    let (_project, serve) = start("");
    let failed = serve.http().get_at("a.example", "/throw?this");
    let record = serve.invocation("/throw?this");
    assert_eq!(record["request_id"], failed.header("x-holm-request-id"));
    assert_eq!(failed.json()["request_id"], record["request_id"]);
    assert_eq!((record["tenant"].as_str(), record["host"].as_str()), (Some("acme"), Some("a.example")));
    assert!(record["queued_us"].is_u64() && record.get("client").is_none(), "{record}");

    post(&serve, "/pass?through", "12345");
    let record = serve.invocation("/pass?through");
    assert_eq!((record["bytes_in"].as_u64(), record["bytes_out"].as_u64()), (Some(5), Some(5)), "{record}");
    assert_eq!(record["status"], 200);
}

#[test]
fn the_address_of_a_client_is_logged_when_the_operator_says_so() {
    let (_project, serve) = start("log_clients = true");
    post(&serve, "/?who", "");
    assert_eq!(serve.invocation("/?who")["client"], "127.0.0.1");
}

#[test]
fn what_an_answer_has_cost_is_told_when_the_operator_says_so() {
    let (_project, serve) = start("expose_cpu = true");
    let microseconds = |answer: &Answer| answer.header("x-holm-cpu-us").parse::<u64>().unwrap();
    let answer = post(&serve, "/", "text");
    assert!((1..50_000).contains(&microseconds(&answer)), "{:?}", answer.headers);
    let spun = serve.http().get_at("a.example", "/spin");
    assert!(microseconds(&spun) >= 50_000, "{:?}", spun.headers);
    let (_project, silent) = start("");
    assert_eq!(post(&silent, "/", "text").header("x-holm-cpu-us"), "");
}

#[test]
fn a_line_is_one_line_whatever_was_sent() {
    let (_project, serve) = start("");
    let long = "x".repeat(8 << 10);
    serve.http().get_at("a.example", &format!("/log?%0D%0A%7B%22message%22%3A%22forged%22%7D%1B%5B2J%22{long}"));
    let record = serve.output().wait_for(r#"^(\{.*forged.*"target":"worker".*\})$"#);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let message = record["message"].as_str().unwrap();
    assert!(message.starts_with("\r\n{\"message\":\"forged\"}\u{1b}[2J\""), "{message}");
    let line = serve.output().wait_for(r#"^(\{.*"outcome":"ok".*"target":"invocation".*\})$"#);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let url = line["url"].as_str().unwrap();
    assert!(url.len() < 3 << 10 && url.ends_with('…'), "{url}");
    assert!(!serve.records().iter().any(|record| record["message"] == "forged"));
}

#[test]
fn numbers_survive_a_reload_and_a_shed_request_has_its_reason() {
    let project = Project::empty();
    add_worker(&project, "a");
    let with = |more: &str| format!("{SERVER}{}", worker("a", more));
    project.write("holm.toml", &with("limits = { concurrency = 1, queue = 1 }"));
    let serve = Serve::start(&project.file("holm.toml"));
    let client = serve.http();
    let mut begun = Raw::connect(client.address);
    begun.write("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    begun.chunk("half");
    wait_for(&serve, "holm_invocations_in_flight", 1.0);
    let (sender, answers) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let sender = sender.clone();
        std::thread::spawn(move || sender.send(client.get_at("a.example", "/?queued").status).is_ok());
    }
    assert_eq!(answers.recv_timeout(DEADLINE).unwrap(), 503);
    begun.chunk("");
    assert!(begun.read_to_end().contains("half"));
    assert_eq!(answers.recv_timeout(DEADLINE).unwrap(), 200);
    // A worker is its own tenant unless it has one.
    wait_for(&serve, "holm_sheds_total{worker=\"a\",tenant=\"a\",reason=\"worker_queue\"}", 1.0);
    wait_for(&serve, "holm_requests_total{worker=\"a\",tenant=\"a\",outcome=\"overloaded\"}", 1.0);
    wait_for(&serve, "holm_requests_total{worker=\"a\",tenant=\"a\",outcome=\"ok\"}", 2.0);
    let shed = serve.output().wait_for(r#"^(\{.*"overloaded".*"target":"invocation".*\})$"#);
    assert!(shed.contains("/?queued"), "{shed}");

    project.write("holm.toml", &with("vars = { A = \"b\" }"));
    serve.output().wait_for("\"reloaded\"");
    client.get_at("a.example", "/");
    wait_for(&serve, "holm_requests_total{worker=\"a\",tenant=\"a\",outcome=\"ok\"}", 3.0);
}

#[test]
fn a_certificate_shows_the_days_it_has_left() {
    let project = Project::empty();
    add_worker(&project, "a");
    tls::certificate(&project, "a", &["a.example"]);
    project.write(
        "holm.toml",
        &format!(
            "{SERVER}https = \"127.0.0.1:0\"\n[[certificate]]\ncert = \"a.pem\"\nkey = \"a.key\"\n{}",
            worker("a", "")
        ),
    );
    let serve = Serve::start(&project.file("holm.toml"));
    let days = || serve.metric("holm_tls_certificate_days_left{certificate=\"a.example\"}");
    assert!(days() > 365.0, "{}", days());
    // One that has expired is served on, with a warning.
    tls::expired_certificate(&project, "a", "a.example");
    serve.output().wait_for("the certificate for a.example .* has expired");
    assert!(days() < 0.0, "{}", days());
}

#[test]
fn readiness_ends_with_the_drain_and_the_pages_do_not() {
    let (_project, serve) = start("");
    assert_eq!(serve.admin().get("/readyz").status, 200);
    let mut begun = Raw::connect(serve.http().address);
    begun.write("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n");
    begun.chunk("half");
    wait_for(&serve, "holm_invocations_in_flight", 1.0);
    serve.process.signal("TERM");
    serve.output().wait_for("draining");
    assert_eq!(serve.admin().get("/readyz").status, 503);
    assert_eq!(serve.metric("holm_invocations_in_flight"), 1.0);
    begun.chunk("");
    begun.read_until("half");
}

fn free_addresses() -> [std::net::SocketAddr; 2] {
    [(); 2].map(|()| std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap())
}

/// A server whose log goes to `log`, when it answers; and the address of its admin listener.
fn start_with_log(project: &Project, format: &str, log: std::io::PipeWriter) -> (Killed, Client, Client) {
    add_worker(project, "a");
    let [http, admin] = free_addresses();
    project.write("holm.toml", &format!("[server]\nhttp = \"{http}\"\nadmin = \"{admin}\"\n{}", worker("a", "")));
    let child = Killed(Serve::start_with_log(&project.file("holm.toml"), format, log));
    let (client, until) = (Client::new(http), Instant::now() + DEADLINE);
    let hello = || get("/").header("host", "a.example").body(Bytes::new()).unwrap();
    while client.try_send(hello()).is_err() {
        assert!(Instant::now() < until, "it does not serve");
        std::thread::yield_now();
    }
    (child, client, Client::new(admin))
}

struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_log_that_nobody_reads_neither_blocks_nor_grows() {
    let project = Project::empty();
    let (unread, log) = std::io::pipe().unwrap();
    let (mut child, client, admin) = start_with_log(&project, "json", log);
    // Each writes 12 KiB; the pipe holds 64 KiB, the queue 8 MiB.
    let path = format!("/log?{}", "x".repeat(12 << 10));
    for _ in 0..1_000 {
        assert_eq!(client.get_at("a.example", &path).text(), "logged");
    }
    let page = admin.get("/metrics").text();
    let dropped = page.lines().find_map(|line| line.strip_prefix("holm_log_lines_dropped_total ")).unwrap();
    assert!(dropped.parse::<u64>().unwrap() > 0);
    assert!(child.0.try_wait().unwrap().is_none());
    drop(unread);
}

#[test]
fn a_log_that_is_closed_does_not_end_the_server() {
    let project = Project::empty();
    let (unread, log) = std::io::pipe().unwrap();
    let (mut child, client, _) = start_with_log(&project, "json", log);
    drop(unread);
    for _ in 0..20 {
        assert_eq!(client.get_at("a.example", "/log?gone").text(), "logged");
    }
    assert!(child.0.try_wait().unwrap().is_none());
}

#[test]
fn a_plain_text_log_has_no_line_of_a_workers_making() {
    let project = Project::empty();
    let (mut read, log) = std::io::pipe().unwrap();
    let (child, client, _) = start_with_log(&project, "text", log);
    client.get_at("a.example", "/log?first%0AINFO%20forged%1B%5B31m");
    client.get_at("a.example", "/throw");
    drop(child);
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert!(!text.lines().any(|line| line.starts_with("INFO forged")), "{text}");
    assert!(!text.contains("\u{1b}[31m"), "{text}");
}
