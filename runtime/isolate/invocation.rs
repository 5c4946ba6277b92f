//! One event being handled: what it owns, what it has used, and whether its answer has gone out.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use http::HeaderMap;
use http::Method;
use tokio::sync::Semaphore;

use crate::Called;
use crate::Chain;
use crate::Failure;
use crate::Ledger;
use crate::Ticket;
use crate::memory::Charge;
use crate::message::Answered;
use crate::message::Reply;
use crate::socket::AnsweredSocket;

/// An invocation that has not ended.
pub(crate) struct Invocation {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) cf: Option<Arc<str>>,
    /// The number of the request's body; 0 without one.
    pub(crate) body: u32,
    /// What came with it over a service binding.
    pub(crate) called: Option<Box<Called>>,
    /// The invocations that it has led to; `None` before the first call of a service.
    pub(crate) chain: Option<Chain>,
    pub(crate) ticket: Arc<Ticket>,
    /// For all of the above.
    pub(crate) _charge: Charge,
    /// Where the answer goes; taken when it has gone.
    pub(crate) reply: Option<Reply>,
    /// The answer, until the turn that gave it has been left: a turn that is ended gives none.
    pub(crate) answer: Option<Answered>,
    pub(crate) status: Option<u16>,
    pub(crate) ledger: Ledger,
    /// It has no client: it lasts until its handler and what that waits for have ended.
    pub(crate) is_scheduled: bool,
    /// Its CPU budget.
    pub(crate) cpu: Duration,
    pub(crate) started: Instant,
    /// When it is ended, whatever it still does: the wall limit, then the `waitUntil` limit once the answer has gone.
    pub(crate) deadline: Instant,
    /// `waitUntil` promises that are pending.
    pub(crate) waiting: u32,
    /// What of the answer JavaScript still writes: bodies, a WebSocket.
    pub(crate) writing: u32,
    /// It owes an answer of an RPC session that no message of its caller can help it to.
    pub(crate) waits_for_itself: bool,
    /// The WebSocket that it has answered with.
    pub(crate) socket: Option<AnsweredSocket>,
    pub(crate) operations: u32,
    /// One permit for each subrequest that may wait for its response at the same time; `None` before the first.
    pub(crate) connecting: Option<Arc<Semaphore>>,
    /// Those of them that the pool works for.
    pub(crate) pooled: u32,
    pub(crate) timers: u32,
    /// The shim keeps state for it (`hooks.ended` is called).
    pub(crate) hooked: bool,
    pub(crate) watches_signal: bool,
    pub(crate) client_gone: bool,
    /// `ctx.passThroughOnException()` was called.
    pub(crate) passes_through: bool,
    /// The first failure of the handler or of its answer; what the log line says.
    pub(crate) failure: Option<Failure>,
    /// The first rejection of a `waitUntil` promise. It is the outcome of an invocation that did not fail otherwise.
    pub(crate) background_failure: Option<Failure>,
}

// === impl Invocation ===

impl Invocation {
    /// Sends the answer that the turn has left, if it has.
    pub(crate) fn send_answer(&mut self) {
        if let Some(answer) = self.answer.take()
            && let Some(reply) = self.reply.take()
        {
            self.ticket.note_cpu(self.ledger.cpu_ns);
            // The client may have gone; the guard on its side says so.
            let _ = reply.send(answer);
        }
    }

    /// What readers of a body are told that it has not written to its end. Another worker of the tenant gets the reason.
    pub(crate) fn breaks_bodies_with(&self) -> String {
        match (&self.called, &self.failure) {
            (Some(_), Some(failure)) => failure.to_caller(),
            _ => "the request that writes the body has ended".to_owned(),
        }
    }

    /// One body of the answer is complete. What `waitUntil` holds has its time from now on.
    pub(crate) fn written(&mut self, wait_until: Duration) {
        self.writing = self.writing.saturating_sub(1);
        if self.writing == 0 && !self.client_gone {
            self.deadline = Instant::now() + wait_until;
        }
    }

    /// JavaScript writes the answer's body to a client that is there.
    pub(crate) fn is_streaming(&self) -> bool {
        self.reply.is_none() && self.writing > 0 && !self.client_gone
    }

    /// Nothing is left to do: answered, or without a client, and nothing that outlives the answer, or is still to be charged,
    /// is pending.
    pub(crate) fn is_done(&self) -> bool {
        let answered = (self.is_scheduled || self.reply.is_none() || self.answer.is_some()) && self.writing == 0;
        self.waiting == 0 && self.pooled == 0 && (answered || self.client_gone)
    }
}
