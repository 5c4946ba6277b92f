//! From a project or a built directory to a worker of the host, and from the front's requests to its events.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use holm_apis::Outside;
use holm_apis::cache::interface::CacheStore;
use holm_apis::service::ServiceBinding;
use holm_config::bundle::Bundle;
use holm_config::bundle::ModuleKind;
use holm_config::limits::Limits;
use holm_config::project::Compatibility;
use holm_front::Incoming;
use holm_front::TurnedAway;
use holm_front::Unrouted;
use holm_front::Workers;
use holm_host::Host;
use holm_host::Routed;
use holm_host::Worker;
use holm_host::WorkerSpec;
use holm_isolate::Body;
use holm_isolate::Failure;
use holm_isolate::FetchRequest;
use holm_isolate::InvocationRecord;
use holm_isolate::Ledger;
use holm_isolate::Observer;
use holm_isolate::Origin;
use holm_isolate::Source;
use holm_isolate::SourceKind;
use holm_isolate::WorkerCode;
use holm_isolate::WorkerParts;
use holm_metrics::WorkerStats;
use holm_stores::fetch::EgressPolicy;
use holm_stores::fetch::HttpOutbound;

use super::private::Privates;
use super::services::HostServices;

/// What a worker is made of.
pub(super) struct Deployment {
    pub(super) name: String,
    /// Whose worker it is.
    pub(super) tenant: String,
    pub(super) bundle: Bundle,
    pub(super) compatibility: Compatibility,
    pub(super) vars: BTreeMap<String, serde_json::Value>,
    pub(super) limits: Limits,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) outbound: HttpOutbound,
    /// Its tenant's.
    pub(super) cache: Arc<dyn CacheStore>,
    /// What answers in its place when it asks for that.
    pub(super) origin: Option<Arc<dyn Origin>>,
    pub(super) services: HostServices,
    pub(super) bindings: Vec<ServiceBinding>,
}

// === impl Deployment ===

impl Deployment {
    pub(super) fn into_worker(self) -> Arc<Worker> {
        let Self {
            name,
            tenant,
            bundle,
            compatibility,
            vars,
            limits,
            observer,
            outbound,
            cache,
            origin,
            services,
            bindings,
        } = self;
        let modules: HashMap<String, Source> = bundle
            .modules
            .into_iter()
            .map(|module| {
                let source =
                    Source { kind: source_kind(module.kind), bytes: module.source, source_map: module.source_map };
                (module.specifier, source)
            })
            .collect();
        let code = WorkerCode::from(WorkerParts {
            name,
            tenant,
            main: bundle.main,
            modules,
            compatibility_date: compatibility.date.to_string(),
            compatibility_flags: compatibility.resolved.iter().map(|(flag, on)| ((*flag).to_owned(), *on)).collect(),
            env: serde_json::Value::Object(vars.into_iter().collect()).to_string(),
            limits: isolate_limits(&limits),
            observer,
            outside: Arc::new(Outside {
                outbound: Arc::new(outbound.clone()),
                cache,
                tcp: Arc::new(outbound),
                services: Arc::new(services),
                bindings: bindings.into(),
            }),
            origin,
        });
        let count = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Worker::new(WorkerSpec {
            code,
            concurrency: count(limits.concurrency),
            queue: count(limits.queue),
            isolates: count(limits.isolates_per_worker),
        })
    }
}

/// What `fetch()` of one worker goes through: nothing of it is shared with another worker.
pub(super) fn outbound(
    shared: &HttpOutbound,
    name: &str,
    limits: &Limits,
    policy: impl FnOnce(&mut EgressPolicy),
) -> HttpOutbound {
    shared.separate_with(|options| {
        options.worker_id = http::HeaderValue::from_str(name).ok();
        options.connect_timeout = Duration::from_secs(limits.fetch_connect_seconds);
        options.head_timeout = Duration::from_secs(limits.fetch_head_seconds);
        options.decoded_bytes = limits.fetch_decoded_bytes;
        policy(&mut options.policy);
    })
}

