//! `holm dev`: a worker on this machine, reloaded as its files change, and those that it calls over service bindings.
//!
//! It is a config and a watcher in front of the same deploy as a server's: a new version is bundled, started in an isolate of
//! its own, and put in force whole; requests in flight finish on the old one. A version that does not build or start never
//! replaces one that does.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use holm_bundler::Mode;
use holm_config::diagnostic::Diagnostic;
use holm_config::diagnostic::Severity;
use holm_config::limits::Limits;
use holm_config::project::LoadOptions;
use holm_config::project::Project;
use holm_config::project::Service;
use holm_cron::Policy;
use holm_cron::Trigger;
use holm_front::ErrorDetail;
use holm_front::Front;
use holm_front::Incoming;
use holm_front::Options;
use holm_front::Shutdown;
use holm_front::Transport;
use holm_front::Unrouted;
use holm_front::Workers;
use holm_host::Catalog;
use holm_host::Isolation;
use holm_host::Routed;
use holm_host::Worker;
use holm_isolate::Body;
use holm_isolate::Failure;
use holm_isolate::OnCrash;
use holm_isolate::Outcome;
use holm_isolate::Report;
use holm_isolate::Scheduled;
use holm_isolate::WatchdogOptions;
use holm_snapshot::SnapshotEngine;
use holm_stores::fetch::Egress;
use holm_stores::fetch::Root;
use parking_lot::RwLock;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::UnboundedSender;

use super::DevArgs;
use super::allowed_hosts::AllowedHosts;
use super::cron;
use super::cron::Configured;
use super::cron::Crons;
use super::deploy;
use super::deploy::Deployment;
use super::deploy::HostWorkers;
use super::exit::Exit;
use super::inspector::Inspector;
use super::overlay;
use super::private::Privates;
use super::process;
use super::process::Process;
use super::process::ProcessOptions;
use super::services::HostServices;
use super::settings;
use super::terminal::Style;
use super::terminal::Terminal;
use super::watch::Watch;

const DEFAULT_PORT: u16 = 8787;
/// Of the projects, the one that requests go to.
const SERVED: usize = 0;
/// Requests in flight when `dev` ends.
const GRACE: Duration = Duration::from_secs(2);

/// Runs the command.
pub(super) fn run(args: DevArgs) -> Exit {
    let terminal = Terminal::new(args.log_level);
    let limits = Limits::default();
    let engine = process::engine(limits.memory_mb);
    let isolation = Isolation { isolates: 16, memory_bytes: u64::MAX, idle: Duration::from_secs(3600), spares: 1 };
    let inspector = Inspector::default();
    let (report, reports) = tokio::sync::mpsc::unbounded_channel();
    let trusted = match settings::trusted(&args.egress_ca) {
        Ok(trusted) => trusted,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Config;
        }
    };
    let (runtime, process) = match start(engine, isolation, limits, trusted, report, &inspector) {
        Ok(started) => started,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Exit::Failure;
        }
    };
    let status = Arc::new(Status { errors: RwLock::default(), hosts: AllowedHosts::new(&args.allow_hosts) });
    let workers = HostWorkers { host: process.host.clone(), privates: Privates::default() };
    let crons = Crons::in_memory(workers.clone());
    let dev = Dev { args, terminal, limits, process, workers, status, crons, inspector, projects: RwLock::default() };
    let exit = runtime.block_on(dev.run(reports));
    runtime.shutdown_timeout(Duration::from_millis(100));
    // A thread that cannot be stopped may still run: it sees nothing of the process torn down.
    holm_supervisor::exit_now(exit.status())
}

fn start(
    engine: Arc<SnapshotEngine>,
    isolation: Isolation,
    limits: Limits,
    trusted: Vec<Root>,
    report: UnboundedSender<Report>,
    inspector: &Inspector,
) -> anyhow::Result<(Runtime, Process)> {
    let runtime = process::runtime(None)?;
    let watchdog = WatchdogOptions {
        kill_grace: Duration::from_millis(limits.kill_grace_ms),
        report: Box::new(move |told| {
            let _ = report.send(told);
        }),
        on_crash: OnCrash::StopUnlessFaulted,
        ..WatchdogOptions::alone()?
    };
    let options = ProcessOptions {
        isolation,
        admission: process::admission(&limits),
        egress: Egress::PublicAndLoopback,
        trusted,
        cache: settings::cache(&limits, None),
        watchdog,
        debugger: Some(inspector.debugger()),
    };
    let process = Process::start(engine, &runtime, options)?;
    Ok((runtime, process))
}

