//! The worker's modules inside the engine: compiled once each, resolved within the bundle or to what the runtime provides,
//! evaluated in a turn.
//!
//! The registry is Holm's own, beside deno_core's (which serves the shims), so that an import is one synchronous step of
//! the turn that asks for it: no file, no loader, no event loop is involved.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::v8;

use crate::State;
use crate::WorkerCode;
use crate::debug;
use crate::turn;
use crate::worker::Source;
use crate::worker::SourceKind;

/// Modules smaller than this compile faster than their bytecode loads.
const CODE_CACHE_FROM: usize = 4 << 10;

/// The modules that the isolate has compiled.
#[derive(Default)]
pub(crate) struct Modules {
    by_specifier: RefCell<HashMap<String, v8::Global<v8::Module>>>,
    /// Specifiers by the engine's identity hash, for resolving relative to the importer.
    specifiers: RefCell<HashMap<i32, Vec<Named>>>,
    /// What synthetic modules export, until they are evaluated.
    unevaluated: RefCell<Vec<(v8::Global<v8::Module>, Exports)>>,
    /// The runtime's own modules that were imported (`cloudflare:workers`), by specifier.
    built_in: RefCell<HashMap<String, v8::Global<v8::Module>>>,
    /// The shim's hook that knows them.
    built_in_hook: Option<v8::Global<v8::Function>>,
    /// `module.exports` of the CommonJS modules, by specifier.
    common_js: RefCell<HashMap<String, v8::Global<v8::Object>>>,
    /// Where a debugger finds the sources, if there may be one.
    debug_root: RefCell<Option<String>>,
}

/// A module and its specifier.
type Named = (v8::Global<v8::Module>, String);

/// What a module that is not a text exports.
enum Exports {
    Default(v8::Global<v8::Value>),
    /// The object's own properties.
    All(v8::Global<v8::Object>),
}

/// Compiles, links and evaluates the main module; answers its namespace and the promise of its evaluation. `None`: an
/// exception is pending.
pub(crate) fn load_main<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    worker: &WorkerCode,
) -> Option<(v8::Local<'s, v8::Module>, v8::Local<'s, v8::Value>)> {
    let modules = registry(scope)?;
    let module = modules.get(scope, worker, &worker.main)?;
    module.instantiate_module(scope, resolve_callback)?;
    let promise = module.evaluate(scope)?;
    Some((module, promise))
}

/// Runs a service worker: a classic script in the global scope. `None`: an exception is pending.
pub(crate) fn run_script(scope: &mut v8::PinScope<'_, '_>, specifier: &str, source: &Source) -> Option<()> {
    let code = text(scope, &source.bytes)?;
    let origin = origin(scope, specifier, source, Syntax::Script)?;
    let script = v8::Script::compile(scope, code, Some(&origin))?;
    script.run(scope).map(|_| ())
}

/// What the specifiers of modules begin with that are globals of a service worker.
const GLOBAL: &str = "global:";

/// Gives a service worker its globals that are files: texts, bytes and WebAssembly.
pub(crate) fn bind_globals(scope: &mut v8::PinScope<'_, '_>, worker: &WorkerCode) -> Option<()> {
    let global = scope.get_current_context().global(scope);
    for (specifier, source) in &worker.modules {
        let Some(name) = specifier.strip_prefix(GLOBAL) else { continue };
        let value = value_of(scope, worker, specifier, source)?;
        let name = v8::String::new(scope, name)?;
        global.create_data_property(scope, name.into(), value)?;
    }
    Some(())
}

/// What a module exports that is no code.
fn value_of<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    worker: &WorkerCode,
    specifier: &str,
    source: &Source,
) -> Option<v8::Local<'s, v8::Value>> {
    match source.kind {
        SourceKind::CompiledWasm => wasm(scope, worker, specifier, source),
        SourceKind::Text => text(scope, &source.bytes).map(Into::into),
        SourceKind::Json => {
            let json = text(scope, &source.bytes)?;
            v8::json::parse(scope, json)
        }
        SourceKind::Data => {
            let store = v8::ArrayBuffer::new_backing_store_from_vec(source.bytes.to_vec()).make_shared();
            Some(v8::ArrayBuffer::with_backing_store(scope, &store).into())
        }
        SourceKind::EsModule | SourceKind::CommonJs | SourceKind::ServiceWorker => None,
    }
}

