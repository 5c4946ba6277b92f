//! Modules that are taken from the disk as they are: all of them with `no_bundle`, and those that module rules match
//! under `base_dir` with `find_additional_modules`.
//!
//! Their specifiers are their paths relative to `base_dir`, so that imports between them work unchanged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use holm_config::bundle::{Bundle, Module, ModuleKind};
use holm_config::project::{ModuleRules, Project, RuleMatch};

use crate::Bundled;
use crate::message::{BundleError, BundleMessage};
use crate::module_file::{self, is_javascript, relative_specifier};
use crate::service_worker;

/// One file that a rule matches.
#[derive(Debug)]
pub(crate) struct UnbundledModule {
    pub(crate) file: PathBuf,
    pub(crate) module: Module,
}

/// Which files are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those that a rule matches; the others are bundled (`find_additional_modules`).
    BesideChunks,
    /// Nothing is bundled, so JavaScript belongs to it, too (`no_bundle`).
    Everything,
}

/// Modules that were found, and what is to be said about files that were not taken.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) modules: Vec<UnbundledModule>,
    pub(crate) warnings: Vec<BundleMessage>,
}

// === impl Scope ===

impl Scope {
    /// Whether a file that no rule matches is an ECMAScript module: as long as the project has no rule for these.
    fn takes_by_default(self, rules: &ModuleRules, specifier: &str) -> bool {
        self == Self::Everything
            && (specifier.ends_with(".js") || specifier.ends_with(".mjs"))
            && !rules.active().iter().any(|rule| rule.kind == ModuleKind::EsModule)
    }
}

/// The bundle of a project with `no_bundle`.
pub(crate) fn bundle(project: &Project) -> Result<Bundled, BundleError> {
    let main = main_module(project)?;
    let found = find(project, Scope::Everything)?;
    let mut inputs = vec![project.main.clone()];
    let mut modules = vec![main];
    for UnbundledModule { file, module } in found.modules {
        inputs.push(file);
        modules.push(module);
    }
    let bundle = Bundle { main: modules.first().map(|main| main.specifier.clone()).unwrap_or_default(), modules };
    Ok(Bundled { bundle, inputs, warnings: found.warnings })
}

fn main_module(project: &Project) -> Result<Module, BundleError> {
    let main = &project.main;
    let failed = |message: BundleMessage| BundleError { messages: vec![message], inputs: vec![main.clone()] };
    if is_typescript(main) {
        let message = BundleMessage::new(
            "`no_bundle` takes the entry module as it is, and TypeScript or JSX cannot run as it is",
        )
        .in_file(main)
        .with_help("remove `no_bundle`, or point `main` at the compiled JavaScript");
        return Err(failed(message));
    }
    let base = &project.bundling.base_dir;
    let Some(specifier) = relative_specifier(base, main) else {
        let message = BundleMessage::new(format!("the entry module is not below `base_dir` ({})", base.display()))
            .in_file(main)
            .with_help("set `base_dir` to a directory that contains `main`");
        return Err(failed(message));
    };
    let kind = match project.bundling.rules.find(&specifier) {
        Some(RuleMatch::Module(rule)) if rule.kind == ModuleKind::CommonJs => ModuleKind::CommonJs,
        _ => ModuleKind::EsModule,
    };
    let source = module_file::read(main).map_err(failed)?;
    let source_map = source_map_beside(main, &source);
    let is_script = kind == ModuleKind::EsModule && !service_worker::may_export(&source);
    let module = Module { specifier, kind, source, source_map };
    if is_script { service_worker::script(main, module, &[]).map_err(failed) } else { Ok(module) }
}

/// The files under `base_dir` that match a rule, but for the entry module and the configuration.
pub(crate) fn find(project: &Project, scope: Scope) -> Result<Found, BundleError> {
    let base = &project.bundling.base_dir;
    let mut found = Found::default();
    for file in files_below(base)? {
        if file == project.main || project.config_file.as_ref() == Some(&file) {
            continue;
        }
        let Some(specifier) = relative_specifier(base, &file) else { continue };
        let kind = match project.bundling.rules.find(&specifier) {
            Some(RuleMatch::Module(rule)) => rule.kind,
            Some(RuleMatch::Removed(rule)) => {
                found.warnings.push(module_file::removed_rule(&specifier, rule).in_file(&file));
                continue;
            }
            None if scope.takes_by_default(&project.bundling.rules, &specifier) => ModuleKind::EsModule,
            None => continue,
        };
        let source = module_file::read(&file)?;
        let source_map = if is_javascript(kind) { source_map_beside(&file, &source) } else { None };
        found.modules.push(UnbundledModule { file, module: Module { specifier, kind, source, source_map } });
    }
    Ok(found)
}

/// Every file below `root` in a stable order, but for hidden directories and `node_modules`.
fn files_below(root: &Path) -> Result<Vec<PathBuf>, BundleMessage> {
    let cannot_list = |directory: &Path, error: std::io::Error| {
        BundleMessage::new(format!("cannot list the modules in {}: {error}", directory.display()))
            .with_help("check `base_dir`, and that you may read the directory")
    };
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).map_err(|error| cannot_list(&directory, error))? {
            let entry = entry.map_err(|error| cannot_list(&directory, error))?;
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_file() {
                files.push(path);
            } else if name != "node_modules" && !name.to_string_lossy().starts_with('.') {
                // A link to a directory is not followed: it may lead back here.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    directories.push(path);
                }
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The source map that the last line of a module names, when it is a file.
fn source_map_beside(file: &Path, source: &[u8]) -> Option<Arc<str>> {
    let text = std::str::from_utf8(source).ok()?;
    let url = text.trim_end().lines().next_back()?.trim().strip_prefix("//# sourceMappingURL=")?;
    if url.contains(':') {
        return None;
    }
    std::fs::read_to_string(file.parent()?.join(url)).ok().map(Arc::from)
}

fn is_typescript(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("ts" | "mts" | "cts" | "tsx" | "jsx"))
}