struct Dev {
    args: DevArgs,
    terminal: Terminal,
    limits: Limits,
    process: Process,
    workers: HostWorkers,
    status: Arc<Status>,
    crons: Crons,
    inspector: Inspector,
    /// In the order of the command line; the first one is served.
    projects: RwLock<Vec<Running>>,
}

/// What the last builds came to, and what the project that is served says of the front.
struct Status {
    /// Of each project that is not up to date.
    errors: RwLock<BTreeMap<usize, Failure>>,
    hosts: AllowedHosts,
}

/// One of the projects.
struct Running {
    name: String,
    /// The version in force.
    worker: Option<Arc<Worker>>,
    /// That version's.
    triggers: Vec<Trigger>,
}

/// A project that loaded, and one that did not.
enum Loaded {
    Good(Box<Project>),
    Bad(String),
}

/// What a version is made of, for the watcher, whether it came up or not.
struct Inputs {
    files: Vec<PathBuf>,
    trees: Vec<PathBuf>,
}

// === impl Dev ===

impl Dev {
    async fn run(self, reports: UnboundedReceiver<Report>) -> Exit {
        let mut projects = Vec::new();
        for path in self.paths() {
            match self.load(path) {
                Loaded::Good(project) => projects.push(*project),
                Loaded::Bad(text) => {
                    eprintln!("{text}");
                    return Exit::Config;
                }
            }
        }
        if let Some(text) = same_name(&projects) {
            eprintln!("error: {text}");
            return Exit::Config;
        }
        let running = |project: &Project| Running { name: project.name.clone(), worker: None, triggers: Vec::new() };
        *self.projects.write() = projects.iter().map(running).collect();
        let Some(served) = projects.first() else { return Exit::Config };
        let listener = match self.listen(served).await {
            Ok(listener) => listener,
            Err((text, exit)) => {
                eprintln!("error: {text}");
                return exit;
            }
        };
        let inspector = match self.inspector(served).await {
            Ok(listener) => listener,
            Err((text, exit)) => {
                eprintln!("error: {text}");
                return exit;
            }
        };
        let mut watches = Vec::new();
        for (index, project) in projects.iter().enumerate() {
            let mut watch = self.watcher();
            watch_inputs(&mut watch, Inputs::of(project));
            watch_inputs(&mut watch, self.deploy(index, project).await);
            watches.push(watch);
        }
        let address = listener.local_addr().map_or_else(|_| String::new(), |address| address.to_string());
        self.terminal.line(Style::Green, &format!("Ready on http://{address}"));
        let watching = if self.args.no_watch { "" } else { "Watching for changes. " };
        self.terminal.line(Style::Dim, &format!("{watching}Limits are those of production."));
        self.terminal.line(
            Style::Dim,
            "fetch() may reach this machine (127.0.0.1 and ::1) here; `holm serve` refuses that unless its egress is set.",
        );

        let (shutdown, signal) = Shutdown::new();
        let workers =
            DevWorkers { workers: self.workers.clone(), terminal: self.terminal, status: Arc::clone(&self.status) };
        let options = Options { error_detail: ErrorDetail::Full, ..Options::default() };
        if let Some(listener) = inspector {
            let address = listener.local_addr().map_or_else(|_| String::new(), |address| address.to_string());
            self.terminal
                .line(Style::Dim, &format!("Debugger on {address}: open chrome://inspect, or attach VS Code."));
            tokio::spawn(self.inspector.clone().serve(listener));
        }
        let crons = tokio::spawn(self.crons.clone().run(std::future::pending()));
        let front = Front::new(workers, options);
        let served = front.serve(listener, Transport::Plain, signal);
        tokio::pin!(served);
        tokio::select! {
            result = &mut served => {
                if let Err(error) = result {
                    eprintln!("error: {error}");
                }
                return Exit::Failure;
            }
            () = self.reload_all(watches) => {}
            () = self.too_many_stuck(reports) => return Exit::Failure,
            () = stop_signal() => {}
        }
        crons.abort();
        shutdown.drain(GRACE);
        let _ = served.await;
        self.process.host.drain(GRACE).await;
        Exit::Ok
    }

