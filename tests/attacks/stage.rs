//! The server that the cases attack: one `holm serve` with a worker per case, and the victim beside them. What a case has
//! damaged is started anew for the next one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;

use crate::canary;
use crate::canary::Canary;
use crate::canary::VICTIM;
use crate::case::Accept;
use crate::case::Blast;
use crate::case::Case;
use crate::case::Source;
use crate::case::Step;
use crate::case::Tier;
use crate::case::What;
use crate::case::Whose;
use crate::case::Worker;
use crate::leaks;
use crate::processes;
use crate::support::DEADLINE;
use crate::support::client::Answer;
use crate::support::client::Client;
use crate::support::client::Request;
use crate::support::client::get;
use crate::support::output::Mark;
use crate::support::process::Serve;
use crate::support::project::Project;
use crate::support::project::config;
use crate::support::upstream::Upstream;
use crate::table;

/// The profile that the cases are written for.
const LIMITS: &str = "cpu_ms = 50\nstartup_cpu_ms = 400\nwall_ms = 5_000\nwait_until_ms = 5_000\nmemory_mb = 128\n\
                      isolate_idle_seconds = 5\n";
/// Cases may raise these for their own worker; a server's limit is the ceiling of its workers'.
const CEILINGS: &str = "cpu_ms = 20_000\nstartup_cpu_ms = 20_000\nwall_ms = 60_000\nwait_until_ms = 60_000\n\
                        memory_mb = 128\nsubrequests = 1_000\nisolate_idle_seconds = 5\n";

/// Where the caches of all workers are kept.
const CACHE: &str = "cached";

const BEFORE_BODY: &str = r#"
const sleep = (ms) => scheduler.wait(ms);
function burn(rounds) {
  let value = 1;
  for (let i = 0; i < rounds; i++) value = (Math.imul(value, 1664525) + 1013904223) | 0;
  return value;
}
export default {
  async fetch(request, env, ctx) {
    if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
"#;
const AFTER_BODY: &str = "\n  },\n};\n";

pub struct Stage {
    serve: Serve,
    client: Client,
    admin: Client,
    canary: Canary,
    pub upstream: Upstream,
    secrets: BTreeMap<String, String>,
    // Dropped last: the server reads it.
    directory: Project,
}

static STAGE: Mutex<Option<Stage>> = Mutex::new(None);

/// Runs the case at `index` of the table.
pub fn run(index: usize) -> Result<(), String> {
    let case = &table::all()[index];
    let mut place = STAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let stage = place.get_or_insert_with(Stage::start);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.run(case)))
        .unwrap_or_else(|panic| Err(panic_text(&*panic)));
    // A process that was damaged on purpose, or is suspected to be, is no place for the next case.
    if result.is_err() || case.blast != Blast::Contained {
        *place = None;
    }
    result
}

/// Ends the server.
pub fn close() {
    *STAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic").to_owned()
}

/// The name of a case's worker; `.example` behind it is its host.
pub fn slug(case: &Case) -> String {
    let title = case.title().to_lowercase();
    let words: Vec<&str> = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut slug = words.join("-");
    slug.truncate(50);
    slug.trim_end_matches('-').to_owned()
}

// === impl Stage ===

impl Stage {
    fn start() -> Self {
        let full = std::env::var("HOLM_ATTACKS").is_ok_and(|tier| tier == "full");
        let upstream = Upstream::start();
        let directory = Project::empty();
        let admin = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let mut toml = format!(
            "[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"{admin}\"\negress = \"public-and-loopback\"\n\
             [cache]\ndirectory = \"{CACHE}\"\n[limits]\n{CEILINGS}"
        );
        let mut secrets = BTreeMap::new();
        let mut add = |name: &str, tenant: &str, limits: &str| {
            let secret = leaks::secret(name);
            let upstream = upstream.url();
            let limits = limits_of(limits);
            let _ = write!(
                toml,
                "[[worker]]\nproject = \"{name}\"\ntenant = \"{tenant}\"\nhostnames = [\"{name}.example\"]\n\
                 vars = {{ SECRET = \"{secret}\", UPSTREAM = \"{upstream}\", HOST = \"{name}.example\" }}\nlimits = {{ {limits} }}\n"
            );
            assert!(secrets.insert(name.to_owned(), secret).is_none(), "two cases are called {name}");
        };
        add(VICTIM, VICTIM, "");
        write_project(&directory, VICTIM, canary::SOURCE, "", &[]);
        for case in table::all().iter().filter(|case| full || case.tier == Tier::Fast) {
            let Some(worker) = &case.worker else { continue };
            let name = slug(case);
            add(&name, &name, worker.limits);
            let source = match worker.source {
                Source::Body(body) => format!("{BEFORE_BODY}{body}{AFTER_BODY}"),
                Source::Module(module) => module.to_owned(),
            };
            write_project(&directory, &name, &source, worker.settings, &worker.files);
            for companion in &case.companions {
                let own = format!("{name}-{}", companion.name);
                let tenant = if companion.whose == Whose::TheAttackers { &name } else { &own };
                add(&own, tenant, worker.limits);
                write_project(&directory, &own, companion.module, "", &[]);
            }
        }
        directory.write("holm.toml", &toml);
        let serve = Serve::start(&directory.file("holm.toml"));
        let client = serve.http();
        let canary = Canary::start(client.address, secrets[VICTIM].clone());
        Self { serve, client, admin: Client::new(admin), canary, upstream, secrets, directory }
    }

