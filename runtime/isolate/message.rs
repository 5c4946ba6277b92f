//! What arrives at an isolate's loop: events from the host and finished operations from the front runtime. Everything is
//! owned and `Send`; no V8 handle crosses.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use deno_core::v8;
use http::HeaderMap;
use http::Method;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::Body;
use crate::Called;
use crate::Failure;
use crate::Recent;
use crate::Ticket;
use crate::WorkerCode;

/// One thing for the loop to do.
pub(crate) enum Message {
    /// Turns a blank isolate into one of this worker. First, and once.
    Load(Arc<WorkerCode>, Arc<Recent>, oneshot::Sender<Result<(), Failure>>),
    Event(Box<Event>),
    /// An operation is done; its promise settles in a turn of its owner.
    Complete(u32, Settle),
    /// The same, with a value that never left the isolate.
    CompleteHere(u32),
    /// The job that the pool did for an operation is done; it took this much CPU time, in nanoseconds.
    PoolDone(u32, u64),
    /// The client of this invocation went away before the end of the answer.
    ClientGone(u32),
    /// The client of the WebSocket that this invocation has answered with is gone.
    SocketOver(u32),
    /// Finish what runs, then end.
    Retire,
}

/// One event, and where its answer goes.
pub(crate) struct Event {
    pub(crate) invocation: u32,
    pub(crate) request: FetchRequest,
    pub(crate) reply: Reply,
    pub(crate) sent: Instant,
}

pub(crate) type Reply = oneshot::Sender<Answered>;

/// What became of an event.
pub(crate) enum Answered {
    Response(http::Response<Body>),
    Failed(Failure),
    /// The worker failed, and wants its origin to answer instead.
    PassedThrough(PassedThrough),
    /// The isolate takes no new invocation; nothing of the request was used.
    Returned(FetchRequest),
}

/// A request that its worker failed at after `ctx.passThroughOnException()`, as it came.
#[derive(Debug)]
pub struct PassedThrough {
    pub request: FetchRequest,
    /// Why the worker did not answer it.
    pub failure: Failure,
}

/// A request, as it crosses the seam.
#[derive(Debug)]
pub struct FetchRequest {
    pub method: Method,
    /// Absolute, as the client sent it.
    pub url: String,
    pub headers: HeaderMap,
    pub body: Body,
    /// `request.cf`, a JSON object.
    pub cf: Option<Arc<str>>,
    /// A CPU budget in place of the worker's.
    pub cpu: Option<Duration>,
    /// It came over a service binding, not from a client.
    pub called: Option<Box<Called>>,
    /// It is no request but a scheduled event; its answer is empty.
    pub scheduled: Option<Box<Scheduled>>,
    pub ticket: Arc<Ticket>,
}

/// What `scheduled(controller)` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The trigger, as its author wrote it.
    pub cron: String,
    /// Milliseconds since 1970-01-01 UTC.
    pub time: i64,
}

// === impl FetchRequest ===

impl FetchRequest {
    /// What the method of a scheduled event is called in the log.
    const CRON: &[u8] = b"CRON";

    /// The event of a trigger.
    #[must_use]
    pub fn scheduled(event: Scheduled, ticket: Arc<Ticket>) -> Self {
        Self {
            method: Method::from_bytes(Self::CRON).unwrap_or_default(),
            url: event.cron.clone(),
            headers: HeaderMap::new(),
            body: Body::Empty,
            cf: None,
            cpu: None,
            called: None,
            scheduled: Some(Box::new(event)),
            ticket,
        }
    }

    /// How many workers have called each other for it; 0 for what a client asked for.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.called.as_ref().map_or(0, |called| called.chain.depth())
    }
}

/// The value that an operation settles its promise with, made on the isolate's thread.
pub type Settle = Box<dyn for<'s, 'i> FnOnce(&mut v8::PinScope<'s, 'i>, &crate::State) -> Settled<'s> + Send>;

/// Fulfilled with a value, or rejected with one.
pub type Settled<'s> = Result<v8::Local<'s, v8::Value>, v8::Local<'s, v8::Value>>;

/// The sending side of an isolate's loop.
pub(crate) type Inbox = mpsc::UnboundedSender<Message>;
