//! Makes the engine's part of an isolate. The snapshot crate implements it; the isolate crate knows no API.

use std::rc::Rc;

use deno_core::JsRuntime;

use crate::State;

/// Makes blank runtimes from the start-up snapshot.
pub trait Engine: Send + Sync + 'static {
    /// A runtime with the shims loaded and no tenant's code, whose `OpState` holds `state`. Called on the isolate's thread.
    fn runtime(&self, state: Rc<State>) -> JsRuntime;
}
