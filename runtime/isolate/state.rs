//! What the ops of one isolate share: invocations, operations, bodies and timers, each with its owner.
//!
//! Lives on the isolate's thread, in deno_core's `OpState`, as an `Rc`. Nothing here panics; ids that are not known are
//! errors or no-ops.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use deno_core::v8;
use tokio::sync::Semaphore;

use crate::Body;
use crate::Failure;
use crate::Limits;
use crate::Outcome;
use crate::WorkerCode;
use crate::bodies::OwnedBody;
use crate::called::CallNumber;
use crate::clock::Clock;
use crate::invocation::Invocation;
use crate::memory::Account;
use crate::memory::OverLimit;
use crate::message::Answered;
use crate::message::FetchRequest;
use crate::message::Inbox;
use crate::message::Message;
use crate::message::PassedThrough;
use crate::message::Settle;
use crate::message::Settled;
use crate::observe::Level;
use crate::observe::LogRecord;
use crate::pool::Pool;
use crate::reservations::Reservations;
use crate::resources::Resources;
use crate::timers::Timers;

/// The invocation that a turn, an operation or a body belongs to; 0 is nobody.
pub type Owner = u32;

/// One isolate's shared state.
pub struct State {
    /// Drives the I/O of operations.
    pub(crate) front: tokio::runtime::Handle,
    pub(crate) inbox: Inbox,
    pub(crate) worker: RefCell<Option<Arc<WorkerCode>>>,
    pub(crate) limits: RefCell<Limits>,
    pub(crate) invocations: RefCell<HashMap<Owner, Invocation>>,
    operations: RefCell<HashMap<u32, Operation>>,
    settled_here: RefCell<HashMap<u32, SettledHere>>,
    pub(crate) bodies: RefCell<HashMap<u32, OwnedBody>>,
    pub(crate) resources: Resources,
    pub(crate) timers: RefCell<Timers>,
    /// Milliseconds since the epoch, as JavaScript sees them in this turn.
    clock: Clock,
    pub(crate) current: Cell<Owner>,
    next_id: Cell<u32>,
    /// The engine's own event loop has something to do.
    pub(crate) ambient: Arc<crate::ambient::AmbientWaker>,
    pub(crate) rejections: RefCell<Vec<Rejection>>,
    pub(crate) heap_exceeded: Rc<Cell<bool>>,
    pub(crate) memory: Arc<Account>,
    pub(crate) reservations: RefCell<Reservations>,
    /// CPU time of turns since memory was measured, in nanoseconds.
    pub(crate) unmeasured_ns: Cell<u64>,
    pub(crate) pool: Arc<Pool>,
    /// Jobs that the pool has not done yet, those of ended invocations too.
    pub(crate) jobs: Cell<u32>,
    /// The invocations that were answered in the turn that runs.
    answered: RefCell<Vec<Owner>>,
    /// Console output of code that no live invocation owns, in bytes.
    unowned_log_bytes: Cell<usize>,
}

/// What a promise settles with, as a value that never left the isolate.
pub type SettledHere = Result<v8::Global<v8::Value>, v8::Global<v8::Value>>;

/// A promise that was rejected while nobody listened, or that got a listener afterwards.
pub(crate) struct Rejection {
    pub(crate) promise: v8::Global<v8::Promise>,
    pub(crate) reason: Option<v8::Global<v8::Value>>,
    /// The async context that it happened in: whose it is, also in a turn of somebody else.
    pub(crate) context: v8::Global<v8::Value>,
    /// In whose turn it happened.
    pub(crate) owner: Owner,
}

struct Operation {
    owner: Owner,
    awaits: Awaits,
    /// The pool works for it: it is settled once that has been charged.
    pooled: bool,
    resolver: v8::Global<v8::PromiseResolver>,
    task: Option<tokio::task::AbortHandle>,
}

/// Whom an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// Whoever it is, it will end some time.
    World,
    /// The next message of an RPC session's caller, to whom its callee may owe an answer.
    Caller,
    /// The answer of a service.
    Callee(CallNumber),
}

