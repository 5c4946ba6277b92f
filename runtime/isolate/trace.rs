//! What `error.stack` says: the frames of the worker's own code, and nothing of the platform's.
//!
//! V8 asks when a stack is first read, inside a turn of whoever reads it. `Error.prepareStackTrace` of the script is obeyed,
//! with its own frames. Invariant: what the call sites are asked was taken from the engine before any worker's code ran, so
//! that only `name`, `message` and `prepareStackTrace` run code of the script; and no text is turned into one flat string
//! without a look at its length.

use std::rc::Rc;

use deno_core::v8;

/// Characters of a text that are kept. Longer ones are not read at all: the engine would have to copy them first.
const LONGEST: usize = 64 << 10;

/// Functions of the engine that tell about a call site.
struct CallSites {
    file_name: v8::Global<v8::Function>,
    text: v8::Global<v8::Function>,
    /// The engine's `Error`, whose `prepareStackTrace` counts.
    error: v8::Global<v8::Object>,
}

/// Takes over the formatting of stacks. Called before any worker's code.
pub(crate) fn install(isolate: &mut v8::OwnedIsolate, context: &v8::Global<v8::Context>) {
    isolate.set_prepare_stack_trace_callback(prepare);
    v8::scope_with_context!(scope, isolate, context);
    v8::tc_scope!(let scope, scope);
    // The first stack teaches the callback.
    if let Some(source) = v8::String::new(scope, "new Error().stack")
        && let Some(script) = v8::Script::compile(scope, source, None)
    {
        script.run(scope);
    }
}

/// Drops the handles into the engine. Called before the engine goes.
pub(crate) fn uninstall(isolate: &mut v8::OwnedIsolate) {
    isolate.remove_slot::<Rc<CallSites>>();
}

fn prepare<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    error: v8::Local<'s, v8::Value>,
    callsites: v8::Local<'s, v8::Array>,
) -> v8::Local<'s, v8::Value> {
    let Some(known) = scope.get_slot::<Rc<CallSites>>().map(Rc::clone) else {
        if let Some(learned) = learn(scope, callsites) {
            scope.set_slot(Rc::new(learned));
        }
        return v8::undefined(scope).into();
    };
    let frames = own_frames(scope, &known, callsites);
    let constructor = v8::Local::new(scope, &known.error);
    if let Some(custom) = custom(scope, constructor) {
        let frames = v8::Array::new_with_elements(scope, &frames);
        // What it throws is thrown at whoever reads the stack.
        let prepared = custom.call(scope, constructor.into(), &[error, frames.into()]);
        return prepared.unwrap_or_else(|| v8::undefined(scope).into());
    }
    let mut stack = title(scope, error);
    let text = v8::Local::new(scope, &known.text);
    for frame in frames {
        let Some(line) = text.call(scope, frame, &[]).and_then(|line| line.to_string(scope)) else { break };
        stack.push_str("\n    at ");
        stack.push_str(&short(scope, line, LONGEST));
    }
    v8::String::new(scope, &stack).map_or_else(|| v8::undefined(scope).into(), Into::into)
}

fn learn(scope: &mut v8::PinScope<'_, '_>, callsites: v8::Local<'_, v8::Array>) -> Option<CallSites> {
    let site = callsites.get_index(scope, 0)?.to_object(scope)?;
    let function = |scope: &mut v8::PinScope<'_, '_>, name: &str| {
        let function = get(scope, site, name)?;
        Some(v8::Global::new(scope, v8::Local::<v8::Function>::try_from(function).ok()?))
    };
    let file_name = function(scope, "getFileName")?;
    let text = function(scope, "toString")?;
    let global = scope.get_current_context().global(scope);
    let error = get(scope, global, "Error")?.to_object(scope)?;
    Some(CallSites { file_name, text, error: v8::Global::new(scope, error) })
}

/// The call sites in the worker's own modules, and in the engine's built-in functions that they call.
fn own_frames<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    known: &CallSites,
    callsites: v8::Local<'s, v8::Array>,
) -> Vec<v8::Local<'s, v8::Value>> {
    let file_name = v8::Local::new(scope, &known.file_name);
    let mut own = Vec::with_capacity(callsites.length() as usize);
    for index in 0..callsites.length() {
        let Some(site) = callsites.get_index(scope, index) else { break };
        let file = file_name.call(scope, site, &[]).filter(|file| file.is_string());
        let shim = file.is_some_and(|file| {
            let name = file.to_rust_string_lossy(scope);
            name.starts_with("ext:") || name.starts_with("node:") || name.starts_with("checkin:")
        });
        if !shim {
            own.push(site);
        }
    }
    own
}

/// The script's `Error.prepareStackTrace`.
fn custom<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    constructor: v8::Local<'s, v8::Object>,
) -> Option<v8::Local<'s, v8::Function>> {
    let custom = get(scope, constructor, "prepareStackTrace")?;
    v8::Local::<v8::Function>::try_from(custom).ok()
}

/// `Name: message`, as `Error.prototype.toString` says it.
fn title(scope: &mut v8::PinScope<'_, '_>, error: v8::Local<'_, v8::Value>) -> String {
    let Ok(object) = v8::Local::<v8::Object>::try_from(error) else { return String::new() };
    let name = text_of(scope, object, "name").unwrap_or_else(|| "Error".to_owned());
    let message = text_of(scope, object, "message").unwrap_or_default();
    match (name.is_empty(), message.is_empty()) {
        (true, _) => message,
        (_, true) => name,
        _ => format!("{name}: {message}"),
    }
}

fn text_of(scope: &mut v8::PinScope<'_, '_>, object: v8::Local<'_, v8::Object>, name: &str) -> Option<String> {
    v8::tc_scope!(let scope, scope);
    let value = get(scope, object, name)?;
    if value.is_undefined() {
        return None;
    }
    let text = value.to_string(scope)?;
    Some(short(scope, text, LONGEST))
}

fn get<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    object: v8::Local<'_, v8::Object>,
    name: &str,
) -> Option<v8::Local<'s, v8::Value>> {
    v8::tc_scope!(let scope, scope);
    let key = v8::String::new(scope, name)?;
    object.get(scope, key.into())
}

/// A text of at most `longest` characters; of a longer one, only how long it is.
pub(crate) fn short(scope: &mut v8::PinScope<'_, '_>, text: v8::Local<'_, v8::String>, longest: usize) -> String {
    if text.length() > longest {
        return format!("[a text of {} characters]", text.length());
    }
    text.to_rust_string_lossy(scope)
}