fn source_kind(kind: ModuleKind) -> SourceKind {
    match kind {
        ModuleKind::EsModule => SourceKind::EsModule,
        ModuleKind::ServiceWorker => SourceKind::ServiceWorker,
        ModuleKind::CommonJs => SourceKind::CommonJs,
        ModuleKind::CompiledWasm => SourceKind::CompiledWasm,
        ModuleKind::Text => SourceKind::Text,
        ModuleKind::Data => SourceKind::Data,
        ModuleKind::Json => SourceKind::Json,
    }
}

fn isolate_limits(limits: &Limits) -> holm_isolate::Limits {
    holm_isolate::Limits {
        cpu: Duration::from_millis(limits.cpu_ms),
        startup_cpu: Duration::from_millis(limits.startup_cpu_ms),
        wall: Duration::from_millis(limits.wall_ms),
        scheduled_cpu: Duration::from_millis(limits.cron_cpu_ms),
        scheduled_wall: Duration::from_millis(limits.cron_wall_ms),
        wait_until: Duration::from_millis(limits.wait_until_ms),
        subrequests: u32::try_from(limits.subrequests).unwrap_or(u32::MAX),
        open_connections: u32::try_from(limits.open_connections).unwrap_or(u32::MAX),
        memory: usize::try_from(limits.memory_mb).unwrap_or(128) << 20,
        answer_header_bytes: usize::try_from(limits.response_header_bytes).unwrap_or(usize::MAX),
        log_bytes: usize::try_from(limits.log_bytes).unwrap_or(usize::MAX),
        ..holm_isolate::Limits::default()
    }
}

/// The front's view of the host.
#[derive(Clone)]
pub(super) struct HostWorkers {
    pub(super) host: Host,
    /// Those that run in other processes.
    pub(super) privates: Privates,
}

// === impl HostWorkers ===

impl HostWorkers {
    /// Runs one event in the process that its worker's tenant has.
    pub(super) async fn run(
        &self,
        worker: &Arc<Worker>,
        request: FetchRequest,
    ) -> Result<http::Response<Body>, Failure> {
        match self.privates.of(worker) {
            None => self.host.dispatch(worker, request).await,
            Some(elsewhere) => elsewhere.dispatch(worker, request).await,
        }
    }
}

impl Workers for HostWorkers {
    type Worker = Routed;

    fn route(&self, https: bool, host: &str, path: &str) -> Result<Routed, Unrouted> {
        self.host.route(https, host, path).ok_or(Unrouted::Unknown)
    }

    async fn dispatch(&self, routed: &Routed, event: Incoming) -> Result<http::Response<Body>, Failure> {
        let request = FetchRequest { cpu: routed.cpu, ..fetch_request(event) };
        self.run(&routed.worker, request).await
    }

    fn stats(&self, routed: &Routed) -> Option<Arc<WorkerStats>> {
        routed.worker.code().observer.stats().map(Arc::clone)
    }

    fn turned_away(&self, routed: &Routed, request: &TurnedAway<'_>, failure: &Failure) {
        routed.worker.code().observer.ended(&InvocationRecord {
            invocation: 0,
            outcome: failure.outcome,
            method: request.method.as_str(),
            url: &request.target.to_string(),
            status: None,
            wall: Duration::ZERO,
            queued: request.ticket.age(),
            ledger: &Ledger::default(),
            error: Some(&failure.message),
            stack: failure.stack.as_deref(),
            ticket: request.ticket,
        });
    }
}

/// An event of a request.
pub(super) fn fetch_request(event: Incoming) -> FetchRequest {
    let cf = cf_object(event.http_version);
    FetchRequest {
        method: event.method,
        url: event.url,
        headers: event.headers,
        body: event.body,
        cf,
        cpu: None,
        called: None,
        scheduled: None,
        ticket: event.ticket,
    }
}

/// `request.cf`: what a server knows without a database of networks.
fn cf_object(version: http::Version) -> Option<Arc<str>> {
    static OBJECTS: LazyLock<[Arc<str>; 3]> = LazyLock::new(|| {
        ["HTTP/1.0", "HTTP/1.1", "HTTP/2"]
            .map(|protocol| Arc::from(serde_json::json!({ "httpProtocol": protocol }).to_string()))
    });
    let index = match version {
        http::Version::HTTP_10 => 0,
        http::Version::HTTP_11 => 1,
        http::Version::HTTP_2 => 2,
        _ => return None,
    };
    OBJECTS.get(index).cloned()
}
