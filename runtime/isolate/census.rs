//! Who is there: every isolate of a process, for those who look at it from outside (metrics, the list of workers).
//!
//! An isolate is entered when it starts and found by its [`Status`], which it keeps itself; nothing is counted on the data
//! path.

use std::sync::Arc;
use std::sync::Weak;

use parking_lot::Mutex;

use crate::Status;

/// The isolates of a process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Census {
    isolates: Arc<Mutex<Vec<Weak<Status>>>>,
}

/// Where an isolate is in its life, as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No tenant's code yet.
    Blank,
    Serving,
    /// It finishes what runs: evicted, replaced or shut down.
    Draining,
    /// It finishes what runs: one of its invocations broke a limit.
    Condemned,
    /// Nothing more is expected of its thread, which is inside the engine or was stopped; its memory goes with the process.
    GivenUp,
}

// === impl Census ===

impl Census {
    pub(crate) fn enter(&self, status: &Arc<Status>) {
        let mut isolates = self.isolates.lock();
        isolates.retain(|isolate| isolate.strong_count() > 0);
        isolates.push(Arc::downgrade(status));
    }

    /// The isolates whose threads run.
    #[must_use]
    pub fn isolates(&self) -> Vec<Arc<Status>> {
        let isolates = self.isolates.lock();
        isolates.iter().filter_map(Weak::upgrade).filter(|status| !status.has_ended()).collect()
    }
}

// === impl Phase ===

impl Phase {
    pub const ALL: [Self; 5] = [Self::Blank, Self::Serving, Self::Draining, Self::Condemned, Self::GivenUp];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Condemned => "condemned",
            Self::GivenUp => "given_up",
        }
    }
}
