//! One run of rolldown: a project's entry module and all it imports, into the chunks of a bundle.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holm_config::bundle::{Bundle, Module, ModuleKind};
use holm_config::project::Project;
use parking_lot::Mutex;
use rolldown::{BundleFactory, BundleFactoryOptions, BundleOutput};
use rolldown_common::{BundleMode, Output, OutputChunk};
use rolldown_error::{BuildDiagnostic, BuildResult, consolidate_diagnostics};

use crate::message::{BundleError, BundleMessage};
use crate::module_file::{Naming, real_path};
use crate::node_builtin::NodeModules;
use crate::options::bundler_options;
use crate::resolve::{Noted, WorkerImports};
use crate::unbundled::{self, Found, Scope, UnbundledModule};
use crate::{Bundled, Mode, diagnose, service_worker};

pub(crate) async fn bundle(project: &Project, mode: Mode) -> Result<Bundled, BundleError> {
    let inputs = vec![project.main.clone()];
    if !project.main.is_file() {
        let help = match project.build.command {
            Some(_) => "the build command ran and did not make it: check `main` and `build.command`",
            None => "check `main`",
        };
        let message = BundleMessage::new(format!("the entry module {} does not exist", project.main.display()));
        return Err(BundleError { messages: vec![message.with_help(help)], inputs });
    }
    let found = if project.bundling.find_additional_modules {
        let found = unbundled::find(project, Scope::BesideChunks);
        found.map_err(|error| BundleError { inputs, ..error })?
    } else {
        Found::default()
    };

    let imports = Arc::new(WorkerImports {
        alias: project.bundling.alias.clone(),
        rules: project.bundling.rules.clone(),
        node: node_modules(project),
        naming: Naming::of(project),
        unbundled: specifiers_by_path(&found.modules),
        noted: Mutex::new(Noted::default()),
    });
    let (result, read) = run(project, mode, Arc::clone(&imports)).await;
    let noted = std::mem::take(&mut *imports.noted.lock());

    let mut inputs: BTreeSet<PathBuf> = read.into_iter().collect();
    inputs.insert(project.main.clone());
    inputs.extend(settings_files(project));
    inputs.extend(noted.files.iter().cloned());
    inputs.extend(found.modules.iter().map(|module| module.file.clone()));
    let inputs = inputs.into_iter().collect();
    match assemble(project, result, noted, found) {
        Ok((bundle, warnings)) => Ok(Bundled { bundle, inputs, warnings }),
        Err(messages) => Err(BundleError { messages, inputs }),
    }
}

/// The files beside the code that decide how it is read. rolldown names those that it could use; these matter while they
/// are broken, too.
fn settings_files(project: &Project) -> Vec<PathBuf> {
    let tsconfig = project.bundling.tsconfig.clone().or_else(|| {
        let directories = project.main.ancestors().skip(1).take_while(|path| path.starts_with(&project.directory));
        directories.map(|directory| directory.join("tsconfig.json")).find(|file| file.is_file())
    });
    let files = [tsconfig, Some(project.directory.join("package.json"))];
    files.into_iter().flatten().filter(|file| file.is_file()).collect()
}

fn node_modules(project: &Project) -> NodeModules {
    let is_on = |flag: &str| project.compatibility.resolved.get(flag).copied().unwrap_or(false);
    match (is_on("nodejs_compat_v2"), is_on("nodejs_compat"), is_on("nodejs_als")) {
        (true, ..) => NodeModules::On,
        (false, true, _) => NodeModules::Prefixed,
        (false, false, true) => NodeModules::AsyncHooks,
        (false, false, false) => NodeModules::Off,
    }
}

fn specifiers_by_path(modules: &[UnbundledModule]) -> HashMap<PathBuf, String> {
    modules.iter().map(|found| (real_path(&found.file), found.module.specifier.clone())).collect()
}

