//! The Rust side of the `node:` modules: their scripts (crate `holm-node`), and what these cannot do in JavaScript.
//!
//! The scripts are library code: they run as if the worker had brought them along, and reach the isolate only through the
//! functions of `js-shims/node_natives.js`, which call the ops of this folder.

pub mod bundle;
pub mod crypto;
pub mod dns;
pub mod inspect;
pub mod text;
pub mod zlib;

use deno_core::op2;
use deno_core::v8;
use holm_isolate::StateError;

use crate::seam;

/// What the functions around the scripts of the library are given.
const LIBRARY: &[&str] = &["exports", "require", "module", "process", "internalBinding", "primordials"];

/// A script that cannot be used.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[class(generic)]
pub enum ScriptError {
    #[error("The script of the built-in module \"{0}\" is too large.")]
    Size(String),
}

/// The script `name` as a function, `undefined` where there is none.
#[op2]
pub fn op_node_script<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] name: &str,
) -> Result<v8::Local<'s, v8::Value>, ScriptError> {
    let Some(source) = holm_node::script(name) else { return Ok(v8::undefined(scope).into()) };
    let function = compile(scope, name, source).ok_or_else(|| ScriptError::Size(name.to_owned()))?;
    Ok(function.into())
}

/// The library is told when the invocation has ended.
#[op2(fast)]
pub fn op_node_watch_end(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32) -> Result<(), StateError> {
    seam::state(scope)?.watch_end(owner)
}

fn compile<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    name: &str,
    source: &'static str,
) -> Option<v8::Local<'s, v8::Function>> {
    // The engine reads ASCII where it is, and copies what is not.
    let code = if source.is_ascii() {
        v8::String::new_external_onebyte_static(scope, source.as_bytes())?
    } else {
        v8::String::new(scope, source)?
    };
    let name = v8::String::new(scope, &format!("node:{name}"))?;
    let origin = v8::ScriptOrigin::new(scope, name.into(), 0, 0, false, 0, None, false, false, false, None);
    let mut source = v8::script_compiler::Source::new(code, Some(&origin));
    let mut names = Vec::with_capacity(LIBRARY.len());
    for parameter in LIBRARY {
        names.push(v8::String::new(scope, parameter)?);
    }
    v8::script_compiler::compile_function(
        scope,
        &mut source,
        &names,
        &[],
        v8::script_compiler::CompileOptions::NoCompileOptions,
        v8::script_compiler::NoCacheReason::NoReason,
    )
}
