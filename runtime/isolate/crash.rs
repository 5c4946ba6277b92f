//! What happens where the engine or the machine says that a thread cannot go on.
//!
//! The end of a process is the end of every tenant's requests in it. So an isolate's thread that would end it stops for ever
//! instead: it writes who is to blame into the blame table, tells the parent process, wakes the thread that answers whoever
//! waits, and sleeps. What it held (its heap, perhaps a lock) goes with the process, which the parent replaces. Any other
//! thread, and a second fault, ends the process as it would have ended; except for the engine's helper threads, which compile
//! for all isolates and stop as an isolate's thread does where the engine refuses to go on.
//!
//! Signal handlers run here: they store, send and sleep, and allocate nothing.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use deno_core::v8;

use crate::blame::Place;
use crate::blame::Trouble;
use crate::handle::Status;

/// What a thread that cannot go on does.
#[derive(Clone, Copy, Debug, Default)]
pub enum OnCrash {
    /// It ends the process.
    #[default]
    Die,
    /// It stops where the engine refused to go on; after a fault it ends the process.
    StopUnlessFaulted,
    /// It stops, and sends these bytes to this socket.
    Stop { tell: (RawFd, &'static [u8]) },
}

/// The status of a process that faults twice (`EX_SOFTWARE`).
const SOFTWARE: libc::c_int = 70;

const SIGNALS: [libc::c_int; 6] =
    [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGTRAP, libc::SIGFPE];

/// Room for a handler's frame, with all registers of the machine in it.
const STACK: usize = 64 << 10;

static PROCESS: OnceLock<Process> = OnceLock::new();
static FAULTS: AtomicU32 = AtomicU32::new(0);
/// Why a helper thread of the engine has stopped: a [`Trouble`], or 0.
static HELPER: AtomicU32 = AtomicU32::new(0);

/// How the engine names its helper threads.
const HELPERS: &[u8] = b"V8 Default";

struct Process {
    on_crash: OnCrash,
    /// An eventfd, for the thread that answers.
    wake: RawFd,
    /// The handlers before ours, in the order of [`SIGNALS`].
    before: Vec<libc::sigaction>,
}

thread_local! {
    /// The isolate that this thread runs.
    static STATUS: Cell<Option<NonNull<Status>>> = const { Cell::new(None) };
    static PLACE: Cell<Option<&'static Place>> = const { Cell::new(None) };
}

/// Installs the handlers, once per process. Answers what becomes readable when a thread has stopped.
///
/// # Errors
/// When the system refuses, or they are installed already.
pub(crate) fn install(on_crash: OnCrash) -> io::Result<RawFd> {
    // SAFETY: plain system call.
    let wake = checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
    let mut before = Vec::with_capacity(SIGNALS.len());
    for signal in SIGNALS {
        // SAFETY: all fields of a `sigaction` may be zero; both structures are valid for the call, which reads the present
        // handler only.
        unsafe {
            let mut present: libc::sigaction = std::mem::zeroed();
            checked(libc::sigaction(signal, std::ptr::null(), &raw mut present))?;
            before.push(present);
        }
    }
    PROCESS.set(Process { on_crash, wake, before }).map_err(|_| io::Error::other("installed already"))?;
    for signal in SIGNALS {
        let handler: extern "C" fn(libc::c_int, *const libc::siginfo_t, *const libc::c_void) = on_signal;
        // SAFETY: as above; the handler has the signature that SA_SIGINFO asks for.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as libc::sighandler_t;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            checked(libc::sigaction(signal, &raw const action, std::ptr::null_mut()))?;
        }
    }
    v8::V8::set_fatal_error_handler(|_file: &str, _line: i32, _message: &str| stop(Trouble::CheckFailed));
    Ok(wake)
}

/// Waits until a thread has stopped.
pub(crate) fn wait(wake: RawFd) {
    let mut count = [0_u8; 8];
    // SAFETY: `count` has room for the eventfd's eight bytes.
    unsafe {
        libc::read(wake, count.as_mut_ptr().cast(), count.len());
    }
}

/// Why a helper thread of the engine has stopped; answered once.
pub(crate) fn take_stopped_helper() -> Option<Trouble> {
    Trouble::from_code(HELPER.swap(0, Ordering::AcqRel))
}

/// Tells the parent process, if there is one, that this one is to be replaced.
pub(crate) fn tell() {
    if let Some(Process { on_crash: OnCrash::Stop { tell }, .. }) = PROCESS.get() {
        send(*tell);
    }
}

/// Marks the calling thread as the one that runs an isolate, until it is dropped.
pub(crate) struct Guard {
    _status: Arc<Status>,
    stack: *mut libc::c_void,
    stack_before: libc::stack_t,
}

// === impl Guard ===

impl Guard {
    /// # Errors
    /// When the system refuses a stack for the handlers.
    pub(crate) fn enter(status: Arc<Status>, place: Option<&'static Place>) -> io::Result<Self> {
        // SAFETY: a new anonymous mapping, which becomes this thread's alternate stack until `drop` sets the one before in
        // force again and unmaps it.
        let (stack, stack_before) = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            let stack = libc::mmap(std::ptr::null_mut(), STACK, protection, flags, -1, 0);
            if stack == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let ours = libc::stack_t { ss_sp: stack, ss_flags: 0, ss_size: STACK };
            let mut before: libc::stack_t = std::mem::zeroed();
            checked(libc::sigaltstack(&raw const ours, &raw mut before))?;
            (stack, before)
        };
        PLACE.set(place);
        STATUS.set(NonNull::new(Arc::as_ptr(&status).cast_mut()));
        Ok(Self { _status: status, stack, stack_before })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        STATUS.set(None);
        PLACE.set(None);
        // SAFETY: the stack is the one that `enter` mapped for this thread; no handler runs on it now.
        unsafe {
            libc::sigaltstack(&raw const self.stack_before, std::ptr::null_mut());
            libc::munmap(self.stack, STACK);
        }
    }
}

