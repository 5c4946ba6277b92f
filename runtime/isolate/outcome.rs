//! How an invocation ended: a closed enum, so that the front picks status codes by an exhaustive match, and the failure
//! that carries it with what the log (never the client of a production server) may know.

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The handler answered and what it left running came to its end.
    Ok,
    /// The handler threw, rejected, or answered with something that is no `Response`. The tenant's fault.
    Exception,
    /// The worker has no handler for the event. The tenant's fault.
    NoHandler,
    /// The invocation used its CPU budget (`limits.cpu_ms`). The tenant's fault.
    CpuExceeded,
    /// The isolate reached its memory limit. The tenant's fault.
    MemoryExceeded,
    /// No answer within the wall-clock limit. The tenant's fault.
    WallExceeded,
    /// Nothing is left that could make the handler answer. The tenant's fault.
    Hung,
    /// The module could not be compiled, or threw while it was evaluated. The tenant's fault.
    StartupFailed,
    /// Evaluating the module used the start-up CPU budget. The tenant's fault.
    StartupExceeded,
    /// The client went away before the answer. The client's doing.
    ClientGone,
    /// The isolate was dropped while the invocation ran, or what it waited for ended, for another invocation's fault.
    IsolateReset,
    /// The isolate's thread, or the process that ran it, crashed.
    WorkerCrashed,
    /// The worker's or the server's bounds on concurrency and queues are reached.
    Overloaded,
    /// The host failed. Our fault.
    Internal,
}

/// A failed invocation: the outcome, and what its log line says.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub outcome: Outcome,
    /// One line for the log and for the error page of `dev`.
    pub message: String,
    /// The mapped stack, where there is one.
    pub stack: Option<String>,
}

// === impl Outcome ===

impl Outcome {
    /// In the order of the enum.
    const ALL: [Self; 14] = [
        Self::Ok,
        Self::Exception,
        Self::NoHandler,
        Self::CpuExceeded,
        Self::MemoryExceeded,
        Self::WallExceeded,
        Self::Hung,
        Self::StartupFailed,
        Self::StartupExceeded,
        Self::ClientGone,
        Self::IsolateReset,
        Self::WorkerCrashed,
        Self::Overloaded,
        Self::Internal,
    ];

    /// The codes of all outcomes, in the order of [`Outcome::index`]: the values of a metric's label.
    pub const CODES: &[&str] = &{
        let mut codes = [""; Self::ALL.len()];
        let mut index = 0;
        while index < codes.len() {
            codes[index] = Self::ALL[index].code();
            index += 1;
        }
        codes
    };

    /// Its place in [`Outcome::CODES`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The outcome with this code; one that is not known is a failure of ours.
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code).unwrap_or(Self::Internal)
    }

    /// The stable code in the `x-holm-error` header, the log and the metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Exception => "exception",
            Self::NoHandler => "no_handler",
            Self::CpuExceeded => "cpu_exceeded",
            Self::MemoryExceeded => "memory_exceeded",
            Self::WallExceeded => "wall_exceeded",
            Self::Hung => "hung",
            Self::StartupFailed => "startup_failed",
            Self::StartupExceeded => "startup_exceeded",
            Self::ClientGone => "client_gone",
            Self::IsolateReset => "isolate_reset",
            Self::WorkerCrashed => "worker_crashed",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
        }
    }
}

// === impl Failure ===

impl Failure {
    #[must_use]
    pub fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        Self { outcome, message: message.into(), stack: None }
    }

    /// As the worker of the same tenant is told that has called the one which failed.
    #[must_use]
    pub fn to_caller(&self) -> String {
        format!("The called worker failed ({}): {}", self.outcome.code(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_code_in_the_list() {
        let last = Outcome::Internal;
        assert_eq!(last.index() + 1, Outcome::ALL.len(), "a new outcome belongs into `ALL`, in the enum's order");
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!((outcome.index(), Outcome::CODES[index]), (index, outcome.code()));
            assert_eq!(Outcome::from_code(outcome.code()), outcome);
        }
    }
}
