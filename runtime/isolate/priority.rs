//! The scheduling of one thread: a turn that cannot be ended gets only the time that nobody else wants.
#![allow(unsafe_code)]

/// A thread of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread(libc::pid_t);

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
