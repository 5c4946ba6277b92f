//! What an isolate does when nothing is left to do: it finds out who waits for ever, measures its memory, keeps bytecode.

use std::time::Duration;
use std::time::Instant;

use deno_core::v8;

use crate::Failure;
use crate::Outcome;
use crate::modules;
use crate::observe::Level;
use crate::run::Isolate;
use crate::run::Stage;
use crate::state::Owner;

/// After this long without work memory is measured and bytecode is kept.
pub(crate) const IDLE_AFTER: Duration = Duration::from_millis(50);

/// After this long without work all garbage is collected, which takes some milliseconds that are charged to nobody.
const COLLECT_AFTER: Duration = Duration::from_secs(10);

/// How long nothing has happened, and when there is something to do about it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Idle {
    Busy,
    Settling(Instant),
    Measured(Instant),
    Collected,
}

// === impl Isolate ===

impl Isolate {
    pub(crate) fn on_idle(&mut self, idle: &mut Idle) {
        self.end_hung();
        let now = Instant::now();
        match *idle {
            Idle::Settling(at) if at <= now => {
                *idle = Idle::Measured(now + COLLECT_AFTER);
                self.measure();
            }
            Idle::Measured(at) if at <= now => {
                *idle = Idle::Collected;
                self.runtime.v8_isolate().low_memory_notification();
                self.state.memory.measure(self.runtime.v8_isolate());
                self.forgive();
            }
            _ => {}
        }
    }

    /// With no operation, no timer and nothing in the engine's loop, no turn can come: who has not answered never will.
    fn end_hung(&mut self) {
        if self.state.invocations.borrow().is_empty()
            || !self.state.timers.borrow().is_empty()
            || self.ambient.is_wanted()
        {
            return;
        }
        // The client's leaving would call listeners of the signal: their turn can still come.
        if self
            .state
            .invocations
            .borrow()
            .values()
            .any(|invocation| invocation.watches_signal && !invocation.client_gone)
        {
            return;
        }
        let hung = self.state.hung();
        let owes = |owner| {
            let invocations = self.state.invocations.borrow();
            invocations.get(&owner).is_some_and(|invocation| invocation.reply.is_some() || invocation.writing > 0)
        };
        let owners: Vec<(Owner, bool)> = hung.into_iter().map(|owner| (owner, owes(owner))).collect();
        for (owner, unanswered) in owners {
            if unanswered {
                self.state.fail(owner, self.hung());
            } else {
                self.state.log(
                    owner,
                    Level::Warn,
                    "A promise given to waitUntil() can never resolve; the request has ended without it.",
                );
            }
            self.end(owner);
        }
    }

    /// Why nothing can come any more. Where a turn was cut short, what was lost with it may be what the others wait for.
    fn hung(&self) -> Failure {
        if self.interrupted {
            let message = "Another request exceeded a limit, and what this one waited for ended with it.";
            return Failure::new(Outcome::IsolateReset, message);
        }
        let message = "The worker's code had hung: nothing is left that could complete its response. A promise is never resolved.";
        Failure::new(Outcome::Hung, message)
    }

    fn measure(&mut self) {
        self.state.memory.measure(self.runtime.v8_isolate());
        if self.stage == Stage::Serving
            && let Some(worker) = self.state.worker()
        {
            let context = &self.context;
            v8::scope_with_context!(scope, self.runtime.v8_isolate(), context);
            modules::keep_bytecode(scope, &worker);
        }
        self.forgive();
    }
}
