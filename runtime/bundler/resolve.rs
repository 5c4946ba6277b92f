//! Where imports lead: the rolldown plugin that gives specifiers the meaning they have in a worker.
//!
//! Aliases come first, then what the runtime provides (`cloudflare:*`, `node:*`), then module rules: text, data and
//! wasm files, and files that stay unbundled, become modules of the bundle beside the chunks. All else is rolldown's
//! resolver. Invariant: an import this plugin cannot resolve is noted and left external, so that one build finds every
//! error. One instance serves one build; `rolldown_build` reads what it noted when the build is over.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use holm_config::built_in_modules;
use holm_config::bundle::{Module, ModuleKind};
use holm_config::project::{ModuleRules, RuleMatch};
use parking_lot::Mutex;
use rolldown_common::{ImportKind, ModuleType, ResolvedExternal};
use rolldown_plugin::{
    HookLoadArgs, HookLoadOutput, HookLoadReturn, HookResolveIdArgs, HookResolveIdOutput, HookResolveIdReturn,
    HookTransformArgs, HookTransformOutput, HookTransformOutputMap, HookTransformReturn, HookUsage, Plugin,
    PluginContext, PluginContextResolveOptions, SharedLoadPluginContext, SharedTransformPluginContext,
};

use crate::message::BundleMessage;
use crate::module_file::{self, Naming, is_javascript};
use crate::node_builtin::{NodeModules, is_node_builtin};
use crate::unbundled::UnbundledModule;

/// Prefixes of the modules that the runtime provides.
const RUNTIME_SCHEMES: &[&str] = &["cloudflare:", "node:", "workerd:"];

/// In front of the name of a built-in module of Node.js that is required: the id of the module that stands for it.
const REQUIRED: &str = "\0require-node:";

#[derive(Debug)]
pub(crate) struct WorkerImports {
    pub(crate) alias: BTreeMap<String, String>,
    pub(crate) rules: ModuleRules,
    pub(crate) node: NodeModules,
    pub(crate) naming: Naming,
    /// Files that are modules of the bundle already, unbundled: their specifiers by path.
    pub(crate) unbundled: HashMap<PathBuf, String>,
    pub(crate) noted: Mutex<Noted>,
}

/// What one build came across.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// Text, data and wasm modules that are imported, by specifier.
    pub(crate) modules: BTreeMap<String, UnbundledModule>,
    /// Every file that was read for them: files with one content may share a module.
    pub(crate) files: BTreeSet<PathBuf>,
    pub(crate) errors: Vec<BundleMessage>,
}

/// One import, after aliases.
struct Import<'a> {
    specifier: &'a str,
    importer: Option<&'a str>,
    kind: ImportKind,
}

// === impl WorkerImports ===

impl WorkerImports {
    async fn resolve(&self, ctx: &PluginContext, args: &HookResolveIdArgs<'_>) -> HookResolveIdReturn {
        let alias = self.alias.get(args.specifier);
        let import = Import {
            specifier: alias.map_or(args.specifier, String::as_str),
            // The target of an alias is relative to the project, whoever imports it.
            importer: if alias.is_some() { None } else { args.importer },
            kind: args.kind,
        };
        if let Some(name) = self.node.find(import.specifier) {
            return Ok(Some(node_module(name, import.kind)));
        }
        if import.kind == ImportKind::Import && import.specifier.starts_with("node:") {
            return Ok(Some(self.note(args, no_node_module(import.specifier))));
        }
        if RUNTIME_SCHEMES.iter().any(|scheme| import.specifier.starts_with(scheme)) {
            let wrong = built_in_modules::explain(import.specifier);
            return Ok(Some(match wrong {
                // A package may ask for it to find out whether it exists.
                _ if import.kind == ImportKind::DynamicImport => external(import.specifier),
                None => external(import.specifier),
                Some((text, help)) => self.note(args, BundleMessage::new(text).with_help(help)),
            }));
        }
        if import.specifier.starts_with("https://") || import.specifier.starts_with("http://") {
            let message = BundleMessage::new(format!("`{}` is a URL: modules are not downloaded", import.specifier))
                .with_help("install the package with `npm install` and import it by its name");
            return Ok(Some(self.note(args, message)));
        }
        if let Some(specifier) = self.unbundled_module(ctx, &import).await {
            return Ok(Some(external(&format!("./{specifier}"))));
        }
        match self.rules.find(import.specifier) {
            Some(RuleMatch::Module(rule)) if !is_javascript(rule.kind) => {
                // When there is no such file, rolldown says what it looked for.
                let Some(file) = find_file(ctx, &import).await else { return Ok(None) };
                return Ok(Some(match self.collect(&file, rule.kind) {
                    Ok(specifier) => external(&format!("./{specifier}")),
                    Err(message) => self.note(args, message),
                }));
            }
            Some(RuleMatch::Removed(rule)) => {
                return Ok(Some(self.note(args, module_file::removed_rule(import.specifier, rule))));
            }
            Some(RuleMatch::Module(_)) | None => {}
        }
        if import.specifier.ends_with(".css") {
            let message = BundleMessage::new(format!("`{}` is a style sheet, which is not bundled", import.specifier))
                .with_help(
                    "to import it as text, add `\"rules\": [{ \"type\": \"Text\", \"globs\": [\"**/*.css\"] }]`",
                );
            return Ok(Some(self.note(args, message)));
        }
        match alias {
            Some(target) => self.resolve_alias(ctx, args, target).await,
            None => Ok(None),
        }
    }

