//! `holm serve`: many workers by host name, from one configuration.
//!
//! A small parent (`parent.rs`) holds the sockets; what is here is the process that serves: the parent's child, or the only
//! one with `--single-process`. Everything is read and checked before anything is bound; then reads top to bottom as the
//! process's life: load, take the sockets, serve, reload while serving, drain.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use anyhow::Context as _;
use holm_config::server::Cron;
use holm_config::server::ServerConfig;
use holm_front::CertStore;
use holm_front::Front;
use holm_front::Shutdown;
use holm_front::Transport;
use holm_front::admin;
use holm_isolate::AbortOnUnwind;
use holm_isolate::BlameTable;
use holm_isolate::OnCrash;
use holm_isolate::WatchdogOptions;
use holm_metrics::Elsewhere;
use holm_metrics::LedgerOptions;
use holm_metrics::UsageLedger;
use holm_stores::fetch::OwnListeners;
use holm_supervisor::Adopted;
use holm_supervisor::Farewell;
use holm_supervisor::Link;
use holm_supervisor::Order;
use holm_supervisor::Own;
use holm_supervisor::Role;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;

use super::ServeArgs;
use super::cron::Crons;
use super::deploy::HostWorkers;
use super::exit::Exit;
use super::log;
use super::metrics::Metrics;
use super::metrics::Processes;
use super::parent;
use super::private::Connections;
use super::private::Privates;
use super::process;
use super::process::Process;
use super::process::ProcessOptions;
use super::settings;
use super::settings::Lasting;
use super::site::Site;
use super::superior;
use super::superior::Recycling;
use super::superior::Reports;
use super::superior::Superior;
use super::watch::Watch;

/// After the end of a drain: connections are dropped, and then the process ends whatever still runs.
const CUT_OFF: Duration = Duration::from_millis(200);
/// How long the admin listener of a process that was replaced finishes its answers.
const ADMIN_GRACE: Duration = Duration::from_secs(1);

/// Why the process ends: what to print, and the status.
type Failed = (String, Exit);

/// Which process of a server this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Check,
    Parent,
    Child,
    Single,
}

/// Runs the command.
pub(super) fn run(args: &ServeArgs) -> Exit {
    let mode = match (args.check, args.child, args.single_process) {
        (true, _, _) => Mode::Check,
        (false, true, _) => Mode::Child,
        (false, false, true) => Mode::Single,
        (false, false, false) => Mode::Parent,
    };
    // First of all: it dies with its parent, and takes what the parent gave it.
    let adopted = (mode == Mode::Child).then(Link::adopt);
    let log = log::to_stderr();
    let exit = run_as(mode, adopted, args).unwrap_or_else(|(text, exit)| {
        log::tell(&text);
        exit
    });
    drop(log);
    if matches!(mode, Mode::Child | Mode::Single) {
        // A thread that cannot be stopped may still run: it sees nothing of the process torn down.
        holm_supervisor::exit_now(exit.status());
    }
    exit
}

fn run_as(mode: Mode, adopted: Option<std::io::Result<Adopted>>, args: &ServeArgs) -> Result<Exit, Failed> {
    let adopted =
        adopted.transpose().map_err(|error| (format!("error: this process cannot serve: {error}"), Exit::Failure))?;
    let config =
        holm_config::server::load(&args.config).map_err(|diagnostics| (diagnostics.to_string(), Exit::Config))?;
    match (mode, adopted) {
        (Mode::Check, _) => check(args, &config),
        (Mode::Parent, _) => parent::run(args, &config).map_err(failure),
        (Mode::Child | Mode::Single, adopted) => serve(args, config, adopted),
    }
}

fn failure(error: impl Into<anyhow::Error>) -> Failed {
    (format!("error: {:#}", error.into()), Exit::Failure)
}