/// Keeps the engine's bytecode of the modules for the next isolates of this version. Called when the isolate is idle.
pub(crate) fn keep_bytecode(scope: &mut v8::PinScope<'_, '_>, worker: &WorkerCode) {
    let Some(modules) = registry(scope) else { return };
    for (specifier, module) in modules.by_specifier.borrow().iter() {
        let Some(source) = worker.modules.get(specifier) else { continue };
        if source.kind != SourceKind::EsModule || source.bytes.len() < CODE_CACHE_FROM {
            continue;
        }
        if worker.caches.bytecode.lock().contains_key(specifier) {
            continue;
        }
        let module = v8::Local::new(scope, module);
        let script = module.get_unbound_module_script(scope);
        if let Some(data) = script.create_code_cache() {
            worker.caches.bytecode.lock().insert(specifier.clone(), Arc::from(&data[..]));
        }
    }
}

fn registry(scope: &v8::PinScope<'_, '_>) -> Option<Rc<Modules>> {
    scope.get_slot::<Rc<Modules>>().map(Rc::clone)
}

// === impl Modules ===

impl Modules {
    /// `built_in` answers an object with the exports of a module of the runtime, or `undefined`.
    pub(crate) fn new(built_in: v8::Global<v8::Function>) -> Self {
        Self { built_in_hook: Some(built_in), ..Self::default() }
    }

    /// A debugger finds the sources below this URL.
    pub(crate) fn debug_from(&self, root: String) {
        *self.debug_root.borrow_mut() = Some(root);
    }

    /// The runtime's own module `specifier`. `Some(None)`: there is none. `None`: an exception is pending.
    fn built_in<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        specifier: &str,
    ) -> Option<Option<v8::Local<'s, v8::Module>>> {
        if let Some(module) = self.built_in.borrow().get(specifier) {
            return Some(Some(v8::Local::new(scope, module)));
        }
        let Some(hook) = &self.built_in_hook else { return Some(None) };
        let name = v8::String::new(scope, specifier)?;
        let Ok(exports) = v8::Local::<v8::Object>::try_from(turn::call(scope, hook, &[name.into()])?) else {
            return Some(None);
        };
        let keys = exports.get_own_property_names(scope, v8::GetPropertyNamesArgs::default())?;
        let mut names = Vec::with_capacity(keys.length() as usize);
        for index in 0..keys.length() {
            names.push(keys.get_index(scope, index)?.to_string(scope)?);
        }
        let module = v8::Module::create_synthetic_module(scope, name, &names, evaluate_synthetic);
        let global = v8::Global::new(scope, module);
        let exports = Exports::All(v8::Global::new(scope, exports));
        self.unevaluated.borrow_mut().push((global.clone(), exports));
        self.built_in.borrow_mut().insert(specifier.to_owned(), global);
        Some(Some(module))
    }

    /// The module `specifier` of the bundle, compiled. `None`: an exception is pending.
    fn get<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        worker: &WorkerCode,
        specifier: &str,
    ) -> Option<v8::Local<'s, v8::Module>> {
        if let Some(module) = self.by_specifier.borrow().get(specifier) {
            return Some(v8::Local::new(scope, module));
        }
        let Some(source) = worker.modules.get(specifier) else {
            throw(scope, &format!("No such module \"{specifier}\"."));
            return None;
        };
        let module = match source.kind {
            SourceKind::EsModule => compile(scope, worker, specifier, source)?,
            SourceKind::ServiceWorker => {
                throw(scope, &format!("The service worker \"{specifier}\" cannot be imported."));
                return None;
            }
            SourceKind::CommonJs => {
                let exports = self.require(scope, worker, specifier)?;
                self.synthetic(scope, specifier, exports.into())?
            }
            SourceKind::CompiledWasm | SourceKind::Text | SourceKind::Data | SourceKind::Json => {
                let value = value_of(scope, worker, specifier, source)?;
                self.synthetic(scope, specifier, value)?
            }
        };
        let global = v8::Global::new(scope, module);
        let hash = module.get_identity_hash().get();
        self.specifiers.borrow_mut().entry(hash).or_default().push((global.clone(), specifier.to_owned()));
        self.by_specifier.borrow_mut().insert(specifier.to_owned(), global);
        Some(module)
    }

    fn synthetic<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        specifier: &str,
        value: v8::Local<'_, v8::Value>,
    ) -> Option<v8::Local<'s, v8::Module>> {
        let name = v8::String::new(scope, specifier)?;
        let default = v8::String::new(scope, "default")?;
        let module = v8::Module::create_synthetic_module(scope, name, &[default], evaluate_synthetic);
        let exports = Exports::Default(v8::Global::new(scope, value));
        self.unevaluated.borrow_mut().push((v8::Global::new(scope, module), exports));
        Some(module)
    }

    fn take_exports(&self, scope: &v8::PinScope<'_, '_>, module: v8::Local<'_, v8::Module>) -> Option<Exports> {
        let mut unevaluated = self.unevaluated.borrow_mut();
        let index = unevaluated.iter().position(|(known, _)| v8::Local::new(scope, known) == module)?;
        Some(unevaluated.swap_remove(index).1)
    }

    fn specifier_of(&self, scope: &v8::PinScope<'_, '_>, module: v8::Local<'_, v8::Module>) -> Option<String> {
        let specifiers = self.specifiers.borrow();
        let candidates = specifiers.get(&module.get_identity_hash().get())?;
        candidates
            .iter()
            .find(|(known, _)| v8::Local::new(scope, known) == module)
            .map(|(_, specifier)| specifier.clone())
    }

    /// `module.exports` of a CommonJS module, evaluated on first use.
    fn require<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        worker: &WorkerCode,
        specifier: &str,
    ) -> Option<v8::Local<'s, v8::Object>> {
        let key = v8::String::new(scope, "exports")?;
        if let Some(module) = self.common_js.borrow().get(specifier) {
            let module = v8::Local::new(scope, module);
            return module.get(scope, key.into())?.to_object(scope);
        }
        let source = worker.modules.get(specifier)?;
        let code = text(scope, &source.bytes)?;
        let origin = origin(scope, specifier, source, Syntax::Script)?;
        let mut compiled = v8::script_compiler::Source::new(code, Some(&origin));
        let parameters = [v8::String::new(scope, "module")?, key, v8::String::new(scope, "require")?];
        let function = v8::script_compiler::compile_function(
            scope,
            &mut compiled,
            &parameters,
            &[],
            v8::script_compiler::CompileOptions::NoCompileOptions,
            v8::script_compiler::NoCacheReason::NoReason,
        )?;
        let module = v8::Object::new(scope);
        let exports = v8::Object::new(scope);
        module.set(scope, key.into(), exports.into())?;
        let kept = v8::Global::new(scope, module);
        self.common_js.borrow_mut().insert(specifier.to_owned(), kept);
        let referrer = v8::String::new(scope, specifier)?;
        let require = v8::Function::builder(require_callback).data(referrer.into()).build(scope)?;
        let this = v8::undefined(scope).into();
        function.call(scope, this, &[module.into(), exports.into(), require.into()])?;
        module.get(scope, key.into())?.to_object(scope)
    }
}

