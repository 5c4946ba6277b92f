//! `console`: formatted text goes to the worker's log.

use deno_core::op2;
use deno_core::v8;
use holm_isolate::Level;
use holm_isolate::StateError;

use crate::seam;

/// `level`: 0 debug, 1 info, 2 warn, 3 error.
#[op2(fast)]
pub fn op_log(
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] owner: u32,
    #[smi] level: u32,
    #[string] text: &str,
) -> Result<(), StateError> {
    let level = match level {
        0 => Level::Debug,
        2 => Level::Warn,
        3 => Level::Error,
        _ => Level::Info,
    };
    let state = seam::state(scope)?;
    match state.worker() {
        Some(worker) if text.contains("\n    at ") => state.log(owner, level, &worker.map_stack(text)),
        _ => state.log(owner, level, text),
    }
    Ok(())
}