    fn run(&self, case: &Case) -> Result<(), String> {
        let host = format!("{}.example", slug(case));
        let pid = self.pid();
        let mark = self.mark();
        let since = self.canary.now();
        match &case.what {
            What::Requests(steps) => {
                for step in steps {
                    self.step(&host, step)?;
                }
            }
            What::Scenario(run) => run(self, &host)?,
            What::NotApplicable(_) | What::Elsewhere(_) => {}
        }
        if let Some(worker) = &case.worker {
            self.next_request(case, worker, &host)?;
        }
        self.victim_is_well(case.blast, since)?;
        if case.blast == Blast::Contained && self.pid() != pid {
            return Err(format!("the serving process has changed\n{}", tail(&self.log_since(mark))));
        }
        if let Some(check) = case.afterwards {
            check(self, &host)?;
        }
        leaks::check_log(&self.log_since(mark))?;
        let metrics = self.admin.try_send(get("/metrics").body(Bytes::new()).unwrap());
        if let Ok(metrics) = metrics {
            leaks::check(&metrics.body, None, "/metrics")?;
        }
        Ok(())
    }

    fn step(&self, host: &str, step: &Step) -> Result<(), String> {
        let opened = match self.client.try_open(at(host, step.path)) {
            Ok(opened) => opened,
            // The head of an answer that breaks off may not have left.
            Err(error) if error.contains("connection closed") && step.accept.iter().any(Accept::may_break) => {
                return Ok(());
            }
            Err(error) => return Err(format!("{}: no answer: {error}", step.path)),
        };
        let (status, headers) = (opened.status, opened.headers.clone());
        let code = headers.get("x-holm-error").map_or("", |value| value.to_str().unwrap_or_default()).to_owned();
        let finished = opened.finish();
        let (body, cut) = match &finished {
            Ok(answer) => (answer.text(), false),
            Err(_) => (String::new(), true),
        };
        self.no_leak(host, &format!("{headers:?}\n{body}"), !code.is_empty())?;
        let accepted = step.accept.iter().any(|accept| match *accept {
            Accept::Answer(expected, pattern) => {
                !cut && code.is_empty() && status == expected && regex::Regex::new(pattern).unwrap().is_match(&body)
            }
            Accept::Cut(expected) => cut && status == expected,
            Accept::Error(expected, wanted) => status == expected && code == wanted,
        });
        if accepted {
            return Ok(());
        }
        let cut = if cut { " (cut)" } else { "" };
        Err(format!("{}: got {status} {code}{cut} {body:.1000}\naccepted: {:?}", step.path, step.accept))
    }