/// What a source text is parsed as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Module,
    Script,
}

fn origin<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    specifier: &str,
    source: &Source,
    syntax: Syntax,
) -> Option<v8::ScriptOrigin<'s>> {
    let name = v8::String::new(scope, specifier)?;
    let map = registry(scope).and_then(|modules| {
        let root = modules.debug_root.borrow();
        debug::source_map_url(source.source_map.as_deref()?, root.as_deref()?)
    });
    let map = map.and_then(|url| v8::String::new(scope, &url)).map(Into::into);
    let is_module = syntax == Syntax::Module;
    Some(v8::ScriptOrigin::new(scope, name.into(), 0, 0, false, 0, map, false, false, is_module, None))
}

fn compile<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    worker: &WorkerCode,
    specifier: &str,
    source: &Source,
) -> Option<v8::Local<'s, v8::Module>> {
    let code = text(scope, &source.bytes)?;
    let origin = origin(scope, specifier, source, Syntax::Module)?;
    let cached = worker.caches.bytecode.lock().get(specifier).cloned();
    let Some(cached) = cached else {
        let mut source = v8::script_compiler::Source::new(code, Some(&origin));
        return v8::script_compiler::compile_module(scope, &mut source);
    };
    let mut source =
        v8::script_compiler::Source::new_with_cached_data(code, Some(&origin), v8::CachedData::new(&cached));
    v8::script_compiler::compile_module2(
        scope,
        &mut source,
        v8::script_compiler::CompileOptions::ConsumeCodeCache,
        v8::script_compiler::NoCacheReason::NoReason,
    )
}

fn wasm<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    worker: &WorkerCode,
    specifier: &str,
    source: &Source,
) -> Option<v8::Local<'s, v8::Value>> {
    let mut cache = worker.caches.wasm.lock();
    if let Some(compiled) = cache.get(specifier) {
        return v8::WasmModuleObject::from_compiled_module(scope, compiled).map(Into::into);
    }
    let module = v8::WasmModuleObject::compile(scope, &source.bytes)?;
    cache.insert(specifier.to_owned(), module.get_compiled_module());
    Some(module.into())
}

