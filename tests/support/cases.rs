//! A folder with a worker and a `cases.json`: requests, sent in order to one server, and the answers to expect.
//!
//! The format is documented in `workers-examples/README.md`; `tests/README.md` has what only the tests' own folders use.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine as _;
use bytes::Bytes;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::client::Open;
use super::client::Request;
use super::output::Mark;
use super::output::Output;
use super::process::Dev;
use super::process::Serve;
use super::project::Project;
use super::redis::Redis;
use super::upstream::Upstream;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Folder {
    #[serde(default)]
    args: Vec<String>,
    /// Served by `holm serve`, with this budget for a request.
    cpu_ms: Option<u32>,
    upstream: Option<UpstreamKind>,
    starts_with_log: Option<String>,
    start_fails: Option<String>,
    #[serde(default)]
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum UpstreamKind {
    Echo,
    Redis,
}

/// What a worker's requests go to, with the variables that tell it where that is.
enum Beside {
    Echo(Upstream),
    Redis(Redis),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    name: String,
    request: Sent,
    expect: Expected,
    expect_log: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Sent {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    body_base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, ExpectedHeader>,
    body: Option<String>,
    body_matches: Option<String>,
    body_json: Option<Value>,
    stream: Option<ExpectedStream>,
    /// The connection breaks before the body is complete.
    #[serde(default)]
    cut: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ExpectedHeader {
    /// All values of the header, in their order.
    Values(Vec<String>),
    Matches {
        matches: String,
    },
    Exactly(String),
    Absent(()),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExpectedStream {
    until_matches: String,
}

/// Folders with a `cases.json`, below `root`, by their path from there.
pub fn folders(root: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    collect(root, root, &mut found);
    found.sort();
    found
}

fn collect(root: &Path, directory: &Path, found: &mut Vec<(String, PathBuf)>) {
    if directory.join("cases.json").is_file() {
        let name = directory.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        found.push((name, directory.to_owned()));
        return;
    }
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        if entry.path().is_dir() && entry.file_name() != "node_modules" {
            collect(root, &entry.path(), found);
        }
    }
}

/// Runs a folder; the error names the cases that failed, and why.
pub fn run(folder: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let Folder { args, cpu_ms, upstream, starts_with_log, start_fails, cases } =
        serde_json::from_str(&text).map_err(|error| format!("cases.json: {error}"))?;
    if let Some(cpu_ms) = cpu_ms {
        return run_all(&cases, &Server::serve(folder, cpu_ms));
    }
    let beside = upstream.map(Beside::start);
    let variables = beside.as_ref().map(Beside::variables).unwrap_or_default();
    let mut arguments = vec!["--no-watch", "--log-level", "debug"];
    arguments.extend(args.iter().map(String::as_str));
    for variable in &variables {
        arguments.extend(["--var", variable]);
    }
    let started = Dev::try_start(&entry(folder), &arguments);
    if let Some(pattern) = start_fails {
        return match started {
            Err(ended) if matches(&pattern, &ended.output)? && ended.code == Some(78) => Ok(()),
            Err(ended) => {
                Err(format!("expected status 78 and /{pattern}/, got {:?} and:\n{}", ended.code, ended.output))
            }
            Ok(_) => Err(format!("it starts, and should fail with /{pattern}/")),
        };
    }
    let dev = started.map_err(|ended| format!("it ended with {:?}:\n{}", ended.code, ended.output))?;
    if let Some(pattern) = starts_with_log {
        dev.output()
            .try_wait(Mark::default(), &pattern)
            .ok_or_else(|| format!("no log matches /{pattern}/:\n{}", dev.output().text()))?;
    }
    run_all(&cases, &Server::Dev(dev))
}

fn run_all(cases: &[Case], server: &Server) -> Result<(), String> {
    let mut failures = Vec::new();
    for case in cases {
        let mark = server.output().mark();
        if let Err(failure) = case.run(server, mark) {
            failures.push(format!(
                "{}:\n  {}\n--- log\n{}",
                case.name,
                failure.replace('\n', "\n  "),
                server.output().since(mark)
            ));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// The folder where it has a configuration, or else its only script.
fn entry(folder: &Path) -> PathBuf {
    let configured =
        ["wrangler.jsonc", "wrangler.json", "wrangler.toml"].iter().any(|name| folder.join(name).is_file());
    let script =
        ["index.js", "index.ts", "index.mjs"].iter().map(|name| folder.join(name)).find(|script| script.is_file());
    if configured { folder.to_owned() } else { script.unwrap_or_else(|| folder.to_owned()) }
}

/// What runs the worker.
enum Server {
    Dev(Dev),
    /// With the directory of its configuration.
    Serve(Serve, Project),
}

// === impl Beside ===

impl Beside {
    fn start(kind: UpstreamKind) -> Self {
        match kind {
            UpstreamKind::Echo => Self::Echo(Upstream::start()),
            UpstreamKind::Redis => Self::Redis(Redis::start()),
        }
    }

    /// As `--var` takes them.
    fn variables(&self) -> Vec<String> {
        match self {
            Self::Echo(upstream) => vec![format!("UPSTREAM:{}", upstream.url())],
            Self::Redis(redis) => {
                vec![format!("REDIS_HOST:{}", redis.address.ip()), format!("REDIS_PORT:{}", redis.address.port())]
            }
        }
    }
}

// === impl Server ===

impl Server {
    fn serve(folder: &Path, cpu_ms: u32) -> Self {
        let config = Project::with(&[(
            "holm.toml",
            &format!(
                "[server]\nhttp = \"127.0.0.1:0\"\n\n[limits]\ncpu_ms = {cpu_ms}\n\n[[worker]]\nproject = {:?}\nhostnames = [\"127.0.0.1\"]\n",
                folder.display().to_string()
            ),
        )]);
        Self::Serve(Serve::start(&config.file("holm.toml")), config)
    }

    fn client(&self) -> Client {
        match self {
            Self::Dev(dev) => dev.client(),
            Self::Serve(serve, _) => serve.http(),
        }
    }

    fn output(&self) -> &Output {
        match self {
            Self::Dev(dev) => dev.output(),
            Self::Serve(serve, _) => serve.output(),
        }
    }
}

// === impl Case ===

impl Case {
    fn run(&self, server: &Server, mark: Mark) -> Result<(), String> {
        let answer = self.exchange(server.client());
        // Whatever the answer was: the log says more about why.
        let log = self.expect_log.as_ref().map(|pattern| match server.output().try_wait(mark, pattern) {
            Some(_) => Ok(()),
            None => Err(format!("no log matches /{pattern}/")),
        });
        answer.and(log.unwrap_or(Ok(())))
    }

    fn exchange(&self, client: Client) -> Result<(), String> {
        let open = client.try_open(self.request.build()?)?;
        if let Err(failure) = self.expect.head(&open) {
            let answer = open.finish().map_or_else(|error| error, |answer| answer.text());
            return Err(format!("{failure}: {}", shortened(&answer)));
        }
        self.expect.body(open)
    }
}

impl Sent {
    fn build(&self) -> Result<Request, String> {
        let mut request = http::Request::builder().method(self.method.as_str()).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = match (&self.body, &self.body_base64) {
            (Some(text), None) => Bytes::from(text.clone()),
            (None, Some(text)) => {
                Bytes::from(base64::engine::general_purpose::STANDARD.decode(text).map_err(|error| error.to_string())?)
            }
            (None, None) => Bytes::new(),
            (Some(_), Some(_)) => return Err("a request has `body` or `bodyBase64`, not both".to_owned()),
        };
        request.body(body).map_err(|error| error.to_string())
    }
}

// === impl Expected ===

impl Expected {
    fn head(&self, open: &Open) -> Result<(), String> {
        if open.status != self.status {
            let code = open.headers.get("x-holm-error").map(|code| format!(" ({})", code.to_str().unwrap_or_default()));
            return Err(format!("status {}{}, expected {}", open.status, code.unwrap_or_default(), self.status));
        }
        for (name, expected) in &self.headers {
            let values: Vec<_> =
                open.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            let holds = match expected {
                ExpectedHeader::Values(expected) => values == *expected,
                ExpectedHeader::Matches { matches: pattern } => values.len() == 1 && matches(pattern, &values[0])?,
                ExpectedHeader::Exactly(expected) => values == [expected.as_str()],
                ExpectedHeader::Absent(()) => values.is_empty(),
            };
            if !holds {
                return Err(format!("header {name}: {values:?} is not as expected"));
            }
        }
        Ok(())
    }

    fn body(&self, mut open: Open) -> Result<(), String> {
        if let Some(stream) = &self.stream {
            while !matches(&stream.until_matches, &open.received())? {
                open.next().unwrap_or_else(|| Err(format!("the body ended as {:?}", open.received())))?;
            }
            return Ok(());
        }
        let mut broken = None;
        while let Some(piece) = open.next() {
            if let Err(error) = piece {
                broken = Some(error);
                break;
            }
        }
        let text = open.received();
        match (self.cut, broken) {
            (false, Some(error)) => return Err(format!("the body broke: {error}, after {text:?}")),
            (true, None) => return Err(format!("the body is complete, and should not be: {text:?}")),
            (false, None) | (true, Some(_)) => {}
        }
        if let Some(expected) = &self.body
            && text != *expected
        {
            return Err(format!("body {text:?}\nexpected {expected:?}"));
        }
        if let Some(pattern) = &self.body_matches
            && !matches(pattern, &text)?
        {
            return Err(format!("body {} does not match /{pattern}/", shortened(&text)));
        }
        if let Some(expected) = &self.body_json {
            let json: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text:?}"))?;
            if json != *expected {
                return Err(format!("body {json}\nexpected {expected}"));
            }
        }
        Ok(())
    }
}

fn matches(pattern: &str, text: &str) -> Result<bool, String> {
    Ok(Regex::new(pattern).map_err(|error| error.to_string())?.is_match(text))
}

fn shortened(text: &str) -> String {
    let mut start: String = text.chars().take(500).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}
