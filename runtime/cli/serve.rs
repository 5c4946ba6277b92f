//! `holm serve`: many workers by host name, from one configuration.
//!
//! Everything is read and checked before anything is bound; then reads top to bottom as the server's life: load, bind, serve,
//! reload while serving, drain.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use holm_config::server::Certificate;
use holm_config::server::ServerConfig;
use holm_front::CertStore;
use holm_front::CertificateFiles;
use holm_front::CpuHeader;
use holm_front::Front;
use holm_front::Options;
use holm_front::Shutdown;
use holm_front::Transport;
use holm_front::admin;
use holm_host::Isolation;
use holm_metrics::LedgerOptions;
use holm_metrics::UsageLedger;
use holm_stores::fetch::Egress;
use holm_stores::fetch::OwnListeners;
use tokio::net::TcpListener;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use super::ServeArgs;
use super::deploy::HostWorkers;
use super::exit::Exit;
use super::log;
use super::metrics::Metrics;
use super::metrics::Processes;
use super::process;
use super::process::Process;
use super::site::Site;
use super::watch::Watch;

/// Runs the command.
pub(super) fn run(args: &ServeArgs) -> Exit {
    let _log = log::to_stderr();
    let config = match holm_config::server::load(&args.config) {
        Ok(config) => config,
        Err(diagnostics) => {
            log::tell(&diagnostics.to_string());
            return Exit::Config;
        }
    };
    match serve(args, config) {
        Ok(()) => Exit::Ok,
        Err((text, exit)) => {
            log::tell(&text);
            exit
        }
    }
}

