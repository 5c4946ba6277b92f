//! The CPU clocks of threads, with which every budget is measured.
//!
//! The kernel keeps one CPU clock per thread, and any thread of the process may read it. Units are nanoseconds.
#![allow(unsafe_code)]

/// The CPU clock of one thread, readable from any thread while that thread lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadClock(libc::clockid_t);

/// CPU time that the calling thread has used, in nanoseconds.
#[must_use]
pub fn thread_cpu_ns() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0)
}

fn read(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec for the length of the call.
    let status = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (status == 0)
        .then(|| u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0))
}

// === impl ThreadClock ===

impl ThreadClock {
    /// The clock of the calling thread. `None` where the system has no such clock.
    pub(crate) fn of_this_thread() -> Option<Self> {
        let mut clock: libc::clockid_t = 0;
        // SAFETY: `pthread_self` is always valid for the calling thread, and `clock` is writable.
        let status = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
        (status == 0).then_some(Self(clock))
    }

    /// CPU time used so far, in nanoseconds. `None` once the thread has ended.
    pub(crate) fn now_ns(self) -> Option<u64> {
        read(self.0)
    }
}
