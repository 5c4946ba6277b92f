//! One deployed worker version: its code, its bounds, and the isolate that runs it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use holm_isolate::Failure;
use holm_isolate::FetchRequest;
use holm_isolate::Given;
use holm_isolate::IsolateHandle;
use holm_isolate::Outcome;
use holm_isolate::WorkerCode;
use holm_metrics::Shed;
use parking_lot::Mutex;
use parking_lot::RwLock;
use tokio::sync::Semaphore;

use crate::host::Inner;

/// After a failed start: doubled with each failure in a row, up to the longest.
const SHORTEST_BACK_OFF: Duration = Duration::from_millis(500);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// What a worker is deployed with.
pub struct WorkerSpec {
    pub code: WorkerCode,
    /// Invocations at once, up to the heads of their answers.
    pub concurrency: usize,
    /// Invocations that wait for a place.
    pub queue: usize,
}

/// One worker version. Immutable but for its isolate.
pub struct Worker {
    code: Arc<WorkerCode>,
    places: Semaphore,
    queue: usize,
    waiting: AtomicUsize,
    isolate: RwLock<Option<Arc<Running>>>,
    /// One start at a time.
    starting: tokio::sync::Mutex<()>,
    failed_start: Mutex<Option<FailedStart>>,
}

/// An isolate that runs a worker.
pub(crate) struct Running {
    pub(crate) isolate: IsolateHandle,
    /// Milliseconds since the host's epoch.
    pub(crate) last_used: AtomicU64,
}

/// A start that failed is not tried again before its time.
struct FailedStart {
    failure: Failure,
    until: Instant,
    back_off: Duration,
}

// === impl Worker ===

impl Worker {
    #[must_use]
    pub fn new(spec: WorkerSpec) -> Arc<Self> {
        let WorkerSpec { code, concurrency, queue } = spec;
        Arc::new(Self {
            code: Arc::new(code),
            places: Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            queue,
            waiting: AtomicUsize::new(0),
            isolate: RwLock::new(None),
            starting: tokio::sync::Mutex::new(()),
            failed_start: Mutex::new(None),
        })
    }

    #[must_use]
    pub fn code(&self) -> &WorkerCode {
        &self.code
    }

    /// Runs one event up to the head of its answer.
    pub(crate) async fn dispatch(
        &self,
        host: &Inner,
        mut request: FetchRequest,
    ) -> Result<http::Response<holm_isolate::Body>, Failure> {
        let _place = self.admit().await?;
        // Isolates that are condemned give back what they have not begun; another one takes it.
        let until = Instant::now() + self.code.limits.wall;
        while Instant::now() < until {
            let running = match self.running() {
                Some(running) => running,
                None => self.start(host).await?,
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

    /// A place among the worker's concurrent invocations, or in its queue.
    async fn admit(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Failure> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let overloaded = || self.shed(Shed::WorkerQueue, "The worker's queue is full.");
        let _waiting = Waiting::enter(&self.waiting, self.queue).ok_or_else(overloaded)?;
        let place = tokio::time::timeout(self.code.limits.wall, self.places.acquire()).await;
        place.ok().and_then(Result::ok).ok_or_else(overloaded)
    }

    /// Sends a request away, and counts why.
    fn shed(&self, why: Shed, message: impl Into<String>) -> Failure {
        if let Some(stats) = self.code.observer.stats() {
            stats.shed(why);
        }
        Failure::new(Outcome::Overloaded, message)
    }

    /// Events that wait for a place.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The isolate that takes new invocations.
    fn running(&self) -> Option<Arc<Running>> {
        let running = self.isolate.read();
        running.as_ref().filter(|running| !running.isolate.status().is_condemned()).map(Arc::clone)
    }

    async fn start(&self, host: &Inner) -> Result<Arc<Running>, Failure> {
        let _one = self.starting.lock().await;
        if let Some(running) = self.running() {
            return Ok(running);
        }
        let back_off = match &*self.failed_start.lock() {
            Some(failed) if failed.until > Instant::now() => return Err(failed.failure.clone()),
            Some(failed) => (failed.back_off * 2).min(LONGEST_BACK_OFF),
            None => SHORTEST_BACK_OFF,
        };
        host.make_room().await.map_err(|full| self.shed(Shed::Isolates, full))?;
        let isolate = host
            .spares
            .take()
            .map_err(|error| self.shed(Shed::Threads, format!("no thread for an isolate: {error}")))?;
        if let Err(failure) = isolate.load(Arc::clone(&self.code)).await {
            let until = Instant::now() + back_off;
            *self.failed_start.lock() = Some(FailedStart { failure: failure.clone(), until, back_off });
            return Err(failure);
        }
        *self.failed_start.lock() = None;
        let running = Arc::new(Running { isolate, last_used: AtomicU64::new(host.now_ms()) });
        host.isolates.fetch_add(1, Ordering::Relaxed);
        let before = self.isolate.write().replace(Arc::clone(&running));
        if let Some(before) = before {
            host.retire(&before);
        }
        Ok(running)
    }

    /// Starts the isolate ahead of the first event, to know at once whether the worker starts.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn warm(&self, host: &Inner) -> Result<(), Failure> {
        match self.running() {
            Some(_) => Ok(()),
            None => self.start(host).await.map(|_| ()),
        }
    }

    fn forget(&self, host: &Inner, running: &Arc<Running>) {
        let mut current = self.isolate.write();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, running)) {
            *current = None;
            host.retire(running);
        }
    }

    /// Takes the isolate away; what runs in it finishes.
    pub(crate) fn take_isolate(&self) -> Option<Arc<Running>> {
        self.isolate.write().take()
    }

    /// The isolate, for the eviction's eyes.
    pub(crate) fn peek(&self) -> Option<Arc<Running>> {
        self.isolate.read().as_ref().map(Arc::clone)
    }
}

/// One place in a queue; given back when dropped.
struct Waiting<'a>(&'a AtomicUsize);

// === impl Waiting ===

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, bound: usize) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::AcqRel) >= bound {
            waiting.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
