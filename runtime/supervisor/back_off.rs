//! How long to wait before the next start: not at all after a life that lasted, longer and longer in a crash loop.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// A child that served this long did not die of its start.
const LASTED: Duration = Duration::from_secs(10);

/// The wait before the next start.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    next: Duration,
}

// === impl BackOff ===

impl BackOff {
    /// After a child that served for `lived`.
    pub(crate) fn after(&mut self, lived: Duration) -> Duration {
        if lived >= LASTED {
            self.next = Duration::ZERO;
        }
        let delay = self.next;
        self.next = (delay * 2).clamp(SHORTEST, LONGEST);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_a_crash_loop_slows_down_to_ten_seconds() {
        let mut back_off = BackOff::default();
        let delays: Vec<u128> = (0..10).map(|_| back_off.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(delays, [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(back_off.after(LASTED), Duration::ZERO);
    }
}
