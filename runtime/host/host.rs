//! The host: the catalog in force, the spares, and the isolates' end.

use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;
use std::time::Instant;

use holm_isolate::Body;
use holm_isolate::Failure;
use holm_isolate::FetchRequest;
use holm_isolate::IsolateOptions;
use holm_metrics::Eviction;
use holm_metrics::Shed;
use parking_lot::RwLock;

use crate::Catalog;
use crate::Routed;
use crate::Worker;
use crate::gate::Gate;
use crate::pool::Running;
use crate::pool::Seats;
use crate::seats;
use crate::spares::Spares;
use crate::tenants::Tenant;
use crate::tenants::Tenants;

/// How often idle isolates are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// How long the start of an isolate waits for another one to become idle when all are busy.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long it waits for an isolate that ends to make room.
const PATIENCE_WITH_ENDING: Duration = Duration::from_secs(2);

/// An isolate that its worker can do without ends after this long without invocations, if it is not idle for too long before.
const SUPERFLUOUS: Duration = Duration::from_secs(10);

/// While isolates end all the time, what they leave behind is given back this often.
const GIVE_BACK_AFTER: Duration = Duration::from_secs(30);

/// Bounds on all isolates of a host.
#[derive(Clone, Copy, Debug)]
pub struct Isolation {
    /// Isolates of workers alive at once; beyond it the least recently used idle one ends.
    pub isolates: usize,
    /// Bytes that all isolates may hold; beyond it the least recently used idle ones end, and none starts.
    pub memory_bytes: u64,
    /// An isolate without invocations for this long ends.
    pub idle: Duration,
    /// Blank isolates kept ready.
    pub spares: usize,
}

/// Bounds on what is let in before an isolate is touched.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// Invocations of all workers of one tenant at once, up to the heads of their answers.
    pub tenant_concurrency: usize,
    /// Invocations that wait for one of these places.
    pub tenant_queue: usize,
    /// Isolates of all workers of one tenant alive at once.
    pub tenant_isolates: usize,
    /// Isolates that start at once.
    pub starts: usize,
    /// Starts that wait, in all and of one tenant.
    pub start_queue: usize,
}

/// What a host is made with.
pub struct HostOptions {
    pub isolate: IsolateOptions,
    pub isolation: Isolation,
    pub admission: Admission,
}

/// A host that does not live because of this.
#[derive(Clone)]
pub struct WeakHost(Weak<Inner>);

/// The owner of all isolates of a process. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    epoch: Instant,
    isolation: Isolation,
    catalog: RwLock<Arc<Catalog>>,
    /// The same, and the one before while the host drains: what still runs may call the others.
    callable: RwLock<Arc<Catalog>>,
    pub(crate) spares: Arc<Spares>,
    pub(crate) tenants: Tenants,
    /// Starts of isolates: each takes CPU time from everyone.
    pub(crate) starts: Gate,
    /// Isolates of workers.
    isolates: Arc<seats::Seats>,
    /// Those of them that take no new invocation and still run.
    retired: parking_lot::Mutex<Vec<Arc<Running>>>,
    /// When the first isolate ended whose memory may still be the allocator's.
    ended_since: parking_lot::Mutex<Option<Instant>>,
}

// === impl Host ===

