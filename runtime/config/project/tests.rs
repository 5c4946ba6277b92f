//! What loading a project gives and refuses, read from real files.

use serde_json::json;
use time::macros::date;

use super::*;
use crate::bundle::ModuleKind;
use crate::diagnostic::{Diagnostics, Severity};
use crate::scratch::Scratch;

mod bindings;
mod bundling;
mod compatibility;
mod env_files;
mod environments;
mod locating;
mod syntax;

fn options() -> LoadOptions {
    LoadOptions { env_files: true, ..LoadOptions::new(date!(2026 - 09 - 01)) }
}

fn in_environment(name: &str) -> LoadOptions {
    LoadOptions { env: Some(name.to_owned()), ..options() }
}

/// A directory with an entry module and this `wrangler.jsonc`.
fn jsonc(text: &str) -> Scratch {
    Scratch::with("project", &[("wrangler.jsonc", text), ("src/index.ts", "")])
}

fn toml(text: &str) -> Scratch {
    Scratch::with("project", &[("wrangler.toml", text), ("src/index.ts", "")])
}

/// The three keys every project has, in front of `more`, all on line 1.
fn minimal(more: &str) -> Scratch {
    let head = "\"name\": \"a\", \"main\": \"src/index.ts\", \"compatibility_date\": \"2026-01-01\"";
    jsonc(&format!("{{ {head},\n{more}\n}}"))
}

fn loaded(scratch: &Scratch) -> Project {
    load(scratch.directory(), &options()).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn refused(scratch: &Scratch) -> Diagnostics {
    load(scratch.directory(), &options()).expect_err("errors")
}

/// "severity line:column message | help", without the directory.
fn lines<'d>(scratch: &Scratch, diagnostics: impl IntoIterator<Item = &'d Diagnostic>) -> Vec<String> {
    let directory = format!("{}/", scratch.directory().display());
    diagnostics
        .into_iter()
        .map(|found| {
            let help = found.help.as_deref().unwrap_or("no help");
            let line = format!("{} {}:{} {} | {help}", found.severity, found.line, found.column, found.message);
            line.replace(&directory, "")
        })
        .collect()
}

fn errors(scratch: &Scratch) -> Vec<String> {
    let diagnostics = refused(scratch);
    lines(scratch, diagnostics.iter().filter(|diagnostic| diagnostic.is_error()))
}

fn warnings(scratch: &Scratch) -> Vec<String> {
    lines(scratch, &loaded(scratch).warnings)
}
