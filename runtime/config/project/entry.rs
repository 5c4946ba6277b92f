//! The entry module: where `main` leads, and a guess at what was meant when it leads nowhere.

use std::path::{Path, PathBuf};

use super::decode_settings::{Main, Settings};
use crate::decode::Report;
use crate::diagnostic::{Diagnostic, Severity};

/// The entry module; an error when it does not exist and no build makes it.
pub(super) fn main_module(settings: &Settings, file: &Path, report: &mut Report<'_>) -> PathBuf {
    let main = match &settings.main {
        Main::Given(main) => main,
        Main::Refused => return settings.directory.clone(),
        Main::Absent => {
            let diagnostic =
                Diagnostic::about_file(Severity::Error, file, "there is no `main`: the worker has no entry module");
            report.diagnostics.push(diagnostic.with_help("add `main`, for example \"src/index.ts\""));
            return settings.directory.clone();
        }
    };
    let path = settings.path(&main.value);
    if path.extension().is_some_and(|extension| extension == "py") {
        report.error_located(main, "Python workers are not supported yet", "name a JavaScript or TypeScript module");
    } else if !path.is_file() && settings.build.command.is_none() {
        let help = match similar_file(&path) {
            Some(found) => format!("did you mean \"{}\"?", relative_to(&settings.directory, &found)),
            None => "correct the path, or add `build.command` if a build makes the file".to_owned(),
        };
        report.error_located(main, format!("`{}` names no file: {}", main.key, path.display()), help);
    }
    path
}

/// A file that exists beside `path` and differs in its extension, or the entry module of most projects.
fn similar_file(path: &Path) -> Option<PathBuf> {
    let same_stem = ["ts", "js", "mjs", "tsx", "jsx", "mts"].iter().map(|extension| path.with_extension(extension));
    let directory = path.parent()?;
    let usual = ["src/index.ts", "src/index.js", "index.ts", "index.js"].iter().map(|name| directory.join(name));
    same_stem.chain(usual).find(|candidate| candidate.is_file())
}

fn relative_to(directory: &Path, path: &Path) -> String {
    path.strip_prefix(directory).unwrap_or(path).display().to_string()
}