/// rolldown's result, and the files it read whatever the result.
async fn run(project: &Project, mode: Mode, imports: Arc<WorkerImports>) -> (BuildResult<BundleOutput>, Vec<PathBuf>) {
    let options = BundleFactoryOptions {
        bundler_options: bundler_options(project, mode),
        plugins: vec![imports],
        session: None,
        disable_tracing_setup: true,
    };
    let build = BundleFactory::new(options).and_then(|mut factory| factory.create_bundle(BundleMode::FullBuild, None));
    let build = match build {
        Ok(build) => build,
        Err(errors) => return (Err(errors), Vec::new()),
    };
    let read = Arc::clone(build.get_watch_files());
    let result = Box::pin(build.generate()).await;
    let files = read.iter().map(|file| PathBuf::from(file.split('?').next().unwrap_or_default()));
    let files = files.filter(|file| file.is_absolute() && file.is_file()).collect();
    (result, files)
}

/// The bundle and the warnings, or every error.
fn assemble(
    project: &Project,
    result: BuildResult<BundleOutput>,
    noted: Noted,
    found: Found,
) -> Result<(Bundle, Vec<BundleMessage>), Vec<BundleMessage>> {
    let tell = |diagnostics: Vec<BuildDiagnostic>| -> Vec<BundleMessage> {
        let messages = diagnostics.iter().map(|diagnostic| diagnose::message(project, diagnostic));
        let mut told: Vec<BundleMessage> = Vec::new();
        for message in messages {
            if !told.contains(&message) {
                told.push(message);
            }
        }
        told
    };
    let mut errors = noted.errors;
    let output = match result {
        Ok(output) => output,
        Err(diagnostics) => {
            errors.extend(tell(consolidate_diagnostics(diagnostics.into_vec())));
            return Err(errors);
        }
    };
    let (fatal, warnings): (Vec<_>, Vec<_>) = output.warnings.into_iter().partition(diagnose::is_fatal);
    errors.extend(tell(fatal));

    let chunks: Vec<Arc<OutputChunk>> = output
        .assets
        .into_iter()
        .filter_map(|output| match output {
            Output::Chunk(chunk) => Some(chunk),
            Output::Asset(_) => None,
        })
        .collect();
    let Some(entry) = chunks.iter().find(|chunk| is_main(chunk, &project.main)) else {
        errors.push(BundleMessage::new("the bundler made no entry chunk").in_file(&project.main));
        return Err(errors);
    };
    if !errors.is_empty() {
        return Err(errors);
    }

    let main = entry.filename.to_string();
    let mut modules: Vec<Module> = if entry.exports.is_empty() {
        let imports = entry.imports.iter().chain(&entry.dynamic_imports);
        let imports: Vec<String> = imports.map(ToString::to_string).collect();
        let script = service_worker::script(&project.main, chunk_module(entry), &imports);
        vec![script.map_err(|message| vec![message])?]
    } else {
        chunks.iter().map(|chunk| chunk_module(chunk)).collect()
    };
    modules.sort_by_key(|module| module.specifier != main);
    modules.extend(noted.modules.into_values().map(|collected| collected.module));
    for UnbundledModule { module, file } in found.modules {
        if modules.iter().any(|other| other.specifier == module.specifier) {
            let text = format!("`{}` is the name of two modules: of a chunk, and of this file", module.specifier);
            let help = "rename the file, or exclude it from the module rules";
            return Err(vec![BundleMessage::new(text).in_file(file).with_help(help)]);
        }
        modules.push(module);
    }
    let warnings = warnings.into_iter().filter(diagnose::is_worth_telling).collect();
    let warnings = tell(warnings).into_iter().chain(found.warnings).collect();
    Ok((Bundle { main, modules }, warnings))
}

/// Modules that are imported dynamically have entry chunks, too.
fn is_main(chunk: &OutputChunk, main: &Path) -> bool {
    let facade = chunk.facade_module_id.as_ref();
    chunk.is_entry && facade.is_none_or(|id| Path::new(id.as_str()) == real_path(main))
}

fn chunk_module(chunk: &OutputChunk) -> Module {
    Module {
        specifier: chunk.filename.to_string(),
        kind: ModuleKind::EsModule,
        source: chunk.code.as_bytes().into(),
        source_map: chunk.map.as_ref().map(|map| map.to_json_string().into()),
    }
}
