//! Which runs are due.
//!
//! Invariant: the scheduled times of a trigger only go up, so no time fires twice, unless the clock is set back by more than
//! [`CORRECTION_MS`]: then it was wrong before, and what it says now counts. A time that passed while nobody looked (the machine
//! slept, the clock was set, a run before it was still going) is *missed*: it is run late or not at all, as [`Policy`] says, and
//! said so in either case.

use serde::Deserialize;
use serde::Serialize;

use crate::Trigger;

/// How much later than scheduled a run is still on time, in milliseconds.
const ON_TIME_MS: i64 = 30_000;

/// How many of the times that were missed are told one by one.
const TOLD: usize = 100;

/// How many of them are looked at one by one; of what was missed before, nothing is told.
const COUNTED: usize = 10_000;
/// Where that goes on, before now, in milliseconds.
const LATELY_MS: i64 = 24 * 3_600_000;

/// A clock that goes back by less repeats an hour, or was a little fast.
const CORRECTION_MS: i64 = 3 * 3_600_000;

/// What becomes of runs that cannot be on time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Policy {
    pub missed: Missed,
    pub overlap: Overlap,
}

/// A scheduled time passed while nothing could run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// It is left out.
    #[default]
    Skip,
    /// The latest is run as soon as it can be; those before it are left out.
    RunOnce,
}

/// The run before is still going when the next is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// The next is missed.
    #[default]
    Skip,
    /// Both run.
    Allow,
}

/// The triggers of one worker.
#[derive(Debug)]
pub struct Schedule {
    policy: Policy,
    entries: Vec<Entry>,
    /// The latest time that was looked at.
    looked: i64,
}

#[derive(Debug)]
struct Entry {
    trigger: Trigger,
    /// The next scheduled time.
    next: Option<i64>,
    running: usize,
    /// A missed time that waits for the end of the run before it.
    owed: Option<i64>,
}

/// What [`Schedule::due`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// To be run now; [`Schedule::ended`] has to be told of its end.
    Run { trigger: Trigger, scheduled: i64 },
    /// Left out.
    Skipped { trigger: Trigger, scheduled: i64, why: Skipped },
}

/// Why a scheduled time is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skipped {
    /// It had passed when somebody looked again.
    Missed,
    /// The run before it was still going.
    Overlap,
}

// === impl Schedule ===

impl Schedule {
    /// Starts after `now`; a trigger that `last` knows goes on from its last scheduled time.
    #[must_use]
    pub fn new(triggers: Vec<Trigger>, policy: Policy, now: i64, last: impl Fn(&Trigger) -> Option<i64>) -> Self {
        let entries = triggers
            .into_iter()
            .map(|trigger| {
                let from = last(&trigger).filter(|last| *last <= now).unwrap_or(now);
                Entry { next: trigger.next_after(from), trigger, running: 0, owed: None }
            })
            .collect();
        Self { policy, entries, looked: now }
    }

    /// When to look next.
    #[must_use]
    pub fn next(&self) -> Option<i64> {
        self.entries.iter().filter_map(|entry| entry.next).min()
    }

    /// The triggers, each with the next time that it is scheduled for.
    pub fn upcoming(&self) -> impl Iterator<Item = (&Trigger, Option<i64>)> {
        self.entries.iter().map(|entry| (&entry.trigger, entry.next))
    }

    /// All that has come due.
    #[must_use]
    pub fn due(&mut self, now: i64) -> Vec<Due> {
        let policy = self.policy;
        if now < self.looked - CORRECTION_MS {
            for entry in &mut self.entries {
                entry.next = entry.trigger.next_after(now);
            }
            self.looked = now;
        }
        self.looked = self.looked.max(now);
        let mut due = Vec::new();
        for entry in &mut self.entries {
            entry.take_due(now, policy, &mut due);
        }
        due
    }

    /// A run has ended. Answers the one that waited for that, if any.
    #[must_use]
    pub fn ended(&mut self, trigger: &Trigger) -> Option<Due> {
        let entry = self.entries.iter_mut().find(|entry| entry.trigger == *trigger)?;
        entry.running = entry.running.saturating_sub(1);
        if entry.running > 0 {
            return None;
        }
        let scheduled = entry.owed.take()?;
        entry.running = 1;
        Some(Due::Run { trigger: entry.trigger.clone(), scheduled })
    }
}

// === impl Entry ===

impl Entry {
    fn take_due(&mut self, now: i64, policy: Policy, due: &mut Vec<Due>) {
        let Some(first) = self.next.filter(|next| *next <= now) else { return };
        let mut passed = vec![first];
        let mut next = self.trigger.next_after(first);
        let mut counted = 0;
        while let Some(time) = next.filter(|time| *time <= now) {
            if passed.len() == TOLD {
                passed.remove(0);
            }
            passed.push(time);
            counted += 1;
            let from = if counted == COUNTED { time.max(now - LATELY_MS) } else { time };
            next = self.trigger.next_after(from);
        }
        self.next = next;
        let latest = passed.pop().unwrap_or(first);
        due.extend(passed.into_iter().map(|scheduled| self.skipped(scheduled, Skipped::Missed)));
        if now - latest > ON_TIME_MS && policy.missed == Missed::Skip {
            due.push(self.skipped(latest, Skipped::Missed));
        } else if self.running == 0 || policy.overlap == Overlap::Allow {
            self.running += 1;
            due.push(Due::Run { trigger: self.trigger.clone(), scheduled: latest });
        } else if policy.missed == Missed::RunOnce {
            if let Some(before) = self.owed.replace(latest) {
                due.push(self.skipped(before, Skipped::Overlap));
            }
        } else {
            due.push(self.skipped(latest, Skipped::Overlap));
        }
    }

