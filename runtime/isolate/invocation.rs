//! One event being handled: what it owns, what it has used, and whether its answer has gone out.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use http::Method;

use crate::Failure;
use crate::Ledger;
use crate::Ticket;
use crate::lanes::Lanes;
use crate::memory::Charge;
use crate::message::Reply;

/// An invocation that has not ended.
pub(crate) struct Invocation {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) cf: Option<Arc<str>>,
    pub(crate) ticket: Arc<Ticket>,
    /// For all of the above.
    pub(crate) _charge: Charge,
    /// Where the answer goes; taken when it has gone.
    pub(crate) reply: Option<Reply>,
    pub(crate) status: Option<u16>,
    pub(crate) ledger: Ledger,
    pub(crate) started: Instant,
    /// When it is ended, whatever it still does: the wall limit, then the `waitUntil` limit once the answer has gone.
    pub(crate) deadline: Instant,
    /// `waitUntil` promises that are pending.
    pub(crate) waiting: u32,
    /// Bodies that JavaScript still writes for the answer.
    pub(crate) writing: u32,
    pub(crate) operations: u32,
    /// The open subrequests; `None` before the first.
    pub(crate) lanes: Option<Arc<Lanes>>,
    pub(crate) timers: u32,
    /// The shim keeps state for it (`hooks.ended` is called).
    pub(crate) hooked: bool,
    pub(crate) watches_signal: bool,
    pub(crate) client_gone: bool,
    /// The first failure; what the log line says.
    pub(crate) failure: Option<Failure>,
}

// === impl Invocation ===

impl Invocation {
    /// Nothing is left to do: answered, or without a client, and nothing that outlives the answer is pending.
    pub(crate) fn is_done(&self) -> bool {
        let answered = self.reply.is_none() && self.writing == 0;
        self.waiting == 0 && (answered || self.client_gone)
    }
}
