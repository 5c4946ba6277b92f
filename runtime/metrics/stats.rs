//! What is counted for each worker, and where it is found.
//!
//! Invariant: a worker's numbers are kept under its tenant and name, not under its version, so that a reload does not set
//! them back. The set is bounded by the workers that are deployed and those that were a moment ago.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::Counter;
use crate::Histogram;
use crate::Labelled;
use crate::WorkerCounts;

/// Wall time of requests: from what memory answers to what waits for the world.
const WALL: &[Duration] = &[
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// Waits before the first turn: for a place, for an isolate, for the isolate's thread.
const QUEUE: &[Duration] = &[
    Duration::from_micros(100),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(10),
];

/// How long the numbers of a worker that is no longer deployed can still be read.
const KEPT: Duration = Duration::from_secs(15 * 60);

/// Why a request was sent away before an isolate was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// The worker's places are taken and its queue is full, or the wait for a place was too long.
    WorkerQueue,
    /// The tenant's places are taken and its queue is full.
    TenantQueue,
    /// Every isolate of the server is busy.
    Isolates,
    /// Isolate starts are rationed, and the ration was used.
    Starts,
    /// Isolates were condemned faster than they could take the request.
    Condemned,
    /// The system refused a thread.
    Threads,
    /// The isolates that are busy hold all the memory they may.
    Pressure,
    /// Every isolate of the tenant is busy.
    TenantIsolates,
}

/// Why an idle isolate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// It was idle for too long.
    Idle,
    /// Another one of the server needed its place.
    Isolates,
    /// Another one of its tenant needed its place.
    TenantIsolates,
    /// All isolates together held too much memory.
    Memory,
    /// The other isolates of its worker keep up without it.
    Superfluous,
}

/// What one worker of one tenant has used since the process began.
#[derive(Debug)]
pub struct WorkerStats {
    pub tenant: String,
    pub worker: String,
    /// By outcome.
    pub requests: Labelled,
    pub cpu_ns: Counter,
    pub wall: Histogram,
    pub queue_wait: Histogram,
    pub subrequests: Counter,
    /// Of bodies, as they were taken from clients.
    pub bytes_in: Counter,
    /// Of bodies, as they were handed to the connections.
    pub bytes_out: Counter,
    pub starts: Counter,
    pub start_failures: Counter,
    /// By [`Eviction`].
    pub evictions: Labelled,
    /// Isolates started beside others of the worker, since those did not keep up.
    pub growths: Counter,
    /// Requests answered with the failure of an earlier start.
    pub back_offs: Counter,
    /// Requests that the worker failed at and its origin answered.
    pub passed_through: Counter,
    /// By [`Shed`].
    pub sheds: Labelled,
    last_error: Mutex<Option<LastError>>,
    /// What the ledger has taken over.
    recorded: Mutex<Totals>,
}

/// The latest failure. Its message is in the log alone: it is the tenant's, and may hold the tenant's secrets.
#[derive(Clone, Debug)]
pub struct LastError {
    pub at: SystemTime,
    pub code: &'static str,
    pub request_id: Option<String>,
}

/// What is billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub requests: u64,
    pub cpu_us: u64,
    pub wall_ms: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub subrequests: u64,
}

/// The numbers of all workers.
#[derive(Debug)]
pub struct Registry {
    outcomes: &'static [&'static str],
    workers: Mutex<BTreeMap<(String, String), Entry>>,
}

#[derive(Debug)]
struct Entry {
    stats: Arc<WorkerStats>,
    /// Since when nobody else holds it.
    unused: Option<Instant>,
}

// === impl Shed ===

impl Shed {
    const LABELS: &[&str] = &[
        "worker_queue",
        "tenant_queue",
        "isolates",
        "isolate_starts",
        "condemned",
        "threads",
        "pressure",
        "tenant_isolates",
    ];
}

// === impl Eviction ===

impl Eviction {
    const LABELS: &[&str] = &["idle", "isolates", "tenant_isolates", "memory", "superfluous"];
}

// === impl WorkerStats ===

