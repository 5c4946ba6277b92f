//! The time of an isolate: the system's, except that it does not go back while somebody has seen it.

use std::cell::Cell;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// Stands still until it is told to [`tick`](Clock::tick).
pub(crate) struct Clock {
    /// Milliseconds since the epoch, whole.
    ms: Cell<f64>,
    /// Since when, and from what time on, the system's clock is behind this one: it was set back.
    ahead: Cell<Option<(Instant, f64)>>,
}

// === impl Clock ===

impl Clock {
    pub(crate) fn new() -> Self {
        Self { ms: Cell::new(system_ms()), ahead: Cell::new(None) }
    }

    pub(crate) fn ms(&self) -> f64 {
        self.ms.get()
    }

    /// Goes on to now.
    pub(crate) fn tick(&self) {
        self.tick_to(system_ms(), Instant::now);
    }

    /// Nobody is left who has seen the time.
    pub(crate) fn forget(&self) {
        self.ms.set(0.0);
    }

    fn tick_to(&self, system_ms: f64, now: impl FnOnce() -> Instant) {
        let before = self.ms.get();
        if system_ms >= before {
            self.ahead.set(None);
            self.ms.set(system_ms);
            return;
        }
        let now = now();
        let (since, from) = self.ahead.get().unwrap_or((now, before));
        self.ahead.set(Some((since, from)));
        self.ms.set((from + now.duration_since(since).as_secs_f64() * 1000.0).floor());
    }
}

fn system_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| (since.as_secs_f64() * 1000.0).floor())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_where_it_was_until_nobody_is_left() {
        let clock = Clock::new();
        let start = Instant::now();
        let at = |ms| move || start + Duration::from_millis(ms);
        let hour = 3_600_000.0;
        clock.forget();
        clock.tick_to(10.0 * hour, at(0));
        // Forward, at once.
        clock.tick_to(11.0 * hour, at(5));
        assert_eq!(clock.ms(), 11.0 * hour);
        // Back, by an hour: it goes on at its own pace.
        for (system_ms, elapsed, expected) in
            [(5.0, 10, 0.0), (6.0, 11, 1.0), (10.0, 15, 5.0), (1_005.0, 1_010, 1_000.0)]
        {
            clock.tick_to(10.0 * hour + system_ms, at(elapsed));
            assert_eq!(clock.ms(), 11.0 * hour + expected);
        }
        // Set right again, the system's counts.
        clock.tick_to(11.0 * hour + 1_500.0, at(1_500));
        assert_eq!(clock.ms(), 11.0 * hour + 1_500.0);
        // Back, with nobody left.
        clock.forget();
        clock.tick_to(hour, at(1_600));
        assert_eq!(clock.ms(), hour);
    }
}
