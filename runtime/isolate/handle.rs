//! The host's side of an isolate: start it, load a worker into it, give it events, retire it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use http_body::Frame;
use http_body::SizeHint;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::Account;
use crate::AnswerSocket;
use crate::Body;
use crate::BodyError;
use crate::BodyStream;
use crate::Census;
use crate::Cores;
use crate::Debugger;
use crate::Engine;
use crate::Failure;
use crate::InvocationRecord;
use crate::Ledger;
use crate::Outcome;
use crate::Phase;
use crate::Recent;
use crate::Ticket;
use crate::Trouble;
use crate::Watchdog;
use crate::WorkerCode;
use crate::load::Load;
use crate::message::Answered;
use crate::message::Event;
use crate::message::FetchRequest;
use crate::message::Inbox;
use crate::message::Message;
use crate::message::PassedThrough;

/// V8 may use about 1 MiB of it before it throws a `RangeError`.
const STACK: usize = 4 << 20;

/// What every isolate of a process is started with.
#[derive(Clone)]
pub struct IsolateOptions {
    pub engine: Arc<dyn Engine>,
    pub watchdog: Watchdog,
    /// What its thread competes for.
    pub cores: Cores,
    /// Drives the I/O of operations.
    pub front: tokio::runtime::Handle,
    /// Where it is entered.
    pub census: Census,
    /// Told of each isolate that can be debugged.
    pub debugger: Option<Arc<dyn Debugger>>,
}

/// One isolate on its thread. Dropping the handle retires the isolate.
pub struct IsolateHandle {
    inbox: Inbox,
    status: Arc<Status>,
}

/// What the host may know of an isolate without asking it.
#[derive(Default)]
pub struct Status {
    /// It takes no new invocation and ends once the running ones have.
    pub(crate) condemned: AtomicBool,
    /// Its thread is about to end.
    pub(crate) ended: AtomicBool,
    /// Invocations given to it that have not ended.
    pub(crate) in_flight: AtomicUsize,
    next_invocation: AtomicU32,
    /// The worker it runs; empty while it is blank.
    worker: OnceLock<Arc<WorkerCode>>,
    /// Its end was asked for from outside.
    retired: AtomicBool,
    pub(crate) memory: Arc<Account>,
    pub(crate) load: Load,
    /// 0, or why its thread answers no more (lower half) and in whose turn it was (upper half).
    abandoned: AtomicU64,
    /// Wakes whoever waits for the thread when it is abandoned.
    gone: Arc<Notify>,
    /// A [`Trouble`] that has stopped the thread, or 0.
    stopped: AtomicU32,
    /// The heap has more room than its limit, until the turn ends.
    heap_raised: AtomicBool,
}

/// Why nothing more is to be expected of an isolate's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abandonment {
    /// A turn was terminated and does not end.
    Stuck = 1,
    /// The thread was stopped where the engine was out of memory.
    OutOfMemory = 2,
    /// The thread was stopped after a fault.
    Crashed = 3,
}

/// What became of a request that was given to an isolate.
pub enum Given {
    Answered(http::Response<Body>),
    Failed(Failure),
    /// The worker failed at it; its origin shall answer, if it has one.
    PassedThrough(PassedThrough),
    /// The isolate was condemned before it began; give the request to another one.
    Returned(FetchRequest),
}

// === impl IsolateHandle ===

impl IsolateHandle {
    /// Starts a blank isolate on a thread of its own.
    ///
    /// # Errors
    /// When the system refuses the thread.
    pub fn start(options: IsolateOptions) -> std::io::Result<Self> {
        let (inbox, events) = mpsc::unbounded_channel();
        let status = Arc::new(Status::default());
        let thread_status = Arc::clone(&status);
        let thread_inbox = inbox.clone();
        let census = options.census.clone();
        std::thread::Builder::new().name("isolate".to_owned()).stack_size(STACK).spawn(move || {
            crate::run::thread(&options, thread_inbox, events, thread_status);
        })?;
        census.enter(&status);
        Ok(Self { inbox, status })
    }

    /// Makes it one of `worker`: compiles and evaluates its modules. `recent`: what its tenant uses of the CPU.
    ///
    /// # Errors
    /// When the worker fails to start; the isolate is then of no use.
    pub async fn load(&self, worker: Arc<WorkerCode>, recent: Arc<Recent>) -> Result<(), Failure> {
        let (reply, answer) = oneshot::channel();
        let gone = || Failure::new(Outcome::Internal, "the isolate's thread ended while the worker was loaded");
        let stats = worker.observer.stats().map(Arc::clone);
        let _ = self.status.worker.set(Arc::clone(&worker));
        let abandoned = self.status.gone.notified();
        let loaded = match self.inbox.send(Message::Load(worker, recent, reply)) {
            Ok(()) => tokio::select! {
                biased;
                answer = answer => answer.unwrap_or_else(|_| Err(gone())),
                () = abandoned => Err(self.status.failure(0)),
            },
            Err(_) => Err(gone()),
        };
        if let Some(stats) = stats {
            if loaded.is_ok() { stats.starts.increment() } else { stats.start_failures.increment() }
        }
        loaded
    }

