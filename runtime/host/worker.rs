//! One deployed worker version: its code, its bounds, and the isolates that run it.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use holm_isolate::Failure;
use holm_isolate::FetchRequest;
use holm_isolate::Given;
use holm_isolate::Outcome;
use holm_isolate::WorkerCode;
use holm_metrics::Shed;
use holm_metrics::WorkerStats;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::back_off::BackOff;
use crate::gate::Gates;
use crate::gate::Refused;
use crate::host::Full;
use crate::host::Inner;
use crate::pool::Pick;
use crate::pool::Pool;
use crate::pool::Running;
use crate::tenants::Tenant;

/// The CPU budget ends a start, unless it is in a builtin of the engine that cannot be interrupted. By then it is given up, so
/// that others may start.
const LONGEST_START: Duration = Duration::from_secs(120);

/// What a worker is deployed with.
pub struct WorkerSpec {
    pub code: WorkerCode,
    /// Invocations at once, up to the heads of their answers.
    pub concurrency: usize,
    /// Invocations that wait for a place.
    pub queue: usize,
    /// Isolates at once; more than the machine has cores are not started.
    pub isolates: usize,
}

/// One worker version. Immutable but for its isolates.
pub struct Worker {
    code: Arc<WorkerCode>,
    /// Known with the first event.
    tenant: OnceLock<Arc<Tenant>>,
    places: Gates,
    most_isolates: usize,
    pub(crate) isolates: Pool,
    /// The start that is under way: one at a time.
    starting: Mutex<Option<Start>>,
    back_off: BackOff,
}

/// How a start came out, once it has.
type Start = watch::Receiver<Option<Result<Arc<Running>, NotStarted>>>;

/// Why there is no isolate.
#[derive(Clone)]
enum NotStarted {
    /// The worker's fault, or the host's.
    Failed(Failure),
    /// There is no room for it; whoever waited for it is sent away.
    Shed(Shed, Arc<str>),
}

// === impl Worker ===

impl Worker {
    #[must_use]
    pub fn new(spec: WorkerSpec) -> Arc<Self> {
        let WorkerSpec { code, concurrency, queue, isolates } = spec;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Arc::new(Self {
            code: Arc::new(code),
            tenant: OnceLock::new(),
            places: Gates::new(concurrency, queue),
            most_isolates: isolates.clamp(1, cores),
            isolates: Pool::default(),
            starting: Mutex::new(None),
            back_off: BackOff::default(),
        })
    }

    #[must_use]
    pub fn code(&self) -> &WorkerCode {
        &self.code
    }

