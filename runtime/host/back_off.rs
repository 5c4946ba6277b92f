//! A worker that failed to start is not started again for a while, which grows with each failure in a row.

use std::time::Duration;
use std::time::Instant;

use holm_isolate::Failure;
use parking_lot::Mutex;

const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// What is remembered of one worker's starts.
#[derive(Default)]
pub(crate) struct BackOff(Mutex<Option<Failed>>);

struct Failed {
    failure: Failure,
    until: Instant,
    pause: Duration,
}

// === impl BackOff ===

impl BackOff {
    /// Whether the worker may be started now.
    ///
    /// # Errors
    /// The failure of the last start, if not.
    pub(crate) fn check(&self, now: Instant) -> Result<(), Failure> {
        match &*self.0.lock() {
            Some(failed) if now < failed.until => Err(failed.failure.clone()),
            _ => Ok(()),
        }
    }

    pub(crate) fn failed(&self, failure: &Failure, now: Instant) {
        let mut last = self.0.lock();
        let pause = last.as_ref().map_or(SHORTEST, |last| (last.pause * 2).min(LONGEST));
        *last = Some(Failed { failure: failure.clone(), until: now + pause, pause });
    }

    pub(crate) fn started(&self) {
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use holm_isolate::Outcome;

    use super::*;

    /// How long a start is refused after each of so many failures in a row.
    fn pauses(failures: usize) -> Vec<u64> {
        let (back_off, failure) = (BackOff::default(), Failure::new(Outcome::StartupFailed, "it throws"));
        let mut now = Instant::now();
        let pause = |_| {
            back_off.failed(&failure, now);
            let began = now;
            while let Err(refused) = back_off.check(now) {
                assert_eq!(refused.message, failure.message);
                now += Duration::from_millis(500);
            }
            u64::try_from((now - began).as_millis()).unwrap()
        };
        (0..failures).map(pause).collect()
    }

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        assert_eq!(pauses(9), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    }

    #[test]
    fn a_start_that_succeeds_is_the_end_of_it() {
        let (back_off, now) = (BackOff::default(), Instant::now());
        let failure = Failure::new(Outcome::StartupFailed, "it throws");
        back_off.failed(&failure, now);
        back_off.failed(&failure, now);
        back_off.started();
        assert!(back_off.check(now).is_ok());
        back_off.failed(&failure, now);
        assert!(back_off.check(now + SHORTEST).is_ok());
    }
}
