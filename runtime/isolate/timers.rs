//! Timers that invocations own, fired by the isolate's loop one at a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::HashMap;
use std::time::Duration;
use std::time::Instant;

use crate::state::Owner;

/// The shortest interval of a repeating timer.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);
/// The longest delay; longer ones are cut (HTML standard: 2^31 - 1 ms).
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// All timers of one isolate.
#[derive(Default)]
pub(crate) struct Timers {
    /// Due times with the timer's id; entries of cancelled timers are dropped when they surface.
    due: BinaryHeap<Reverse<(Instant, u32)>>,
    timers: HashMap<u32, Timer>,
    last_id: u32,
}

struct Timer {
    owner: Owner,
    due: Instant,
    interval: Option<Duration>,
}

// === impl Timers ===

impl Timers {
    pub(crate) fn start(&mut self, owner: Owner, now: Instant, delay: Duration, repeat: bool) -> u32 {
        let delay = delay.min(LONGEST);
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let id = self.last_id;
        let due = now + delay;
        let interval = repeat.then(|| delay.max(SHORTEST_INTERVAL));
        self.timers.insert(id, Timer { owner, due, interval });
        self.due.push(Reverse((due, id)));
        id
    }

    /// Answers the owner, if the timer was there.
    pub(crate) fn cancel(&mut self, id: u32) -> Option<Owner> {
        let timer = self.timers.remove(&id)?;
        // A script that starts and cancels for ever must not grow the heap for ever.
        if self.due.len() > 64 && self.due.len() > 2 * self.timers.len() {
            let timers = &self.timers;
            self.due.retain(|Reverse((_, id))| timers.contains_key(id));
        }
        Some(timer.owner)
    }

    pub(crate) fn cancel_all(&mut self, owner: Owner) {
        self.timers.retain(|_, timer| timer.owner != owner);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    /// When the next timer is due.
    pub(crate) fn next_due(&mut self) -> Option<Instant> {
        while let Some(Reverse((due, id))) = self.due.peek() {
            if self.timers.get(id).is_some_and(|timer| timer.due == *due) {
                return Some(*due);
            }
            self.due.pop();
        }
        None
    }

    /// Takes one timer that is due: its id, its owner, and whether it is over. A repeating one is due again later.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(u32, Owner, bool)> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse((_, id)) = self.due.pop()?;
        let timer = self.timers.get_mut(&id)?;
        let owner = timer.owner;
        let Some(interval) = timer.interval else {
            self.timers.remove(&id);
            return Some((id, owner, true));
        };
        // From the due time, so that an interval does not drift; from now where it has fallen behind.
        timer.due = (timer.due + interval).max(now);
        self.due.push(Reverse((timer.due, id)));
        Some((id, owner, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_the_order_of_their_due_times() {
        let now = Instant::now();
        let mut timers = Timers::default();
        let late = timers.start(1, now, Duration::from_millis(20), false);
        let early = timers.start(2, now, Duration::from_millis(10), false);
        assert_eq!(timers.take_due(now), None);
        let then = now + Duration::from_millis(30);
        assert_eq!(timers.take_due(then), Some((early, 2, true)));
        assert_eq!(timers.take_due(then), Some((late, 1, true)));
        assert!(timers.is_empty());
    }

    #[test]
    fn an_interval_comes_back_and_a_cancelled_timer_does_not() {
        let now = Instant::now();
        let mut timers = Timers::default();
        let id = timers.start(7, now, Duration::ZERO, true);
        assert_eq!(timers.take_due(now), Some((id, 7, false)));
        assert_eq!(timers.next_due(), Some(now + SHORTEST_INTERVAL));
        assert_eq!(timers.cancel(id), Some(7));
        assert_eq!(timers.next_due(), None);
    }

    #[test]
    fn cancelled_timers_do_not_pile_up() {
        let now = Instant::now();
        let mut timers = Timers::default();
        for _ in 0..10_000 {
            let id = timers.start(1, now, Duration::from_secs(60), false);
            timers.cancel(id);
        }
        assert!(timers.due.len() <= 65);
    }
}