    /// Events that wait for a place.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.places.waiting()
    }

    /// Runs one event up to the head of its answer.
    pub(crate) async fn dispatch(
        self: &Arc<Self>,
        host: &Arc<Inner>,
        mut request: FetchRequest,
    ) -> Result<http::Response<holm_isolate::Body>, Failure> {
        let until = Instant::now() + self.code.limits.wall;
        let depth = request.depth();
        let _place = self.places.at(depth).enter(until).await.map_err(|refused| self.shed_by_queue(refused))?;
        let of_tenant = self.tenant(host).places.at(depth).enter(until).await;
        let _place_of_tenant = of_tenant.map_err(|refused| self.shed_by_tenants_queue(refused))?;
        // Isolates that are condemned give back what they have not begun; another one takes it.
        while Instant::now() < until {
            let running = match self.isolates.pick() {
                Some(Pick { running, late }) => {
                    if late {
                        self.grow(host);
                    }
                    running
                }
                None => self.started(host, until).await?,
            };
            running.last_used.store(host.now_ms(), Ordering::Relaxed);
            match running.isolate.dispatch(request).await {
                Given::Answered(response) => return Ok(response),
                Given::Failed(failure) => return Err(self.mapped(failure)),
                Given::PassedThrough(passed) => {
                    return self.code.pass_through(passed).await.map_err(|failure| self.mapped(failure));
                }
                Given::Returned(returned) => {
                    self.forget(host, &running);
                    request = returned;
                }
            }
        }
        Err(self.shed(Shed::Condemned, "The worker's isolates were condemned faster than they could take the request."))
    }

    fn mapped(&self, mut failure: Failure) -> Failure {
        failure.stack = failure.stack.map(|stack| self.code.map_stack(&stack));
        failure
    }

    fn tenant(&self, host: &Inner) -> &Arc<Tenant> {
        self.tenant.get_or_init(|| host.tenants.get(&self.code.tenant))
    }

    pub(crate) fn is_of(&self, tenant: &Arc<Tenant>) -> bool {
        self.tenant.get().is_some_and(|own| Arc::ptr_eq(own, tenant))
    }

    /// It takes no new invocation any more.
    pub(crate) fn forget(&self, host: &Inner, running: &Arc<Running>) {
        if self.isolates.remove(running) {
            host.retire(running);
        }
    }

    // --- requests that are sent away

    fn stats(&self) -> Option<&Arc<WorkerStats>> {
        self.code.observer.stats()
    }

    /// Sends a request away, and counts why.
    fn shed(&self, why: Shed, message: impl Into<String>) -> Failure {
        if let Some(stats) = self.stats() {
            stats.shed(why);
        }
        Failure::new(Outcome::Overloaded, message)
    }

    fn shed_by_queue(&self, refused: Refused) -> Failure {
        let message = match refused {
            Refused::QueueFull => "The worker's queue is full (limits.queue).",
            Refused::WaitedTooLong => "None of the worker's places became free in time (limits.concurrency).",
        };
        self.shed(Shed::WorkerQueue, message)
    }

    fn shed_by_tenants_queue(&self, refused: Refused) -> Failure {
        let message = match refused {
            Refused::QueueFull => "The queue of the worker's tenant is full (limits.tenant_queue).",
            Refused::WaitedTooLong => "None of the tenant's places became free in time (limits.tenant_concurrency).",
        };
        self.shed(Shed::TenantQueue, message)
    }

    // --- starts

    /// Starts the isolate ahead of the first event, to know at once whether the worker starts.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn warm(self: &Arc<Self>, host: &Arc<Inner>) -> Result<(), Failure> {
        match self.isolates.pick() {
            Some(_) => Ok(()),
            None => self.started(host, Instant::now() + self.code.limits.wall).await.map(|_| ()),
        }
    }

    /// The first isolate, once it has started.
    async fn started(self: &Arc<Self>, host: &Arc<Inner>, until: Instant) -> Result<Arc<Running>, Failure> {
        if let Err(failure) = self.back_off.check(Instant::now()) {
            if let Some(stats) = self.stats() {
                stats.back_offs.increment();
            }
            return Err(failure);
        }
        let mut start = self.start(host);
        let started = match tokio::time::timeout_at(until.into(), start.wait_for(Option::is_some)).await {
            Ok(Ok(started)) => started.clone(),
            Ok(Err(_)) => None,
            Err(_) => Some(Err(Refused::WaitedTooLong.into())),
        };
        match started {
            Some(Ok(running)) => Ok(running),
            Some(Err(NotStarted::Failed(failure))) => Err(failure),
            Some(Err(NotStarted::Shed(why, message))) => Err(self.shed(why, &*message)),
            None => Err(Failure::new(Outcome::Internal, "the start of an isolate broke off")),
        }
    }

    /// The start that is under way, or a new one. It goes on when whoever asked for it has left.
    fn start(self: &Arc<Self>, host: &Arc<Inner>) -> Start {
        let mut starting = self.starting.lock();
        if let Some(start) = starting.as_ref().filter(|start| start.has_changed().is_ok()) {
            return start.clone();
        }
        // One may have come up since nothing was found.
        if let Some(Pick { running, .. }) = self.isolates.pick() {
            return watch::channel(Some(Ok(running))).1;
        }
        self.begin_start(host, &mut starting)
    }

    /// Starts one more beside those that cannot keep up, unless there are as many as there may be.
    fn grow(self: &Arc<Self>, host: &Arc<Inner>) {
        let now = Instant::now();
        let would_help = self.isolates.len() < self.most_isolates && self.isolates.is_bottleneck(now);
        if !would_help || !host.has_room(self.tenant(host)) || self.back_off.check(now).is_err() {
            return;
        }
        let mut starting = self.starting.lock();
        if starting.as_ref().is_none_or(|start| start.has_changed().is_err()) {
            if let Some(stats) = self.stats() {
                stats.growths.increment();
            }
            self.begin_start(host, &mut starting);
        }
    }

    fn begin_start(self: &Arc<Self>, host: &Arc<Inner>, starting: &mut Option<Start>) -> Start {
        let (tell, told) = watch::channel(None);
        *starting = Some(told.clone());
        let (worker, host) = (Arc::clone(self), Arc::clone(host));
        tokio::spawn(async move {
            let started = worker.start_one(&host).await;
            *worker.starting.lock() = None;
            tell.send_replace(Some(started));
        });
        told
    }

    async fn start_one(&self, host: &Inner) -> Result<Arc<Running>, NotStarted> {
        let until = Instant::now() + self.code.limits.wall;
        let tenant = self.tenant(host);
        // First among the tenant's own, so that the common queue has few of each tenant and its order is fair to all.
        let _of_tenant = tenant.starts.enter(until).await?;
        let _start = host.starts.enter(until).await?;
        let seats = host.make_room(tenant).await?;
        let isolate = host.spares.take().map_err(|error| {
            NotStarted::Shed(Shed::Threads, format!("The system has no thread for an isolate: {error}.").into())
        })?;
        let running = Running::new(isolate, seats, host.now_ms());
        let loading = running.isolate.load(Arc::clone(&self.code), Arc::clone(&tenant.recent));
        let loaded = tokio::time::timeout(LONGEST_START, loading).await;
        let loaded = loaded.unwrap_or_else(|_| Err(never_started()));
        if let Err(failure) = loaded {
            self.back_off.failed(&failure, Instant::now());
            host.retire(&running);
            return Err(NotStarted::Failed(failure));
        }
        self.back_off.started();
        self.isolates.add(&running);
        Ok(running)
    }
}

fn never_started() -> Failure {
    let message = format!("The worker's global scope did not end within {} s.", LONGEST_START.as_secs());
    Failure::new(Outcome::StartupExceeded, message)
}

// === impl NotStarted ===

impl From<Refused> for NotStarted {
    fn from(refused: Refused) -> Self {
        let message = match refused {
            Refused::QueueFull => "Too many isolates wait for their start (limits.isolate_start_queue).",
            Refused::WaitedTooLong => "The isolate could not be started in time (limits.isolate_starts).",
        };
        Self::Shed(Shed::Starts, message.into())
    }
}

impl From<Full> for NotStarted {
    fn from(full: Full) -> Self {
        Self::Shed(full.shed(), full.message().into())
    }
}
