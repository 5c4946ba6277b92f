//! Objects that map address space of their own: their number in one isolate is bounded.

use deno_core::op2;
use deno_core::v8;
use holm_isolate::StateError;

use crate::seam;

/// Counts an object for as long as it lives.
#[op2(nofast)]
pub fn op_reserve(scope: &mut v8::PinScope<'_, '_>, object: v8::Local<'_, v8::Object>) -> Result<(), StateError> {
    seam::state(scope)?.reserve(scope, object)
}
