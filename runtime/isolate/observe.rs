//! What an isolate tells about itself: console output, errors, and one record per invocation. Plain owned data, so that the
//! receiver may be a log, a terminal or a metrics registry.

use std::sync::Arc;
use std::time::Duration;

use holm_metrics::WorkerStats;

use crate::Ledger;
use crate::Outcome;
use crate::RequestId;
use crate::Ticket;

/// The level of a console call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// What the worker's code wrote or threw outside of its answer.
#[derive(Debug)]
pub struct LogRecord<'a> {
    pub level: Level,
    /// The invocation's number in its isolate; 0 in global scope.
    pub invocation: u32,
    /// Of the request that the invocation is for, while it lasts.
    pub request_id: Option<RequestId>,
    pub text: &'a str,
}

/// The end of one invocation.
#[derive(Debug)]
pub struct InvocationRecord<'a> {
    pub invocation: u32,
    pub outcome: Outcome,
    /// `GET`, or the kind of an event that is no request.
    pub method: &'a str,
    pub url: &'a str,
    /// The status that the handler answered, if it did.
    pub status: Option<u16>,
    /// From its first turn.
    pub wall: Duration,
    /// From the door to its first turn.
    pub queued: Duration,
    pub ledger: &'a Ledger,
    /// Why it failed.
    pub error: Option<&'a str>,
    pub stack: Option<&'a str>,
    pub ticket: &'a Arc<Ticket>,
}

/// Receives what an isolate tells. Called on the isolate's thread: it must not block.
pub trait Observer: Send + Sync + 'static {
    fn log(&self, record: &LogRecord<'_>);
    fn ended(&self, record: &InvocationRecord<'_>);

    /// Where the worker's requests are counted, if they are.
    fn stats(&self) -> Option<&Arc<WorkerStats>> {
        None
    }
}
