//! The host: the catalog in force, the spares, and the isolates' end.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use holm_isolate::Body;
use holm_isolate::Failure;
use holm_isolate::FetchRequest;
use holm_isolate::IsolateOptions;
use parking_lot::RwLock;

use crate::Catalog;
use crate::Worker;
use crate::spares::Spares;
use crate::worker::Running;

/// How often idle isolates are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// How long the start of an isolate waits for another one to become idle when all are busy.
const PATIENCE: Duration = Duration::from_millis(200);

/// Bounds on all isolates of a host.
#[derive(Clone, Copy, Debug)]
pub struct Isolation {
    /// Isolates alive at once; beyond it the least recently used idle one ends.
    pub isolates: usize,
    /// Bytes of heap over all isolates; beyond it the least recently used idle ones end.
    pub heap_bytes: u64,
    /// An isolate without invocations for this long ends.
    pub idle: Duration,
    /// Blank isolates kept ready.
    pub spares: usize,
}

/// What a host is made with.
pub struct HostOptions {
    pub isolate: IsolateOptions,
    pub isolation: Isolation,
}

/// The owner of all isolates of a process. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    epoch: Instant,
    isolation: Isolation,
    catalog: RwLock<Arc<Catalog>>,
    pub(crate) spares: Arc<Spares>,
    /// Isolates that run workers.
    pub(crate) isolates: AtomicUsize,
    /// Retired isolates whose invocations still run.
    retired: parking_lot::Mutex<Vec<Arc<Running>>>,
}

// === impl Host ===

impl Host {
    #[must_use]
    pub fn new(options: HostOptions) -> Self {
        let HostOptions { isolate, isolation } = options;
        let front = isolate.front.clone();
        let inner = Arc::new(Inner {
            epoch: Instant::now(),
            isolation,
            catalog: RwLock::default(),
            spares: Spares::new(isolate, isolation.spares),
            isolates: AtomicUsize::new(0),
            retired: parking_lot::Mutex::default(),
        });
        let sweeper = Arc::downgrade(&inner);
        front.spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(inner) = sweeper.upgrade() else { return };
                inner.sweep();
            }
        });
        Self { inner }
    }

    /// Puts a catalog in force. Workers that are not in it take no new event; what runs in them finishes.
    pub fn install(&self, catalog: Catalog) {
        let catalog = Arc::new(catalog);
        let before = std::mem::replace(&mut *self.inner.catalog.write(), Arc::clone(&catalog));
        for worker in before.workers() {
            if !catalog.workers().iter().any(|kept| Arc::ptr_eq(kept, worker))
                && let Some(running) = worker.take_isolate()
            {
                self.inner.retire(&running);
            }
        }
    }

    /// The catalog in force.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.inner.catalog.read())
    }

    /// The worker for a request. `host` is lower-case without port, `path` without query.
    #[must_use]
    pub fn route(&self, https: bool, host: &str, path: &str) -> Option<Arc<Worker>> {
        self.inner.catalog.read().find(https, host, path).map(Arc::clone)
    }

    /// Runs one fetch event up to the head of its answer. A dropped future, or a dropped body, means that the client left.
    ///
    /// # Errors
    /// The failure that the front turns into a status.
    pub async fn dispatch(&self, worker: &Worker, request: FetchRequest) -> Result<http::Response<Body>, Failure> {
        worker.dispatch(&self.inner, request).await
    }

    /// Starts a worker's isolate ahead of its first event.
    ///
    /// # Errors
    /// When the worker does not start.
    pub async fn warm(&self, worker: &Worker) -> Result<(), Failure> {
        worker.warm(&self.inner).await
    }

    /// Isolates that run workers, and spares.
    #[must_use]
    pub fn isolates(&self) -> (usize, usize) {
        (self.inner.isolates.load(Ordering::Relaxed), self.inner.spares.len())
    }

    /// Takes no new events and waits until what runs has finished, at most `grace`.
    pub async fn drain(&self, grace: Duration) {
        self.install(Catalog::default());
        self.inner.spares.clear();
        let until = Instant::now() + grace;
        while Instant::now() < until {
            self.inner.forget_ended();
            if self.inner.retired.lock().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
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
        self.isolates.fetch_sub(1, Ordering::Relaxed);
        self.retired.lock().push(Arc::clone(running));
    }

    /// Answers whether one has ended.
    fn forget_ended(&self) -> bool {
        let mut retired = self.retired.lock();
        let before = retired.len();
        retired.retain(|running| !running.isolate.status().has_ended());
        retired.len() < before
    }

    /// Before a new isolate starts: ends the least recently used idle ones beyond the bound.
    ///
    /// # Errors
    /// When all of them are busy, and stay so for a while.
    pub(crate) async fn make_room(&self) -> Result<(), &'static str> {
        let until = Instant::now() + PATIENCE;
        while self.isolates.load(Ordering::Relaxed) >= self.isolation.isolates {
            let idle = self.idle_isolates().into_iter().min_by_key(|(last_used, _)| *last_used);
            match idle {
                Some((_, worker)) => self.evict(&worker),
                None if Instant::now() >= until => {
                    return Err("Every isolate of the server is busy.");
                }
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        Ok(())
    }

    fn idle_isolates(&self) -> Vec<(u64, Arc<Worker>)> {
        let catalog = Arc::clone(&self.catalog.read());
        let idle = |worker: &Arc<Worker>| {
            let running = worker.peek()?;
            let is_idle = running.isolate.status().in_flight() == 0;
            is_idle.then(|| (running.last_used.load(Ordering::Relaxed), Arc::clone(worker)))
        };
        catalog.workers().iter().filter_map(idle).collect()
    }

    fn evict(&self, worker: &Worker) {
        if let Some(running) = worker.take_isolate() {
            if !running.isolate.status().is_condemned()
                && let Some(stats) = worker.code().observer.stats()
            {
                stats.evictions.increment();
            }
            self.retire(&running);
        }
    }

    /// Ends what has been idle for too long, and the least recently used while all heaps together are too large.
    fn sweep(&self) {
        if self.forget_ended() {
            // What an isolate leaves behind stays with the allocator of its thread otherwise.
            tokio::task::spawn_blocking(holm_isolate::give_back_memory);
        }
        self.collect_condemned();
        let now = self.now_ms();
        let idle_ms = u64::try_from(self.isolation.idle.as_millis()).unwrap_or(u64::MAX);
        let mut idle = self.idle_isolates();
        idle.sort_by_key(|(last_used, _)| *last_used);
        let mut heap = self.heap_bytes();
        for (last_used, worker) in idle {
            let bytes = worker.peek().map_or(0, |running| running.isolate.status().memory_bytes());
            if now.saturating_sub(last_used) >= idle_ms || heap > self.isolation.heap_bytes {
                heap = heap.saturating_sub(bytes);
                self.evict(&worker);
            }
        }
    }

    fn collect_condemned(&self) {
        let catalog = Arc::clone(&self.catalog.read());
        for worker in catalog.workers() {
            if worker.peek().is_some_and(|running| running.isolate.status().is_condemned()) {
                self.evict(worker);
            }
        }
    }

    fn heap_bytes(&self) -> u64 {
        let catalog = Arc::clone(&self.catalog.read());
        catalog
            .workers()
            .iter()
            .filter_map(|worker| worker.peek())
            .map(|running| running.isolate.status().memory_bytes())
            .sum()
    }
}
