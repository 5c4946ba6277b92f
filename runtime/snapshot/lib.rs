//! The V8 start-up snapshot, and the engine that makes isolates from it.

use std::rc::Rc;
use std::sync::Arc;

use deno_core::JsRuntime;
use deno_core::RuntimeOptions;
use deno_core::v8;
use holm_isolate::Engine;
use holm_isolate::State;

/// Made by `build.rs`.
static SNAPSHOT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/SNAPSHOT.bin"));

/// What V8 starts with. A flag that it does not know is an error, since most of these are limits.
fn flags(memory: usize) -> Vec<String> {
    const WASM_PAGE: usize = 64 << 10;
    vec![
        // V8 takes the first for the name of the program.
        "holm".to_owned(),
        // `eval` and `new Function` are off.
        "--disallow-code-generation-from-strings".to_owned(),
        // Garbage is collected on the isolate's own thread, whose clock pays for it: helper threads would be the neighbours'.
        "--single-threaded-gc".to_owned(),
        // Memory shared between threads is off; a context would have to ask for it.
        "--enable-sharedarraybuffer-per-context".to_owned(),
        format!("--wasm-max-mem-pages={}", memory.div_ceil(WASM_PAGE)),
        "--wasm-max-table-size=1000000".to_owned(),
        "--wasm-max-code-space-size-mb=64".to_owned(),
        // V8's `LoopStackCheckElisionReducer` takes the check out of a loop around one that has none, such as the compiler's
        // own for `new Array(100)`: `for (;;) new Array(100);` could not be ended. It runs where loops are unrolled.
        "--no-turboshaft-loop-unrolling".to_owned(),
        "--no-wasm-loop-unrolling".to_owned(),
    ]
}

/// Makes runtimes from the snapshot.
pub struct SnapshotEngine {
    /// The largest limit of a worker's isolate, in bytes.
    memory: usize,
}

// === impl SnapshotEngine ===

impl SnapshotEngine {
    /// Prepares the engine's platform. On the process's main thread, before the first isolate's thread is started. `memory`
    /// is the largest limit of a worker, in bytes.
    ///
    /// # Panics
    /// When the engine does not know a flag: it is not the engine that this was written for.
    #[must_use]
    pub fn new(memory: usize) -> Self {
        holm_isolate::count_native_memory();
        let unknown = v8::V8::set_flags_from_command_line(flags(memory));
        assert!(unknown.len() <= 1, "the engine does not know these flags: {:?}", unknown.get(1..));
        // Its threads collect garbage and compile for all tenants, mostly for those that keep the isolates busy.
        holm_isolate::in_background(|| JsRuntime::init_platform(None));
        Self { memory }
    }
}

impl Engine for SnapshotEngine {
    fn runtime(&self, state: Rc<State>) -> JsRuntime {
        let params = v8::CreateParams::default()
            .heap_limits(0, self.memory)
            .array_buffer_allocator(holm_isolate::array_buffer_allocator(Arc::clone(state.memory())));
        JsRuntime::new(RuntimeOptions {
            startup_snapshot: Some(SNAPSHOT),
            extensions: holm_apis::extensions(state),
            residual_lazy_esm_sources: holm_apis::LAZY_SHIMS,
            create_params: Some(params),
            // The ops are bound in the snapshot.
            skip_op_registration: true,
            ..RuntimeOptions::default()
        })
    }
}