/// The engine calls it when it is out of memory where it cannot throw; it ends the process if this returns.
pub(crate) unsafe extern "C" fn on_out_of_memory(_location: *const libc::c_char, _details: &v8::OomDetails) {
    stop(Trouble::OutOfMemory);
}

/// Stops an isolate's thread that asks for memory without end and never looks whether it is terminated. Returns where the
/// process has no way to go on without the thread.
pub(crate) fn out_of_memory() {
    stop(Trouble::OutOfMemory);
}

extern "C" fn on_signal(signal: libc::c_int, info: *const libc::siginfo_t, _context: *const libc::c_void) {
    stop(match signal {
        libc::SIGABRT => Trouble::Aborted,
        // The engine's checks end in a breakpoint instruction.
        libc::SIGTRAP => Trouble::CheckFailed,
        _ => Trouble::Faulted,
    });
    let Some(process) = PROCESS.get() else { return };
    let before = SIGNALS.iter().position(|known| *known == signal).and_then(|index| process.before.get(index));
    // SAFETY: `info` is the kernel's and valid in a handler; the actions are valid for the calls.
    unsafe {
        // A memory fault happens again on return, for the handler before, which knows a stack's end when it sees it.
        let faulted = (*info).si_code > 0 && matches!(signal, libc::SIGSEGV | libc::SIGBUS);
        match before {
            Some(before) if faulted => {
                libc::sigaction(signal, std::ptr::from_ref(before), std::ptr::null_mut());
            }
            _ => {
                libc::signal(signal, libc::SIG_DFL);
                // Blocked while the handler runs, so it comes on return.
                libc::raise(signal);
            }
        }
    }
}

/// Stops the calling thread for ever, if the process goes on without it; returns otherwise.
fn stop(trouble: Trouble) {
    let Some(process) = PROCESS.get() else { return };
    let tell = match process.on_crash {
        OnCrash::Die => return,
        OnCrash::StopUnlessFaulted if trouble == Trouble::Faulted => return,
        OnCrash::StopUnlessFaulted => None,
        OnCrash::Stop { tell } => Some(tell),
    };
    let Some(status) = STATUS.get() else {
        if is_helper() && matches!(trouble, Trouble::OutOfMemory | Trouble::CheckFailed) {
            // Whoever is woken finds out who is to blame, and tells the parent then.
            HELPER.store(trouble as u32, Ordering::Release);
            sleep(process);
        }
        return;
    };
    if let Some(place) = PLACE.get() {
        place.stop(trouble);
    }
    // SAFETY: plain system calls, all of them allowed in signal handlers; the status outlives the thread's guard, which this
    // thread never drops from here on.
    unsafe {
        status.as_ref().stop(trouble);
        if trouble == Trouble::Faulted && FAULTS.fetch_add(1, Ordering::AcqRel) > 0 {
            libc::_exit(SOFTWARE);
        }
    }
    if let Some(tell) = tell {
        send(tell);
    }
    sleep(process);
}

/// Whether the calling thread is one of the engine's own.
fn is_helper() -> bool {
    // Longer than any name of a thread.
    let mut name = [0_u8; 32];
    // SAFETY: the kernel writes at most 16 bytes, the last of them zero.
    let status = unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    status == 0 && name.starts_with(HELPERS)
}

fn send((socket, bytes): (RawFd, &'static [u8])) {
    // SAFETY: a plain system call, allowed in signal handlers.
    unsafe {
        libc::send(socket, bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
    }
}

/// Wakes the thread that answers, and sleeps for ever.
fn sleep(process: &Process) -> ! {
    // SAFETY: plain system calls, all of them allowed in signal handlers.
    unsafe {
        let one = 1_u64.to_ne_bytes();
        libc::write(process.wake, one.as_ptr().cast(), one.len());
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        loop {
            libc::pause();
        }
    }
}

fn checked(status: libc::c_int) -> io::Result<libc::c_int> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}
