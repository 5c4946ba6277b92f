//! What `dev` and `serve` have in common: the engine, the watchdog, the front runtime and the host of one process.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use holm_config::limits::Limits;
use holm_host::Admission;
use holm_host::Host;
use holm_host::HostOptions;
use holm_host::Isolation;
use holm_isolate::Census;
use holm_isolate::Cores;
use holm_isolate::Debugger;
use holm_isolate::IsolateOptions;
use holm_isolate::Outcome;
use holm_isolate::Watchdog;
use holm_isolate::WatchdogOptions;
use holm_metrics::Registry;
use holm_snapshot::SnapshotEngine;
use holm_stores::cache::CacheOptions;
use holm_stores::cache::SharedCache;
use holm_stores::fetch::Egress;
use holm_stores::fetch::EgressPolicy;
use holm_stores::fetch::HttpOutbound;
use holm_stores::fetch::OutboundOptions;
use holm_stores::fetch::Root;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

/// The parts of one process that workers need.
pub(super) struct Process {
    pub(super) host: Host,
    /// Each worker gets connections of its own from it.
    pub(super) outbound: HttpOutbound,
    /// Each tenant gets a view of its own.
    pub(super) cache: SharedCache,
    /// The numbers of the workers.
    pub(super) registry: Arc<Registry>,
    pub(super) census: Census,
    pub(super) watchdog: Watchdog,
}

/// What a process is started with.
pub(super) struct ProcessOptions {
    pub(super) isolation: Isolation,
    pub(super) admission: Admission,
    pub(super) egress: Egress,
    /// Authorities that subrequests trust beside the web's.
    pub(super) trusted: Vec<Root>,
    pub(super) cache: CacheOptions,
    pub(super) watchdog: WatchdogOptions,
    pub(super) debugger: Option<Arc<dyn Debugger>>,
}

/// The front runtime. Made on the main thread, after the engine.
pub(super) fn runtime(threads: Option<usize>) -> io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder.thread_name("front").enable_all().build()
}

/// Prepares the engine. On the process's main thread, before any other thread runs JavaScript.
pub(super) fn engine(memory_mb: u64) -> Arc<SnapshotEngine> {
    let bytes = usize::try_from(memory_mb).unwrap_or(128) << 20;
    Arc::new(SnapshotEngine::new(bytes))
}

/// What is let in at once, by the server's limits.
pub(super) fn admission(limits: &Limits) -> Admission {
    let count = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Admission {
        tenant_concurrency: count(limits.tenant_concurrency),
        tenant_queue: count(limits.tenant_queue),
        tenant_isolates: count(limits.tenant_isolates),
        starts: count(limits.isolate_starts),
        start_queue: count(limits.isolate_start_queue),
    }
}

impl Process {
    /// Starts the watchdog and the host.
    pub(super) fn start(
        engine: Arc<SnapshotEngine>,
        runtime: &Runtime,
        options: ProcessOptions,
    ) -> anyhow::Result<Self> {
        let ProcessOptions { isolation, admission, egress, trusted, cache, watchdog, debugger } = options;
        let (watchdog, census) = (Watchdog::start(watchdog)?, Census::default());
        let isolate = IsolateOptions {
            engine,
            watchdog: watchdog.clone(),
            cores: Cores::of_this_machine(),
            front: runtime.handle().clone(),
            census: census.clone(),
            debugger,
        };
        let policy = EgressPolicy { egress, ..EgressPolicy::default() };
        let outbound =
            HttpOutbound::new(OutboundOptions { policy, extra_roots: trusted, ..OutboundOptions::default() })?;
        let cache = SharedCache::open(cache)?;
        let host = {
            let _entered = runtime.enter();
            Host::new(HostOptions { isolate, isolation, admission })
        };
        Ok(Self { host, outbound, cache, registry: Registry::new(Outcome::CODES), census, watchdog })
    }
}

/// The library's own `bind` lets 128 connections wait; in a burst of more, clients would find out a second later.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 4_096;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Binds an address, with what to do about it when that fails.
pub(super) async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, String> {
    listen(address).map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => format!("another program listens there; choose another address with {setting}"),
            io::ErrorKind::PermissionDenied => {
                format!("ports below 1024 need a privilege; choose another with {setting}")
            }
            io::ErrorKind::AddrNotAvailable => {
                format!("this machine has no such address; choose another with {setting}")
            }
            _ => format!("choose another address with {setting}"),
        };
        format!("cannot listen on {address}: {error}; {advice}")
    })
}
