//! An isolate's thread: takes the next thing to do, enters a turn for the invocation that owns it, acts on how it ended.

use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use deno_core::JsRuntime;
use deno_core::PollEventLoopOptions;
use deno_core::v8;
use tokio::sync::mpsc;

use crate::Body;
use crate::CallKind;
use crate::Failure;
use crate::Ledger;
use crate::Outcome;
use crate::State;
use crate::WorkerCode;
use crate::ambient::AmbientWaker;
use crate::cores::Runner;
use crate::cpu::thread_cpu_ns;
use crate::crash;
use crate::debug;
use crate::debug::DEBUGGED_CPU;
use crate::debug::DebugTarget;
use crate::debug::Debugger;
use crate::handle::IsolateOptions;
use crate::handle::Status;
use crate::hooks::Hooks;
use crate::idleness::IDLE_AFTER;
use crate::idleness::Idle;
use crate::interrupt::HeapWatch;
use crate::invocation::Invocation;
use crate::limits::AMBIENT_CPU;
use crate::limits::MEASURE_AFTER;
use crate::memory::Fill;
use crate::message::Answered;
use crate::message::Event;
use crate::message::Inbox;
use crate::message::Message;
use crate::message::Scheduled;
use crate::message::Settled;
use crate::modules;
use crate::modules::Modules;
use crate::observe::InvocationRecord;
use crate::observe::Level;
use crate::observe::LogRecord;
use crate::priority;
use crate::state::Owner;
use crate::trace;
use crate::turn;
use crate::turn::Entry;
use crate::turn::Verdict;
use crate::watchdog::Slot;

/// The thread's whole life.
pub(crate) fn thread(
    options: &IsolateOptions,
    inbox: Inbox,
    events: mpsc::UnboundedReceiver<Message>,
    status: Arc<Status>,
) {
    let _charge = crate::native::charge_thread(Arc::clone(&status.memory));
    status.load.runs_on_this_thread();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        // The pool (`pool.rs`) tells jobs apart by their order.
        .max_blocking_threads(1)
        .thread_keep_alive(Duration::from_secs(2))
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(async {
            // Most are spares. Nothing here may be demoted: the engine's start and its end take locks that others wait for.
            priority::set_slice(Some(priority::LONG_SLICE));
            let isolate = Isolate::new(options, inbox, Arc::clone(&status));
            priority::set_slice(None);
            match isolate {
                Ok(isolate) => isolate.run(events).await,
                Err(error) => tracing::error!(%error, "an isolate could not be made"),
            }
        }),
        Err(error) => tracing::error!(%error, "an isolate's thread has no event loop"),
    }
    status.ended.store(true, Ordering::Release);
}

pub(crate) struct Isolate {
    // Dropped in this order: handles into the engine before the engine.
    pub(crate) hooks: Hooks,
    pub(crate) context: v8::Global<v8::Context>,
    pub(crate) state: Rc<State>,
    slot: Arc<Slot>,
    runner: Arc<Runner>,
    /// The thread's CPU time, in nanoseconds, up to which all of it has been charged.
    charged_to: u64,
    pub(crate) runtime: JsRuntime,
    /// The engine has a pointer to it.
    heap: Box<HeapWatch>,
    status: Arc<Status>,
    pub(crate) ambient: Arc<AmbientWaker>,
    debugger: Option<Arc<dyn Debugger>>,
    /// The engine has an inspector.
    inspected: bool,
    pub(crate) stage: Stage,
    /// A turn was ended before its end: what others waited for may never come.
    pub(crate) interrupted: bool,
    /// No deadline of an invocation comes before this.
    pub(crate) sweep_at: Option<Instant>,
    /// When the loop's timer fires. It may be early; then it is set anew. Moving it for every event would cost more.
    alarm: Option<Instant>,
    _crashes_alone: crash::Guard,
}

