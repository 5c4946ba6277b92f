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
    /// As the serving process ended.
    Child(u8),
}

// === impl Exit ===

impl Exit {
    pub(super) const fn status(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Unavailable => 69,
            Self::Config => 78,
            Self::Child(status) => status,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}