impl WorkerStats {
    /// `outcomes` are the values of the label `outcome`, in the order of their indexes.
    #[must_use]
    pub fn new(tenant: &str, worker: &str, outcomes: &'static [&'static str]) -> Self {
        Self {
            tenant: tenant.to_owned(),
            worker: worker.to_owned(),
            requests: Labelled::new(outcomes),
            cpu_ns: Counter::new(),
            wall: Histogram::new(WALL),
            queue_wait: Histogram::new(QUEUE),
            subrequests: Counter::new(),
            bytes_in: Counter::new(),
            bytes_out: Counter::new(),
            starts: Counter::new(),
            start_failures: Counter::new(),
            evictions: Labelled::new(Eviction::LABELS),
            growths: Counter::new(),
            back_offs: Counter::new(),
            passed_through: Counter::new(),
            sheds: Labelled::new(Shed::LABELS),
            last_error: Mutex::default(),
            recorded: Mutex::default(),
        }
    }

    pub fn shed(&self, why: Shed) {
        self.sheds.increment(why as usize);
    }

    pub fn evicted(&self, why: Eviction) {
        self.evictions.increment(why as usize);
    }

    /// Remembers a failure; off the path of requests that go well.
    pub fn failed(&self, code: &'static str, request_id: Option<String>) {
        *self.last_error.lock() = Some(LastError { at: SystemTime::now(), code, request_id });
    }

    #[must_use]
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().clone()
    }

    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            requests: self.requests.total(),
            cpu_us: self.cpu_ns.get() / 1_000,
            wall_ms: self.wall.sum_ns() / 1_000_000,
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            subrequests: self.subrequests.get(),
        }
    }

    fn counters(&self) -> impl Iterator<Item = &Counter> {
        let Self { requests, wall, queue_wait, evictions, sheds, .. } = self;
        let single = [
            &self.cpu_ns,
            &self.subrequests,
            &self.bytes_in,
            &self.bytes_out,
            &self.starts,
            &self.start_failures,
            &self.growths,
            &self.back_offs,
            &self.passed_through,
        ];
        let labelled = [requests, evictions, sheds].into_iter().flat_map(Labelled::counters);
        single.into_iter().chain(labelled).chain(wall.counters()).chain(queue_wait.counters())
    }

    /// Everything that is counted, for another process.
    #[must_use]
    pub fn counts(&self) -> WorkerCounts {
        let counts = self.counters().map(Counter::get).collect();
        WorkerCounts { tenant: self.tenant.clone(), worker: self.worker.clone(), counts }
    }

    /// Counts in their order: [`WorkerStats::counts`].
    pub(crate) fn add(&self, counts: &[u64]) {
        self.counters().zip(counts).for_each(|(counter, count)| counter.add(*count));
    }

    /// What came since the last call.
    pub(crate) fn take_delta(&self) -> Totals {
        let mut recorded = self.recorded.lock();
        let now = self.totals();
        let delta = now.since(&recorded);
        *recorded = now;
        delta
    }

    fn is_recorded(&self) -> bool {
        *self.recorded.lock() == self.totals()
    }
}

// === impl Totals ===

impl Totals {
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        matches!(self, Self { requests: 0, cpu_us: 0, wall_ms: 0, bytes_in: 0, bytes_out: 0, subrequests: 0 })
    }

    const fn since(&self, before: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(before.requests),
            cpu_us: self.cpu_us.saturating_sub(before.cpu_us),
            wall_ms: self.wall_ms.saturating_sub(before.wall_ms),
            bytes_in: self.bytes_in.saturating_sub(before.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(before.bytes_out),
            subrequests: self.subrequests.saturating_sub(before.subrequests),
        }
    }
}

// === impl Registry ===

