//! Runs a row: a server with the row's worker and a good one, which is asked all the while.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use regex::Regex;
use serde_json::Value;

use crate::row::Client;
use crate::row::Isolate;
use crate::row::Row;
use crate::row::Worker;
use crate::support::DEADLINE;
use crate::support::client::Answer;
use crate::support::client::get;
use crate::support::process::Serve;
use crate::support::project::Project;
use crate::support::raw::Raw;

/// What a row's handler stands in. `/waits` answers with its body once the client has sent all of it; `/count` counts the
/// requests that its isolate has seen.
const INDEX: &str = "
import { fail } from './fail';
let count = 0;
export default {
  async fetch(request: Request, env: unknown, ctx: ExecutionContext): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case '/fail': return fail(request, env, ctx);
      case '/count': return new Response(`${++count}`);
      case '/later': await scheduler.wait(100); break;
      case '/waits': console.log('waiting'); return new Response(await request.text());
    }
    return new Response('fine');
  },
};
";

pub const GOOD: &str = "export default { fetch: () => new Response('good') };";

/// Between two requests to the good worker: it is to be served, not to take the machine.
const PACE: Duration = Duration::from_millis(2);

const HOST: &str = "row.example";

/// The server of one row.
struct Stage<'a> {
    row: &'a Row,
    serve: Serve,
    _project: Project,
    /// Requests to the row's worker so far.
    asked: Cell<u32>,
}

/// Asks the good worker until it is told to stop.
pub struct Neighbour {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

pub fn run(row: &Row) {
    let stage = Stage::set(row);
    let neighbour = Neighbour::start(&stage.serve);
    if row.isolate != Isolate::Never {
        assert_eq!(stage.ask("/count").text(), "1");
    }
    let beside = (row.beside && row.isolate != Isolate::Never).then(|| stage.wait_in("/waits"));
    let answer = stage.fail();
    if let Some(mut beside) = beside {
        beside.chunk("all");
        beside.chunk("");
        let answer = beside.read_until("(?s)\r\n\r\n.*all");
        assert!(answer.starts_with("HTTP/1.1 200 "), "a request beside it got:\n{answer}");
    }
    let record = stage.serve.invocation("/fail");
    stage.check_record(&record, answer.as_ref());
    stage.check_lines(&record);
    stage.check_later();
    neighbour.stop();
    let page = stage.check_page();
    stage.check_counters();
    stage.check_secrets(answer.into_iter().chain(page));
}

// === impl Stage ===

impl<'a> Stage<'a> {
    fn set(row: &'a Row) -> Self {
        let project = Project::empty();
        write_worker(&project, "row", &row.worker);
        write_worker(&project, "good", &Worker::Module(GOOD));
        project.write(
            "holm.toml",
            &format!(
                "[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[limits]\n{}\n\
                 [[worker]]\nproject = \"row\"\nhostnames = [\"{HOST}\"]\nlimits = {{ {} }}\n\
                 [[worker]]\nproject = \"good\"\nhostnames = [\"good.example\"]\n",
                row.ceilings, row.limits
            ),
        );
        let serve = Serve::start(&project.file("holm.toml"));
        Self { row, serve, _project: project, asked: Cell::new(0) }
    }

    fn ask(&self, path: &str) -> Answer {
        self.asked.set(self.asked.get() + 1);
        self.serve.http().get_at(HOST, path)
    }

