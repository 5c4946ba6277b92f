//! The modules of the worker's bundle as files, for `fs`: what it reads below `/bundle`.

use bytes::Bytes;
use deno_core::op2;
use deno_core::v8;
use holm_isolate::StateError;

use crate::seam;

/// The names of all modules.
#[op2]
pub fn op_node_bundle_names<'s>(scope: &mut v8::PinScope<'s, '_>) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let worker = seam::state(scope)?.worker().ok_or(StateError::GlobalScope)?;
    let mut names: Vec<&String> = worker.modules.keys().collect();
    names.sort();
    let names: Vec<_> = names.into_iter().map(|name| seam::text(scope, name)).collect();
    Ok(seam::inner_list(scope, &names))
}

/// The bytes of a module, a copy for the worker; `undefined` if there is none of this name.
#[op2]
pub fn op_node_bundle_read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[string] name: &str,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let worker = seam::state(scope)?.worker().ok_or(StateError::GlobalScope)?;
    let Some(module) = worker.modules.get(name) else { return Ok(v8::undefined(scope).into()) };
    let state = seam::state(scope)?;
    // The copy becomes an ArrayBuffer, which the account counts; it has to fit before it is made.
    let _room = state.memory().try_charge(module.bytes.len())?;
    Ok(seam::uint8_array(scope, Bytes::from(module.bytes.to_vec())))
}