fn text<'s>(scope: &mut v8::PinScope<'s, '_>, bytes: &[u8]) -> Option<v8::Local<'s, v8::String>> {
    let string = v8::String::new_from_utf8(scope, bytes, v8::NewStringType::Normal);
    if string.is_none() {
        throw(scope, "A module is too large.");
    }
    string
}

pub(crate) fn throw(scope: &mut v8::PinScope<'_, '_>, message: &str) {
    if let Some(message) = v8::String::new(scope, message) {
        let error = v8::Exception::error(scope, message);
        scope.throw_exception(error);
    }
}

/// Resolves `specifier` as imported by `referrer`, within the bundle.
fn resolve<'a>(worker: &'a WorkerCode, specifier: &'a str, referrer: &str) -> Option<&'a str> {
    let path = if specifier.starts_with("./") || specifier.starts_with("../") {
        let mut segments: Vec<&str> = referrer.split('/').collect();
        segments.pop();
        for segment in specifier.split('/') {
            match segment {
                "." | "" => {}
                ".." => {
                    segments.pop()?;
                }
                name => segments.push(name),
            }
        }
        segments.join("/")
    } else {
        specifier.trim_start_matches('/').to_owned()
    };
    worker.modules.get_key_value(&path).map(|(known, _)| known.as_str())
}

fn import<'s>(scope: &mut v8::PinScope<'s, '_>, specifier: &str, referrer: &str) -> Option<v8::Local<'s, v8::Module>> {
    let state = scope.get_slot::<Rc<State>>().map(Rc::clone)?;
    let worker = state.worker()?;
    let modules = registry(scope)?;
    let Some(path) = resolve(&worker, specifier, referrer) else {
        if let Some(module) = modules.built_in(scope, specifier)? {
            return Some(module);
        }
        let hint = if specifier.starts_with("node:") || specifier.starts_with("cloudflare:") {
            "Holm has no built-in module of this name."
        } else {
            "Only modules of the worker's bundle can be imported."
        };
        throw(scope, &format!("No such module \"{specifier}\", imported from \"{referrer}\". {hint}"));
        return None;
    };
    modules.get(scope, &worker, path)
}

/// Refuses an import with attributes that mean nothing here. `each`: the elements that the list has for one attribute.
fn check_attributes(
    scope: &mut v8::PinScope<'_, '_>,
    attributes: v8::Local<'_, v8::FixedArray>,
    each: usize,
) -> Option<()> {
    if attributes.length() == 0 {
        return Some(());
    }
    let worker = scope.get_slot::<Rc<State>>().and_then(|state| state.worker())?;
    if !worker.compatibility_flags.get("throw_on_unrecognized_import_assertion").copied().unwrap_or(false) {
        return Some(());
    }
    for index in (0..attributes.length()).step_by(each) {
        let name = attributes.get(scope, index).and_then(|name| v8::Local::<v8::String>::try_from(name).ok())?;
        if name.to_rust_string_lossy(scope) != "type" {
            let message = v8::String::new(scope, "Unrecognized import attributes specified")?;
            let error = v8::Exception::type_error(scope, message);
            scope.throw_exception(error);
            return None;
        }
    }
    Some(())
}

fn resolve_callback<'s>(
    context: v8::Local<'s, v8::Context>,
    specifier: v8::Local<'s, v8::String>,
    attributes: v8::Local<'s, v8::FixedArray>,
    referrer: v8::Local<'s, v8::Module>,
) -> Option<v8::Local<'s, v8::Module>> {
    v8::callback_scope!(unsafe scope, context);
    check_attributes(scope, attributes, 3)?;
    let specifier = specifier.to_rust_string_lossy(scope);
    let referrer = registry(scope)?.specifier_of(scope, referrer)?;
    import(scope, &specifier, &referrer)
}

fn evaluate_synthetic<'s>(
    context: v8::Local<'s, v8::Context>,
    module: v8::Local<'s, v8::Module>,
) -> Option<v8::Local<'s, v8::Value>> {
    v8::callback_scope!(unsafe scope, context);
    match registry(scope).and_then(|modules| modules.take_exports(scope, module)) {
        Some(Exports::Default(value)) => {
            let name = v8::String::new(scope, "default")?;
            let value = v8::Local::new(scope, value);
            module.set_synthetic_module_export(scope, name, value)?;
        }
        Some(Exports::All(exports)) => {
            let exports = v8::Local::new(scope, exports);
            let keys = exports.get_own_property_names(scope, v8::GetPropertyNamesArgs::default())?;
            for index in 0..keys.length() {
                let key = keys.get_index(scope, index)?;
                let (name, value) = (key.to_string(scope)?, exports.get(scope, key)?);
                module.set_synthetic_module_export(scope, name, value)?;
            }
        }
        None => {}
    }
    let resolver = v8::PromiseResolver::new(scope)?;
    let undefined = v8::undefined(scope);
    resolver.resolve(scope, undefined.into())?;
    Some(resolver.get_promise(scope).into())
}

