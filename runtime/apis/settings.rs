//! What the shim may know of its worker.

use deno_core::op2;
use deno_core::v8;
use holm_isolate::StateError;

use crate::seam;

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
