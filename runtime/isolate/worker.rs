//! The code and settings of one worker version, as its isolates share them.

use std::any::Any;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use deno_core::v8;
use parking_lot::Mutex;

use crate::Limits;
use crate::Observer;
use crate::Origin;

/// How a module's bytes are offered to the importer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    EsModule,
    /// A classic script that listens for events; the main module only.
    ServiceWorker,
    CommonJs,
    CompiledWasm,
    Text,
    Data,
    Json,
}

/// One module of a worker.
pub struct Source {
    pub kind: SourceKind,
    pub bytes: Arc<[u8]>,
    pub source_map: Option<Arc<str>>,
}

/// One worker version. Immutable but for the caches.
pub struct WorkerCode {
    pub name: String,
    /// Whose worker it is.
    pub tenant: String,
    /// The specifier of the module whose exports are the handlers.
    pub main: String,
    pub modules: HashMap<String, Source>,
    pub compatibility_date: String,
    pub compatibility_flags: BTreeMap<String, bool>,
    /// `env`, as a JSON object.
    pub env: String,
    pub limits: Limits,
    pub observer: Arc<dyn Observer>,
    /// What the APIs need of the world for this worker; the APIs know its type.
    pub outside: Arc<dyn Any + Send + Sync>,
    /// What answers in its place when it failed and asked for that.
    pub origin: Option<Arc<dyn Origin>>,
    pub(crate) caches: Caches,
}

/// What the first isolate of a version leaves for the next ones.
#[derive(Default)]
pub(crate) struct Caches {
    /// The engine's bytecode by specifier.
    pub(crate) bytecode: Mutex<HashMap<String, Arc<[u8]>>>,
    pub(crate) wasm: Mutex<HashMap<String, v8::CompiledWasmModule>>,
    pub(crate) source_maps: Mutex<HashMap<String, Option<Arc<sourcemap::SourceMap>>>>,
}

/// What a [`WorkerCode`] is made of.
pub struct WorkerParts {
    pub name: String,
    /// Whose worker it is.
    pub tenant: String,
    pub main: String,
    pub modules: HashMap<String, Source>,
    pub compatibility_date: String,
    pub compatibility_flags: BTreeMap<String, bool>,
    pub env: String,
    pub limits: Limits,
    pub observer: Arc<dyn Observer>,
    /// What the APIs need of the world for this worker; the APIs know its type.
    pub outside: Arc<dyn Any + Send + Sync>,
    /// What answers in its place when it failed and asked for that.
    pub origin: Option<Arc<dyn Origin>>,
}

// === impl WorkerCode ===

impl From<WorkerParts> for WorkerCode {
    fn from(parts: WorkerParts) -> Self {
        let WorkerParts {
            name,
            tenant,
            main,
            modules,
            compatibility_date,
            compatibility_flags,
            env,
            limits,
            observer,
            outside,
            origin,
        } = parts;
        Self {
            name,
            tenant,
            main,
            modules,
            compatibility_date,
            compatibility_flags,
            env,
            limits,
            observer,
            outside,
            origin,
            caches: Caches::default(),
        }
    }
}

impl WorkerCode {
    /// Maps the positions of a stack back to the author's files, where a source map is at hand.
    #[must_use]
    pub fn map_stack(&self, stack: &str) -> String {
        crate::stack::map(stack, |specifier| self.source_map(specifier))
    }

    fn source_map(&self, specifier: &str) -> Option<Arc<sourcemap::SourceMap>> {
        let mut cache = self.caches.source_maps.lock();
        if let Some(known) = cache.get(specifier) {
            return known.clone();
        }
        let parsed = self
            .modules
            .get(specifier)
            .and_then(|module| module.source_map.as_deref())
            .and_then(|json| sourcemap::SourceMap::from_slice(json.as_bytes()).ok())
            .map(Arc::new);
        cache.insert(specifier.to_owned(), parsed.clone());
        parsed
    }
}
