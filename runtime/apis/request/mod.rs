//! The incoming request, read by the shim field by field when the worker first asks.

use deno_core::op2;
use deno_core::v8;
use holm_isolate::StateError;

use crate::seam;

#[op2]
pub fn op_request_method<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    seam::state(scope)?.request(owner, |method, _, _, _| seam::one_byte(scope, method.as_str().as_bytes()))
}

#[op2]
pub fn op_request_url<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    seam::state(scope)?.request(owner, |_, url, _, _| seam::text(scope, url))
}

#[op2]
pub fn op_request_headers<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    seam::state(scope)?.request(owner, |_, _, headers, _| seam::headers_to(scope, headers))
}

#[op2]
pub fn op_request_cf<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    seam::state(scope)?.request(owner, |_, _, _, cf| seam::text(scope, cf.unwrap_or_default()))
}

#[op2(fast)]
pub fn op_signal_watch(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32) -> Result<(), StateError> {
    seam::state(scope)?.watch_signal(owner)
}
