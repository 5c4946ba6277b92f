//! How the system schedules a thread beside others: who has to go first, and who gets only what nobody else wants.
#![allow(unsafe_code)]

use std::sync::LazyLock;
use std::time::Duration;

/// A thread of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread(libc::pid_t);

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

/// Whether this process may undo [`Thread::demote`]. It takes `CAP_SYS_NICE`, or a limit of the nice value (`RLIMIT_NICE`) that
/// allows 0.
pub(crate) fn can_restore() -> bool {
    static CAN: LazyLock<bool> = LazyLock::new(|| {
        let tried = std::thread::spawn(|| Thread::current().demote() && Thread::current().restore());
        tried.join().unwrap_or(false)
    });
    *CAN
}

/// Lets whoever waits for the calling thread's processor run now.
pub(crate) fn yield_now() {
    // SAFETY: plain system call.
    unsafe { libc::sched_yield() };
}

// === impl Thread ===

impl Thread {
    pub(crate) fn current() -> Self {
        // SAFETY: plain system call.
        Self(unsafe { libc::gettid() })
    }

    /// Only while nothing else wants to run. Answers whether the system did it.
    pub(crate) fn demote(self) -> bool {
        self.schedule(libc::SCHED_IDLE)
    }

    /// As every other thread. Without a privilege the system refuses it to a thread that was demoted.
    pub(crate) fn restore(self) -> bool {
        self.schedule(libc::SCHED_OTHER)
    }

    fn schedule(self, policy: libc::c_int) -> bool {
        let parameter = libc::sched_param { sched_priority: 0 };
        // SAFETY: `parameter` is valid for the call. A thread that has ended meanwhile is an error of the call; its number
        // is not given to another one while its isolate's slot lives, which the thread itself holds.
        unsafe { libc::sched_setscheduler(self.0, policy, &raw const parameter) == 0 }
    }
}