fn require_callback<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    arguments: v8::FunctionCallbackArguments<'s>,
    mut result: v8::ReturnValue,
) {
    let specifier = arguments.get(0).to_rust_string_lossy(scope);
    let referrer = arguments.data().to_rust_string_lossy(scope);
    let Some(worker) = scope.get_slot::<Rc<State>>().and_then(|state| state.worker()) else { return };
    let Some(modules) = registry(scope) else { return };
    let Some(path) = resolve(&worker, &specifier, &referrer) else {
        match modules.built_in(scope, &specifier) {
            Some(Some(module)) => evaluate_now(scope, module, &mut result),
            Some(None) => throw(scope, &format!("Cannot find module '{specifier}', required from '{referrer}'.")),
            None => {}
        }
        return;
    };
    if worker.modules.get(path).is_some_and(|source| source.kind == SourceKind::CommonJs) {
        if let Some(exports) = modules.require(scope, &worker, path) {
            result.set(exports.into());
        }
        return;
    }
    let Some(module) = modules.get(scope, &worker, path) else { return };
    evaluate_now(scope, module, &mut result);
}

/// Answers the namespace of a module that was required, or what it exports as `module.exports`.
fn evaluate_now(scope: &mut v8::PinScope<'_, '_>, module: v8::Local<'_, v8::Module>, result: &mut v8::ReturnValue) {
    if module.instantiate_module(scope, resolve_callback).is_none() || module.evaluate(scope).is_none() {
        return;
    }
    let namespace = module.get_module_namespace();
    let own = v8::Local::<v8::Object>::try_from(namespace).ok().and_then(|namespace| {
        let name = v8::String::new(scope, "module.exports")?;
        namespace.has_own_property(scope, name.into())?.then(|| namespace.get(scope, name.into()))?
    });
    result.set(own.unwrap_or(namespace));
}

/// `import()`: one step within the turn that calls it.
pub(crate) fn import_dynamically<'s, 'i>(
    scope: &mut v8::PinScope<'s, 'i>,
    _options: v8::Local<'s, v8::Data>,
    referrer: v8::Local<'s, v8::Value>,
    specifier: v8::Local<'s, v8::String>,
    attributes: v8::Local<'s, v8::FixedArray>,
) -> Option<v8::Local<'s, v8::Promise>> {
    let resolver = v8::PromiseResolver::new(scope)?;
    let promise = resolver.get_promise(scope);
    let specifier = specifier.to_rust_string_lossy(scope);
    let referrer = referrer.to_rust_string_lossy(scope);
    v8::tc_scope!(let scope, scope);
    let checked = check_attributes(scope, attributes, 2);
    let evaluated = checked.and_then(|()| import(scope, &specifier, &referrer)).and_then(|module| {
        module.instantiate_module(scope, resolve_callback)?;
        let evaluation = module.evaluate(scope)?;
        let evaluation = v8::Local::<v8::Promise>::try_from(evaluation).ok()?;
        let namespace = module.get_module_namespace();
        let answer = v8::Function::builder(answer_data).data(namespace).build(scope)?;
        evaluation.then(scope, answer)
    });
    match evaluated {
        Some(namespace) => {
            resolver.resolve(scope, namespace.into())?;
        }
        None => {
            if scope.has_terminated() {
                return None;
            }
            let error = scope.exception().unwrap_or_else(|| v8::undefined(scope).into());
            scope.reset();
            resolver.reject(scope, error)?;
        }
    }
    Some(promise)
}

/// The same for `import.source()` and its kin, which the platform does not have: they evaluate, too.
pub(crate) fn import_in_phase<'s, 'i>(
    scope: &mut v8::PinScope<'s, 'i>,
    options: v8::Local<'s, v8::Data>,
    referrer: v8::Local<'s, v8::Value>,
    specifier: v8::Local<'s, v8::String>,
    _phase: v8::ModuleImportPhase,
    attributes: v8::Local<'s, v8::FixedArray>,
) -> Option<v8::Local<'s, v8::Promise>> {
    import_dynamically(scope, options, referrer, specifier, attributes)
}

fn answer_data<'s>(
    _scope: &mut v8::PinScope<'s, '_>,
    arguments: v8::FunctionCallbackArguments<'s>,
    mut result: v8::ReturnValue,
) {
    result.set(arguments.data());
}
