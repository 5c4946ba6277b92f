//! Blank isolates, started ahead of need: the engine's start-up cost is paid off a request's path. A spare knows no tenant,
//! and is used once.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use holm_isolate::IsolateHandle;
use holm_isolate::IsolateOptions;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Refilling waits this long, so that a spare's start does not compete with the event that took the last one.
const REFILL_AFTER: Duration = Duration::from_millis(2);

/// The pool of one host.
pub(crate) struct Spares {
    options: IsolateOptions,
    /// 0 once the host drains.
    wanted: AtomicUsize,
    pool: Mutex<Vec<IsolateHandle>>,
    taken: Notify,
}

// === impl Spares ===

impl Spares {
    pub(crate) fn new(options: IsolateOptions, wanted: usize) -> Arc<Self> {
        let spares =
            Arc::new(Self { options, wanted: AtomicUsize::new(wanted), pool: Mutex::default(), taken: Notify::new() });
        if wanted > 0 {
            let filler = Arc::downgrade(&spares);
            let vital = spares.options.watchdog.vital("spare filler");
            spares.options.front.spawn(vital.watch(async move {
                loop {
                    let Some(spares) = filler.upgrade() else { return };
                    if !spares.add_one() {
                        spares.taken.notified().await;
                    }
                    drop(spares);
                    tokio::time::sleep(REFILL_AFTER).await;
                }
            }));
        }
        spares
    }

    /// Starts a spare if one is missing; answers whether one was.
    fn add_one(&self) -> bool {
        if self.pool.lock().len() >= self.wanted.load(Ordering::Acquire) {
            return false;
        }
        match IsolateHandle::start(self.options.clone()) {
            Ok(isolate) => {
                self.pool.lock().push(isolate);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "a spare isolate could not be started");
                false
            }
        }
    }

    /// A blank isolate: the oldest spare, or a new one.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn take(&self) -> std::io::Result<IsolateHandle> {
        let spare = {
            let mut pool = self.pool.lock();
            (!pool.is_empty()).then(|| pool.remove(0))
        };
        self.taken.notify_one();
        match spare {
            Some(spare) if !spare.status().has_ended() => Ok(spare),
            _ => IsolateHandle::start(self.options.clone()),
        }
    }

    /// Isolates, of all kinds, that wait for a core.
    pub(crate) fn waiting_for_core(&self) -> usize {
        self.options.cores.waiting()
    }

    pub(crate) fn len(&self) -> usize {
        self.pool.lock().len()
    }

    /// Ends all spares; none is started afterwards.
    pub(crate) fn clear(&self) {
        self.wanted.store(0, Ordering::Release);
        self.pool.lock().clear();
    }
}
