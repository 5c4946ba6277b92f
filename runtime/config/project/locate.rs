//! From the path on the command line to the file to load.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Located {
    /// A wrangler configuration, and a warning when there is another beside it.
    Config { file: PathBuf, warning: Option<Diagnostic> },
    /// A script to run without configuration.
    Script { file: PathBuf },
}

/// In the order in which they are looked for, which is wrangler's.
const CONFIG_NAMES: [&str; 3] = ["wrangler.jsonc", "wrangler.json", "wrangler.toml"];
const SCRIPT_EXTENSIONS: [&str; 8] = ["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"];

pub(super) fn locate(path: &Path) -> Result<Located, Diagnostics> {
    if path.is_dir() {
        return locate_in(path);
    }
    if !path.exists() {
        return Err(Diagnostic::about_file(Severity::Error, path, "there is no such file or directory")
            .with_help("give a directory with a wrangler configuration, such a file, or a script")
            .into());
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if SCRIPT_EXTENSIONS.contains(&extension) {
        return Ok(Located::Script { file: path.to_owned() });
    }
    match extension {
        "json" | "jsonc" | "toml" => Ok(Located::Config { file: path.to_owned(), warning: None }),
        _ => Err(Diagnostic::about_file(Severity::Error, path, "the file is neither a configuration nor a script")
            .with_help("a configuration ends in .jsonc, .json or .toml; a script in .js, .ts, .mjs, .jsx or .tsx")
            .into()),
    }
}

fn locate_in(directory: &Path) -> Result<Located, Diagnostics> {
    let mut found = CONFIG_NAMES.iter().copied().filter(|name| directory.join(name).is_file());
    let Some(name) = found.next() else {
        return Err(Diagnostic::about_file(Severity::Error, directory, "the directory has no wrangler configuration")
            .with_help("add a wrangler.jsonc with \"name\", \"main\" and \"compatibility_date\", or name a script")
            .into());
    };
    let file = directory.join(name);
    let others: Vec<&str> = found.collect();
    let warning = (!others.is_empty()).then(|| {
        Diagnostic::about_file(Severity::Warning, &file, format!("{name} is used, {} is not", others.join(", ")))
            .with_help("keep one configuration file in the directory, or name the one to use")
    });
    Ok(Located::Config { file, warning })
}
