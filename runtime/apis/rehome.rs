//! Promises of the engine's own event loop, brought home to the invocation that started them.
//!
//! Such a promise settles in an ambient turn, where nothing of a tenant may run. The shim queues a completion there; the
//! owner's own turn then settles what the worker awaits.

use deno_core::op2;
use deno_core::v8;
use holm_isolate::StateError;

use crate::seam;

/// Answers `[operation, promise]`. The caller starts one job of the pool, then calls [`op_rehome_started`].
#[op2]
pub fn op_rehome_begin<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let (id, promise) = state.promise(scope, owner)?;
    state.want_ambient();
    state.begin_pooled(id);
    let id = v8::Integer::new_from_unsigned(scope, id).into();
    Ok(v8::Array::new_with_elements(scope, &[id, promise]).into())
}

/// The job has been given to the pool.
#[op2(fast)]
pub fn op_rehome_started(scope: &mut v8::PinScope<'_, '_>, #[smi] operation: u32) -> Result<(), StateError> {
    seam::state(scope)?.end_pooled(operation);
    Ok(())
}

/// Queues the value (or the reason) for the owner's turn.
#[op2(nofast)]
pub fn op_rehome_settle<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] operation: u32,
    fulfilled: bool,
    value: v8::Local<'s, v8::Value>,
) -> Result<(), StateError> {
    let state = seam::state(scope)?;
    let value = v8::Global::new(scope, value);
    state.settle_here(operation, if fulfilled { Ok(value) } else { Err(value) });
    Ok(())
}