fn check(args: &ServeArgs, config: &ServerConfig) -> Result<Exit, Failed> {
    let (runtime, process) = start(config, WatchdogOptions::alone().map_err(failure)?)?;
    let result = runtime.block_on(async {
        load(config, &process, &Role::Serving).await?;
        println!("{}: {} workers, no errors", args.config.display(), config.workers.len());
        Ok(Exit::Ok)
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

fn start(config: &ServerConfig, watchdog: WatchdogOptions) -> Result<(Runtime, Process), Failed> {
    let engine = process::engine(settings::largest_memory_mb(config));
    let runtime = process::runtime(config.threads).map_err(failure)?;
    let options = ProcessOptions {
        isolation: settings::isolation(config),
        admission: process::admission(&config.limits),
        egress: settings::egress(config.egress),
        trusted: settings::trusted(&config.trusted).map_err(|error| (format!("error: {error}"), Exit::Config))?,
        cache: settings::cache(&config.limits, config.cache_directory.as_deref()),
        watchdog,
        debugger: None,
    };
    let process = Process::start(engine, &runtime, options).map_err(failure)?;
    Ok((runtime, process))
}

/// Everything that can be wrong, before anything is bound.
async fn load(config: &ServerConfig, process: &Process, role: &Role) -> Result<(Site, Option<Arc<CertStore>>), Failed> {
    if *role == Role::Serving {
        for warning in &config.warnings {
            log::tell(&warning.to_string());
        }
    }
    let site = Site::load(config, process, role, &Site::default()).await.map_err(|text| (text, Exit::Config))?;
    if let Role::Private(_) = role {
        return Ok((site, None));
    }
    let certificates = settings::load_certificates(config).map_err(|text| (text, Exit::Config))?;
    Ok((site, certificates))
}

/// The life of a process that serves; `adopted` by a parent, or alone.
fn serve(args: &ServeArgs, config: ServerConfig, adopted: Option<Adopted>) -> Result<Exit, Failed> {
    let (report, reports) = mpsc::unbounded_channel();
    let mut watchdog = WatchdogOptions {
        kill_grace: Duration::from_millis(config.limits.kill_grace_ms),
        on_crash: OnCrash::StopUnlessFaulted,
        report: Box::new(move |told| {
            let _ = report.send(told);
        }),
        ..WatchdogOptions::alone().map_err(failure)?
    };
    let Some(Adopted { link, role, private, counts, blame }) = adopted else {
        let (runtime, process) = start(&config, watchdog)?;
        return runtime.block_on(serve_alone(args, config, process, reports));
    };
    watchdog.blame = BlameTable::open(blame).map_err(failure)?;
    watchdog.on_crash = OnCrash::Stop { tell: link.crash_message() };
    let (runtime, process) = start(&config, watchdog)?;
    let processes = Arc::new(Processes::default());
    processes.tell(parent::process_counts(counts));
    runtime.block_on(async {
        tokio::spawn(AbortOnUnwind.watch(superior::report_to_parent(reports, link.clone())));
        tokio::spawn(link.clone().beat());
        let mut superior = Superior::parent(link.clone()).map_err(failure)?;
        let watch = watch_config(args);
        let (site, certificates) = load(&config, &process, &role).await?;
        let ledger = start_ledger(&config, &process).map_err(|text| (text, Exit::Failure))?;
        link.loaded(config.drain);
        let privates = Privates::new(private, link, process.watchdog.clone());
        let waiting = await_listeners(&mut superior, &privates, &processes, process.outbound.own_listeners());
        let Some(opened) = waiting.await else { return Ok(Exit::Ok) };
        let listeners = Listeners::of(opened.listeners).map_err(failure)?;
        let outdated = opened.outdated;
        let connections = Connections::default();
        Server {
            args,
            role,
            config,
            process,
            site,
            certificates,
            listeners,
            ledger,
            superior,
            privates,
            connections,
            processes,
            outdated,
        }
        .run(watch)
        .await
        .map_err(failure)
    })
}

async fn serve_alone(
    args: &ServeArgs,
    config: ServerConfig,
    process: Process,
    reports: Reports,
) -> Result<Exit, Failed> {
    let (poison, poisoned) = mpsc::unbounded_channel();
    tokio::spawn(AbortOnUnwind.watch(superior::report_to_self(reports, config.limits.stuck_threads, poison)));
    let watch = watch_config(args);
    let (site, certificates) = load(&config, &process, &Role::Serving).await?;
    let listeners = parent::bind(&config.listen).await.map_err(|text| (format!("error: {text}"), Exit::Unavailable))?;
    let ledger = start_ledger(&config, &process).map_err(|text| (text, Exit::Failure))?;
    let server = Server {
        args,
        role: Role::Serving,
        config,
        process,
        site,
        certificates,
        listeners: Listeners::of(listeners).map_err(failure)?,
        ledger,
        superior: Superior::operator(poisoned).map_err(failure)?,
        privates: Privates::default(),
        connections: Connections::default(),
        processes: Arc::default(),
        outdated: false,
    };
    server.listeners.tell(server.process.outbound.own_listeners());
    server.run(watch).await.map_err(failure)
}

/// What the parent gives a process that has loaded.
struct Opened {
    listeners: holm_supervisor::Listeners,
    /// The configuration has changed since it was loaded.
    outdated: bool,
}

/// `None`: the parent wants no more of this process.
async fn await_listeners(
    superior: &mut Superior,
    privates: &Privates,
    processes: &Processes,
    own: &OwnListeners,
) -> Option<Opened> {
    let mut outdated = false;
    loop {
        match superior.next().await {
            Order::Listen(listeners) => return Some(Opened { listeners, outdated }),
            Order::Drain(..) | Order::Orphaned => return None,
            Order::Connect(tenant, stream) => privates.connect(tenant, stream).await,
            Order::Seclude(tenant) => privates.seclude(tenant),
            Order::Own(Own { serving, admin }) => own.set(serving, admin),
            Order::Counts(counts) => processes.tell(parent::process_counts(counts)),
            Order::Reload => outdated = true,
        }
    }
}

/// Watches the configuration from before it is read.
fn watch_config(args: &ServeArgs) -> Option<Watch> {
    let mut watch = Watch::new()
        .inspect_err(|error| tracing::warn!(%error, "files cannot be watched; send SIGHUP after a change"))
        .ok()?;
    watch.set(vec![config_path(args)], Vec::new());
    Some(watch)
}

fn config_path(args: &ServeArgs) -> PathBuf {
    std::path::absolute(&args.config).unwrap_or_else(|_| args.config.clone())
}

fn start_ledger(config: &ServerConfig, process: &Process) -> Result<Option<Arc<UsageLedger>>, String> {
    let Some(usage) = &config.usage else { return Ok(None) };
    let options =
        LedgerOptions { path: usage.path.clone(), interval: usage.interval, rotate_bytes: usage.rotate_bytes };
    let vital = process.watchdog.vital("usage ledger");
    let ledger = UsageLedger::start(options, Arc::clone(&process.registry), vital).map_err(|error| {
        format!("error: the usage ledger {} cannot be opened: {error}; change [usage] path", usage.path.display())
    })?;
    Ok(Some(Arc::new(ledger)))
}

struct Listeners {
    http: Option<TcpListener>,
    https: Option<TcpListener>,
    admin: Option<TcpListener>,
}

// === impl Listeners ===

impl Listeners {
    fn of(listeners: holm_supervisor::Listeners) -> std::io::Result<Self> {
        let holm_supervisor::Listeners { http, https, admin } = listeners;
        let of = |listener: Option<std::net::TcpListener>| listener.map(TcpListener::from_std).transpose();
        Ok(Self { http: of(http)?, https: of(https)?, admin: of(admin)? })
    }

    /// Puts the server's own addresses out of its workers' reach.
    fn tell(&self, own: &OwnListeners) {
        let addresses = |listeners: &[&Option<TcpListener>]| {
            listeners.iter().copied().flatten().filter_map(|listener| listener.local_addr().ok()).collect()
        };
        own.set(addresses(&[&self.http, &self.https]), addresses(&[&self.admin]));
    }
}

struct Server<'a> {
    args: &'a ServeArgs,
    role: Role,
    config: ServerConfig,
    process: Process,
    site: Site,
    certificates: Option<Arc<CertStore>>,
    listeners: Listeners,
    ledger: Option<Arc<UsageLedger>>,
    superior: Superior,
    privates: Privates,
    /// From the processes that serve, where this one runs a tenant's workers for them.
    connections: Connections,
    processes: Arc<Processes>,
    /// The configuration has to be read again before anything else.
    outdated: bool,
}

// === impl Server ===

impl Server<'_> {
    async fn run(mut self, mut watch: Option<Watch>) -> anyhow::Result<Exit> {
        let (shutdown, signal) = Shutdown::new();
        let (admin_shutdown, admin_signal) = Shutdown::new();
        let (unready, ready) = Shutdown::new();
        let workers = HostWorkers { host: self.process.host.clone(), privates: self.privates.clone() };
        let crons = Crons::new(workers.clone(), self.config.cron.state.clone());
        let crons = crons.context("the directory of [cron] state cannot be made; change it, or its permissions")?;
        let front = Arc::new(Front::new(workers, settings::front_options(&self.config)));
        self.process.host.install(self.site.catalog());

        let mut serving = JoinSet::new();
        let http = self.listeners.http.take().map(|listener| (listener, Transport::Plain));
        let https = self
            .listeners
            .https
            .take()
            .zip(self.certificates.clone())
            .map(|(listener, store)| (listener, Transport::Tls(store)));
        for (listener, transport) in http.into_iter().chain(https) {
            tracing::info!(address = %listener.local_addr()?, tls = matches!(transport, Transport::Tls(_)), "listening");
            let (front, signal) = (Arc::clone(&front), signal.clone());
            serving.spawn(async move { front.serve(listener, transport, signal).await });
        }
        let admin = match self.listeners.admin.take() {
            Some(listener) => {
                tracing::info!(address = %listener.local_addr()?, "admin listening");
                let pages = Arc::new(self.metrics(Arc::clone(front.counters()), crons.clone()));
                let vital = self.process.watchdog.vital("admin listener");
                Some(tokio::spawn(vital.watch(admin::serve(listener, admin::router(ready, pages), admin_signal))))
            }
            None => None,
        };
        if let Some(certificates) = &self.certificates {
            settings::warn_of_certificates(certificates);
        }
        if let Some(watch) = &mut watch {
            watch.set(self.watched(), Vec::new());
        }
        let pid = std::process::id();
        match &self.role {
            Role::Serving => tracing::info!(workers = self.config.workers.len(), pid, "serving"),
            Role::Private(tenant) => tracing::info!(%tenant, pid, "running a tenant's workers apart"),
        }
        self.superior.serving();
        let (stop_crons, stopped) = oneshot::channel::<Infallible>();
        // What a tenant's own process is to run comes from the one that serves.
        let crons_end = match self.role {
            Role::Serving => {
                crons.set(self.site.crons());
                let stopped = async {
                    let _ = stopped.await;
                };
                let vital = self.process.watchdog.vital("scheduler");
                Some(tokio::spawn(vital.watch(crons.clone().run(stopped))))
            }
            Role::Private(_) => None,
        };

        let (grace, farewell) = self.reload_until_drained(&mut serving, &crons, watch).await?;
        drop(stop_crons);
        tracing::info!(grace_s = grace.as_secs(), pid, "draining");
        match farewell {
            // Whoever asks for health asks the one that serves.
            Farewell::Replaced => admin_shutdown.drain(ADMIN_GRACE),
            Farewell::Stopped => unready.drain(grace),
        }
        shutdown.drain(grace);
        let exit = self.drain(&mut serving, crons_end, grace, &shutdown).await;
        if farewell == Farewell::Stopped {
            admin_shutdown.drain(Duration::from_millis(100));
        }
        if let Some(admin) = admin {
            let _ = admin.await;
        }
        if let Some(ledger) = self.ledger.take() {
            let _ = tokio::task::spawn_blocking(move || ledger.stop()).await;
        }
        tracing::info!(pid, "drained");
        Ok(if self.superior.is_poisoned() { Exit::Failure } else { exit })
    }

    /// What the admin listener shows.
    fn metrics(&self, door: Arc<holm_front::Counters>, crons: Crons) -> Metrics {
        Metrics {
            registry: Arc::clone(&self.process.registry),
            census: self.process.census.clone(),
            watchdog: self.process.watchdog.clone(),
            host: self.process.host.clone(),
            door,
            certificates: self.certificates.clone(),
            ledger: self.ledger.clone(),
            processes: Arc::clone(&self.processes),
            privates: self.privates.clone(),
            elsewhere: Elsewhere::default(),
            crons,
            started: SystemTime::now(),
        }
    }

    /// Serves until a drain is ordered; orders and changes of the files reload.
    async fn reload_until_drained(
        &mut self,
        serving: &mut JoinSet<Result<(), impl std::error::Error + Send + Sync + 'static>>,
        crons: &Crons,
        mut watch: Option<Watch>,
    ) -> anyhow::Result<(Duration, Farewell)> {
        if std::mem::take(&mut self.outdated) {
            self.reload("it changed while the process started", crons).await;
        }
        loop {
            if let Some(watch) = &mut watch {
                watch.set(self.watched(), Vec::new());
            }
            let changed = async {
                match &watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = self.superior.next() => match order {
                    Order::Drain(grace, farewell) => return Ok((grace.min(self.config.drain), farewell)),
                    Order::Orphaned => return Ok((Duration::ZERO, Farewell::Stopped)),
                    Order::Reload => self.reload("SIGHUP", crons).await,
                    Order::Connect(tenant, stream) => match self.role {
                        Role::Serving => self.privates.connect(tenant, stream).await,
                        Role::Private(_) => self.connections.serve(stream, &self.process),
                    },
                    Order::Seclude(tenant) => self.privates.seclude(tenant),
                    Order::Own(Own { serving, admin }) => self.process.outbound.own_listeners().set(serving, admin),
                    Order::Counts(counts) => self.processes.tell(parent::process_counts(counts)),
                    Order::Listen(_) => {}
                },
                () = changed => self.reload("a file changed", crons).await,
                Some(ended) = serving.join_next() => {
                    ended??;
                    anyhow::bail!("a listener ended");
                }
            }
        }
    }

    /// Waits until everything has finished; the time may be shortened.
    async fn drain<E: 'static>(
        &mut self,
        serving: &mut JoinSet<Result<(), E>>,
        crons: Option<JoinHandle<()>>,
        grace: Duration,
        shutdown: &Shutdown,
    ) -> Exit {
        let mut until = Instant::now() + grace;
        let Self { process, connections, superior, .. } = self;
        let finish = async {
            while serving.join_next().await.is_some() {}
            connections.finish().await;
            if let Some(crons) = crons {
                let _ = crons.await;
            }
            process.host.drain(grace).await;
        };
        let mut finish = std::pin::pin!(finish);
        loop {
            tokio::select! {
                () = &mut finish => return if Instant::now() < until { Exit::Ok } else { Exit::Failure },
                () = tokio::time::sleep_until((until + CUT_OFF).into()) => return Exit::Failure,
                order = superior.next() => {
                    let grace = match order {
                        Order::Drain(grace, _) => grace.min(until.saturating_duration_since(Instant::now())),
                        Order::Orphaned => Duration::ZERO,
                        _ => continue,
                    };
                    until = until.min(Instant::now() + grace);
                    shutdown.drain(grace);
                }
            }
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let certificates = self.config.certificates.iter().flat_map(|files| [files.cert.clone(), files.key.clone()]);
        std::iter::once(config_path(self.args)).chain(certificates).chain(self.site.inputs().iter().cloned()).collect()
    }

    /// Puts the configuration in force as it is now; if it has an error, the one before stays. What a running process
    /// cannot change is left to the one that replaces it.
    async fn reload(&mut self, why: &str, crons: &Crons) {
        let wrong = |diagnostics: String| {
            tracing::error!(why, "the configuration was not reloaded, the one before stays in force\n{diagnostics}");
        };
        let config = match holm_config::server::load(&self.args.config) {
            Ok(config) => config,
            Err(diagnostics) => return wrong(diagnostics.to_string()),
        };
        let mut site = match Site::load(&config, &self.process, &self.role, &self.site).await {
            Ok(site) => site,
            Err(diagnostics) => return wrong(diagnostics),
        };
        if Lasting::of(&config) != Lasting::of(&self.config) || config.limits.differ_for_server(&self.config.limits) {
            match self.superior.recycle() {
                Recycling::UnderWay => {
                    tracing::info!(why, "the new configuration needs a new process, which takes over");
                    return;
                }
                Recycling::Impossible => tracing::warn!(
                    "addresses, threads, the usage ledger, the state of cron and the server's limits change with a restart only"
                ),
            }
        }
        if let Some(store) = &self.certificates
            && let Err(errors) = store.replace(&settings::certificate_files(&config.certificates))
        {
            for error in errors {
                tracing::error!(%error, "a certificate was not reloaded, the one before stays in force");
            }
        }
        if let Some(store) = &self.certificates {
            settings::warn_of_certificates(store);
        }
        if let Some(ledger) = &self.ledger {
            ledger.flush();
        }
        site.prove(&self.process.host, &self.privates, &self.site).await;
        self.process.host.install(site.catalog());
        if self.role == Role::Serving {
            crons.set(site.crons());
        }
        tracing::info!(why, workers = config.workers.len(), kept = site.kept(), "reloaded");
        self.site = site;
        let cron = Cron { state: self.config.cron.state.take(), policy: config.cron.policy };
        self.config = ServerConfig {
            cron,
            listen: self.config.listen,
            threads: self.config.threads,
            usage: self.config.usage.take(),
            ..config
        };
    }
}