    /// A request that has reached the handler, and waits for the rest of its body.
    fn wait_in(&self, path: &str) -> Raw {
        let mark = self.serve.output().mark();
        let raw = self.begin(path);
        self.serve.output().wait_since(mark, r#""message":"waiting""#);
        raw
    }

    fn begin(&self, path: &str) -> Raw {
        self.asked.set(self.asked.get() + 1);
        let mut raw = Raw::connect(self.serve.http().address);
        raw.write(format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"));
        raw
    }

    /// The request that the row is about. Who reads the answer to its end has it.
    fn fail(&self) -> Option<Answer> {
        let client = self.serve.http();
        let request = || {
            self.asked.set(self.asked.get() + 1);
            let request = get("/fail").header("host", HOST);
            // Ids that come from outside are nobody's.
            request.header("x-holm-request-id", "forged").header("cf-ray", "forged").body(Bytes::new()).unwrap()
        };
        match self.row.client {
            Client::Error(status, code) => {
                let answer = client.send(request());
                check_error(&answer, status, code);
                assert_eq!(answer.header("retry-after"), "");
                Some(answer)
            }
            Client::SentAway(status, code) => {
                let _busy = self.wait_in("/waits");
                let _waits = self.begin("/waits");
                self.wait_until(|| self.serve.admin().get("/workers").json()[0]["queue"] == 1, "a full queue");
                let answer = client.send(request());
                check_error(&answer, status, code);
                assert_eq!(answer.header("retry-after"), "1");
                Some(answer)
            }
            Client::Answer(text) => {
                let answer = client.send(request());
                assert_eq!((answer.status, answer.text().as_str()), (200, text));
                assert_eq!((answer.error(), answer.header("x-holm-request-id")), ("", ""));
                Some(answer)
            }
            Client::Cut(begins) => {
                let mut open = client.open(request());
                assert_eq!((open.status, open.headers.get("x-holm-error")), (200, None));
                let end = std::iter::from_fn(|| open.next()).find(Result::is_err);
                assert!(end.is_some(), "the body looks complete: {}", open.received());
                assert_eq!(open.received(), begins);
                None
            }
            Client::Leaves(pattern) => {
                let mut raw = Raw::connect(client.address);
                self.asked.set(self.asked.get() + 1);
                raw.write(format!("GET /fail HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
                self.serve.output().wait_for(pattern);
                None
            }
            Client::LeavesMidway(begins) => {
                client.open(request()).read_until(begins);
                None
            }
        }
    }

    fn check_record(&self, record: &Value, answer: Option<&Answer>) {
        let row = self.row;
        assert_eq!(record["outcome"], row.outcome, "{record}");
        assert_eq!((record["worker"].as_str(), record["method"].as_str()), (Some("row"), Some("GET")), "{record}");
        let id = record["request_id"].as_str().unwrap();
        assert!(Regex::new("^[0-9a-f]{16}$").unwrap().is_match(id), "{record}");
        let status = match row.client {
            Client::Error(status, _) | Client::SentAway(status, _) => Some(u64::from(status)),
            Client::Answer(_) | Client::Cut(_) | Client::LeavesMidway(_) => Some(200),
            Client::Leaves(_) => None,
        };
        assert_eq!(record["status"].as_u64(), status, "{record}");
        if matches!(row.client, Client::Error(..) | Client::SentAway(..)) {
            assert_eq!(answer.unwrap().header("x-holm-request-id"), id);
        }
        for (field, expected) in [("error", row.error), ("stack", row.stack)] {
            match (record[field].as_str(), expected) {
                (Some(text), Some(pattern)) => assert!(matches(pattern, text), "{field}: {text}\nnot /{pattern}/"),
                (None, None) => {}
                (found, expected) => panic!("{field} is {found:?}, not {expected:?}: {record}"),
            }
        }
    }

    /// What is logged of a request is logged before its own line.
    fn check_lines(&self, record: &Value) {
        let records = self.serve.records();
        for (level, pattern) in self.row.lines {
            let found = records.iter().any(|line| {
                line["request_id"] == record["request_id"]
                    && line["target"] == "worker"
                    && line["level"] == *level
                    && line["message"].as_str().is_some_and(|message| matches(pattern, message))
            });
            assert!(found, "no line of the request is {level} /{pattern}/:\n{}", self.serve.output().text());
        }
    }

    fn check_later(&self) {
        match (self.row.isolate, &self.row.client) {
            (Isolate::GoesOn, Client::SentAway(..)) => {}
            (Isolate::GoesOn, _) => assert_eq!(self.ask("/count").text(), "2", "the isolate that was there before"),
            (Isolate::Replaced, _) => assert_eq!(self.ask("/count").text(), "1", "a new isolate"),
            (Isolate::Never, Client::Error(status, code)) => check_error(&self.ask("/count"), *status, code),
            (Isolate::Never, _) => panic!("a worker that never serves gives errors"),
        }
        if !self.row.never.is_empty() {
            // Whatever could still come has come by then.
            assert_eq!(self.ask("/later").text(), "fine");
            let log = self.serve.output().text();
            for pattern in self.row.never {
                assert!(!matches(pattern, &log), "/{pattern}/ is in\n{log}");
            }
        }
    }

    /// The same failure, as a browser is told of it.
    fn check_page(&self) -> Option<Answer> {
        let Client::Error(status, code) = self.row.client else { return None };
        self.asked.set(self.asked.get() + 1);
        let request = get("/fail?page").header("host", HOST).header("accept", "text/html,*/*;q=0.8");
        let page = self.serve.http().send(request.body(Bytes::new()).unwrap());
        assert_eq!((page.status, page.error()), (status, code));
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let (text, id) = (page.text(), page.header("x-holm-request-id").to_owned());
        assert!(text.contains(code) && text.contains(&id), "{text}");
        Some(page)
    }

    /// Each request is counted once, when it has ended.
    fn check_counters(&self) {
        let of = "worker=\"row\",tenant=\"row\"";
        let sample = |outcome: &str| format!("holm_requests_total{{{of},outcome=\"{outcome}\"}}");
        let (asked, row) = (f64::from(self.asked.get()), self.row);
        let failed = match (&row.client, row.isolate) {
            (Client::Error(..), Isolate::Never) => asked,
            (Client::Error(..), _) => 2.0,
            _ => 1.0,
        };
        if matches!(row.client, Client::SentAway(..)) {
            assert_eq!(self.serve.metric(&format!("holm_sheds_total{{{of},reason=\"worker_queue\"}}")), 1.0);
            self.wait_until(|| self.serve.metric(&sample(row.outcome)) == failed, "one request that is sent away");
            return;
        }
        if row.outcome != "ok" {
            self.wait_until(|| self.serve.metric(&sample(row.outcome)) == failed, "the outcome's count");
            self.wait_until(|| self.serve.metric(&sample("ok")) == asked - failed, "the count of what went well");
        } else {
            self.wait_until(|| self.serve.metric(&sample("ok")) == asked, "all requests went well");
        }
        let counted = |name: &str| self.serve.metric(&format!("{name}{{{of}}}"));
        assert_eq!(counted("holm_queue_wait_seconds_count"), asked);
        if row.outcome == "cpu_exceeded" {
            assert!(counted("holm_cpu_seconds_total") >= 0.05, "what was used is charged");
        }
    }

    /// The worker's secret is in its own log, and nowhere else.
    fn check_secrets(&self, answers: impl Iterator<Item = Answer>) {
        let admin = self.serve.admin();
        for page in answers.chain(["/workers", "/metrics"].map(|path| admin.get(path))) {
            assert!(!page.text().contains("CANARY"), "{}", page.text());
            assert!(!page.text().contains("fail.ts"), "{}", page.text());
            assert!(!format!("{:?}", page.headers).contains("CANARY"), "{:?}", page.headers);
        }
    }

    fn wait_until(&self, condition: impl Fn() -> bool, what: &str) {
        let until = Instant::now() + DEADLINE;
        while !condition() {
            assert!(Instant::now() < until, "{what} never came:\n{}", self.serve.admin().get("/metrics").text());
            std::thread::yield_now();
        }
    }
}

/// The project of a worker.
pub fn write_worker(project: &Project, name: &str, worker: &Worker) {
    let write = |file: &str, text: &str| project.write(&format!("{name}/{file}"), text);
    match worker {
        Worker::Module(source) => write("index.ts", source),
        Worker::Handler(body) => write("fail.ts", &handler("", body)),
        Worker::Prepared(global, body) => write("fail.ts", &handler(global, body)),
    }
    if !matches!(worker, Worker::Module(_)) {
        write("index.ts", INDEX);
    }
    let keys = format!("\"name\": \"{name}\", \"main\": \"index.ts\"");
    write("wrangler.jsonc", &format!("{{ {keys}, \"compatibility_date\": \"2026-08-01\" }}\n"));
}

fn handler(global: &str, body: &str) -> String {
    format!(
        "{global}export async function fail(request: Request, env: unknown, ctx: ExecutionContext): Promise<any> {{\n{body}\n}}\n"
    )
}

fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).unwrap().is_match(text)
}

/// An answer of Holm says its code and the request's id, and nothing else.
fn check_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.error()), (status, code), "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-type"), "application/json");
    let id = answer.header("x-holm-request-id");
    assert!(matches("^[0-9a-f]{16}$", id), "{id}");
    assert_eq!(answer.json(), serde_json::json!({ "error": code, "request_id": id }));
}

// === impl Neighbour ===

impl Neighbour {
    pub fn start(serve: &Serve) -> Self {
        let (client, stop, answered) = (serve.http(), Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let answer = client.get_at("good.example", "/");
                assert_eq!((answer.status, answer.text().as_str()), (200, "good"));
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(PACE);
            }
        });
        Self { stop, answered, thread }
    }

    /// Panics if it was harmed.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the worker beside it notices nothing");
        assert!(self.answered.load(Ordering::Relaxed) > 0);
    }
}