    /// Gives it an event. Dropping the future, or the answer's body before its end, tells it that the client has gone.
    pub async fn dispatch(&self, request: FetchRequest) -> Given {
        let abandoned = self.status.gone.notified();
        if self.status.is_abandoned() {
            return Given::Returned(request);
        }
        let invocation = self.status.next_invocation.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let (reply, answer) = oneshot::channel();
        let ticket = Arc::clone(&request.ticket);
        self.status.in_flight.fetch_add(1, Ordering::AcqRel);
        self.status.load.arrived();
        let event = Message::Event(Box::new(Event { invocation, request, reply, sent: Instant::now() }));
        if let Err(mpsc::error::SendError(event)) = self.inbox.send(event) {
            self.status.in_flight.fetch_sub(1, Ordering::AcqRel);
            self.status.load.begun(Duration::ZERO);
            return match event {
                Message::Event(event) => Given::Returned(event.request),
                _ => Given::Failed(ended()),
            };
        }
        let mut client = Client { inbox: self.inbox.clone(), invocation, leaves: true };
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            // The sender of the answer is on a thread that does not come back.
            () = abandoned => {
                client.leaves = false;
                ticket.leave_behind();
                return Given::Failed(self.status.failure(invocation));
            }
        };
        match answer {
            Ok(Answered::Response(response)) => Given::Answered(client.accompany(response, &self.status, ticket)),
            Ok(Answered::Failed(failure)) => {
                client.leaves = false;
                Given::Failed(failure)
            }
            Ok(Answered::PassedThrough(passed)) => {
                client.leaves = false;
                Given::PassedThrough(passed)
            }
            Ok(Answered::Returned(request)) => {
                client.leaves = false;
                Given::Returned(request)
            }
            Err(_) => {
                client.leaves = false;
                Given::Failed(ended())
            }
        }
    }

    /// Lets the running invocations finish, then ends the isolate.
    pub fn retire(&self) {
        if !self.status.is_condemned() {
            self.status.retired.store(true, Ordering::Release);
        }
        let _ = self.inbox.send(Message::Retire);
    }

    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }
}

impl Drop for IsolateHandle {
    fn drop(&mut self) {
        self.retire();
    }
}

fn ended() -> Failure {
    Failure::new(Outcome::IsolateReset, "the isolate ended before the handler answered")
}

// === impl Status ===

impl Status {
    #[must_use]
    pub fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Acquire)
    }

    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Its thread may never end; what it had to answer has been answered without it.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire) != 0
    }

    /// Answers everything that waits for the thread, which is inside a turn of `invocation`. The first reason stays.
    pub(crate) fn abandon(&self, why: Abandonment, invocation: u32) {
        let abandoned = u64::from(invocation) << 32 | why as u64;
        let first = self.abandoned.compare_exchange(0, abandoned, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.condemned.store(true, Ordering::Release);
            self.gone.notify_waiters();
        }
    }

    /// The thread stops for ever. Called in signal handlers: it does nothing but store.
    pub(crate) fn stop(&self, trouble: Trouble) {
        self.stopped.store(trouble as u32, Ordering::Release);
    }

    /// The heap's limit was raised within a turn, or is its limit again.
    pub(crate) fn set_heap_raised(&self, raised: bool) {
        self.heap_raised.store(raised, Ordering::Relaxed);
    }

    pub(crate) fn is_heap_raised(&self) -> bool {
        self.heap_raised.load(Ordering::Relaxed)
    }

    /// What has stopped the thread; answered once.
    pub(crate) fn take_stopped(&self) -> Option<Trouble> {
        Trouble::from_code(self.stopped.swap(0, Ordering::AcqRel))
    }

    /// What `invocation` is answered once the isolate is abandoned.
    fn failure(&self, invocation: u32) -> Failure {
        let abandoned = self.abandoned.load(Ordering::Acquire);
        let culprit = u32::try_from(abandoned >> 32) == Ok(invocation);
        let why = abandoned & u64::from(u32::MAX);
        if why == Abandonment::Crashed as u64 {
            Failure::new(Outcome::WorkerCrashed, "The worker crashed; its isolate has been given up.")
        } else if !culprit {
            Failure::new(Outcome::IsolateReset, "The isolate was reset while the request ran.")
        } else if why == Abandonment::OutOfMemory as u64 {
            Failure::new(Outcome::MemoryExceeded, "The worker exceeded its memory limit where the engine cannot throw.")
        } else if invocation == 0 {
            Failure::new(
                Outcome::StartupExceeded,
                "The worker's global scope exceeded its CPU budget and does not end.",
            )
        } else {
            Failure::new(Outcome::CpuExceeded, "The worker exceeded its CPU budget (limits.cpu_ms) and does not end.")
        }
    }

    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.is_abandoned() {
            Phase::GivenUp
        } else if self.retired.load(Ordering::Acquire) {
            Phase::Draining
        } else if self.is_condemned() {
            Phase::Condemned
        } else if self.worker.get().is_some() {
            Phase::Serving
        } else {
            Phase::Blank
        }
    }

    /// The worker it runs; `None` while it is blank.
    #[must_use]
    pub fn worker(&self) -> Option<&Arc<WorkerCode>> {
        self.worker.get()
    }

    /// CPU time that its thread has used. `None` before it runs, and once it has ended.
    #[must_use]
    pub fn cpu(&self) -> Option<Duration> {
        self.load.cpu()
    }

    /// Events that its thread has not begun.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.load.waiting()
    }

    /// Its thread is inside JavaScript.
    #[must_use]
    pub fn is_in_turn(&self) -> bool {
        self.load.is_in_turn()
    }

    /// How long an event that comes now may have to wait for the thread.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.load.wait()
    }

    /// Bytes that the isolate holds: its heap as it was last measured, its buffers, and what Rust holds for it.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.memory.total() as u64
    }
}

