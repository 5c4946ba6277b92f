//! What an isolate runs: the modules of one worker version, as plain data.
//!
//! Made by the bundler (or read from a directory that `holm build` wrote), read by the isolate. A bundle is immutable and
//! shared by every isolate of its worker, so the sources are kept in `Arc`s.

use std::sync::Arc;

mod manifest;
mod placement;

pub use manifest::{BundleDirectoryError, WorkerSettings};

/// How a module's bytes are offered to the importer ("module types" of the Workers platform).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModuleKind {
    /// An ECMAScript module.
    EsModule,
    /// A script in service-worker syntax: no module, and the main one of its bundle. The others are its globals ([`GLOBAL`]).
    ServiceWorker,
    /// A CommonJS module; its `module.exports` is the default export.
    CommonJs,
    /// WebAssembly bytes; the default export is a compiled `WebAssembly.Module`.
    CompiledWasm,
    /// UTF-8 text; the default export is a string.
    Text,
    /// Bytes; the default export is an `ArrayBuffer`.
    Data,
    /// A JSON document; the default export is its value.
    Json,
}

/// What the specifier of a module begins with that a service worker has as a global; the rest is the global's name.
pub const GLOBAL: &str = "global:";

/// One module of a bundle.
#[derive(Clone, Debug)]
pub struct Module {
    /// Path relative to the bundle's root, with `/` between segments, as importers see it once resolved (`index.js`,
    /// `lib/add.wasm`). Unique in its bundle.
    pub specifier: String,
    pub kind: ModuleKind,
    pub source: Arc<[u8]>,
    /// Source map (version 3 JSON), for mapping stacks in logs. Never offered to the worker.
    pub source_map: Option<Arc<str>>,
}

/// The modules of one worker version.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The specifier of the module whose exports are the worker's handlers.
    pub main: String,
    pub modules: Vec<Module>,
}

// === impl Bundle ===

impl Bundle {
    /// The module called `specifier`.
    #[must_use]
    pub fn module(&self, specifier: &str) -> Option<&Module> {
        self.modules.iter().find(|module| module.specifier == specifier)
    }
}
