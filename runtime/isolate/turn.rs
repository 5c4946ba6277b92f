//! The turn: one uninterrupted stay inside JavaScript, owned by one invocation.
//!
//! Invariant: JavaScript runs nowhere else. A turn freezes the clock, arms the watchdog with what is left of its budget, runs
//! the work, drains the microtasks and the rejections they leave, and disarms the watchdog. What the thread has used since the
//! turn before is charged to it, the loop's own steps to this turn among them: nothing of the thread's time is anybody's gift.

use std::rc::Rc;
use std::time::Duration;

use deno_core::v8;

use crate::State;
use crate::hooks::Hooks;
use crate::interrupt::HeapWatch;
use crate::limits::REJECTION_ROUNDS;
use crate::limits::REJECTIONS;
use crate::state::Owner;
use crate::state::Rejection;
use crate::trace;
use crate::watchdog::Slot;

/// How a turn was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Left,
    /// The watchdog ended it.
    CpuExceeded,
    /// The heap reached its limit.
    MemoryExceeded,
}

/// What a turn needs of its isolate.
pub(crate) struct Entry<'a> {
    pub(crate) isolate: &'a mut v8::OwnedIsolate,
    pub(crate) context: &'a v8::Global<v8::Context>,
    pub(crate) state: &'a Rc<State>,
    pub(crate) hooks: &'a Hooks,
    pub(crate) slot: &'a Slot,
    pub(crate) heap: &'a HeapWatch,
}

/// Runs one turn of `owner` with `budget` of CPU time, counted from `since` on the thread's CPU clock. Answers how it ended.
pub(crate) fn run(
    entry: Entry<'_>,
    owner: Owner,
    since: u64,
    budget: Duration,
    work: impl for<'s, 'i> FnOnce(&mut v8::PinScope<'s, 'i>, &State, &Hooks),
) -> Verdict {
    let Entry { isolate, context, state, hooks, slot, heap } = entry;
    state.freeze_clock();
    state.current.set(owner);
    slot.arm(owner, since, budget);
    {
        v8::scope_with_context!(scope, isolate, context);
        v8::tc_scope!(let scope, scope);
        work(scope, state, hooks);
        scope.perform_microtask_checkpoint();
        report_rejections(scope, state, hooks);
        scope.reset();
    }
    let terminated = slot.disarm();
    heap.settle(isolate);
    let heap_exceeded = state.heap_exceeded.replace(false);
    let verdict = if heap_exceeded {
        Verdict::MemoryExceeded
    } else if terminated {
        Verdict::CpuExceeded
    } else {
        Verdict::Left
    };
    if verdict != Verdict::Left {
        isolate.cancel_terminate_execution();
        // Nobody is left to be told.
        state.rejections.borrow_mut().clear();
    }
    state.current.set(0);
    verdict
}

/// Calls a hook; its exceptions are the caller's `TryCatch`'s.
pub(crate) fn call<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    hook: &v8::Global<v8::Function>,
    arguments: &[v8::Local<'_, v8::Value>],
) -> Option<v8::Local<'s, v8::Value>> {
    let function = v8::Local::new(scope, hook);
    let this = v8::undefined(scope).into();
    function.call(scope, this, arguments)
}

/// Tells the shim of promises that were rejected while nobody listened. Its handlers may leave more of them.
fn report_rejections(scope: &mut v8::PinScope<'_, '_>, state: &State, hooks: &Hooks) {
    for _ in 0..REJECTION_ROUNDS {
        let rejections = std::mem::take(&mut *state.rejections.borrow_mut());
        if rejections.is_empty() {
            return;
        }
        for Rejection { promise, reason, context, owner } in rejections {
            let promise = v8::Local::new(scope, promise);
            let context = v8::Local::new(scope, context);
            let owner = v8::Integer::new_from_unsigned(scope, owner).into();
            let (hook, reason) = match reason {
                Some(reason) => (&hooks.rejection, v8::Local::new(scope, reason)),
                None => (&hooks.rejection_handled, promise.result(scope)),
            };
            call(scope, hook, &[promise.into(), reason, owner, context]);
            if scope.is_execution_terminating() {
                return;
            }
        }
        scope.perform_microtask_checkpoint();
    }
}

/// Notes rejections without a listener, with the async context that they happened in.
pub(crate) extern "C" fn on_promise_reject(message: v8::PromiseRejectMessage<'_>) {
    v8::callback_scope!(unsafe scope, &message);
    let Some(state) = scope.get_slot::<Rc<State>>().map(Rc::clone) else { return };
    let promise = message.get_promise();
    let told = state.rejections.borrow().len() < REJECTIONS;
    let context = scope.get_continuation_preserved_embedder_data();
    let context = v8::Global::new(scope, context);
    match message.get_event() {
        v8::PromiseRejectEvent::PromiseRejectWithNoHandler if told => {
            let reason = message.get_value().unwrap_or_else(|| v8::undefined(scope).into());
            let rejection = Rejection {
                promise: v8::Global::new(scope, promise),
                reason: Some(v8::Global::new(scope, reason)),
                context,
                owner: state.current.get(),
            };
            state.rejections.borrow_mut().push(rejection);
        }
        v8::PromiseRejectEvent::PromiseHandlerAddedAfterReject => {
            let promise = v8::Global::new(scope, promise);
            let mut rejections = state.rejections.borrow_mut();
            let before = rejections.len();
            rejections.retain(|rejection| rejection.reason.is_none() || rejection.promise != promise);
            if told && rejections.len() == before {
                rejections.push(Rejection { promise, reason: None, context, owner: state.current.get() });
            }
        }
        v8::PromiseRejectEvent::PromiseRejectWithNoHandler
        | v8::PromiseRejectEvent::PromiseRejectAfterResolved
        | v8::PromiseRejectEvent::PromiseResolveAfterResolved => {}
    }
}

/// What was thrown: one line, and the stack where it is an error.
///
/// Runs getters of the script, so it belongs into the turn of whoever threw. `None`: the turn was terminated meanwhile.
pub fn describe<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    thrown: v8::Local<'s, v8::Value>,
) -> Option<(String, Option<String>)> {
    const LONGEST: usize = 16 << 10;
    // Longer than this, a text is not even read: it would have to be copied whole.
    const READ: usize = 1 << 20;
    v8::tc_scope!(let scope, scope);
    let mut stack = None;
    if let Ok(object) = v8::Local::<v8::Object>::try_from(thrown)
        && thrown.is_native_error()
        && let Some(key) = v8::String::new(scope, "stack")
        && let Some(value) = object.get(scope, key.into())
        && value.is_string()
    {
        stack = value.to_string(scope).map(|stack| cut(trace::short(scope, stack, READ), LONGEST));
    }
    if scope.has_terminated() {
        return None;
    }
    let text = thrown.to_string(scope);
    if scope.has_terminated() {
        return None;
    }
    let message = match text {
        Some(text) => cut(trace::short(scope, text, READ), LONGEST),
        None => "an object that cannot be turned into a string was thrown".to_owned(),
    };
    let message = if thrown.is_native_error() { message } else { format!("Uncaught {message}") };
    Some((message, stack))
}

fn cut(mut text: String, at: usize) -> String {
    if text.len() > at {
        let mut end = at;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}
