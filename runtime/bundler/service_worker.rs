//! Scripts in service-worker syntax (`addEventListener("fetch", …)`), which Holm does not run: how they are told apart,
//! and what their authors are told.

use std::path::Path;

use crate::message::{BundleMessage, Place};

/// Whether a module's source can have an export at all. Cheap: it looks for the word.
pub(crate) fn may_export(source: &[u8]) -> bool {
    source.windows(b"export".len()).any(|window| window == b"export")
}

/// What the author of an entry module without exports is told.
pub(crate) fn message(main: &Path) -> BundleMessage {
    let source = std::fs::read_to_string(main).unwrap_or_default();
    let listener = ["addEventListener(\"fetch\"", "addEventListener('fetch'", "addEventListener("]
        .into_iter()
        .find_map(|text| Place::of_text(&source, text));
    let message = match listener {
        Some(place) => {
            BundleMessage::new("the entry module is a service worker: it has no exports, only event listeners")
                .in_file(main)
                .at(place, &source)
        }
        None => BundleMessage::new("the entry module has no exports").in_file(main),
    };
    message
        .with_help("use ES module syntax: `export default { fetch(request, env, ctx) { return new Response(\"…\") } }`")
}
