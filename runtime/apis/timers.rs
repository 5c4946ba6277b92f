//! `setTimeout` and its kin: timers that an invocation owns.

use std::time::Duration;

use deno_core::op2;
use deno_core::v8;
use holm_isolate::StateError;

use crate::seam;

#[op2(fast)]
#[smi]
pub fn op_timer_start(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    delay_ms: f64,
    repeat: bool,
) -> Result<u32, StateError> {
    let delay = Duration::try_from_secs_f64(delay_ms / 1000.0).unwrap_or_default();
    seam::state(scope)?.start_timer(owner, delay, repeat)
}

#[op2(fast)]
pub fn op_timer_cancel(scope: &mut v8::PinScope<'_, '_>, #[smi] timer: u32) -> Result<(), StateError> {
    seam::state(scope)?.cancel_timer(timer);
    Ok(())
}
