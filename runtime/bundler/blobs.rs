//! `wasm_modules`, `text_blobs` and `data_blobs`: files that a service worker, which cannot import, has as globals.

use holm_config::bundle::{Bundle, GLOBAL, Module, ModuleKind};
use holm_config::project::Project;

use crate::message::BundleMessage;
use crate::{BundleError, Bundled, module_file};

/// Adds the project's to its bundle.
///
/// # Errors
/// When the worker is no service worker, and when a file cannot be read.
pub(crate) fn add(project: &Project, mut bundled: Bundled) -> Result<Bundled, BundleError> {
    let Some(first) = project.blobs.first() else { return Ok(bundled) };
    let failed =
        |message: BundleMessage, inputs: &[_]| BundleError { messages: vec![message], inputs: inputs.to_vec() };
    if !is_service_worker(&bundled.bundle) {
        let message = BundleMessage::new(format!("`{}` cannot be a global: the worker is an ES module", first.name))
            .in_file(project.config_file.as_ref().unwrap_or(&project.main))
            .with_help(format!("import {} in the script, and remove it from the configuration", first.path.display()));
        return Err(failed(message, &bundled.inputs));
    }
    for blob in &project.blobs {
        bundled.inputs.push(blob.path.clone());
        let source = module_file::read(&blob.path).map_err(|message| failed(message, &bundled.inputs))?;
        let specifier = format!("{GLOBAL}{}", blob.name);
        bundled.bundle.modules.push(Module { specifier, kind: blob.kind, source, source_map: None });
    }
    bundled.inputs.sort();
    Ok(bundled)
}

fn is_service_worker(bundle: &Bundle) -> bool {
    bundle.module(&bundle.main).is_some_and(|main| main.kind == ModuleKind::ServiceWorker)
}
