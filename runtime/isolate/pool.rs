//! The thread beside an isolate's own, for work that would hold it: cryptography. One thread for each isolate, which does one
//! job at a time, in the order in which they came.
//!
//! The jobs are the engine's crates' own closures, given to tokio's blocking pool. Holm puts a mark before and one after
//! each: since the pool has one thread, the time between the two marks on that thread's CPU clock is the job's. It is charged
//! to the invocation that started the job, which lasts until then. While a job runs, [`Pool::running`] says what it has used,
//! so that an invocation is ended when its budget is used up and not only when the job is done. Jobs that have not begun are
//! dropped with the isolate.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::cpu::ThreadClock;
use crate::cpu::thread_cpu_ns;
use crate::message::Inbox;
use crate::message::Message;
use crate::state::Owner;

/// One isolate's pool.
#[derive(Default)]
pub(crate) struct Pool {
    job: Mutex<Option<Job>>,
}

/// The job that runs.
struct Job {
    owner: Owner,
    clock: Option<ThreadClock>,
    began_ns: u64,
}

// === impl Pool ===

impl Pool {
    /// Puts the mark before a job of `owner`.
    pub(crate) fn begin(self: &Arc<Self>, owner: Owner) {
        let pool = Arc::clone(self);
        in_pool(move || {
            let clock = ThreadClock::of_this_thread();
            *pool.job.lock() = Some(Job { owner, clock, began_ns: thread_cpu_ns() });
        });
    }

    /// Puts the mark after the job of `operation`. The isolate is told what it took.
    pub(crate) fn end(self: &Arc<Self>, operation: u32, inbox: Inbox) {
        let pool = Arc::clone(self);
        in_pool(move || {
            let job = pool.job.lock().take();
            let cpu_ns = job.map_or(0, |job| thread_cpu_ns().saturating_sub(job.began_ns));
            // The isolate may have ended meanwhile; then nobody pays.
            let _ = inbox.send(Message::PoolDone(operation, cpu_ns));
        });
    }

    /// Whose job runs, and the CPU time that it has used so far, in nanoseconds.
    pub(crate) fn running(&self) -> Option<(Owner, u64)> {
        let job = self.job.lock();
        let job = job.as_ref()?;
        let now = job.clock.and_then(ThreadClock::now_ns)?;
        Some((job.owner, now.saturating_sub(job.began_ns)))
    }
}

/// Queues a step of the pool's thread. The isolate's loop runs within a runtime of tokio; where there is none, there are no jobs.
fn in_pool(step: impl FnOnce() + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn_blocking(step);
    }
}