/// Why there is no isolate on a thread. Our fault, all of them.
#[derive(Debug, thiserror::Error)]
enum CannotStart {
    #[error(transparent)]
    Hook(#[from] crate::hooks::MissingHook),
    #[error(transparent)]
    Clock(#[from] crate::watchdog::NoClock),
    #[error("the system has no memory for the thread: {0}")]
    Memory(#[from] std::io::Error),
}

/// Where the isolate is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No tenant's code yet.
    Blank,
    Serving,
    /// Takes no new invocation; ends with the running ones, at the latest at this time.
    Draining(Instant),
    Over,
}

/// The next thing to do.
enum Next {
    Message(Message),
    Timer,
    Ambient,
    Sweep,
    /// Nothing, for a moment.
    Idle,
    Closed,
}

// === impl Isolate ===

impl Isolate {
    fn new(options: &IsolateOptions, inbox: Inbox, status: Arc<Status>) -> Result<Self, CannotStart> {
        let runner = Runner::new(options.cores.clone());
        let ambient = Arc::new(AmbientWaker::default());
        let state = Rc::new(State::new(options.front.clone(), inbox, Arc::clone(&ambient), Arc::clone(&status.memory)));
        let mut runtime = options.engine.runtime(Rc::clone(&state));
        let context = runtime.main_context();
        let isolate = runtime.v8_isolate();
        isolate.set_slot(Rc::clone(&state));
        isolate.set_slot(Arc::clone(&runner));
        isolate.set_promise_reject_callback(turn::on_promise_reject);
        isolate.set_host_import_module_dynamically_callback(modules::import_dynamically);
        isolate.set_host_import_module_with_phase_dynamically_callback(modules::import_in_phase);
        isolate.set_allow_wasm_code_generation_callback(allow_wasm_from_bytes);
        isolate.set_allow_atomics_wait(false);
        isolate.set_oom_error_handler(crash::on_out_of_memory);
        state.memory.belongs_to(isolate);
        let heap = HeapWatch::new(isolate, Rc::clone(&state.heap_exceeded), Arc::clone(&status));
        let slot = options.watchdog.slot(isolate.thread_safe_handle(), Arc::clone(&status), Arc::clone(&runner))?;
        let guard = crash::Guard::enter(Arc::clone(&status), slot.place())?;
        let hooks = {
            v8::scope_with_context!(scope, isolate, &context);
            Hooks::take(scope)?
        };
        isolate.set_slot(Rc::new(Modules::new(hooks.built_in_module.clone())));
        trace::install(isolate, &context);
        // The engine's loop gets its waker once; from then on it says when it wants to be polled.
        ambient.want();
        Ok(Self {
            hooks,
            context,
            state,
            slot,
            runner,
            charged_to: 0,
            runtime,
            heap,
            status,
            ambient,
            debugger: options.debugger.clone(),
            inspected: false,
            stage: Stage::Blank,
            interrupted: false,
            sweep_at: None,
            alarm: None,
            _crashes_alone: guard,
        })
    }

    async fn run(mut self, mut events: mpsc::UnboundedReceiver<Message>) {
        let mut idle = Idle::Busy;
        let sleep = tokio::time::sleep(Duration::from_secs(3600));
        let mut sleep = std::pin::pin!(sleep);
        let mut timer_last = false;
        while self.stage != Stage::Over {
            let next = self.next(&mut events, sleep.as_mut(), &mut idle, timer_last).await;
            timer_last = matches!(next, Next::Timer);
            if !matches!(next, Next::Idle) {
                idle = Idle::Busy;
            }
            match next {
                Next::Message(message) => self.on_message(message),
                Next::Timer => self.fire_timer(),
                Next::Ambient => self.ambient_turn(),
                Next::Sweep => self.sweep(),
                Next::Idle => self.on_idle(&mut idle),
                Next::Closed => break,
            }
            self.send_answers();
            self.move_on();
        }
        self.status.condemned.store(true, Ordering::Release);
        self.end_all();
        events.close();
        while let Ok(message) = events.try_recv() {
            self.refuse(message);
        }
        self.runner.rest();
        // Nobody waits for the engine's end.
        priority::set_slice(Some(priority::LONG_SLICE));
    }

    /// Waits for the next thing to do. Timers and messages take turns, so that neither starves the other.
    async fn next(
        &mut self,
        events: &mut mpsc::UnboundedReceiver<Message>,
        mut sleep: Pin<&mut tokio::time::Sleep>,
        idle: &mut Idle,
        timer_last: bool,
    ) -> Next {
        std::future::poll_fn(|cx| {
            if self.ambient.take(cx) {
                return Poll::Ready(Next::Ambient);
            }
            let now = Instant::now();
            let due = self.state.timers.borrow_mut().next_due();
            if !timer_last && due.is_some_and(|due| due <= now) {
                return Poll::Ready(Next::Timer);
            }
            if let Poll::Ready(message) = events.poll_recv(cx) {
                return Poll::Ready(message.map_or(Next::Closed, Next::Message));
            }
            if due.is_some_and(|due| due <= now) {
                return Poll::Ready(Next::Timer);
            }
            if self.sweep_at.is_some_and(|at| at <= now) {
                return Poll::Ready(Next::Sweep);
            }
            let idle_at = match *idle {
                Idle::Busy => {
                    *idle = Idle::Settling(now + IDLE_AFTER);
                    // Whether anything can still happen is known as soon as nothing is left to do.
                    return Poll::Ready(Next::Idle);
                }
                Idle::Settling(at) | Idle::Measured(at) if at <= now => return Poll::Ready(Next::Idle),
                Idle::Settling(at) | Idle::Measured(at) => Some(at),
                Idle::Collected => None,
            };
            let earliest = [due, self.sweep_at, idle_at].into_iter().flatten().min();
            if let Some(at) = earliest
                && self.alarm.is_none_or(|alarm| at < alarm)
            {
                sleep.as_mut().reset(at.into());
                self.alarm = Some(at);
            }
            if self.alarm.is_some() && sleep.as_mut().poll(cx).is_ready() {
                self.alarm = None;
                cx.waker().wake_by_ref();
            }
            self.runner.rest();
            Poll::Pending
        })
        .await
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Load(worker, recent, reply) => {
                self.runner.belongs_to(recent);
                let loaded = self.load(worker);
                let _ = reply.send(loaded);
            }
            Message::Event(event) if self.stage == Stage::Serving => self.on_event(*event),
            Message::Complete(id, settle) => self.complete(id, settle),
            Message::CompleteHere(id) if self.state.is_pooled(id) => {}
            Message::CompleteHere(id) => self.complete_here(id),
            Message::PoolDone(id, cpu_ns) => self.on_pool_done(id, cpu_ns),
            Message::ClientGone(owner) => self.on_client_gone(owner),
            Message::SocketOver(owner) => {
                self.state.wire_over(owner);
                self.end_if_done(owner);
            }
            Message::Retire => self.condemn(),
            event @ Message::Event(_) => self.refuse(event),
        }
    }

    fn refuse(&self, message: Message) {
        if let Message::Event(event) = message {
            self.status.in_flight.fetch_sub(1, Ordering::AcqRel);
            self.status.load.begun(Duration::ZERO);
            let _ = event.reply.send(Answered::Returned(event.request));
        }
    }

    // --- turns

    /// One turn of a live invocation, within what is left of its budget.
    fn turn_of(&mut self, owner: Owner, work: impl for<'s, 'i> FnOnce(&mut v8::PinScope<'s, 'i>, &State, &Hooks)) {
        let left = self.state.with(owner, |invocation| invocation.ledger.left(invocation.cpu));
        let Ok(left) = left else { return };
        let Some(left) = left else {
            self.judge(owner, Verdict::CpuExceeded);
            return;
        };
        let (verdict, cpu_ns) = self.turn(owner, left, work);
        let after = self.state.with(owner, |invocation| {
            invocation.ledger.cpu_ns += cpu_ns;
            invocation.ledger.turns += 1;
            (invocation.is_done(), invocation.deadline)
        });
        if self.state.jobs.get() > 0 {
            self.look_at_pool(Instant::now());
        }
        if verdict != Verdict::Left {
            self.judge(owner, verdict);
            return;
        }
        match after {
            Ok((true, _)) => self.end(owner),
            // An answer has moved it.
            Ok((false, deadline)) => self.sweep_before(deadline),
            Err(_) => {}
        }
    }

    fn turn(
        &mut self,
        owner: Owner,
        budget: Duration,
        work: impl for<'s, 'i> FnOnce(&mut v8::PinScope<'s, 'i>, &State, &Hooks),
    ) -> (Verdict, u64) {
        let is_debugged = self.is_debugged();
        let budget = if is_debugged { DEBUGGED_CPU } else { budget };
        let entry = Entry {
            isolate: self.runtime.v8_isolate(),
            context: &self.context,
            state: &self.state,
            hooks: &self.hooks,
            slot: &self.slot,
            heap: &self.heap,
        };
        let verdict = {
            let _busy = self.status.load.enter_turn();
            turn::run(entry, owner, self.charged_to, budget, work)
        };
        let cpu_ns = self.charge();
        self.runner.leave(cpu_ns);
        // What a debugger does is not charged.
        let cpu_ns = if is_debugged { 0 } else { cpu_ns };
        let unmeasured = self.state.unmeasured_ns.get() + cpu_ns;
        if Duration::from_nanos(unmeasured) < MEASURE_AFTER && !self.state.memory.is_stale() {
            self.state.unmeasured_ns.set(unmeasured);
            return (verdict, cpu_ns);
        }
        self.state.unmeasured_ns.set(0);
        let verdict = self.look_at_memory(verdict);
        (verdict, cpu_ns + self.charge())
    }

    /// The CPU time, in nanoseconds, that nobody has been charged for yet. It is the caller's to charge.
    fn charge(&mut self) -> u64 {
        let before = std::mem::replace(&mut self.charged_to, thread_cpu_ns());
        self.charged_to.saturating_sub(before)
    }

    /// What the thread has used since the last turn is nobody's.
    pub(crate) fn forgive(&mut self) {
        self.charge();
    }

    /// Measures the isolate's memory after turns that may have changed it. What that takes is charged with the turn.
    fn look_at_memory(&mut self, verdict: Verdict) -> Verdict {
        let isolate = self.runtime.v8_isolate();
        let fill = match self.stage {
            Stage::Serving => self.state.memory.judge(isolate),
            _ if self.state.memory.is_over(isolate) => Fill::Hard,
            _ => Fill::Fine,
        };
        match fill {
            Fill::Hard if verdict == Verdict::Left => Verdict::MemoryExceeded,
            Fill::Soft if self.stage == Stage::Serving => {
                self.retire_full();
                verdict
            }
            Fill::Hard | Fill::Soft | Fill::Fine => verdict,
        }
    }

    /// Little memory is left: another isolate takes the new invocations.
    fn retire_full(&mut self) {
        let worker = self.state.worker();
        tracing::info!(
            worker = worker.as_ref().map_or("", |worker| worker.name.as_str()),
            memory_mb = self.state.memory.total() >> 20,
            limit_mb = self.state.memory.limit() >> 20,
            "an isolate holds nearly all the memory it may; it is replaced"
        );
        self.condemn();
    }

    /// The invocation outran a limit: it ends, and so does the isolate once the others have finished.
    pub(crate) fn judge(&mut self, owner: Owner, verdict: Verdict) {
        if let Some((pooled, cpu_ns)) = self.state.pool.running()
            && pooled == owner
        {
            let _ = self.state.with(owner, |invocation| invocation.ledger.cpu_ns += cpu_ns);
        }
        let limits = self.state.limits.borrow().clone();
        let budget = self.state.with(owner, |invocation| invocation.cpu).unwrap_or(limits.cpu);
        let failure = match verdict {
            Verdict::Left => return,
            Verdict::CpuExceeded => Failure::new(
                Outcome::CpuExceeded,
                format!("The worker exceeded its CPU budget of {} ms (limits.cpu_ms).", budget.as_millis()),
            ),
            Verdict::MemoryExceeded => Failure::new(
                Outcome::MemoryExceeded,
                format!("The worker exceeded its memory limit of {} MiB.", limits.memory >> 20),
            ),
        };
        self.interrupted = true;
        self.state.fail_ended(owner, failure);
        self.end(owner);
        self.condemn();
    }

    pub(crate) fn condemn(&mut self) {
        self.status.condemned.store(true, Ordering::Release);
        match self.stage {
            Stage::Blank | Stage::Over => self.stage = Stage::Over,
            // Everything has been answered without it.
            Stage::Serving | Stage::Draining(_) if self.status.is_abandoned() => self.stage = Stage::Over,
            Stage::Serving => {
                let until = Instant::now() + self.state.limits.borrow().wait_until;
                self.stage = Stage::Draining(until);
                self.sweep_before(until);
            }
            Stage::Draining(_) => {}
        }
    }

    /// Leaves the draining stage once nothing runs.
    fn move_on(&mut self) {
        if let Stage::Draining(_) = self.stage
            && self.state.invocations.borrow().is_empty()
        {
            self.stage = Stage::Over;
        }
    }

    // --- debugging

    /// Tells whoever debugs that the isolate is there, if anyone may.
    fn open_to_debuggers(&mut self, worker: &WorkerCode) {
        let Some(debugger) = &self.debugger else { return };
        let Some(root) = debugger.source_root() else { return };
        if let Some(modules) = self.runtime.v8_isolate().get_slot::<Rc<Modules>>() {
            modules.debug_from(root);
        }
        self.runtime.maybe_init_inspector();
        self.inspected = true;
        {
            let isolate = self.runtime.v8_isolate();
            v8::scope_with_context!(scope, isolate, &self.context);
            debug::share_console(scope);
        }
        debugger.opened(DebugTarget::new(worker.name.clone(), self.runtime.inspector().get_session_sender()));
        // The inspector gets its waker with the first poll.
        self.ambient.want();
    }

    /// A debugger is there: what it looks at stands still, so no limit of time holds.
    pub(crate) fn is_debugged(&self) -> bool {
        self.inspected && self.runtime.inspector().sessions_state().has_active
    }

    // --- what arrives

    fn load(&mut self, worker: Arc<WorkerCode>) -> Result<(), Failure> {
        if self.stage != Stage::Blank {
            return Err(Failure::new(Outcome::Internal, "the isolate already runs a worker"));
        }
        *self.state.worker.borrow_mut() = Some(Arc::clone(&worker));
        self.slot.name(&worker.name, &worker.tenant);
        *self.state.limits.borrow_mut() = worker.limits.clone();
        self.state.memory.set_limit(worker.limits.memory);
        self.heap.set_limit(self.runtime.v8_isolate(), worker.limits.memory);
        self.open_to_debuggers(&worker);
        let budget = worker.limits.startup_cpu;
        let mut failure = None;
        self.forgive();
        let (verdict, _cpu_ns) = self.turn(0, budget, |scope, _state, hooks| {
            failure = crate::startup::start(scope, hooks, &worker).err();
        });
        let failure = match verdict {
            Verdict::Left => failure,
            Verdict::CpuExceeded => Some(Failure::new(
                Outcome::StartupExceeded,
                format!("The worker's global scope exceeded its CPU budget of {} ms.", budget.as_millis()),
            )),
            Verdict::MemoryExceeded => {
                Some(Failure::new(Outcome::MemoryExceeded, "The worker's global scope exceeded the memory limit."))
            }
        };
        match failure {
            None => {
                self.state.memory.started(self.runtime.v8_isolate());
                self.stage = Stage::Serving;
                Ok(())
            }
            Some(failure) => {
                self.condemn();
                Err(failure)
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        let Event { invocation: owner, request, reply, sent } = event;
        let now = Instant::now();
        self.status.load.begun(now.saturating_duration_since(sent));
        let crate::message::FetchRequest { method, url, headers, body, cf, cpu, called, scheduled, ticket } = request;
        let (deadline, budget) = {
            let limits = self.state.limits.borrow();
            match scheduled {
                None => (now + limits.wall, limits.cpu),
                Some(_) => (now + limits.scheduled_wall, limits.scheduled_cpu),
            }
        };
        ticket.begin();
        let charge = self.state.memory.charge(head_bytes(&url, &headers));
        let body = self.state.add_body(owner, body);
        let invocation = Invocation {
            method,
            url,
            headers,
            cf,
            body,
            called,
            chain: None,
            ticket,
            _charge: charge,
            reply: Some(reply),
            answer: None,
            status: None,
            ledger: Ledger::default(),
            is_scheduled: scheduled.is_some(),
            cpu: cpu.unwrap_or(budget),
            started: now,
            deadline,
            waiting: 0,
            writing: 0,
            waits_for_itself: false,
            socket: None,
            operations: 0,
            connecting: None,
            pooled: 0,
            timers: 0,
            hooked: false,
            watches_signal: false,
            client_gone: false,
            passes_through: false,
            failure: None,
            background_failure: None,
        };
        let kind = CallKind::code(invocation.called.as_deref());
        self.state.enter(owner, invocation);
        self.sweep_before(deadline);
        self.turn_of(owner, |scope, state, hooks| {
            let [owner_id, body, kind] = [owner, body, kind].map(|id| v8::Integer::new_from_unsigned(scope, id).into());
            let called = match &scheduled {
                None => turn::call(scope, &hooks.fetch, &[owner_id, body, kind]),
                Some(event) => call_scheduled(scope, hooks, owner_id, event),
            };
            if called.is_none() && !scope.is_execution_terminating() {
                // The shim throws only where a script has broken what it stands on.
                state.fail(owner, Failure::new(Outcome::Exception, "The worker's handler could not be called."));
            }
        });
    }

    fn complete(&mut self, id: u32, settle: impl for<'s, 'i> FnOnce(&mut v8::PinScope<'s, 'i>, &State) -> Settled<'s>) {
        let Some(owner) = self.state.owner_of_operation(id) else { return };
        self.turn_of(owner, |scope, state, _hooks| {
            let Some(resolver) = state.take_operation(id) else { return };
            let resolver = v8::Local::new(scope, resolver);
            match settle(scope, state) {
                Ok(value) => resolver.resolve(scope, value),
                Err(reason) => resolver.reject(scope, reason),
            };
        });
    }

    fn complete_here(&mut self, id: u32) {
        if let Some(settled) = self.state.take_settled_here(id) {
            self.complete(id, |scope, _state| match settled {
                Ok(value) => Ok(v8::Local::new(scope, value)),
                Err(reason) => Err(v8::Local::new(scope, reason)),
            });
        }
    }

    /// A job of the pool is charged, and what it made is settled if the engine's loop has brought it already.
    fn on_pool_done(&mut self, id: u32, cpu_ns: u64) {
        let Some(owner) = self.state.charge_pooled(id, cpu_ns) else { return };
        if self.state.jobs.get() > 0 {
            self.look_at_pool(Instant::now());
        }
        if self.state.with(owner, |invocation| invocation.ledger.left(invocation.cpu).is_none()).unwrap_or(false) {
            self.judge(owner, Verdict::CpuExceeded);
        } else if self.state.has_settled_here(id) {
            self.complete_here(id);
        } else {
            self.end_if_done(owner);
        }
    }

    fn on_client_gone(&mut self, owner: Owner) {
        let until = Instant::now() + self.state.limits.borrow().wait_until;
        let watches = self.state.with(owner, |invocation| {
            invocation.client_gone = true;
            invocation.deadline = invocation.deadline.min(until);
            invocation.watches_signal || invocation.writing > 0
        });
        let Ok(watches) = watches else { return };
        self.sweep_before(until);
        if watches {
            self.turn_of(owner, |scope, _state, hooks| {
                let owner = v8::Integer::new_from_unsigned(scope, owner).into();
                turn::call(scope, &hooks.client_gone, &[owner]);
            });
        }
        self.end_if_done(owner);
    }

    fn fire_timer(&mut self) {
        let due = self.state.timers.borrow_mut().take_due(Instant::now());
        let Some((id, owner, over)) = due else { return };
        if over {
            let _ = self.state.with(owner, |invocation| invocation.timers = invocation.timers.saturating_sub(1));
        }
        self.turn_of(owner, |scope, _state, hooks| {
            let id = v8::Integer::new_from_unsigned(scope, id).into();
            turn::call(scope, &hooks.fire_timer, &[id]);
        });
    }

    /// Polls the engine's own event loop: its promises settle into completions, which their owners' turns resolve.
    fn ambient_turn(&mut self) {
        self.state.freeze_clock();
        let budget = if self.is_debugged() { DEBUGGED_CPU } else { AMBIENT_CPU };
        self.slot.arm(0, thread_cpu_ns(), budget);
        let waker = self.ambient.waker();
        let mut cx = std::task::Context::from_waker(&waker);
        let polled = self.runtime.poll_event_loop(&mut cx, PollEventLoopOptions::default());
        let terminated = self.slot.disarm();
        if let Poll::Ready(Err(error)) = polled
            && let Some(worker) = self.state.worker()
        {
            let text = error.to_string();
            worker.observer.log(&LogRecord { level: Level::Error, invocation: 0, request_id: None, text: &text });
        }
        if terminated || self.state.heap_exceeded.replace(false) {
            self.interrupted = true;
            self.runtime.v8_isolate().cancel_terminate_execution();
            self.condemn();
        }
    }

    // --- ends

    /// Sends the answers that the turn has left, also those of invocations that the turn did not belong to.
    fn send_answers(&mut self) {
        for owner in self.state.take_answered() {
            let done = self.state.with(owner, |invocation| {
                invocation.send_answer();
                invocation.is_done()
            });
            if done.unwrap_or(false) {
                self.end(owner);
            }
        }
    }

    fn end_if_done(&mut self, owner: Owner) {
        if self.state.with(owner, |invocation| invocation.is_done()).unwrap_or(false) {
            self.end(owner);
        }
    }

    /// Ends an invocation: drops what it owns, tells the shim, writes its record.
    pub(crate) fn end(&mut self, owner: Owner) {
        let Some(mut invocation) = self.state.invocations.borrow_mut().remove(&owner) else { return };
        self.state.release(owner, &invocation);
        self.status.in_flight.fetch_sub(1, Ordering::AcqRel);
        invocation.send_answer();
        if let Some(reply) = invocation.reply.take() {
            let failure = invocation.failure.as_ref().or(invocation.background_failure.as_ref()).cloned();
            let _ = reply.send(match failure {
                Some(failure) => Answered::Failed(failure),
                None if invocation.is_scheduled => Answered::Response(http::Response::new(Body::Empty)),
                None => Answered::Failed(Failure::new(Outcome::IsolateReset, "the isolate ended")),
            });
        }
        if invocation.hooked {
            let (verdict, cpu_ns) = self.turn(0, AMBIENT_CPU, |scope, _state, hooks| {
                let owner = v8::Integer::new_from_unsigned(scope, owner).into();
                turn::call(scope, &hooks.ended, &[owner]);
            });
            invocation.ledger.cpu_ns += cpu_ns;
            if verdict != Verdict::Left {
                self.condemn();
            }
        }
        let Some(worker) = self.state.worker() else { return };
        if !invocation.ticket.claim() {
            return;
        }
        let failure = invocation.failure.as_ref().or(invocation.background_failure.as_ref());
        let stack = failure.and_then(|failure| failure.stack.as_deref()).map(|stack| worker.map_stack(stack));
        let outcome = match failure {
            Some(failure) => failure.outcome,
            None if invocation.client_gone => Outcome::ClientGone,
            None => Outcome::Ok,
        };
        worker.observer.ended(&InvocationRecord {
            invocation: owner,
            outcome,
            method: invocation.method.as_str(),
            url: &invocation.url,
            status: invocation.status,
            wall: invocation.started.elapsed(),
            queued: invocation.ticket.queued(invocation.started),
            ledger: &invocation.ledger,
            error: failure.map(|failure| failure.message.as_str()),
            stack: stack.as_deref(),
            ticket: &invocation.ticket,
        });
    }

    pub(crate) fn end_all(&mut self) {
        let owners: Vec<Owner> = self.state.invocations.borrow().keys().copied().collect();
        for owner in owners {
            self.state.fail(owner, Failure::new(Outcome::IsolateReset, "The isolate was reset while the request ran."));
            self.end(owner);
        }
    }
}

/// Gives the shim a scheduled event.
fn call_scheduled<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    hooks: &Hooks,
    owner: v8::Local<'s, v8::Value>,
    event: &Scheduled,
) -> Option<v8::Local<'s, v8::Value>> {
    let cron = v8::String::new(scope, &event.cron)?.into();
    // Exact: it is far below 2^53.
    let time = v8::Number::new(scope, event.time as f64).into();
    turn::call(scope, &hooks.scheduled, &[owner, cron, time])
}

/// What the head of a request takes.
fn head_bytes(url: &str, headers: &http::HeaderMap) -> usize {
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    size_of::<Invocation>() + url.len() + fields + headers.capacity() * size_of::<http::HeaderValue>()
}

/// WebAssembly is compiled from bytes where code may be compiled from strings: at most while a worker starts.
extern "C" fn allow_wasm_from_bytes(context: v8::Local<'_, v8::Context>, _source: v8::Local<'_, v8::String>) -> bool {
    context.is_code_generation_from_strings_allowed()
}

impl Drop for Isolate {
    fn drop(&mut self) {
        // Handles into the engine go before the engine does.
        let isolate = self.runtime.v8_isolate();
        trace::uninstall(isolate);
        isolate.remove_slot::<Rc<Modules>>();
        isolate.remove_slot::<Rc<State>>();
        isolate.remove_slot::<Arc<Runner>>();
        self.state.forget_handles();
        *self.state.invocations.borrow_mut() = HashMap::new();
    }
}
