//! Tasks and threads that have to live as long as their process.
//!
//! One that panics would leave a process that looks alive and is not: it would sweep no isolates, bill nobody or fire no
//! schedule any more. So its panic is a [`Report`], which leads to another process in the place of this one. It is not begun
//! anew where it was: what it kept may be half changed, and a process that begins has all of it whole.

use std::process::abort;
use std::thread::panicking;

use crate::Report;
use crate::watchdog::Reporter;

/// Held by what must not panic; reports it if it does.
pub struct Vital {
    name: &'static str,
    reporter: Reporter,
}

/// Held by what a process must not be a moment without, and by what reports go through: its panic ends the process.
pub struct AbortOnUnwind;

// === impl Vital ===

impl Vital {
    pub(crate) fn new(name: &'static str, reporter: Reporter) -> Self {
        Self { name, reporter }
    }

    /// Drives a task.
    pub async fn watch<T>(self, task: impl Future<Output = T>) -> T {
        let _held = self;
        task.await
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        if panicking() {
            (self.reporter)(Report::Panicked(self.name));
        }
    }
}

impl std::fmt::Debug for Vital {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Vital").field(&self.name).finish()
    }
}

// === impl AbortOnUnwind ===

impl AbortOnUnwind {
    /// Drives a task.
    pub async fn watch<T>(self, task: impl Future<Output = T>) -> T {
        let _held = self;
        task.await
    }
}

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        if panicking() {
            abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use crate::Report;
    use crate::Watchdog;
    use crate::WatchdogOptions;

    fn watchdog() -> (Watchdog, Arc<Mutex<Vec<Report>>>) {
        let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
        let told = Arc::clone(&reports);
        let report = Box::new(move |report| told.lock().push(report));
        (Watchdog::start(WatchdogOptions { report, ..WatchdogOptions::alone().unwrap() }).unwrap(), reports)
    }

    #[tokio::test]
    async fn a_task_that_panics_is_reported_before_anyone_waits_for_it() {
        let (watchdog, reports) = watchdog();
        let sweeper = tokio::spawn(watchdog.vital("sweeper").watch(async {
            tokio::task::yield_now().await;
            panic!("injected");
        }));
        assert!(sweeper.await.unwrap_err().is_panic());
        assert_eq!(*reports.lock(), [Report::Panicked("sweeper")]);
    }

    #[test]
    fn a_thread_that_panics_is_reported() {
        let (watchdog, reports) = watchdog();
        let vital = watchdog.vital("ledger");
        let thread = std::thread::spawn(move || {
            let _held = vital;
            panic!("injected");
        });
        assert!(thread.join().is_err());
        assert_eq!(*reports.lock(), [Report::Panicked("ledger")]);
    }

    #[tokio::test]
    async fn what_ends_or_is_dropped_is_not() {
        let (watchdog, reports) = watchdog();
        tokio::spawn(watchdog.vital("ends").watch(async {})).await.unwrap();
        let dropped = tokio::spawn(watchdog.vital("dropped").watch(std::future::pending::<()>()));
        dropped.abort();
        assert!(dropped.await.unwrap_err().is_cancelled());
        assert_eq!(*reports.lock(), []);
    }
}