impl Host {
    #[must_use]
    pub fn new(options: HostOptions) -> Self {
        let HostOptions { isolate, isolation, admission } = options;
        let front = isolate.front.clone();
        let vital = isolate.watchdog.vital("sweeper");
        let inner = Arc::new(Inner {
            epoch: Instant::now(),
            isolation,
            catalog: RwLock::default(),
            callable: RwLock::default(),
            spares: Spares::new(isolate, isolation.spares),
            tenants: Tenants::new(admission),
            starts: Gate::new(admission.starts, admission.start_queue),
            isolates: seats::Seats::new(isolation.isolates),
            retired: parking_lot::Mutex::default(),
            ended_since: parking_lot::Mutex::default(),
        });
        let sweeper = Arc::downgrade(&inner);
        front.spawn(vital.watch(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(inner) = sweeper.upgrade() else { return };
                inner.sweep();
            }
        }));
        Self { inner }
    }

    /// Puts a catalog in force. Workers that are not in it take no new event; what runs in them finishes.
    pub fn install(&self, catalog: Catalog) {
        let catalog = Arc::new(catalog);
        *self.inner.callable.write() = Arc::clone(&catalog);
        self.replace(catalog);
    }

    fn replace(&self, catalog: Arc<Catalog>) {
        let before = std::mem::replace(&mut *self.inner.catalog.write(), Arc::clone(&catalog));
        for worker in before.workers() {
            if !catalog.workers().iter().any(|kept| Arc::ptr_eq(kept, worker)) {
                worker.isolates.take_all().iter().for_each(|running| self.inner.retire(running));
            }
        }
    }

    /// The catalog in force.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.inner.catalog.read())
    }

    /// The worker that a service binding of the tenant names.
    #[must_use]
    pub fn worker(&self, tenant: &str, name: &str) -> Option<Arc<Worker>> {
        self.inner.callable.read().named(tenant, name).map(Arc::clone)
    }

    #[must_use]
    pub fn downgrade(&self) -> WeakHost {
        WeakHost(Arc::downgrade(&self.inner))
    }

    /// The worker for a request. `host` is lower-case without port, `path` without query.
    #[must_use]
    pub fn route(&self, https: bool, host: &str, path: &str) -> Option<Routed> {
        self.inner.catalog.read().find(https, host, path).cloned()
    }

    /// Runs one fetch event up to the head of its answer. A dropped future, or a dropped body, means that the client left.
    ///
    /// # Errors
    /// The failure that the front turns into a status.
    pub async fn dispatch(&self, worker: &Arc<Worker>, request: FetchRequest) -> Result<http::Response<Body>, Failure> {
        worker.dispatch(&self.inner, request).await
    }

    /// Starts a worker's isolate ahead of its first event.
    ///
    /// # Errors
    /// When the worker does not start.
    pub async fn warm(&self, worker: &Arc<Worker>) -> Result<(), Failure> {
        worker.warm(&self.inner).await
    }

    /// Isolates of workers, and spares.
    #[must_use]
    pub fn isolates(&self) -> (usize, usize) {
        (self.inner.isolates.taken(), self.inner.spares.len())
    }

    /// Isolates of busy tenants that wait for a core.
    #[must_use]
    pub fn waiting_for_core(&self) -> usize {
        self.inner.spares.waiting_for_core()
    }

    /// Starts of isolates that wait for their turn.
    #[must_use]
    pub fn waiting_starts(&self) -> usize {
        let of_tenants = self.inner.tenants.all().iter().map(|tenant| tenant.starts.waiting()).sum::<usize>();
        self.inner.starts.waiting() + of_tenants
    }

    /// How many events of each tenant wait for one of the tenant's places.
    #[must_use]
    pub fn tenant_queues(&self) -> Vec<(String, usize)> {
        self.inner.tenants.all().iter().map(|tenant| (tenant.name.clone(), tenant.places.waiting())).collect()
    }

    /// Takes no new events and waits until what runs has finished, at most `grace`.
    pub async fn drain(&self, grace: Duration) {
        self.replace(Arc::default());
        self.inner.spares.clear();
        let until = Instant::now() + grace;
        while Instant::now() < until {
            self.inner.forget_ended();
            // A thread that was given up may never end; it keeps its seats, and nobody waits for it.
            if self.inner.retired.lock().iter().all(|running| running.status().is_abandoned()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

// === impl WeakHost ===

impl WeakHost {
    #[must_use]
    pub fn upgrade(&self) -> Option<Host> {
        self.0.upgrade().map(|inner| Host { inner })
    }
}

// === impl Inner ===

impl Inner {
    /// Milliseconds since the host was made.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn retire(&self, running: &Arc<Running>) {
        running.isolate.retire();
        self.retired.lock().push(Arc::clone(running));
    }

    /// Answers whether one has ended.
    fn forget_ended(&self) -> bool {
        let mut retired = self.retired.lock();
        let before = retired.len();
        retired.retain(|running| !running.status().has_ended());
        retired.len() < before
    }

    /// Whether free memory goes back to the system now, which makes all threads wait for some milliseconds: once no more
    /// isolates end, or after a while in which some always do.
    fn is_time_to_give_back(&self, some_ended: bool) -> bool {
        let mut ended_since = self.ended_since.lock();
        if some_ended {
            return ended_since.get_or_insert_with(Instant::now).elapsed() >= GIVE_BACK_AFTER
                && ended_since.take().is_some();
        }
        ended_since.take().is_some()
    }

    // --- room for a new isolate

    /// Seats for an isolate that is about to start. Where there is no room, the least recently used idle isolate ends.
    ///
    /// # Errors
    /// Which bound is reached, when everything that counts against it is busy and stays so for a while.
    pub(crate) async fn make_room(&self, tenant: &Arc<Tenant>) -> Result<Seats, Full> {
        let mut until = Instant::now() + PATIENCE;
        let mut ending: Option<Arc<Running>> = None;
        loop {
            let full = match self.take_seats(tenant) {
                Ok(seats) => return Ok(seats),
                Err(full) => full,
            };
            if ending.as_ref().is_none_or(|running| running.status().has_ended()) {
                let idle = self.idle_isolates().into_iter().filter(|idle| full.is_relieved_by(&idle.worker, tenant));
                ending = idle.min_by_key(|idle| idle.running.last_used()).map(|idle| self.evict(idle, full.eviction()));
                if ending.is_some() {
                    until = Instant::now() + PATIENCE_WITH_ENDING;
                }
            }
            if Instant::now() >= until {
                return Err(full);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.forget_ended();
        }
    }

    fn take_seats(&self, tenant: &Arc<Tenant>) -> Result<Seats, Full> {
        if self.memory_bytes() > self.isolation.memory_bytes {
            return Err(Full::Memory);
        }
        let of_tenant = tenant.isolates.take().ok_or(Full::Tenant)?;
        let of_host = self.isolates.take().ok_or(Full::Host)?;
        Ok(Seats { _of_host: of_host, _of_tenant: of_tenant, _tenant: Arc::clone(tenant) })
    }

    /// Whether an isolate could start right now.
    pub(crate) fn has_room(&self, tenant: &Tenant) -> bool {
        tenant.isolates.are_left() && self.isolates.are_left() && self.memory_bytes() <= self.isolation.memory_bytes
    }

    /// Of all isolates whose threads run, but for the spares.
    fn memory_bytes(&self) -> u64 {
        let catalog = Arc::clone(&self.catalog.read());
        let serving = catalog.workers().iter().flat_map(|worker| worker.isolates.all());
        let retired = self.retired.lock().clone();
        serving.chain(retired).map(|running| running.status().memory_bytes()).sum()
    }

    // --- the end of isolates

    fn idle_isolates(&self) -> Vec<Idle> {
        let catalog = Arc::clone(&self.catalog.read());
        let idle = |worker: &Arc<Worker>| {
            let isolates = worker.isolates.all().into_iter().filter(|running| running.is_idle());
            isolates.map(|running| Idle { worker: Arc::clone(worker), running }).collect::<Vec<_>>()
        };
        catalog.workers().iter().flat_map(idle).collect()
    }

    fn evict(&self, idle: Idle, why: Eviction) -> Arc<Running> {
        let Idle { worker, running } = idle;
        if !running.status().is_condemned()
            && let Some(stats) = worker.code().observer.stats()
        {
            stats.evicted(why);
        }
        worker.forget(self, &running);
        running
    }

    /// Ends what has been idle for too long, and the least recently used while all isolates together hold too much.
    fn sweep(&self) {
        if self.is_time_to_give_back(self.forget_ended()) {
            // What an isolate leaves behind stays with the allocator of its thread otherwise.
            tokio::task::spawn_blocking(holm_isolate::give_back_memory);
        }
        self.end_condemned_and_superfluous();
        let idle_since = self.ago_ms(self.isolation.idle);
        let mut idle = self.idle_isolates();
        idle.sort_by_key(|idle| idle.running.last_used());
        let mut memory = self.memory_bytes();
        for isolate in idle {
            let why = if isolate.running.last_used() <= idle_since {
                Eviction::Idle
            } else if memory > self.isolation.memory_bytes {
                Eviction::Memory
            } else {
                break;
            };
            memory = memory.saturating_sub(isolate.running.status().memory_bytes());
            self.evict(isolate, why);
        }
    }

    fn end_condemned_and_superfluous(&self) {
        let then = self.ago_ms(SUPERFLUOUS.min(self.isolation.idle));
        let catalog = Arc::clone(&self.catalog.read());
        for worker in catalog.workers() {
            for running in worker.isolates.all() {
                if running.status().is_condemned() {
                    worker.forget(self, &running);
                }
            }
            for running in worker.isolates.superfluous(then) {
                self.evict(Idle { worker: Arc::clone(worker), running }, Eviction::Superfluous);
            }
        }
    }

    /// A time in the host's milliseconds.
    fn ago_ms(&self, duration: Duration) -> u64 {
        self.now_ms().saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

/// An isolate without invocations.
struct Idle {
    worker: Arc<Worker>,
    running: Arc<Running>,
}

/// The bound that leaves no room for another isolate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// `limits.isolates`
    Host,
    /// `limits.tenant_isolates`
    Tenant,
    /// `limits.isolates_memory_mb`
    Memory,
}

// === impl Full ===

impl Full {
    /// Whether the end of one of the worker's isolates makes room.
    fn is_relieved_by(self, worker: &Worker, tenant: &Arc<Tenant>) -> bool {
        self != Self::Tenant || worker.is_of(tenant)
    }

    const fn eviction(self) -> Eviction {
        match self {
            Self::Host => Eviction::Isolates,
            Self::Tenant => Eviction::TenantIsolates,
            Self::Memory => Eviction::Memory,
        }
    }

    pub(crate) const fn shed(self) -> Shed {
        match self {
            Self::Host => Shed::Isolates,
            Self::Tenant => Shed::TenantIsolates,
            Self::Memory => Shed::Pressure,
        }
    }

    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Host => "Every isolate of the server is busy (limits.isolates).",
            Self::Tenant => "Every isolate of the worker's tenant is busy (limits.tenant_isolates).",
            Self::Memory => "The busy isolates hold all the memory they may (limits.isolates_memory_mb).",
        }
    }
}