    fn skipped(&self, scheduled: i64, why: Skipped) -> Due {
        Due::Skipped { trigger: self.trigger.clone(), scheduled, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn each_minute(policy: Policy) -> Schedule {
        Schedule::new(vec![Trigger::parse("* * * * *").unwrap()], policy, 0, |_| None)
    }

    /// What is due, as signed minutes: those that run, and below zero those that are skipped.
    fn minutes(due: &[Due]) -> Vec<i64> {
        due.iter()
            .map(|due| match due {
                Due::Run { scheduled, .. } => scheduled / MINUTE,
                Due::Skipped { scheduled, .. } => -scheduled / MINUTE,
            })
            .collect()
    }

    fn trigger() -> Trigger {
        Trigger::parse("* * * * *").unwrap()
    }

    #[test]
    fn a_time_is_due_once() {
        let mut schedule = each_minute(Policy::default());
        assert_eq!(schedule.next(), Some(MINUTE));
        assert_eq!(minutes(&schedule.due(MINUTE - 1)), [0; 0]);
        assert_eq!(minutes(&schedule.due(MINUTE + 20)), [1]);
        assert_eq!(schedule.ended(&trigger()), None);
        // The clock was set back.
        assert_eq!(minutes(&schedule.due(MINUTE - 1)), [0; 0]);
        assert_eq!(minutes(&schedule.due(MINUTE + 40)), [0; 0]);
        assert_eq!(schedule.next(), Some(2 * MINUTE));
    }

    #[test]
    fn what_passed_while_nobody_looked_is_skipped_or_run_once() {
        let late = 4 * MINUTE + 45_000;
        let mut skips = each_minute(Policy::default());
        assert_eq!(minutes(&skips.due(late)), [-1, -2, -3, -4]);
        let mut in_time = each_minute(Policy::default());
        assert_eq!(minutes(&in_time.due(4 * MINUTE + 10_000)), [-1, -2, -3, 4]);
        let mut runs = each_minute(Policy { missed: Missed::RunOnce, ..Policy::default() });
        assert_eq!(minutes(&runs.due(late)), [-1, -2, -3, 4]);
    }

    #[test]
    fn a_run_that_lasts_makes_the_next_one_wait_or_be_left_out_or_run_beside_it() {
        let mut skips = each_minute(Policy::default());
        assert_eq!(minutes(&skips.due(MINUTE)), [1]);
        assert_eq!(minutes(&skips.due(2 * MINUTE)), [-2]);
        assert_eq!(skips.ended(&trigger()), None);
        assert_eq!(minutes(&skips.due(3 * MINUTE)), [3]);

        let mut beside = each_minute(Policy { overlap: Overlap::Allow, ..Policy::default() });
        assert_eq!(minutes(&beside.due(MINUTE)), [1]);
        assert_eq!(minutes(&beside.due(2 * MINUTE)), [2]);

        let mut waits = each_minute(Policy { missed: Missed::RunOnce, ..Policy::default() });
        assert_eq!(minutes(&waits.due(MINUTE)), [1]);
        assert_eq!(minutes(&waits.due(2 * MINUTE)), [0; 0]);
        assert_eq!(minutes(&waits.due(3 * MINUTE)), [-2]);
        assert_eq!(waits.ended(&trigger()), Some(Due::Run { trigger: trigger(), scheduled: 3 * MINUTE }));
        assert_eq!(waits.ended(&trigger()), None);
    }

    #[test]
    fn a_trigger_goes_on_where_another_process_has_left_off() {
        let policy = Policy { missed: Missed::RunOnce, ..Policy::default() };
        let now = 10 * MINUTE + 5;
        let schedule = |last| Schedule::new(vec![trigger()], policy, now, move |_| last);
        assert_eq!(schedule(None).next(), Some(11 * MINUTE));
        assert_eq!(minutes(&schedule(Some(7 * MINUTE)).due(now)), [-8, -9, 10]);
        assert_eq!(minutes(&schedule(Some(10 * MINUTE)).due(now)), [0; 0]);
        // Of a clock that was ahead.
        assert_eq!(schedule(Some(100 * MINUTE)).next(), Some(11 * MINUTE));
    }

    #[test]
    fn a_clock_that_was_far_ahead_is_forgotten_once_it_is_right() {
        const YEARS: i64 = 10 * 365 * 24 * 60;
        let mut schedule = each_minute(Policy::default());
        assert_eq!(minutes(&schedule.due(MINUTE)), [1]);
        assert_eq!(schedule.ended(&trigger()), None);
        // A leap of an hour, or of years, is one run at most.
        assert_eq!(schedule.due(61 * MINUTE).iter().filter(|due| matches!(due, Due::Run { .. })).count(), 1);
        assert_eq!(schedule.ended(&trigger()), None);
        assert_eq!(schedule.due(YEARS * MINUTE).iter().filter(|due| matches!(due, Due::Run { .. })).count(), 1);
        assert_eq!(schedule.ended(&trigger()), None);
        assert_eq!(schedule.next(), Some((YEARS + 1) * MINUTE));
        // An hour back, nothing fires twice; years back, it goes on from there.
        assert_eq!(minutes(&schedule.due((YEARS - 60) * MINUTE)), [0; 0]);
        assert_eq!(schedule.next(), Some((YEARS + 1) * MINUTE));
        assert_eq!(minutes(&schedule.due(62 * MINUTE)), [0; 0]);
        assert_eq!(schedule.next(), Some(63 * MINUTE));
        assert_eq!(minutes(&schedule.due(63 * MINUTE)), [63]);
    }

    #[test]
    fn years_without_a_look_are_told_of_in_part() {
        let mut schedule = each_minute(Policy::default());
        assert_eq!(schedule.due(1_000_000 * MINUTE).len(), TOLD);
    }
}