    /// The worker of a case goes on, in a new isolate if its isolate was condemned.
    fn next_request(&self, case: &Case, worker: &Worker, host: &str) -> Result<(), String> {
        if !worker.starts {
            return Ok(());
        }
        let until = Instant::now() + DEADLINE;
        loop {
            let answer = self.get(host, "/alive");
            let alive = answer.as_ref().is_ok_and(|answer| {
                answer.status == 200 && answer.text() == "alive" && answer.header("x-secret") == self.secret(host)
            });
            if alive {
                return Ok(());
            }
            let replacing = case.blast == Blast::Aborted
                && answer.as_ref().map_or(true, |answer| answer.error() == "worker_crashed")
                && Instant::now() < until;
            if !replacing {
                return Err(format!("the attacker's next request came to {answer:?}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn victim_is_well(&self, blast: Blast, since: canary::Since) -> Result<(), String> {
        let wrong = self.canary.wrong_since(since);
        match wrong.iter().find(|wrong| blast != Blast::Aborted || !wrong.crashed) {
            None => Ok(()),
            Some(first) => Err(format!("{} of the victim's requests went wrong, first: {}", wrong.len(), first.what)),
        }
    }

    fn no_leak(&self, host: &str, text: &str, is_error: bool) -> Result<(), String> {
        let receiver = host.strip_suffix(".example").filter(|_| !is_error);
        leaks::check(text.as_bytes(), receiver, &format!("an answer to a client of {host}"))
    }

    // --- for scenarios

    pub const fn client(&self) -> Client {
        self.client
    }

    /// `GET path` of a worker; looked through for secrets.
    pub fn get(&self, host: &str, path: &str) -> Result<Answer, String> {
        self.send(at(host, path))
    }

    pub fn send(&self, request: Request) -> Result<Answer, String> {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        let answer = self.client.try_send(request)?;
        self.no_leak(&host, &format!("{:?}\n{}", answer.headers, answer.text()), !answer.error().is_empty())?;
        Ok(answer)
    }

    /// The host of a worker beside the one at `host`.
    pub fn beside(host: &str, name: &str) -> String {
        format!("{}-{name}.example", host.trim_end_matches(".example"))
    }

    /// Writes a file of the project of the worker at `host`; the server sees it at once.
    pub fn write(&self, host: &str, path: &str, text: &str) {
        self.directory.write(&format!("{}/{path}", host.trim_end_matches(".example")), text);
    }

    /// Everything in the server's directory that is not of a project.
    pub fn files(&self) -> Vec<std::path::PathBuf> {
        let list = |path: &std::path::Path| -> Vec<std::path::PathBuf> {
            std::fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
        };
        let is_project = |path: &std::path::PathBuf| path.join("wrangler.jsonc").exists();
        let top = list(self.directory.path()).into_iter().filter(|path| !is_project(path));
        top.flat_map(|path| if path.is_dir() { list(&path) } else { vec![path] }).collect()
    }

    /// The secret of the worker at `host`.
    fn secret(&self, host: &str) -> &str {
        &self.secrets[host.trim_end_matches(".example")]
    }

    pub fn mark(&self) -> Mark {
        self.serve.output().mark()
    }

    pub fn log_since(&self, mark: Mark) -> String {
        self.serve.output().since(mark)
    }

    pub fn wait_log(&self, mark: Mark, pattern: &str) -> Result<String, String> {
        self.serve
            .output()
            .try_wait(mark, pattern)
            .ok_or_else(|| format!("no line of the log matches /{pattern}/:\n{}", tail(&self.log_since(mark))))
    }

    /// The process that runs JavaScript.
    pub fn pid(&self) -> u32 {
        processes::serving(self.serve.process.id())
    }

    /// Waits until no thread of the server is busy any more.
    pub fn comes_to_rest(&self) -> Result<(), String> {
        processes::comes_to_rest(self.pid())
    }
}

/// `GET path` at a host.
pub fn at(host: &str, path: &str) -> Request {
    get(path).header("host", host).body(Bytes::new()).unwrap()
}

fn write_project(directory: &Project, name: &str, source: &str, settings: &str, files: &[(&'static str, Vec<u8>)]) {
    let settings = settings.replace("$SELF", name);
    let settings = if settings.contains("no_bundle") { settings } else { format!("\"no_bundle\": true, {settings}") };
    directory.write(&format!("{name}/wrangler.jsonc"), &config(name, &settings));
    directory.write(&format!("{name}/index.js"), source);
    for (path, bytes) in files {
        std::fs::write(directory.file(&format!("{name}/{path}")), bytes).unwrap();
    }
}

/// The profile's limits of a worker, and its own in their place.
fn limits_of(own: &str) -> String {
    let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let own: Vec<&str> = own.split(',').map(str::trim).filter(|line| !line.is_empty()).collect();
    let server_only = ["isolate_idle_seconds"];
    let mut lines: Vec<&str> = LIMITS
        .lines()
        .filter(|line| !server_only.contains(&key(line).as_str()) && !own.iter().any(|set| key(set) == key(line)))
        .collect();
    lines.extend(own);
    lines.join(", ")
}

fn tail(log: &str) -> &str {
    let mut start = log.len().saturating_sub(3_000);
    while !log.is_char_boundary(start) {
        start += 1;
    }
    &log[start..]
}