impl Registry {
    #[must_use]
    pub fn new(outcomes: &'static [&'static str]) -> Arc<Self> {
        Arc::new(Self { outcomes, workers: Mutex::default() })
    }

    /// The numbers of a worker: those it had before, if it was there.
    #[must_use]
    pub fn worker(&self, tenant: &str, worker: &str) -> Arc<WorkerStats> {
        let mut workers = self.workers.lock();
        let entry = workers
            .entry((tenant.to_owned(), worker.to_owned()))
            .or_insert_with(|| Entry { stats: Arc::new(self.blank(tenant, worker)), unused: None });
        entry.unused = None;
        Arc::clone(&entry.stats)
    }

    pub(crate) fn blank(&self, tenant: &str, worker: &str) -> WorkerStats {
        WorkerStats::new(tenant, worker, self.outcomes)
    }

    /// All of them, by tenant and name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<WorkerStats>> {
        self.workers.lock().values().map(|entry| Arc::clone(&entry.stats)).collect()
    }

    /// Forgets workers that nobody has held for a while. With `ledger`, only what it has taken over.
    pub(crate) fn sweep(&self, ledger: Recorded) {
        self.sweep_at(Instant::now(), ledger);
    }

    fn sweep_at(&self, now: Instant, ledger: Recorded) {
        self.workers.lock().retain(|_, entry| {
            if Arc::strong_count(&entry.stats) > 1 {
                entry.unused = None;
                return true;
            }
            let unused = *entry.unused.get_or_insert(now);
            let settled = ledger == Recorded::Nowhere || entry.stats.is_recorded();
            !settled || now.duration_since(unused) < KEPT
        });
    }

    /// To be called now and then by a server that keeps no ledger.
    pub fn forget_unused(&self) {
        self.sweep(Recorded::Nowhere);
    }
}

/// Whether somebody writes the numbers down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    InLedger,
    Nowhere,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_to_shed_has_its_label() {
        let stats = WorkerStats::new("t", "w", &[]);
        for (index, why) in [
            Shed::WorkerQueue,
            Shed::TenantQueue,
            Shed::Isolates,
            Shed::Starts,
            Shed::Condemned,
            Shed::Threads,
            Shed::Pressure,
            Shed::TenantIsolates,
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(why as usize, index);
            stats.shed(why);
        }
        assert_eq!(stats.sheds.iter().map(|(_, count)| count).collect::<Vec<_>>(), [1; Shed::LABELS.len()]);
    }

    #[test]
    fn every_reason_to_evict_has_its_label() {
        let all =
            [Eviction::Idle, Eviction::Isolates, Eviction::TenantIsolates, Eviction::Memory, Eviction::Superfluous];
        assert_eq!(all.map(|why| why as usize), [0, 1, 2, 3, 4]);
        assert_eq!(Eviction::LABELS.len(), all.len());
    }

    #[test]
    fn a_worker_that_comes_back_has_its_numbers() {
        let registry = Registry::new(&["ok"]);
        registry.worker("t", "w").requests.increment(0);
        assert_eq!(registry.worker("t", "w").requests.total(), 1);
        assert_eq!(registry.worker("other", "w").requests.total(), 0);
        assert_eq!(registry.all().len(), 2);
    }

    #[test]
    fn a_worker_that_is_gone_is_forgotten_once_its_numbers_are_written_down() {
        let registry = Registry::new(&["ok"]);
        let (start, later) = (Instant::now(), Instant::now() + KEPT);
        let held = registry.worker("t", "held");
        registry.worker("t", "gone").requests.increment(0);
        registry.sweep_at(start, Recorded::InLedger);
        registry.sweep_at(later, Recorded::InLedger);
        assert_eq!(registry.all().len(), 2, "not written down");
        for stats in registry.all() {
            stats.take_delta();
        }
        registry.sweep_at(later, Recorded::InLedger);
        let left: Vec<_> = registry.all().iter().map(|stats| stats.worker.clone()).collect();
        assert_eq!(left, ["held"]);
        drop(held);
    }

    #[test]
    fn deltas_add_up_to_the_totals() {
        let stats = WorkerStats::new("t", "w", &["ok"]);
        let mut sum = 0;
        for _ in 0..3 {
            stats.cpu_ns.add(1_700);
            sum += stats.take_delta().cpu_us;
        }
        assert_eq!((sum, stats.totals().cpu_us), (5, 5));
        assert!(stats.take_delta().is_zero());
    }
}
