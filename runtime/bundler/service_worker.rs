//! Scripts in service-worker syntax (`addEventListener("fetch", …)`): how they are told apart, and what becomes of them.
//!
//! The bundle of one is a single classic script, in a function of its own as wrangler makes it: what it declares is no global.

use std::path::Path;
use std::sync::Arc;

use holm_config::bundle::{Module, ModuleKind};

use crate::message::{BundleMessage, Place};

/// Whether a module's source can have an export at all. Cheap: it looks for the word.
pub(crate) fn may_export(source: &[u8]) -> bool {
    contains(source, b"export")
}

fn contains(source: &[u8], word: &[u8]) -> bool {
    source.windows(word.len()).any(|window| window == word)
}

/// The script of an entry module without exports. `imports`: what is left of its imports once it is bundled.
///
/// # Errors
/// When it listens for no event either, or cannot be one script.
pub(crate) fn script(main: &Path, module: Module, imports: &[String]) -> Result<Module, BundleMessage> {
    let help = "use ES module syntax: `export default { fetch(request, env, ctx) { return new Response(\"…\") } }`";
    if !contains(&module.source, b"addEventListener") {
        return Err(BundleMessage::new("the entry module has no exports, and listens for no events")
            .in_file(main)
            .with_help(help));
    }
    if let Some(import) = imports.first() {
        let source = std::fs::read_to_string(main).unwrap_or_default();
        let message = BundleMessage::new(format!("a service worker is one script: it cannot import `{import}`"));
        let message = match Place::of_text(&source, "addEventListener(") {
            Some(place) => message.in_file(main).at(place, &source),
            None => message.in_file(main),
        };
        return Err(message.with_help(help));
    }
    // On the line that is there, so that positions stay what the source map says.
    let mut source = b"(() => {".to_vec();
    source.extend_from_slice(&module.source);
    source.extend_from_slice(b"\n})();\n");
    Ok(Module { kind: ModuleKind::ServiceWorker, source: Arc::from(source), ..module })
}
