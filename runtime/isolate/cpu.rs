//! The CPU of threads: the clocks that every budget is measured with, and how the system schedules them.
//!
//! The kernel keeps one CPU clock per thread, and any thread of the process may read it. Units are nanoseconds.
#![allow(unsafe_code)]

use std::time::Duration;

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

/// See [`set_slice`]. The longest that Linux takes.
pub(crate) const LONG_SLICE: Duration = Duration::from_millis(100);

/// What `sched_setattr` takes (`man 2 sched_setattr`).
#[repr(C)]
struct SchedulingAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// How long the system may let the calling thread run at a time; `None`: as long as any other. A longer slice is a hint that
/// nobody needs the thread soon: Linux (from 6.12 on) then lets whoever wakes up and has a shorter one run at once. The share of
/// the CPU stays the same, and no privilege is needed. Where the system does not know it, nothing happens.
pub(crate) fn set_slice(slice: Option<Duration>) {
    const KEEP_POLICY: u64 = 8;
    // SAFETY: plain system call about the calling thread.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let attributes = SchedulingAttributes {
        size: u32::try_from(size_of::<SchedulingAttributes>()).unwrap_or(0),
        policy: 0,
        flags: KEEP_POLICY,
        nice,
        priority: 0,
        runtime: slice.map_or(0, |slice| u64::try_from(slice.as_nanos()).unwrap_or(0)),
        deadline: 0,
        period: 0,
    };
    // SAFETY: `attributes` is what the call expects, of the size that it says, and valid for the call.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

/// Runs `start`, whose threads, and the threads of those, let all others go first.
pub fn in_background<T>(start: impl FnOnce() -> T) -> T {
    set_slice(Some(LONG_SLICE));
    let started = start();
    set_slice(None);
    started
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
