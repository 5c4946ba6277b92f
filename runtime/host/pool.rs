//! The isolates of one worker: one as long as it keeps up, more while it does not.
//!
//! What calls for another isolate is an event that waited although the threads of those that run were at work all the time.
//! Invocations that merely sleep occupy no thread, so they call for none, however many they are.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use holm_isolate::IsolateHandle;
use holm_isolate::Status;
use parking_lot::Mutex;
use parking_lot::RwLock;

use crate::seats::Seat;
use crate::tenants::Tenant;

/// An event that has waited this long for its isolate's thread is late.
const LATE: Duration = Duration::from_millis(5);

/// While events are late, the threads are observed for so long before another isolate starts.
const OBSERVED: Duration = Duration::from_millis(20);

/// Observations further apart say nothing about the time between them.
const STALE: Duration = Duration::from_millis(500);

/// An isolate that runs a worker.
pub(crate) struct Running {
    pub(crate) isolate: IsolateHandle,
    /// Milliseconds since the host's epoch.
    pub(crate) last_used: AtomicU64,
    /// Given back once the isolate's thread has ended.
    _seats: Seats,
}

/// What an isolate is counted against.
pub(crate) struct Seats {
    pub(crate) _of_host: Seat,
    pub(crate) _of_tenant: Seat,
    /// Lives as long as what it is charged with.
    pub(crate) _tenant: Arc<Tenant>,
}

/// In the order in which they were started.
#[derive(Default)]
pub(crate) struct Pool {
    isolates: RwLock<Vec<Arc<Running>>>,
    observed: Mutex<Option<Observation>>,
}

/// The isolate for an event.
pub(crate) struct Pick {
    pub(crate) running: Arc<Running>,
    /// All are busy, and events are late.
    pub(crate) late: bool,
}

/// The CPU time of a pool's threads at some moment.
struct Observation {
    at: Instant,
    cpu: Duration,
    threads: u32,
}

// === impl Running ===

impl Running {
    pub(crate) fn new(isolate: IsolateHandle, seats: Seats, now_ms: u64) -> Arc<Self> {
        Arc::new(Self { isolate, last_used: AtomicU64::new(now_ms), _seats: seats })
    }

    pub(crate) fn status(&self) -> &Status {
        self.isolate.status()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.status().in_flight() == 0
    }

    pub(crate) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }
}

// === impl Pool ===

impl Pool {
    /// The first one that has nothing to do right now, else the one with the fewest events before its thread. The first ones
    /// are preferred, so that the others become idle when they are not needed.
    pub(crate) fn pick(&self) -> Option<Pick> {
        let isolates = self.isolates.read();
        let mut least: Option<(usize, &Arc<Running>)> = None;
        let mut late = true;
        for running in isolates.iter() {
            let status = running.status();
            if status.is_condemned() {
                continue;
            }
            let waiting = status.waiting();
            if waiting == 0 && !status.is_in_turn() {
                return Some(Pick { running: Arc::clone(running), late: false });
            }
            late &= status.wait() >= LATE;
            if least.is_none_or(|(fewest, _)| waiting < fewest) {
                least = Some((waiting, running));
            }
        }
        least.map(|(_, running)| Pick { running: Arc::clone(running), late })
    }

    /// Whether the threads have been at work for most of the time since events became late. To be asked while they are.
    pub(crate) fn is_bottleneck(&self, now: Instant) -> bool {
        let mut observed = self.observed.lock();
        if observed.as_ref().is_some_and(|before| now.saturating_duration_since(before.at) < OBSERVED) {
            return false;
        }
        let latest = self.observe(now);
        let before = observed.replace(latest);
        before.zip(observed.as_ref()).is_some_and(|(before, latest)| latest.is_mostly_work_since(&before))
    }

    fn observe(&self, at: Instant) -> Observation {
        let isolates = self.isolates.read();
        let cpu = isolates.iter().filter_map(|running| running.status().cpu()).sum();
        Observation { at, cpu, threads: u32::try_from(isolates.len()).unwrap_or(u32::MAX) }
    }

    pub(crate) fn add(&self, running: &Arc<Running>) {
        self.isolates.write().push(Arc::clone(running));
    }

    /// Answers whether it was there.
    pub(crate) fn remove(&self, running: &Arc<Running>) -> bool {
        let mut isolates = self.isolates.write();
        let before = isolates.len();
        isolates.retain(|other| !Arc::ptr_eq(other, running));
        isolates.len() < before
    }

    pub(crate) fn take_all(&self) -> Vec<Arc<Running>> {
        std::mem::take(&mut *self.isolates.write())
    }

    pub(crate) fn all(&self) -> Vec<Arc<Running>> {
        self.isolates.read().clone()
    }

    /// How many take new invocations.
    pub(crate) fn len(&self) -> usize {
        self.isolates.read().iter().filter(|running| !running.status().is_condemned()).count()
    }

    /// Those that have been idle since before `then`, but for the one that was used last.
    pub(crate) fn superfluous(&self, then_ms: u64) -> Vec<Arc<Running>> {
        let isolates = self.isolates.read();
        let Some(latest) = isolates.iter().max_by_key(|running| running.last_used()) else { return Vec::new() };
        let superfluous = |running: &&Arc<Running>| {
            !Arc::ptr_eq(running, latest) && running.is_idle() && running.last_used() <= then_ms
        };
        isolates.iter().filter(superfluous).map(Arc::clone).collect()
    }
}

// === impl Observation ===

impl Observation {
    fn is_mostly_work_since(&self, before: &Self) -> bool {
        let passed = self.at - before.at;
        passed < STALE
            && self.threads == before.threads
            && self.cpu.saturating_sub(before.cpu) * 2 >= passed * self.threads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observation(since: Instant, at_ms: u64, cpu_ms: u64, threads: u32) -> Observation {
        Observation { at: since + Duration::from_millis(at_ms), cpu: Duration::from_millis(cpu_ms), threads }
    }

    #[test]
    fn threads_are_the_bottleneck_when_they_work_for_most_of_the_time() {
        let now = Instant::now();
        let before = observation(now, 0, 1_000, 2);
        let is_bottleneck =
            |at_ms, cpu_ms, threads| observation(now, at_ms, cpu_ms, threads).is_mostly_work_since(&before);
        assert!(is_bottleneck(20, 1_040, 2));
        assert!(is_bottleneck(20, 1_020, 2));
        assert!(!is_bottleneck(20, 1_019, 2), "one of the two has time");
        assert!(!is_bottleneck(20, 1_000, 2), "nothing but sleep");
        assert!(!is_bottleneck(20, 1_060, 3), "another isolate has just started");
        assert!(!is_bottleneck(20, 900, 2), "one of them has ended");
        assert!(!is_bottleneck(500, 3_000, 2), "too long ago");
    }
}
