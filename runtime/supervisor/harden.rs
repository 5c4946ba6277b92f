//! What a child does to itself before anything else: it dies with its parent, leaves no core, and shows its memory to nobody.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::DumpableBehavior;
use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::Signal;
use rustix::process::getppid;
use rustix::process::set_dumpable_behavior;
use rustix::process::set_parent_process_death_signal;
use rustix::process::setrlimit;
use rustix::stdio::dup2_stdin;

/// Takes standard input, where the parent has put the channel, and leaves `/dev/null` in its place.
///
/// # Errors
/// When it cannot be replaced.
pub(crate) fn take_standard_input() -> io::Result<OwnedFd> {
    let null = File::open("/dev/null")?;
    let channel = fcntl_dupfd_cloexec(io::stdin(), 3)?;
    dup2_stdin(null)?;
    Ok(channel)
}

/// No core of a process that holds tenants' secrets, no debugger from the same user, and no life without the parent.
///
/// # Errors
/// When the system refuses, or the parent has gone already.
pub(crate) fn harden(parent: u32) -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Started through a descriptor, it would be called by its number.
    rustix::thread::set_name(c"holm")?;
    // It may have gone before the signal was asked for.
    let now = getppid().and_then(|pid| u32::try_from(pid.as_raw_pid()).ok());
    if now != Some(parent) {
        return Err(io::Error::other("the parent process has ended"));
    }
    Ok(())
}

/// Ends the process at once. What is left running (a thread that cannot be stopped) sees no destructor of a static.
#[allow(unsafe_code)]
pub fn exit_now(status: u8) -> ! {
    // SAFETY: ends the process; nothing runs afterwards.
    unsafe { libc::_exit(i32::from(status)) }
}
