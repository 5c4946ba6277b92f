//! What an isolate tells about itself: console output, errors, and one record per invocation. Plain owned data, so that the
//! receiver may be a log, a terminal or a metrics registry.

use std::time::Duration;

use crate::Ledger;
use crate::Outcome;

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
    pub wall: Duration,
    pub ledger: &'a Ledger,
    /// Why it failed.
    pub error: Option<&'a str>,
    pub stack: Option<&'a str>,
}

/// Receives what an isolate tells. Called on the isolate's thread: it must not block.
pub trait Observer: Send + Sync + 'static {
    fn log(&self, record: &LogRecord<'_>);
    fn ended(&self, record: &InvocationRecord<'_>);
}
