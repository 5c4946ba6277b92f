//! Exit statuses (`sysexits.h`), and the errors that lead to them.

use std::process::ExitCode;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Ok,
    /// The command failed.
    Failure,
    /// An address is in use or may not be bound.
    Unavailable,
    /// A configuration, or a worker, is wrong.
    Config,
}

// === impl Exit ===

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failure => 1,
            Exit::Unavailable => 69,
            Exit::Config => 78,
        })
    }
}
