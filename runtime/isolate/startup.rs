//! A worker's first turn: its modules are compiled, linked and evaluated, and the shim learns of its handlers.

use deno_core::v8;

use crate::Failure;
use crate::Outcome;
use crate::WorkerCode;
use crate::hooks::Hooks;
use crate::modules;
use crate::turn;
use crate::worker::SourceKind;

/// Runs the global scope of `worker`, with what its compatibility flags allow there.
pub(crate) fn start(scope: &mut v8::PinScope<'_, '_>, hooks: &Hooks, worker: &WorkerCode) -> Result<(), Failure> {
    let flag = |name: &str| worker.compatibility_flags.get(name).copied().unwrap_or(false);
    for (name, paths) in TAKEN_OFF {
        if !flag(name) {
            paths.iter().for_each(|path| take_off(scope, path));
        }
    }
    let context = scope.get_current_context();
    context.set_allow_generation_from_strings(flag("allow_eval_during_startup"));
    let result = evaluate(scope, hooks, worker);
    context.set_allow_generation_from_strings(false);
    result
}

/// What a worker does not see without a compatibility flag.
const TAKEN_OFF: &[(&str, &[&str])] = &[
    ("enable_weak_ref", &["WeakRef", "FinalizationRegistry"]),
    ("enable_navigator_language", &["Navigator.prototype.language"]),
    ("global_navigator", &["navigator", "Navigator"]),
    ("expose_global_message_channel", &["MessageChannel", "MessagePort"]),
    ("http_headers_getsetcookie", &["Headers.prototype.getSetCookie"]),
];

/// Deletes what is at a path of properties of the global.
fn take_off(scope: &mut v8::PinScope<'_, '_>, path: &str) {
    let mut holder = scope.get_current_context().global(scope);
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let Some(key) = v8::String::new(scope, name) else { return };
        if names.peek().is_none() {
            holder.delete(scope, key.into());
            return;
        }
        let inside = holder.get(scope, key.into()).and_then(|value| value.to_object(scope));
        let Some(inside) = inside else { return };
        holder = inside;
    }
}

fn evaluate(scope: &mut v8::PinScope<'_, '_>, hooks: &Hooks, worker: &WorkerCode) -> Result<(), Failure> {
    v8::tc_scope!(let scope, scope);
    if turn::call(scope, &hooks.configure, &[]).is_none() {
        return Err(thrown(scope, worker));
    }
    if let Some(source) = worker.modules.get(&worker.main)
        && source.kind == SourceKind::ServiceWorker
    {
        let nothing = v8::undefined(scope).into();
        let started = turn::call(scope, &hooks.bind_globals, &[])
            .and_then(|_| modules::bind_globals(scope, worker))
            .and_then(|()| modules::run_script(scope, &worker.main, source))
            .and_then(|()| turn::call(scope, &hooks.start, &[nothing]));
        return started.map(|_| ()).ok_or_else(|| thrown(scope, worker));
    }
    let Some((module, evaluation)) = modules::load_main(scope, worker) else {
        return Err(thrown(scope, worker));
    };
    scope.perform_microtask_checkpoint();
    match module.get_status() {
        v8::ModuleStatus::Errored => {
            let exception = module.get_exception();
            return Err(failed(scope, worker, exception));
        }
        v8::ModuleStatus::Evaluated => {}
        _ => return Err(thrown(scope, worker)),
    }
    if let Ok(evaluation) = v8::Local::<v8::Promise>::try_from(evaluation) {
        match evaluation.state() {
            v8::PromiseState::Fulfilled => {}
            v8::PromiseState::Rejected => {
                evaluation.mark_as_handled();
                let reason = evaluation.result(scope);
                return Err(failed(scope, worker, reason));
            }
            v8::PromiseState::Pending => {
                let message =
                    "A top-level await in the worker's global scope never settles: there is no I/O in global scope.";
                return Err(Failure::new(Outcome::StartupFailed, message));
            }
        }
    }
    let namespace = module.get_module_namespace();
    match turn::call(scope, &hooks.start, &[namespace]) {
        Some(_) => Ok(()),
        None => Err(thrown(scope, worker)),
    }
}

fn thrown(scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, '_, v8::HandleScope<'_>>>, worker: &WorkerCode) -> Failure {
    if scope.has_terminated() {
        return Failure::new(Outcome::StartupFailed, "The worker's global scope was terminated.");
    }
    let Some(exception) = scope.exception() else {
        return Failure::new(Outcome::StartupFailed, "The worker's global scope failed without an exception.");
    };
    let location = scope.message().map(|message| {
        let resource =
            message.get_script_resource_name(scope).map(|name| name.to_rust_string_lossy(scope)).unwrap_or_default();
        let line = message.get_line_number(scope).unwrap_or(0);
        format!("    at {resource}:{line}:{}", message.get_start_column() + 1)
    });
    scope.reset();
    let mut failure = failed(scope, worker, exception);
    // A syntax error's stack names no position of the module; the message does.
    let positioned = failure.stack.as_deref().is_some_and(|stack| stack.contains("\n    at "));
    if !positioned && let Some(location) = location {
        failure.stack = Some(worker.map_stack(&format!("{}\n{location}", failure.message)));
    }
    failure
}

fn failed<'s>(scope: &mut v8::PinScope<'s, '_>, worker: &WorkerCode, exception: v8::Local<'s, v8::Value>) -> Failure {
    let (message, stack) = turn::describe(scope, exception).unwrap_or_default();
    Failure { outcome: Outcome::StartupFailed, message, stack: stack.map(|stack| worker.map_stack(&stack)) }
}