/// The client of one invocation. Its drop says that the client left, unless the answer has been handed over whole.
struct Client {
    inbox: Inbox,
    invocation: u32,
    leaves: bool,
}

// === impl Client ===

impl Client {
    /// Goes with a streaming body; the other kinds need no company.
    fn accompany(
        mut self,
        response: http::Response<Body>,
        status: &Arc<Status>,
        ticket: Arc<Ticket>,
    ) -> http::Response<Body> {
        use http_body_util::BodyExt;
        match response.into_parts() {
            (parts, Body::Stream(stream)) => {
                let gone = Arc::clone(&status.gone).notified_owned();
                let stream = Accompanied {
                    stream,
                    client: Some(self),
                    gone: Box::pin(gone),
                    status: Arc::clone(status),
                    ticket,
                };
                http::Response::from_parts(parts, Body::Stream(stream.boxed_unsync()))
            }
            (parts, body) => {
                self.leaves = false;
                if let Some(socket) = parts.extensions.get::<AnswerSocket>() {
                    socket.watch(Arc::clone(&status.gone).notified_owned());
                }
                http::Response::from_parts(parts, body)
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.leaves {
            let _ = self.inbox.send(Message::ClientGone(self.invocation));
        }
    }
}

/// A streaming body with its client: dropped before its end, the client has left.
struct Accompanied {
    stream: BodyStream,
    client: Option<Client>,
    /// The thread that may write the stream has been abandoned.
    gone: Pin<Box<OwnedNotified>>,
    status: Arc<Status>,
    ticket: Arc<Ticket>,
}

// === impl Accompanied ===

impl Accompanied {
    /// The thread that would write the invocation's record does not come back: this one has to do.
    fn leave_behind(&mut self) {
        let Some(mut client) = self.client.take() else { return };
        client.leaves = false;
        let Some(worker) = self.status.worker() else { return };
        if !self.ticket.leave_behind() {
            return;
        }
        let failure = self.status.failure(client.invocation);
        worker.observer.ended(&InvocationRecord {
            invocation: client.invocation,
            outcome: failure.outcome,
            method: "",
            url: "",
            status: None,
            wall: self.ticket.age(),
            queued: Duration::ZERO,
            ledger: &Ledger::default(),
            error: Some(&failure.message),
            stack: None,
            ticket: &self.ticket,
        });
    }
}

impl http_body::Body for Accompanied {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match Pin::new(&mut self.stream).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                std::task::ready!(self.gone.as_mut().poll(cx));
                self.leave_behind();
                return Poll::Ready(Some(Err(BodyError::new("the isolate that wrote the body was reset"))));
            }
        };
        // A body of known length is not polled past its last byte.
        let over = frame.is_none() || self.stream.is_end_stream() || self.stream.size_hint().exact() == Some(0);
        if over && let Some(mut client) = self.client.take() {
            client.leaves = false;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}
