//! The env files of a project: `.dev.vars.<env>` or `.dev.vars`, and where there is neither, `.env`, `.env.local`,
//! `.env.<env>` and `.env.<env>.local` merged (wrangler, "Environment variables").
//!
//! Values may be secrets: no diagnostic shows one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::LoadOptions;
use super::dotenv::{self, Assignment};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::value::Source;

/// What the env files say.
#[derive(Debug, Default)]
pub(super) struct EnvFiles {
    pub(super) values: BTreeMap<String, String>,
    pub(super) read: Vec<PathBuf>,
    pub(super) absent: Vec<PathBuf>,
    pub(super) diagnostics: Diagnostics,
}

/// Reads the env files of `directory` for the selected environment.
pub(super) fn load(directory: &Path, env: Option<&str>, options: &LoadOptions) -> EnvFiles {
    let mut files = EnvFiles::default();
    if !options.env_files {
        return files;
    }
    let dev_vars = env.map(|env| format!(".dev.vars.{env}")).into_iter().chain([".dev.vars".to_owned()]);
    for name in dev_vars {
        if let Some(assignments) = files.read(&directory.join(name)) {
            files.values.extend(assignments.into_iter().map(|Assignment { name, value }| (name, value)));
            return files;
        }
    }
    if switch(options, "CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV") == Some(false) {
        return files;
    }
    files.load_dot_env(directory, env, options);
    files
}

/// A yes-or-no variable of the process.
fn switch(options: &LoadOptions, name: &str) -> Option<bool> {
    match options.host_environment.get(name)?.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

// === impl EnvFiles ===

impl EnvFiles {
    fn load_dot_env(&mut self, directory: &Path, env: Option<&str>, options: &LoadOptions) {
        let mut names = vec![".env".to_owned(), ".env.local".to_owned()];
        if let Some(env) = env {
            names.extend([format!(".env.{env}"), format!(".env.{env}.local")]);
        }
        // In the order of first appearance, since a value may refer to what stands before it.
        let mut merged: Vec<Assignment> = Vec::new();
        for name in names {
            for assignment in self.read(&directory.join(name)).unwrap_or_default() {
                match merged.iter_mut().find(|earlier| earlier.name == assignment.name) {
                    Some(earlier) => earlier.value = assignment.value,
                    None => merged.push(assignment),
                }
            }
        }
        if switch(options, "CLOUDFLARE_INCLUDE_PROCESS_ENV") == Some(true) {
            self.values.extend(options.host_environment.clone());
        }
        for Assignment { name, value } in merged {
            if !self.values.contains_key(&name) {
                let value = dotenv::expand(&value, &|name| self.values.get(name).cloned());
                self.values.insert(name, value);
            }
        }
    }

    /// The assignments of a file; `None` when there is no such file.
    fn read(&mut self, path: &Path) -> Option<Vec<Assignment>> {
        if !path.exists() {
            self.absent.push(path.to_owned());
            return None;
        }
        self.read.push(path.to_owned());
        let source = match Source::read(path) {
            Ok(source) => source,
            Err(diagnostics) => {
                self.diagnostics.extend(diagnostics);
                return Some(Vec::new());
            }
        };
        let (assignments, errors) = dotenv::parse(&source.text);
        for error in errors {
            let diagnostic = source.diagnostic(Severity::Error, &(error.offset..error.offset), error.message);
            // The line may hold a secret.
            self.diagnostics.push(Diagnostic { excerpt: None, ..diagnostic }.with_help(error.help));
        }
        Some(assignments)
    }
}
