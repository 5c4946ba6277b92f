//! How busy an isolate's thread is, for the host that chooses among isolates: touched by both, locked by none.

use std::sync::LazyLock;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::cpu::ThreadClock;

/// What the times below count from.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// One isolate's load.
#[derive(Default)]
pub(crate) struct Load {
    /// Events in its inbox that have not begun.
    waiting: AtomicUsize,
    /// Since when there have been some, or since when the last one of them began, in microseconds.
    since_us: AtomicU64,
    /// How long the event that began last had waited, in microseconds.
    waited_us: AtomicU64,
    in_turn: AtomicBool,
    clock: OnceLock<ThreadClock>,
}

/// The thread is inside JavaScript.
pub(crate) struct InTurn<'a>(&'a AtomicBool);

// === impl Load ===

impl Load {
    pub(crate) fn runs_on_this_thread(&self) {
        if let Some(clock) = ThreadClock::of_this_thread() {
            let _ = self.clock.set(clock);
        }
    }

    /// CPU time that the thread has used; `None` before it runs, and once it has ended.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        self.clock.get()?.now_ns().map(Duration::from_nanos)
    }

    /// An event was put into the inbox.
    pub(crate) fn arrived(&self) {
        if self.waiting.fetch_add(1, Ordering::AcqRel) == 0 {
            self.since_us.store(now_us(), Ordering::Relaxed);
        }
    }

    /// An event was taken out of it that had waited for so long.
    pub(crate) fn begun(&self, waited: Duration) {
        self.waited_us.store(u64::try_from(waited.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if self.waiting.fetch_sub(1, Ordering::AcqRel) > 1 {
            self.since_us.store(now_us(), Ordering::Relaxed);
        }
    }

    pub(crate) fn enter_turn(&self) -> InTurn<'_> {
        self.in_turn.store(true, Ordering::Relaxed);
        InTurn(&self.in_turn)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    pub(crate) fn is_in_turn(&self) -> bool {
        self.in_turn.load(Ordering::Relaxed)
    }

    /// How long an event that comes now may have to wait, judged by the ones before it.
    pub(crate) fn wait(&self) -> Duration {
        if self.waiting() == 0 {
            return Duration::ZERO;
        }
        let stalled = now_us().saturating_sub(self.since_us.load(Ordering::Relaxed));
        Duration::from_micros(stalled.max(self.waited_us.load(Ordering::Relaxed)))
    }
}

impl Drop for InTurn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn now_us() -> u64 {
    u64::try_from(EPOCH.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_waits_when_nothing_has_come() {
        let load = Load::default();
        assert_eq!((load.waiting(), load.wait()), (0, Duration::ZERO));
    }

    #[test]
    fn the_wait_is_that_of_the_event_that_began_last_while_others_wait() {
        let load = Load::default();
        load.arrived();
        load.arrived();
        load.begun(Duration::from_secs(3));
        assert_eq!(load.waiting(), 1);
        assert!(load.wait() >= Duration::from_secs(3));
        load.begun(Duration::from_secs(3));
        assert_eq!((load.waiting(), load.wait()), (0, Duration::ZERO));
    }

    #[test]
    fn an_event_that_is_not_begun_waits_longer_and_longer() {
        let load = Load::default();
        load.arrived();
        let before = load.wait();
        std::thread::sleep(Duration::from_millis(2));
        assert!(load.wait() >= before + Duration::from_millis(2));
    }

    #[test]
    fn a_turn_is_over_when_its_guard_is_dropped() {
        let load = Load::default();
        let turn = load.enter_turn();
        assert!(load.is_in_turn());
        drop(turn);
        assert!(!load.is_in_turn());
    }
}
