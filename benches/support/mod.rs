//! A host with one kind of worker, for the benches: no HTTP, no files.
#![allow(dead_code, reason = "each bench uses its part")]

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use holm_apis::Outside;
use holm_apis::fetch::outbound::Exchange;
use holm_apis::fetch::outbound::FetchError;
use holm_apis::fetch::outbound::Lookup;
use holm_apis::fetch::outbound::Outbound;
use holm_apis::fetch::outbound::OutboundRequest;
use holm_apis::fetch::outbound::Wire;
use holm_apis::service::Calling;
use holm_apis::service::Services;
use holm_apis::tcp::interface::ConnectError;
use holm_apis::tcp::interface::Connected;
use holm_apis::tcp::interface::Connecting;
use holm_apis::tcp::interface::Secured;
use holm_apis::tcp::interface::Security;
use holm_apis::tcp::interface::Tcp;
use holm_apis::tcp::interface::TlsClient;
use holm_host::Admission;
use holm_host::Host;
use holm_host::HostOptions;
use holm_host::Isolation;
use holm_host::Worker;
use holm_host::WorkerSpec;
use holm_isolate::Body;
use holm_isolate::Census;
use holm_isolate::Cores;
use holm_isolate::Failure;
use holm_isolate::FetchRequest;
use holm_isolate::InvocationRecord;
use holm_isolate::IsolateOptions;
use holm_isolate::Limits;
use holm_isolate::LogRecord;
use holm_isolate::Observer;
use holm_isolate::Outcome;
use holm_isolate::Source;
use holm_isolate::SourceKind;
use holm_isolate::Ticket;
use holm_isolate::Watchdog;
use holm_isolate::WatchdogOptions;
use holm_isolate::WorkerCode;
use holm_isolate::WorkerParts;
use holm_snapshot::SnapshotEngine;
use holm_stores::cache::CacheOptions;
use holm_stores::cache::SharedCache;
use tokio::runtime::Runtime;

/// The smallest useful worker.
pub const HELLO: &str = r#"export default { fetch(request, env, ctx) { return new Response("Hello World"); } };"#;

/// No bench is to reach them.
const ADMISSION: Admission = Admission {
    tenant_concurrency: 1_000_000,
    tenant_queue: 1_000_000,
    tenant_isolates: 1_000_000,
    starts: 256,
    start_queue: 65_536,
};

/// The engine and a front runtime.
pub struct Bench {
    pub runtime: Runtime,
    options: IsolateOptions,
}

struct Silent;

impl Observer for Silent {
    fn log(&self, record: &LogRecord<'_>) {
        eprintln!("{}", record.text);
    }
    fn ended(&self, record: &InvocationRecord<'_>) {
        if let Some(error) = record.error {
            eprintln!("{error}");
        }
    }
}

struct NoWorld;

impl Outbound for NoWorld {
    fn fetch(&self, _request: OutboundRequest) -> Exchange {
        Box::pin(async { Err(FetchError::DestinationNotAllowed) })
    }

    fn lookup(&self, _name: String) -> Lookup {
        Box::pin(async { Err(FetchError::DestinationNotAllowed) })
    }
}

impl Services for NoWorld {
    fn call(&self, _service: Option<&str>, _request: FetchRequest) -> Calling {
        Box::pin(async { Err(Failure::new(Outcome::NoHandler, "there are no services")) })
    }
}

impl Tcp for NoWorld {
    fn connect(&self, _host: String, _port: u16, _security: Security) -> Connecting<Connected> {
        Box::pin(async { Err(ConnectError::DestinationNotAllowed) })
    }

    fn start_tls(&self, _wire: Wire, _client: TlsClient) -> Connecting<Secured> {
        Box::pin(async { Err(ConnectError::Tls) })
    }
}

impl Bench {
    /// On the main thread, once.
    pub fn new() -> Self {
        let engine = Arc::new(SnapshotEngine::new(128 << 20));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = IsolateOptions {
            engine,
            watchdog: Watchdog::start(WatchdogOptions::alone().unwrap()).unwrap(),
            cores: Cores::of_this_machine(),
            front: runtime.handle().clone(),
            census: Census::default(),
            debugger: None,
        };
        Self { runtime, options }
    }

    pub fn isolate_options(&self) -> IsolateOptions {
        self.options.clone()
    }

    pub fn host(&self, spares: usize) -> Host {
        self.host_under(self.options.watchdog.clone(), spares)
    }

    /// A host whose isolates are watched by `watchdog`.
    pub fn host_under(&self, watchdog: Watchdog, spares: usize) -> Host {
        let isolation =
            Isolation { isolates: 1_000_000, memory_bytes: u64::MAX, idle: Duration::from_secs(3600), spares };
        let _entered = self.runtime.enter();
        let isolate = IsolateOptions { watchdog, ..self.options.clone() };
        Host::new(HostOptions { isolate, isolation, admission: ADMISSION })
    }
}

/// The code of a worker with one module.
pub fn code(source: &str) -> WorkerCode {
    code_with(source, Arc::new(Silent))
}

/// The same, watched by `observer`.
fn code_with(source: &str, observer: Arc<dyn Observer>) -> WorkerCode {
    let options = CacheOptions { memory: 64 << 20, body: 1 << 20, disk: None };
    let cache = SharedCache::open(options).unwrap().of_tenant("bench");
    let module = Source { kind: SourceKind::EsModule, bytes: Arc::from(source.as_bytes()), source_map: None };
    WorkerCode::from(WorkerParts {
        tenant: "bench".to_owned(),
        name: "bench".to_owned(),
        main: "index.js".to_owned(),
        modules: HashMap::from([("index.js".to_owned(), module)]),
        compatibility_date: "2026-08-01".to_owned(),
        compatibility_flags: BTreeMap::new(),
        env: "{}".to_owned(),
        limits: Limits::default(),
        observer,
        outside: Arc::new(Outside {
            outbound: Arc::new(NoWorld),
            cache,
            tcp: Arc::new(NoWorld),
            services: Arc::new(NoWorld),
            bindings: Arc::default(),
        }),
        origin: None,
    })
}

pub fn worker_with(source: &str, observer: Arc<dyn Observer>) -> Arc<Worker> {
    deployed(code_with(source, observer))
}

pub fn worker(source: &str) -> Arc<Worker> {
    deployed(code(source))
}

fn deployed(code: WorkerCode) -> Arc<Worker> {
    Worker::new(WorkerSpec { code, concurrency: 1024, queue: 1024, isolates: 1 })
}

pub fn get(url: &str) -> FetchRequest {
    FetchRequest {
        method: http::Method::GET,
        url: url.to_owned(),
        headers: http::HeaderMap::new(),
        body: Body::Empty,
        cf: None,
        cpu: None,
        called: None,
        scheduled: None,
        ticket: Ticket::detached(),
    }
}

/// Resident memory of this process in bytes.
pub fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// The value below which `share` of the sorted `samples` lie.
pub fn percentile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    let index = ((samples.len() as f64 - 1.0) * share).round() as usize;
    samples[index]
}
