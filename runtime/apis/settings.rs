//! What the shim may know of its worker.

use deno_core::op2;
use deno_core::v8;
use holm_isolate::StateError;

use crate::seam;

/// The variables of `env`, as a JSON object.
#[op2]
pub fn op_env<'s>(scope: &mut v8::PinScope<'s, '_>) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let worker = seam::state(scope)?.worker().ok_or(StateError::GlobalScope)?;
    Ok(seam::text(scope, &worker.env))
}

/// `{ name, compatibilityDate, flags }` as JSON.
#[op2]
#[string]
pub fn op_settings(scope: &mut v8::PinScope<'_, '_>) -> Result<String, StateError> {
    let worker = seam::state(scope)?.worker().ok_or(StateError::GlobalScope)?;
    let settings = deno_core::serde_json::json!({
        "name": worker.name,
        "compatibilityDate": worker.compatibility_date,
        "flags": worker.compatibility_flags,
    });
    Ok(settings.to_string())
}