/// Whose an object is, as the error says that refuses it to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creator {
    Request(Owner),
    /// It has ended, and nothing remembers its number.
    Ended,
}

impl std::fmt::Display for Creator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(owner) => write!(f, "Created by request {owner}"),
            Self::Ended => f.write_str("Created by a request that has ended"),
        }
    }
}

/// Why an op refuses. The texts are what JavaScript sees.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum StateError {
    #[class(generic)]
    #[error(
        "Disallowed operation called within global scope. Asynchronous I/O (ex: fetch() or connect()), setting a timeout, and generating random values are not allowed within global scope. To fix this error, perform this operation within a handler. https://developers.cloudflare.com/workers/runtime-apis/handlers/"
    )]
    GlobalScope,
    #[class(generic)]
    #[error(
        "Cannot perform I/O on behalf of a different request. I/O objects (such as streams, request/response bodies, and others) created in the context of one request handler cannot be accessed from a different request's handler. ({created}, used by request {used})"
    )]
    DifferentRequest { created: Creator, used: Owner },
    #[class(generic)]
    #[error("The request that this operation belongs to has already ended.")]
    Ended,
    #[class(type)]
    #[error("Body has already been used. It can only be used once. Use tee() first if you need to read it twice.")]
    BodyUsed,
    #[class(type)]
    #[error("The stream's reader has gone away.")]
    ReaderGone,
    #[class(type)]
    #[error("The WebSocket has already been accepted, or used in a response.")]
    SocketUsed,
    #[class(generic)]
    #[error("Too many subrequests.")]
    TooManySubrequests,
    #[class(generic)]
    #[error(
        "Subrequest depth limit exceeded. This request recursed through Workers too many times. This can happen e.g. if you have a Worker or Durable Object that calls other Workers or objects recursively."
    )]
    ChainTooDeep,
    #[class(generic)]
    #[error(
        "Too many Worker invocations: one request may lead to {} of them over service bindings.",
        crate::CHAIN_INVOCATIONS
    )]
    TooManyInvocations,
    #[class(generic)]
    #[error("Too many {0} pending at once in one request.")]
    TooManyPending(&'static str),
    #[class(range)]
    #[error("The worker's memory limit is reached.")]
    OutOfMemory,
    #[class(range)]
    #[error("Too many resizable ArrayBuffers, WebAssembly memories and instances are alive at once.")]
    TooManyReservations,
}

// === impl StateError ===

impl From<OverLimit> for StateError {
    fn from(_: OverLimit) -> Self {
        Self::OutOfMemory
    }
}

// === impl State ===

impl State {
    pub(crate) fn new(
        front: tokio::runtime::Handle,
        inbox: Inbox,
        ambient: Arc<crate::ambient::AmbientWaker>,
        memory: Arc<Account>,
    ) -> Self {
        Self {
            front,
            inbox,
            worker: RefCell::default(),
            limits: RefCell::new(Limits::default()),
            invocations: RefCell::default(),
            operations: RefCell::default(),
            settled_here: RefCell::default(),
            bodies: RefCell::default(),
            resources: Resources::default(),
            timers: RefCell::default(),
            clock: Clock::new(),
            current: Cell::new(0),
            next_id: Cell::new(0),
            ambient,
            rejections: RefCell::default(),
            heap_exceeded: Rc::new(Cell::new(false)),
            memory,
            reservations: RefCell::default(),
            unmeasured_ns: Cell::new(0),
            pool: Arc::default(),
            jobs: Cell::new(0),
            answered: RefCell::default(),
            unowned_log_bytes: Cell::new(0),
        }
    }

    /// The worker this isolate runs; `None` while it is blank.
    #[must_use]
    pub fn worker(&self) -> Option<Arc<WorkerCode>> {
        self.worker.borrow().clone()
    }

    /// Milliseconds since the epoch. Stands still within a turn.
    #[must_use]
    pub fn clock_ms(&self) -> f64 {
        self.clock.ms()
    }

