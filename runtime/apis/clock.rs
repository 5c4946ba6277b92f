//! The clock that JavaScript sees. It stands still within a turn.

use deno_core::op2;
use deno_core::v8;

use crate::seam;

/// Milliseconds since the epoch; 0 while the snapshot is made.
#[op2(fast)]
pub fn op_clock_now(scope: &mut v8::PinScope<'_, '_>) -> f64 {
    seam::state(scope).map_or(0.0, |state| state.clock_ms())
}

/// `performance.timeOrigin`: as on the platform, the epoch itself, so that the origin tells nothing.
#[op2(fast)]
pub fn op_clock_origin() -> f64 {
    0.0
}
