//! The deadlines of an isolate's invocations: the wall limit until the answer, the `waitUntil` limit after its end.

use std::time::Duration;
use std::time::Instant;

use crate::Failure;
use crate::Outcome;
use crate::invocation::Invocation;
use crate::observe::Level;
use crate::run::Isolate;
use crate::run::Stage;
use crate::turn::Verdict;

/// Between two looks at a job of the pool, at least.
const POOL_TICK: Duration = Duration::from_millis(1);

/// What an invocation whose time is over has not done yet.
#[derive(Clone, Copy)]
enum Late {
    Answer,
    Background,
}

// === impl Late ===

impl Late {
    fn of(invocation: &Invocation) -> Self {
        if invocation.reply.is_some() { Self::Answer } else { Self::Background }
    }
}

// === impl Isolate ===

impl Isolate {
    pub(crate) fn sweep_before(&mut self, at: Instant) {
        self.sweep_at = Some(self.sweep_at.map_or(at, |before| before.min(at)));
    }

    /// Ends the invocation whose job in the pool has used up its budget, or looks again when it may have.
    pub(crate) fn look_at_pool(&mut self, now: Instant) {
        if self.state.jobs.get() == 0 {
            return;
        }
        let running = self.state.pool.running().and_then(|(owner, cpu_ns)| {
            let left = self.state.with(owner, |invocation| {
                invocation.ledger.left(invocation.cpu.saturating_sub(Duration::from_nanos(cpu_ns)))
            });
            let left = left.ok()?;
            Some((owner, left))
        });
        let again = match running {
            Some((owner, None)) => {
                self.judge(owner, Verdict::CpuExceeded);
                POOL_TICK
            }
            Some((_, Some(left))) => left.max(POOL_TICK),
            // Between two jobs.
            None => POOL_TICK,
        };
        self.sweep_before(now + again);
    }

    /// Ends the invocations whose deadline has passed.
    pub(crate) fn sweep(&mut self) {
        let now = Instant::now();
        self.sweep_at = None;
        let mut late = Vec::new();
        let mut next: Option<Instant> = None;
        let again = now + self.state.limits.borrow().wait_until;
        let is_debugged = self.is_debugged();
        for (owner, invocation) in self.state.invocations.borrow_mut().iter_mut() {
            // A stream may last for as long as its client stays.
            if invocation.deadline <= now && (is_debugged || invocation.is_streaming()) {
                invocation.deadline = again;
            }
            if invocation.deadline <= now {
                late.push((*owner, Late::of(invocation)));
            } else {
                next = Some(next.map_or(invocation.deadline, |next| next.min(invocation.deadline)));
            }
        }
        for (owner, late) in late {
            let limits = self.state.limits.borrow().clone();
            match late {
                Late::Answer => {
                    let message = format!("The worker did not answer within {} ms.", limits.wall.as_millis());
                    self.state.fail(owner, Failure::new(Outcome::WallExceeded, message));
                }
                Late::Background => {
                    let text = format!(
                        "waitUntil() tasks did not complete within {} s after the response and have been cancelled. See: https://developers.cloudflare.com/workers/runtime-apis/context/#waituntil",
                        limits.wait_until.as_secs()
                    );
                    self.state.log(owner, Level::Warn, &text);
                }
            }
            self.end(owner);
        }
        if let Some(next) = next {
            self.sweep_before(next);
        }
        self.look_at_pool(now);
        if let Stage::Draining(until) = self.stage {
            if until <= now {
                self.end_all();
            } else {
                self.sweep_before(until);
            }
        }
    }
}