fn serve(args: &ServeArgs, config: ServerConfig) -> Result<(), (String, Exit)> {
    let failure = |error: anyhow::Error| (format!("error: {error:#}"), Exit::Failure);
    let engine = process::engine(largest_memory_mb(&config));
    let runtime = process::runtime(config.threads).map_err(|error| failure(error.into()))?;
    let process =
        Process::start(engine, &runtime, isolation(&config), process::admission(&config.limits), egress(config.egress))
            .map_err(failure)?;
    let result = runtime.block_on(async {
        for warning in &config.warnings {
            log::tell(&warning.to_string());
        }
        let site =
            Site::load(&config, &process, &Site::default()).await.map_err(|diagnostics| (diagnostics, Exit::Config))?;
        let certificates = load_certificates(&config).map_err(|text| (text, Exit::Config))?;
        if args.check {
            println!("{}: {} workers, no errors", args.config.display(), config.workers.len());
            return Ok(());
        }
        let listeners = Listeners::bind(&config).await.map_err(|text| (format!("error: {text}"), Exit::Unavailable))?;
        let ledger = start_ledger(&config, &process).map_err(|text| (text, Exit::Failure))?;
        Server { args, config, process, site, certificates, listeners, ledger }.run().await.map_err(failure)
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// The engine's heap limit is one for all isolates, since a spare knows no worker.
fn largest_memory_mb(config: &ServerConfig) -> u64 {
    config.workers.iter().map(|worker| worker.limits.memory_mb).max().unwrap_or(config.limits.memory_mb)
}

fn isolation(config: &ServerConfig) -> Isolation {
    let limits = &config.limits;
    Isolation {
        isolates: usize::try_from(limits.isolates).unwrap_or(usize::MAX),
        memory_bytes: limits.isolates_memory_mb << 20,
        idle: Duration::from_secs(limits.isolate_idle_seconds),
        spares: usize::try_from(limits.spare_isolates).unwrap_or(0),
    }
}

const fn egress(configured: holm_config::server::Egress) -> Egress {
    match configured {
        holm_config::server::Egress::Public => Egress::Public,
        holm_config::server::Egress::PublicAndLoopback => Egress::PublicAndLoopback,
        holm_config::server::Egress::Any => Egress::Any,
    }
}

fn front_options(config: &ServerConfig) -> Options {
    let limits = &config.limits;
    let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let mut options = Options::default();
    options.limits.url_bytes = size(limits.url_bytes);
    options.limits.header_bytes = size(limits.request_header_bytes);
    options.limits.one_header_bytes = size(limits.request_one_header_bytes);
    options.limits.header_count = size(limits.request_headers);
    options.limits.answer_header_bytes = size(limits.response_header_bytes);
    options.limits.streams = u32::try_from(limits.streams).unwrap_or(u32::MAX);
    options.limits.body_bytes = limits.request_body_bytes;
    options.timeouts.headers = Duration::from_secs(limits.request_head_seconds);
    options.timeouts.first_byte = Duration::from_secs(limits.first_byte_seconds);
    options.timeouts.tls_handshake = Duration::from_secs(limits.tls_handshake_seconds);
    options.timeouts.body = Duration::from_secs(limits.request_body_idle_seconds);
    options.timeouts.write = Duration::from_secs(limits.response_write_idle_seconds);
    options.timeouts.keep_alive = Duration::from_secs(limits.connection_idle_seconds);
    options.connections.total = size(limits.connections);
    options.connections.per_address = size(limits.connections_per_address);
    options.cpu_header = if config.seeing.expose_cpu { CpuHeader::Told } else { CpuHeader::Absent };
    options
}

fn certificate_files(certificates: &[Certificate]) -> Vec<CertificateFiles> {
    certificates.iter().map(|files| CertificateFiles { cert: files.cert.clone(), key: files.key.clone() }).collect()
}

fn load_certificates(config: &ServerConfig) -> Result<Option<Arc<CertStore>>, String> {
    if config.listen.https.is_none() {
        return Ok(None);
    }
    let errors = |errors: Vec<holm_front::CertError>| {
        errors.iter().map(|error| format!("error: {error}")).collect::<Vec<_>>().join("\n")
    };
    CertStore::load(&certificate_files(&config.certificates)).map(Some).map_err(errors)
}

/// Certificates that clients will not take: worth a line, since everything seems to go well here.
fn warn_of_certificates(certificates: &CertStore) {
    const MARGIN: Duration = Duration::from_secs(14 * 86_400);
    for doubt in certificates.doubts(MARGIN) {
        tracing::warn!("{doubt}; renew it, the new files are used at once");
    }
}

fn start_ledger(config: &ServerConfig, process: &Process) -> Result<Option<Arc<UsageLedger>>, String> {
    let Some(usage) = &config.usage else { return Ok(None) };
    let options =
        LedgerOptions { path: usage.path.clone(), interval: usage.interval, rotate_bytes: usage.rotate_bytes };
    let ledger = UsageLedger::start(options, Arc::clone(&process.registry)).map_err(|error| {
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
    async fn bind(config: &ServerConfig) -> Result<Self, String> {
        let bind = async |address: Option<std::net::SocketAddr>, setting: &str| match address {
            Some(address) => process::bind(address, setting).await.map(Some),
            None => Ok(None),
        };
        Ok(Self {
            http: bind(config.listen.http, "[server] http").await?,
            https: bind(config.listen.https, "[server] https").await?,
            admin: bind(config.listen.admin, "[server] admin").await?,
        })
    }

    /// Puts the server's own addresses out of its workers' reach.
    fn tell(&self, own: &OwnListeners) {
        let addresses = |listeners: &[&Option<TcpListener>]| {
            listeners.iter().copied().flatten().filter_map(|listener| listener.local_addr().ok()).collect()
        };
        own.set(addresses(&[&self.http, &self.https]), addresses(&[&self.admin]));
    }
}

/// Installed before the server says that it serves: without a handler, each of them ends the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

// === impl Signals ===

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

struct Server<'a> {
    args: &'a ServeArgs,
    config: ServerConfig,
    process: Process,
    site: Site,
    certificates: Option<Arc<CertStore>>,
    listeners: Listeners,
    ledger: Option<Arc<UsageLedger>>,
}

// === impl Server ===

impl Server<'_> {
    async fn run(mut self) -> anyhow::Result<()> {
        self.listeners.tell(self.process.outbound.own_listeners());
        let (shutdown, signal) = Shutdown::new();
        let (admin_shutdown, admin_signal) = Shutdown::new();
        let front = Arc::new(Front::new(HostWorkers { host: self.process.host.clone() }, front_options(&self.config)));
        self.process.host.install(self.site.catalog());

        let mut serving = tokio::task::JoinSet::new();
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
                let pages = Arc::new(self.metrics(Arc::clone(front.counters())));
                Some(tokio::spawn(admin::serve(listener, admin::router(signal.clone(), pages), admin_signal)))
            }
            None => None,
        };
        if let Some(certificates) = &self.certificates {
            warn_of_certificates(certificates);
        }
        let mut watch = Watch::new()
            .inspect_err(|error| tracing::warn!(%error, "files cannot be watched; send SIGHUP after a change"))
            .ok();
        if let Some(watch) = &mut watch {
            watch.set(self.watched(), Vec::new());
        }
        let signals = Signals::install()?;
        tracing::info!(workers = self.config.workers.len(), "serving");

        self.reload_until_stopped(&mut serving, watch, signals).await?;
        let grace = self.config.drain;
        shutdown.drain(grace);
        tracing::info!(grace_s = grace.as_secs(), "draining");
        while serving.join_next().await.is_some() {}
        self.process.host.drain(grace).await;
        admin_shutdown.drain(Duration::from_millis(100));
        if let Some(admin) = admin {
            let _ = admin.await;
        }
        if let Some(ledger) = self.ledger.take() {
            let _ = tokio::task::spawn_blocking(move || ledger.stop()).await;
        }
        tracing::info!("drained");
        Ok(())
    }

    /// What the admin listener shows.
    fn metrics(&self, door: Arc<holm_front::Counters>) -> Metrics {
        Metrics {
            registry: Arc::clone(&self.process.registry),
            census: self.process.census.clone(),
            watchdog: self.process.watchdog.clone(),
            host: self.process.host.clone(),
            door,
            certificates: self.certificates.clone(),
            ledger: self.ledger.clone(),
            processes: Arc::new(Processes::default()),
            started: std::time::SystemTime::now(),
        }
    }

    /// Serves until SIGTERM or SIGINT; SIGHUP and changes of the files reload.
    async fn reload_until_stopped(
        &mut self,
        serving: &mut tokio::task::JoinSet<Result<(), impl std::error::Error + Send + Sync + 'static>>,
        mut watch: Option<Watch>,
        mut signals: Signals,
    ) -> anyhow::Result<()> {
        loop {
            let changed = async {
                match &watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = signals.terminate.recv() => return Ok(()),
                _ = signals.interrupt.recv() => return Ok(()),
                _ = signals.hang_up.recv() => self.reload("SIGHUP").await,
                () = changed => self.reload("a file changed").await,
                Some(ended) = serving.join_next() => {
                    ended??;
                    anyhow::bail!("a listener ended");
                }
            }
            if let Some(watch) = &mut watch {
                watch.set(self.watched(), Vec::new());
            }
        }
    }

    fn watched(&self) -> Vec<PathBuf> {
        let certificates = self.config.certificates.iter().flat_map(|files| [files.cert.clone(), files.key.clone()]);
        let config = std::path::absolute(&self.args.config).unwrap_or_else(|_| self.args.config.clone());
        std::iter::once(config).chain(certificates).chain(self.site.inputs().iter().cloned()).collect()
    }

    /// Puts the configuration in force as it is now; if it has an error, the one before stays.
    async fn reload(&mut self, why: &str) {
        let config = match holm_config::server::load(&self.args.config) {
            Ok(config) => config,
            Err(diagnostics) => {
                tracing::error!(
                    why,
                    "the configuration was not reloaded, the one before stays in force\n{diagnostics}"
                );
                return;
            }
        };
        let mut site = match Site::load(&config, &self.process, &self.site).await {
            Ok(site) => site,
            Err(diagnostics) => {
                tracing::error!(
                    why,
                    "the configuration was not reloaded, the one before stays in force\n{diagnostics}"
                );
                return;
            }
        };
        if let Some(store) = &self.certificates
            && let Err(errors) = store.replace(&certificate_files(&config.certificates))
        {
            for error in errors {
                tracing::error!(%error, "a certificate was not reloaded, the one before stays in force");
            }
        }
        if let Some(store) = &self.certificates {
            warn_of_certificates(store);
        }
        if let Some(ledger) = &self.ledger {
            ledger.flush();
        }
        if config.listen != self.config.listen
            || config.threads != self.config.threads
            || config.usage != self.config.usage
            || config.limits.differ_for_server(&self.config.limits)
        {
            tracing::warn!(
                "addresses, threads, limits of the server as a whole and the usage ledger change with a restart only"
            );
        }
        site.prove(&self.process.host, &self.site).await;
        self.process.host.install(site.catalog());
        tracing::info!(why, workers = config.workers.len(), kept = site.kept(), "reloaded");
        self.site = site;
        self.config = ServerConfig {
            listen: self.config.listen,
            threads: self.config.threads,
            usage: self.config.usage.take(),
            ..config
        };
    }
}