    /// The account of the isolate's memory.
    #[must_use]
    pub const fn memory(&self) -> &Arc<Account> {
        &self.memory
    }

    pub(crate) fn freeze_clock(&self) {
        self.clock.tick();
    }

    /// A new invocation.
    pub(crate) fn enter(&self, owner: Owner, invocation: Invocation) {
        let mut invocations = self.invocations.borrow_mut();
        if invocations.is_empty() {
            self.clock.forget();
        }
        invocations.insert(owner, invocation);
    }

    pub(crate) fn next_id(&self) -> u32 {
        let id = self.next_id.get().wrapping_add(1).max(1);
        self.next_id.set(id);
        id
    }

    /// Reads from the live invocation `owner`.
    ///
    /// # Errors
    /// [`StateError::GlobalScope`] without an owner, [`StateError::Ended`] once it has ended.
    pub(crate) fn with<T>(&self, owner: Owner, f: impl FnOnce(&mut Invocation) -> T) -> Result<T, StateError> {
        if owner == 0 {
            return Err(StateError::GlobalScope);
        }
        self.invocations.borrow_mut().get_mut(&owner).map(f).ok_or(StateError::Ended)
    }

    /// Reads the request of `owner`.
    ///
    /// # Errors
    /// As for every op that needs an owner.
    pub fn request<T>(
        &self,
        owner: Owner,
        f: impl FnOnce(&http::Method, &str, &http::HeaderMap, Option<&str>) -> T,
    ) -> Result<T, StateError> {
        self.with(owner, |invocation| {
            f(&invocation.method, &invocation.url, &invocation.headers, invocation.cf.as_deref())
        })
        .map_err(|error| match (error, self.current.get()) {
            (StateError::Ended, used) if used != 0 && used != owner => {
                StateError::DifferentRequest { created: Creator::Request(owner), used }
            }
            (error, _) => error,
        })
    }

    /// Tells the shim when `owner` ends.
    ///
    /// # Errors
    /// As for every op that needs an owner.
    pub fn watch_end(&self, owner: Owner) -> Result<(), StateError> {
        self.with(owner, |invocation| invocation.hooked = true)
    }

    /// Tells the shim when `owner` ends, and when its client goes away.
    ///
    /// # Errors
    /// As for every op that needs an owner.
    pub fn watch_signal(&self, owner: Owner) -> Result<(), StateError> {
        self.with(owner, |invocation| {
            invocation.hooked = true;
            invocation.watches_signal = true;
        })
    }

    // --- operations

