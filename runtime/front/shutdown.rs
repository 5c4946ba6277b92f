//! The way down: one [`Shutdown`] tells every listener and connection to finish what it has begun.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Starts the drain. Dropped without a drain, it means: serve on.
#[derive(Debug)]
pub struct Shutdown {
    until: watch::Sender<Option<Instant>>,
}

/// Hears of the drain.
#[derive(Clone, Debug)]
pub struct ShutdownSignal {
    until: watch::Receiver<Option<Instant>>,
}

// === impl Shutdown ===

impl Shutdown {
    #[must_use]
    pub fn new() -> (Self, ShutdownSignal) {
        let (sender, receiver) = watch::channel(None);
        (Self { until: sender }, ShutdownSignal { until: receiver })
    }

    /// Stops accepting; requests in flight may finish within `grace`, then their connections are dropped. A second call
    /// may bring the end nearer, never farther.
    pub fn drain(&self, grace: Duration) {
        let until = Instant::now() + grace;
        self.until.send_modify(|current| *current = Some(current.map_or(until, |before| before.min(until))));
    }
}

// === impl ShutdownSignal ===

impl ShutdownSignal {
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.until.borrow().is_some()
    }

    /// The end of the drain, if it has begun. Later changes of it are told by [`Self::changed`].
    pub(crate) fn until(&mut self) -> Option<Instant> {
        *self.until.borrow_and_update()
    }

    /// Waits until the drain begins or is hastened, and returns its end.
    pub(crate) async fn changed(&mut self) -> Instant {
        loop {
            if self.until.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(until) = self.until() {
                return until;
            }
        }
    }
}
