//! The V8 start-up snapshot, and the engine that makes isolates from it.

use std::rc::Rc;

use deno_core::JsRuntime;
use deno_core::RuntimeOptions;
use deno_core::v8;
use holm_isolate::Engine;
use holm_isolate::State;

/// Made by `build.rs`.
static SNAPSHOT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/SNAPSHOT.bin"));

/// Code generation from strings (`eval`, `new Function`) is off.
const V8_FLAGS: &str = "--disallow-code-generation-from-strings";

/// Makes runtimes from the snapshot.
pub struct SnapshotEngine {
    /// Bytes that V8's heap may grow to.
    heap: usize,
}

// === impl SnapshotEngine ===

impl SnapshotEngine {
    /// Prepares the engine's platform. On the process's main thread, before the first isolate's thread is started.
    #[must_use]
    pub fn new(heap: usize) -> Self {
        v8::V8::set_flags_from_string(V8_FLAGS);
        JsRuntime::init_platform(None);
        Self { heap }
    }
}

impl Engine for SnapshotEngine {
    fn runtime(&self, state: Rc<State>) -> JsRuntime {
        JsRuntime::new(RuntimeOptions {
            startup_snapshot: Some(SNAPSHOT),
            extensions: holm_apis::extensions(state),
            create_params: Some(v8::CreateParams::default().heap_limits(0, self.heap)),
            // The ops are bound in the snapshot.
            skip_op_registration: true,
            ..RuntimeOptions::default()
        })
    }
}
