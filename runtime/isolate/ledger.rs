//! What an invocation has used.

use std::time::Duration;

/// The account of one invocation.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// CPU time over all turns, in nanoseconds of the isolate thread's clock.
    pub cpu_ns: u64,
    pub turns: u32,
    /// Exchanges with the world, redirects included.
    pub subrequests: u32,
    /// Console output, in bytes.
    pub log_bytes: usize,
}

// === impl Ledger ===

impl Ledger {
    #[must_use]
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_ns)
    }

    /// What is left of `budget`; `None` once it is used up.
    pub(crate) fn left(&self, budget: Duration) -> Option<Duration> {
        budget.checked_sub(self.cpu()).filter(|left| !left.is_zero())
    }
}