    async fn resolve_alias(
        &self,
        ctx: &PluginContext,
        args: &HookResolveIdArgs<'_>,
        target: &str,
    ) -> HookResolveIdReturn {
        Ok(Some(match ctx.resolve(target, None, Some(options(args.kind))).await? {
            Ok(resolved) => HookResolveIdOutput::from_resolved_id(resolved),
            Err(_) => {
                let message = BundleMessage::new(format!("cannot find `{target}`, the alias of `{}`", args.specifier))
                    .with_help("`alias` takes a package, or a path relative to the project, such as `./src/shim.ts`");
                self.note(args, message)
            }
        }))
    }

    /// The specifier of the unbundled module that an import leads to.
    async fn unbundled_module(&self, ctx: &PluginContext, import: &Import<'_>) -> Option<&str> {
        if self.unbundled.is_empty() {
            return None;
        }
        let file = find_file(ctx, import).await?;
        self.unbundled.get(&file).map(String::as_str)
    }

    /// Makes `file` a module of the bundle and returns its specifier.
    fn collect(&self, file: &Path, kind: ModuleKind) -> Result<String, BundleMessage> {
        let source = module_file::read(file)?;
        let specifier = self.naming.specifier(file, &source);
        let mut noted = self.noted.lock();
        noted.files.insert(file.to_owned());
        if let Some(other) = noted.modules.get(&specifier)
            && other.module.source != source
        {
            let (other, file) = (other.file.display(), file.display());
            let text = format!("{other} and {file} would both be called `{specifier}` in the bundle");
            return Err(BundleMessage::new(text).with_help("rename one of them, or turn `preserve_file_names` off"));
        }
        let module = Module { specifier: specifier.clone(), kind, source, source_map: None };
        noted.modules.insert(specifier.clone(), UnbundledModule { file: file.to_owned(), module });
        Ok(specifier)
    }

    /// Notes an error about an import, and leaves the import external so that the build goes on.
    fn note(&self, args: &HookResolveIdArgs<'_>, message: BundleMessage) -> HookResolveIdOutput {
        let message = match args.importer {
            Some(importer) => message.at_import(Path::new(importer), args.specifier),
            None => message,
        };
        self.noted.lock().errors.push(message);
        external(args.specifier)
    }
}

impl Plugin for WorkerImports {
    fn name(&self) -> Cow<'static, str> {
        "worker-imports".into()
    }

    fn register_hook_usage(&self) -> HookUsage {
        HookUsage::ResolveId | HookUsage::Load | HookUsage::Transform
    }

    async fn resolve_id(&self, ctx: &PluginContext, args: &HookResolveIdArgs<'_>) -> HookResolveIdReturn {
        if args.is_entry {
            return Ok(None);
        }
        self.resolve(ctx, args).await
    }

    async fn load(&self, _ctx: SharedLoadPluginContext, args: &HookLoadArgs<'_>) -> HookLoadReturn {
        let Some(name) = args.id.strip_prefix(REQUIRED) else { return Ok(None) };
        let code = format!(
            "import module from \"node:{name}\";\nexport {{ module as default, module as \"module.exports\" }};\n"
        );
        Ok(Some(HookLoadOutput { code: code.into(), module_type: Some(ModuleType::Js), ..HookLoadOutput::default() }))
    }

    /// JSX is allowed in the project's own `.js` files, as wrangler allows it. Files of packages are left alone: their
    /// transformation would cost time for nothing.
    async fn transform(&self, _ctx: SharedTransformPluginContext, args: &HookTransformArgs<'_>) -> HookTransformReturn {
        let is_own = Path::new(args.id).is_absolute() && !args.id.contains("/node_modules/");
        if !is_own || *args.module_type != ModuleType::Js {
            return Ok(None);
        }
        Ok(Some(HookTransformOutput {
            map: HookTransformOutputMap::Null,
            module_type: Some(ModuleType::Jsx),
            ..HookTransformOutput::default()
        }))
    }
}

fn external(specifier: &str) -> HookResolveIdOutput {
    HookResolveIdOutput {
        id: specifier.into(),
        external: Some(ResolvedExternal::Bool(true)),
        ..HookResolveIdOutput::default()
    }
}

/// The import of a built-in module of Node.js. There is no `require` in a bundle: what is required is a module that imports.
fn node_module(name: &str, kind: ImportKind) -> HookResolveIdOutput {
    if kind == ImportKind::Require {
        return HookResolveIdOutput { id: format!("{REQUIRED}{name}").into(), ..HookResolveIdOutput::default() };
    }
    external(&format!("node:{name}"))
}

fn no_node_module(specifier: &str) -> BundleMessage {
    if is_node_builtin(specifier) {
        let text = format!("`{specifier}` is a Node.js built-in, and the compatibility flag `nodejs_compat` is off");
        return BundleMessage::new(text).with_help(
            "add `\"compatibility_flags\": [\"nodejs_compat\"]`, or set `compatibility_date` to 2026-08-04 or later",
        );
    }
    BundleMessage::new(format!("Node.js has no built-in module `{specifier}`")).with_help("check the name")
}

fn options(import_kind: ImportKind) -> PluginContextResolveOptions {
    PluginContextResolveOptions { import_kind, ..PluginContextResolveOptions::default() }
}

/// The file an import leads to, without its query; a bare name may be a file beside the importer.
async fn find_file(ctx: &PluginContext, import: &Import<'_>) -> Option<PathBuf> {
    if let Ok(Ok(resolved)) = ctx.resolve(import.specifier, import.importer, Some(options(import.kind))).await
        && !resolved.external.is_external()
    {
        return Some(PathBuf::from(without_query(resolved.id.as_str())));
    }
    let beside = Path::new(import.importer?).parent()?.join(without_query(import.specifier));
    beside.is_file().then_some(beside)
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}