    /// The projects: first the one that is served.
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.args.project.path).chain(&self.args.others)
    }

    fn load(&self, path: &Path) -> Loaded {
        let options = LoadOptions { env_files: true, ..self.args.project.load_options() };
        match holm_config::project::load(path, &options) {
            Ok(project) => Loaded::Good(Box::new(project)),
            Err(diagnostics) => Loaded::Bad(diagnostics.to_string()),
        }
    }

    async fn listen(&self, project: &Project) -> Result<tokio::net::TcpListener, (String, Exit)> {
        let host = self.args.host.as_deref().or(project.dev.ip.as_deref()).unwrap_or("127.0.0.1");
        let ip: IpAddr = match host {
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            "*" => IpAddr::from([0, 0, 0, 0]),
            address => address.parse().map_err(|_| {
                (
                    format!("`{address}` is no address to listen on; give an IP address with --host, or `localhost`"),
                    Exit::Config,
                )
            })?,
        };
        let port = self.args.port.or(project.dev.port).unwrap_or(DEFAULT_PORT);
        process::bind(SocketAddr::new(ip, port), "--port or --host").await.map_err(|text| (text, Exit::Unavailable))
    }

    /// Where debuggers connect, if they may.
    async fn inspector(&self, project: &Project) -> Result<Option<tokio::net::TcpListener>, (String, Exit)> {
        let Some(port) = self.args.inspector_port.or(project.dev.inspector_port) else { return Ok(None) };
        let address =
            Inspector::address(project.dev.inspector_ip.as_deref(), port).map_err(|text| (text, Exit::Config))?;
        let listener = process::bind(address, "--inspector-port").await.map_err(|text| (text, Exit::Unavailable))?;
        self.inspector.enable(&project.directory);
        Ok(Some(listener))
    }

    /// Bundles and starts a version; puts it in force if it is good. Answers what it was made of.
    async fn deploy(&self, index: usize, project: &Project) -> Inputs {
        for warning in self.missing_services(project).iter().chain(&project.warnings) {
            let style = if warning.severity == Severity::Error { Style::Red } else { Style::Yellow };
            self.terminal.line(style, &warning.to_string());
        }
        if index == SERVED {
            self.status.hosts.set(project);
        }
        let mut inputs = Inputs::of(project);
        let began = Instant::now();
        let bundled = match holm_bundler::run_build_command(project).await {
            Ok(()) => holm_bundler::bundle_for(project, Mode::Development).await,
            Err(error) => Err(error),
        };
        let bundled = match bundled {
            Ok(bundled) => bundled,
            Err(error) => {
                inputs.files.extend(error.inputs.iter().cloned());
                inputs.files.push(project.main.clone());
                self.reject(index, Failure::new(Outcome::StartupFailed, error.to_string()));
                return inputs;
            }
        };
        for warning in &bundled.warnings {
            self.terminal.line(Style::Yellow, &format!("warning: {warning}"));
        }
        inputs.files.extend(bundled.inputs);
        let (limits, lowered) = self.limits.for_project(&project.limits);
        for limit in lowered {
            let text = format!(
                "warning: limits.{} is {} here; the project asks for {}",
                limit.key, limit.granted, limit.asked
            );
            self.terminal.line(Style::Yellow, &text);
        }
        let outbound = deploy::outbound(&self.process.outbound, &project.name, &limits, |_| {});
        // They are one tenant's, so that they can call each other.
        let tenant = self.projects.read().first().map_or_else(String::new, |served| served.name.clone());
        let services = HostServices {
            host: self.process.host.downgrade(),
            tenant: tenant.clone(),
            own: project.name.clone(),
            missing: "start its project too, as in `holm dev . ../other`",
        };
        let worker = Deployment {
            name: project.name.clone(),
            tenant,
            bundle: bundled.bundle,
            compatibility: project.compatibility.clone(),
            vars: project.vars.effective(),
            limits,
            observer: Arc::new(self.terminal),
            outbound,
            cache: self.process.cache.of_tenant(&project.name),
            origin: None,
            services,
            bindings: super::services::bindings(&project.bindings.services),
        }
        .into_worker();
        match self.process.host.warm(&worker).await {
            Ok(()) => self.accept(index, worker, project.deployment.crons.clone(), began),
            Err(failure) => self.reject(index, failure),
        }
        inputs
    }

    /// Service bindings that lead to no project of the command line.
    fn missing_services(&self, project: &Project) -> Vec<Diagnostic> {
        let projects = self.projects.read();
        let services = project.bindings.services.iter();
        let missing = services.filter(|service| !projects.iter().any(|running| running.name == service.service));
        let warning = |service: &Service| {
            let message = format!(
                "`{}` names `{}`, which does not run here: calls of `env.{}` fail",
                service.location.key(),
                service.service,
                service.binding
            );
            service.location.warning(message, "start its project too, as in `holm dev . ../other`")
        };
        missing.map(warning).collect()
    }

    fn accept(&self, index: usize, worker: Arc<Worker>, triggers: Vec<Trigger>, began: Instant) {
        let name = worker.code().name.clone();
        let (catalog, crons) = {
            let mut projects = self.projects.write();
            if let Some(running) = projects.get_mut(index) {
                running.name.clone_from(&name);
                running.worker = Some(worker);
                running.triggers = triggers;
            }
            let crons = projects.iter().filter_map(Running::crons).collect();
            let mut workers = projects.iter().map(|running| running.worker.clone());
            (Catalog::of_dev(workers.next().flatten(), workers.flatten().collect()), crons)
        };
        self.process.host.install(catalog);
        self.crons.set(crons);
        self.status.errors.write().remove(&index);
        let text = format!("{name} is live ({:.0} ms)", began.elapsed().as_secs_f64() * 1000.0);
        self.terminal.line(Style::Dim, &text);
    }

    fn reject(&self, index: usize, mut failure: Failure) {
        let frames = failure.stack.map(|stack| match stack.strip_prefix(&failure.message) {
            Some(frames) => frames.trim_start_matches('\n').to_owned(),
            None => stack,
        });
        failure.stack = frames.filter(|frames| !frames.is_empty());
        let text = text_of(&failure);
        self.terminal
            .line(Style::Red, if text.starts_with("error") { &text } else { "error: the worker does not start" });
        if !text.starts_with("error") {
            self.terminal.line(Style::Red, &text);
        }
        self.status.errors.write().insert(index, failure);
        if self.projects.read().get(index).is_none_or(|running| running.worker.is_none()) {
            self.terminal.line(Style::Dim, "Waiting for a change.");
        } else {
            self.terminal.line(Style::Dim, "The version before goes on serving.");
        }
    }

    /// Tells of turns that cannot be ended, and ends where a server would replace its process.
    async fn too_many_stuck(&self, mut reports: UnboundedReceiver<Report>) {
        let (mut stuck, bound) = (0, self.limits.stuck_threads);
        while let Some(report) = reports.recv().await {
            if let Report::GivenUp(_) = report {
                let text =
                    "error: a request exceeded its CPU budget in a loop of the engine that cannot be interrupted";
                self.terminal.line(Style::Red, text);
                continue;
            }
            if let Report::Panicked(task) = report {
                let text = format!("error: the {task} has panicked, which is a bug of Holm; start `holm dev` again");
                self.terminal.line(Style::Red, &text);
                return;
            }
            stuck += 1;
            let text = format!("warning: {stuck} of {bound} threads hold what they have until `holm dev` ends");
            self.terminal.line(Style::Yellow, &text);
            if stuck >= bound {
                self.terminal.line(Style::Red, "error: too many threads cannot be stopped; start `holm dev` again");
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// `None` where nothing is watched.
    fn watcher(&self) -> Option<Watch> {
        if self.args.no_watch {
            return None;
        }
        let failed = |error: &notify::Error| {
            self.terminal
                .line(Style::Yellow, &format!("warning: files cannot be watched ({error}); restart after a change"));
        };
        Watch::new().inspect_err(failed).ok()
    }

    /// Deploys each change of each project, for ever.
    async fn reload_all(&self, watches: Vec<Option<Watch>>) {
        let mut reloads: Vec<_> =
            watches.into_iter().enumerate().map(|(index, watch)| Box::pin(self.reload(index, watch))).collect();
        std::future::poll_fn(|cx| {
            for reload in &mut reloads {
                let _ = reload.as_mut().poll(cx);
            }
            std::task::Poll::<()>::Pending
        })
        .await;
    }

    /// Deploys each change of one project, for ever.
    async fn reload(&self, index: usize, mut watch: Option<Watch>) -> std::convert::Infallible {
        let path = self.paths().nth(index).unwrap_or(&self.args.project.path);
        loop {
            match &watch {
                Some(watch) => watch.changed().await,
                None => return std::future::pending().await,
            }
            match self.load(path) {
                Loaded::Good(project) => watch_inputs(&mut watch, self.deploy(index, &project).await),
                Loaded::Bad(text) => self.reject(index, Failure::new(Outcome::StartupFailed, text)),
            }
        }
    }
}

/// Two workers with one name could not both be called.
fn same_name(projects: &[Project]) -> Option<String> {
    let twice =
        |(index, project): &(usize, &Project)| projects.iter().take(*index).any(|other| other.name == project.name);
    let (_, project) = projects.iter().enumerate().find(twice)?;
    Some(format!("two projects are called `{}`; give one of them another `name`", project.name))
}

fn watch_inputs(watch: &mut Option<Watch>, inputs: Inputs) {
    if let Some(watch) = watch {
        watch.set(inputs.files, inputs.trees);
    }
}

// === impl Running ===

impl Running {
    fn crons(&self) -> Option<Configured> {
        let worker = Arc::clone(self.worker.as_ref()?);
        Some(Configured { worker, triggers: self.triggers.clone(), policy: Policy::default() })
    }
}

// === impl Inputs ===

impl Inputs {
    fn of(project: &Project) -> Self {
        let files = project.inputs.iter().chain(&project.absent_inputs).chain([&project.main]).cloned().collect();
        let trees = if project.build.command.is_some() { project.build.watch.clone() } else { Vec::new() };
        Self { files, trees }
    }
}

fn text_of(failure: &Failure) -> String {
    match &failure.stack {
        Some(stack) => format!("{}\n{stack}", failure.message),
        None => failure.message.clone(),
    }
}

/// The front's view of `dev`: one worker for every host, and the last build's error beside it.
#[derive(Clone)]
struct DevWorkers {
    workers: HostWorkers,
    terminal: Terminal,
    status: Arc<Status>,
}

/// Where a request goes.
enum Target {
    Worker(Routed),
    /// No version has come up yet.
    Nothing,
}

// === impl DevWorkers ===

impl Workers for DevWorkers {
    type Worker = Target;

    fn route(&self, https: bool, host: &str, path: &str) -> Result<Target, Unrouted> {
        if !self.status.hosts.allows(host) {
            if self.status.hosts.tells_of(host) {
                let text = format!(
                    "warning: a request for {host} was refused; if it is your name, start with --allow-host {host}"
                );
                self.terminal.line(Style::Yellow, &text);
            }
            return Err(Unrouted::HostNotAllowed);
        }
        Ok(self.workers.route(https, host, path).map_or(Target::Nothing, Target::Worker))
    }

    async fn dispatch(&self, target: &Target, event: Incoming) -> Result<http::Response<Body>, Failure> {
        let error = self.status.errors.read().values().next().cloned();
        if let Target::Worker(routed) = target
            && let Some(event) = local_event(&event)
        {
            return Ok(self.run_scheduled(&routed.worker, &event).await);
        }
        match (target, error) {
            (Target::Worker(worker), None) => self.workers.dispatch(worker, event).await,
            (Target::Worker(worker), Some(error)) => {
                let response = self.workers.dispatch(worker, event).await?;
                Ok(overlay::add(response, &text_of(&error)))
            }
            (Target::Nothing, Some(error)) => Err(error),
            (Target::Nothing, None) => Err(Failure::new(Outcome::StartupFailed, "The worker has not been built yet.")),
        }
    }
}

impl DevWorkers {
    /// Runs the event, and says how it ended: 200 and `ok`, or 500 and the outcome, as wrangler does.
    async fn run_scheduled(&self, worker: &Arc<Worker>, event: &Scheduled) -> http::Response<Body> {
        let ended = cron::scheduled_event(&self.workers, worker, &event.cron, event.time).await;
        let (status, outcome) = match ended {
            Ok(()) => (http::StatusCode::OK, "ok"),
            Err(failure) => (http::StatusCode::INTERNAL_SERVER_ERROR, failure.outcome.code()),
        };
        let mut response = http::Response::new(Body::from(Bytes::from_static(outcome.as_bytes())));
        *response.status_mut() = status;
        response
    }
}

/// A request for one of the paths at which wrangler starts a scheduled event: `?cron=` is the trigger, `?time=` the scheduled
/// time in milliseconds since 1970.
fn local_event(event: &Incoming) -> Option<Scheduled> {
    const PATHS: [&str; 4] =
        ["/cdn-cgi/local/scheduled", "/cdn-cgi/handler/scheduled", "/cdn-cgi/mf/scheduled", "/__scheduled"];
    if !event.url.contains("scheduled") {
        return None;
    }
    let url = url::Url::parse(&event.url).ok().filter(|url| PATHS.contains(&url.path()))?;
    let given = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let time = given("time").and_then(|time| time.parse().ok()).unwrap_or_else(cron::now_ms);
    Some(Scheduled { cron: given("cron").unwrap_or_default(), time })
}

/// Ctrl-C, or a polite request to end.
async fn stop_signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