    /// Gives a future to the front runtime. Its value settles the returned promise, in a turn of `owner`.
    ///
    /// # Errors
    /// Without an owner, and over the limit of operations in flight.
    pub fn start<'s, F>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        owner: Owner,
        future: F,
    ) -> Result<(u32, v8::Local<'s, v8::Value>), StateError>
    where
        F: Future<Output = Settle> + Send + 'static,
    {
        let (id, promise) = self.promise(scope, owner)?;
        let waited = Waited { id, inbox: self.inbox.clone() };
        let task = self.front.spawn(async move {
            let settle = future.await;
            waited.with(settle);
        });
        if let Some(operation) = self.operations.borrow_mut().get_mut(&id) {
            operation.task = Some(task.abort_handle());
        }
        Ok((id, promise))
    }

    /// A promise of `owner` that [`State::complete`] settles.
    ///
    /// # Errors
    /// Without an owner, and over the limit of operations in flight.
    pub fn promise<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        owner: Owner,
    ) -> Result<(u32, v8::Local<'s, v8::Value>), StateError> {
        let limit = self.limits.borrow().operations;
        self.with(owner, |invocation| {
            if invocation.operations >= limit {
                return Err(StateError::TooManyPending("operations"));
            }
            invocation.operations += 1;
            Ok(())
        })??;
        let Some(resolver) = v8::PromiseResolver::new(scope) else { return Err(StateError::Ended) };
        let id = self.next_id();
        let promise = resolver.get_promise(scope);
        let operation = Operation {
            owner,
            awaits: Awaits::World,
            pooled: false,
            resolver: v8::Global::new(scope, resolver),
            task: None,
        };
        self.operations.borrow_mut().insert(id, operation);
        Ok((id, promise.into()))
    }

    /// Says whom an operation waits for, if it is another invocation.
    pub fn set_awaits(&self, id: u32, awaits: Awaits) {
        if let Some(operation) = self.operations.borrow_mut().get_mut(&id) {
            operation.awaits = awaits;
        }
    }

    /// Whether the caller of `owner` can help it to what it owes: see `State::hung`.
    ///
    /// # Errors
    /// As for every op that needs an owner.
    pub fn set_waits_for_itself(&self, owner: Owner, waits: bool) -> Result<(), StateError> {
        self.with(owner, |invocation| invocation.waits_for_itself = waits)
    }

    /// Who waits for what cannot come, where nothing but operations could bring it: all invocations, if there is no operation
    /// but of callees whose callers wait for them. Where callers and callees are in the same isolate, the callees that call
    /// nobody: what they owe fails, and the others go on.
    pub(crate) fn hung(&self) -> Vec<Owner> {
        let (operations, invocations) = (self.operations.borrow(), self.invocations.borrow());
        let is_here =
            |call| invocations.values().any(|one| one.called.as_ref().is_some_and(|called| called.call == call));
        let mut callers = Vec::new();
        for operation in operations.values() {
            match operation.awaits {
                Awaits::Caller if invocations.get(&operation.owner).is_some_and(|one| one.waits_for_itself) => {}
                Awaits::Callee(call) if is_here(call) => callers.push(operation.owner),
                Awaits::World | Awaits::Caller | Awaits::Callee(_) => return Vec::new(),
            }
        }
        let is_hung = |owner: &Owner, called: bool| callers.is_empty() || (called && !callers.contains(owner));
        let hung = invocations.iter().filter(|(owner, one)| is_hung(owner, one.called.is_some()));
        hung.map(|(owner, _)| *owner).collect()
    }

    /// Queues the settling of a promise that [`State::promise`] made.
    pub fn complete(&self, id: u32, settle: Settle) {
        let _ = self.inbox.send(Message::Complete(id, settle));
    }

    /// Queues the settling of a promise that [`State::promise`] made, with a value of this isolate.
    pub fn settle_here(&self, id: u32, settled: SettledHere) {
        if self.operations.borrow().contains_key(&id) {
            self.settled_here.borrow_mut().insert(id, settled);
            let _ = self.inbox.send(Message::CompleteHere(id));
        }
    }

    /// The pool is about to get a job for an operation.
    pub fn begin_pooled(&self, id: u32) {
        let owner = {
            let mut operations = self.operations.borrow_mut();
            let Some(operation) = operations.get_mut(&id) else { return };
            operation.pooled = true;
            operation.owner
        };
        self.jobs.set(self.jobs.get() + 1);
        if let Some(invocation) = self.invocations.borrow_mut().get_mut(&owner) {
            invocation.pooled += 1;
        }
        self.pool.begin(owner);
    }

    /// The pool has got the job that [`State::begin_pooled`] announced.
    pub fn end_pooled(&self, id: u32) {
        self.pool.end(id, self.inbox.clone());
    }

    /// The pool has done the job of an operation: charges its owner, and answers it.
    pub(crate) fn charge_pooled(&self, id: u32, cpu_ns: u64) -> Option<Owner> {
        self.jobs.set(self.jobs.get().saturating_sub(1));
        let owner = {
            let mut operations = self.operations.borrow_mut();
            let operation = operations.get_mut(&id)?;
            operation.pooled = false;
            operation.owner
        };
        if let Some(invocation) = self.invocations.borrow_mut().get_mut(&owner) {
            invocation.pooled = invocation.pooled.saturating_sub(1);
            invocation.ledger.cpu_ns += cpu_ns;
        }
        Some(owner)
    }

    /// Whether the pool works for an operation.
    pub(crate) fn is_pooled(&self, id: u32) -> bool {
        self.operations.borrow().get(&id).is_some_and(|operation| operation.pooled)
    }

    pub(crate) fn has_settled_here(&self, id: u32) -> bool {
        self.settled_here.borrow().contains_key(&id)
    }

    pub(crate) fn take_settled_here(&self, id: u32) -> Option<SettledHere> {
        self.settled_here.borrow_mut().remove(&id)
    }

    /// Drops an operation; its promise never settles.
    pub fn cancel_operation(&self, id: u32) {
        if let Some(operation) = self.operations.borrow_mut().remove(&id) {
            self.finish_operation(&operation);
            if let Some(task) = operation.task {
                task.abort();
            }
        }
    }

    /// The owner of an operation in flight.
    pub(crate) fn owner_of_operation(&self, id: u32) -> Option<Owner> {
        self.operations.borrow().get(&id).map(|operation| operation.owner)
    }

    /// Takes a finished operation off the books.
    pub(crate) fn take_operation(&self, id: u32) -> Option<v8::Global<v8::PromiseResolver>> {
        let operation = self.operations.borrow_mut().remove(&id)?;
        self.finish_operation(&operation);
        Some(operation.resolver)
    }

    fn finish_operation(&self, operation: &Operation) {
        if let Some(invocation) = self.invocations.borrow_mut().get_mut(&operation.owner) {
            invocation.operations = invocation.operations.saturating_sub(1);
        }
    }

    /// Counts one exchange with the world.
    ///
    /// # Errors
    /// Over `limits.subrequests`.
    pub fn charge_subrequest(&self, owner: Owner) -> Result<u32, StateError> {
        let limit = self.limits.borrow().subrequests;
        self.with(owner, |invocation| {
            let left = limit.saturating_sub(invocation.ledger.subrequests);
            if left == 0 {
                return Err(StateError::TooManySubrequests);
            }
            invocation.ledger.subrequests += 1;
            Ok(left)
        })?
    }

    /// Counts the redirects that an exchange followed.
    pub fn charge_redirects(&self, owner: Owner, redirects: u32) {
        if let Some(invocation) = self.invocations.borrow_mut().get_mut(&owner) {
            invocation.ledger.subrequests = invocation.ledger.subrequests.saturating_add(redirects);
        }
    }

    /// The permits of `owner` for subrequests that wait for the head of their response, of which a few may at once
    /// (`limits.open_connections`).
    ///
    /// # Errors
    /// As for every op that needs an owner.
    pub fn connecting(&self, owner: Owner) -> Result<Arc<Semaphore>, StateError> {
        let limit = usize::try_from(self.limits.borrow().open_connections).unwrap_or(usize::MAX);
        let permits = || Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)));
        self.with(owner, |invocation| Arc::clone(invocation.connecting.get_or_insert_with(permits)))
    }

    // --- waitUntil

    /// # Errors
    /// As for every op that needs an owner.
    pub fn wait_begin(&self, owner: Owner) -> Result<(), StateError> {
        self.with(owner, |invocation| invocation.waiting = invocation.waiting.saturating_add(1))
    }

    pub fn wait_end(&self, owner: Owner) {
        if let Some(invocation) = self.invocations.borrow_mut().get_mut(&owner) {
            invocation.waiting = invocation.waiting.saturating_sub(1);
        }
    }

    // --- timers

    /// # Errors
    /// Without an owner, and over the limit of timers.
    pub fn start_timer(&self, owner: Owner, delay: Duration, repeat: bool) -> Result<u32, StateError> {
        let limit = self.limits.borrow().timers;
        self.with(owner, |invocation| {
            if invocation.timers >= limit {
                return Err(StateError::TooManyPending("timers"));
            }
            invocation.timers += 1;
            invocation.hooked = true;
            Ok(())
        })??;
        Ok(self.timers.borrow_mut().start(owner, Instant::now(), delay, repeat))
    }

    pub fn cancel_timer(&self, id: u32) {
        if let Some(owner) = self.timers.borrow_mut().cancel(id)
            && let Some(invocation) = self.invocations.borrow_mut().get_mut(&owner)
        {
            invocation.timers = invocation.timers.saturating_sub(1);
        }
    }

    // --- the answer

    /// What the headers of an answer may take.
    #[must_use]
    pub fn answer_header_bytes(&self) -> usize {
        self.limits.borrow().answer_header_bytes
    }

    /// The answer of `owner`; it goes out once the turn has been left. Answers `false` when there has been one before.
    ///
    /// # Errors
    /// As for every op that needs an owner.
    pub fn answer(&self, owner: Owner, response: http::Response<Body>) -> Result<bool, StateError> {
        let wait = self.limits.borrow().wait_until;
        self.with(owner, |invocation| {
            if invocation.reply.is_none() || invocation.answer.is_some() {
                return false;
            }
            invocation.status = Some(response.status().as_u16());
            invocation.deadline = Instant::now() + wait;
            invocation.answer = Some(Answered::Response(response));
            self.answered.borrow_mut().push(owner);
            true
        })
    }

    /// The invocations that were answered since the last call.
    pub(crate) fn take_answered(&self) -> Vec<Owner> {
        std::mem::take(&mut *self.answered.borrow_mut())
    }

    /// Answers `owner` with a failure, unless there is an answer. The first reason is what its record says.
    pub fn fail(&self, owner: Owner, failure: Failure) {
        let mut invocations = self.invocations.borrow_mut();
        let Some(invocation) = invocations.get_mut(&owner) else { return };
        let failure = invocation.failure.get_or_insert(failure).clone();
        if invocation.reply.is_none() || invocation.answer.is_some() {
            return;
        }
        invocation.deadline = Instant::now() + self.limits.borrow().wait_until;
        invocation.answer = Some(match self.passed_through(invocation, failure.outcome) {
            Some(request) => Answered::PassedThrough(PassedThrough { request, failure }),
            None => Answered::Failed(failure),
        });
        self.answered.borrow_mut().push(owner);
    }

    /// The same for a turn that was ended: what it may have answered is not sent.
    pub(crate) fn fail_ended(&self, owner: Owner, failure: Failure) {
        if let Some(invocation) = self.invocations.borrow_mut().get_mut(&owner)
            && invocation.answer.take().is_some()
        {
            invocation.status = None;
            invocation.failure = None;
        }
        self.fail(owner, failure);
    }

    /// A promise that was given to `waitUntil` was rejected. The answer, if it is still to come, does not fail for that.
    pub fn fail_in_background(&self, owner: Owner, failure: Failure) {
        if let Some(invocation) = self.invocations.borrow_mut().get_mut(&owner) {
            invocation.background_failure.get_or_insert(failure);
        }
    }

    /// Writes a line to the worker's log, within the bound on log bytes of its owner. What an ended invocation left behind
    /// writes on the account of the one in whose turn it runs.
    pub fn log(&self, owner: Owner, level: Level, text: &str) {
        let Some(worker) = self.worker() else { return };
        let limit = self.limits.borrow().log_bytes;
        let (before, after, request_id) = {
            let mut invocations = self.invocations.borrow_mut();
            let request_id = invocations.get(&owner).map(|invocation| invocation.ticket.request_id);
            let account = if request_id.is_some() { owner } else { self.current.get() };
            let before = match invocations.get_mut(&account) {
                Some(invocation) => {
                    let after = invocation.ledger.log_bytes.saturating_add(text.len());
                    std::mem::replace(&mut invocation.ledger.log_bytes, after)
                }
                None => self.unowned_log_bytes.replace(self.unowned_log_bytes.get().saturating_add(text.len())),
            };
            (before, before.saturating_add(text.len()), request_id)
        };
        let record = LogRecord { level, invocation: owner, request_id, text };
        if after <= limit {
            worker.observer.log(&record);
        } else if before <= limit {
            let text = "[log limit reached, the rest of this request's output is dropped]";
            worker.observer.log(&LogRecord { level: Level::Warn, text, ..record });
        }
    }

    // --- passThroughOnException

    /// From here on, the worker's origin answers if `owner` fails.
    ///
    /// # Errors
    /// As for every op that needs an owner.
    pub fn pass_through(&self, owner: Owner) -> Result<(), StateError> {
        self.with(owner, |invocation| invocation.passes_through = true)
    }

    /// The request of an invocation that failed, for the worker's origin: if the script has asked for that, there is one, and
    /// nothing of the body was read. A limit is not an exception, and ends the request.
    fn passed_through(&self, invocation: &Invocation, outcome: Outcome) -> Option<FetchRequest> {
        let passes = invocation.passes_through && matches!(outcome, Outcome::Exception | Outcome::Hung);
        if !passes || self.worker.borrow().as_ref().is_none_or(|worker| worker.origin.is_none()) {
            return None;
        }
        Some(FetchRequest {
            method: invocation.method.clone(),
            url: invocation.url.clone(),
            headers: invocation.headers.clone(),
            body: self.take_unread_body(invocation.body)?,
            cf: invocation.cf.clone(),
            called: None,
            ticket: Arc::clone(&invocation.ticket),
            cpu: Some(invocation.cpu),
            scheduled: None,
        })
    }

    /// Asks for a poll of the engine's own event loop.
    pub fn want_ambient(&self) {
        self.ambient.want();
    }

    // --- the end of an invocation

    /// Drops every handle into the engine. Called before the engine goes.
    pub(crate) fn forget_handles(&self) {
        self.operations.borrow_mut().drain().for_each(|(_, operation)| {
            if let Some(task) = operation.task {
                task.abort();
            }
        });
        self.settled_here.borrow_mut().clear();
        *self.reservations.borrow_mut() = Reservations::default();
        self.rejections.borrow_mut().clear();
        self.bodies.borrow_mut().clear();
        self.resources.clear();
    }

    /// Drops everything that `owner` owns.
    pub(crate) fn release(&self, owner: Owner, invocation: &Invocation) {
        if invocation.operations > 0 {
            self.operations.borrow_mut().retain(|_, operation| {
                if operation.owner == owner
                    && let Some(task) = &operation.task
                {
                    task.abort();
                }
                operation.owner != owner
            });
        }
        if invocation.timers > 0 {
            self.timers.borrow_mut().cancel_all(owner);
        }
        self.release_bodies(owner, &invocation.breaks_bodies_with());
        self.resources.release(owner);
    }
}

/// An operation that somebody waits for: a panic is its end, too.
struct Waited {
    id: u32,
    inbox: Inbox,
}

// === impl Waited ===

impl Waited {
    fn with(&self, settle: Settle) {
        // The isolate may have ended meanwhile; then nobody waits.
        let _ = self.inbox.send(Message::Complete(self.id, settle));
    }
}

impl Drop for Waited {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.with(Box::new(internal_error));
        }
    }
}

/// What a script is told of a mistake of ours.
fn internal_error<'s>(scope: &mut v8::PinScope<'s, '_>, _state: &State) -> Settled<'s> {
    match v8::String::new(scope, "internal error") {
        Some(text) => Err(v8::Exception::error(scope, text)),
        None => Err(v8::undefined(scope).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_operation_that_panics_settles() {
        let (inbox, mut received) = tokio::sync::mpsc::unbounded_channel();
        let waited = Waited { id: 7, inbox };
        let operation = tokio::spawn(async move {
            let _held = waited;
            tokio::task::yield_now().await;
            panic!("injected");
        });
        assert!(operation.await.unwrap_err().is_panic());
        assert!(matches!(received.recv().await, Some(Message::Complete(7, _))));
    }
}
