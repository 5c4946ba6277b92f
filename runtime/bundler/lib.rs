//! TypeScript, JSX and npm packages into the modules of a [`Bundle`], in process, by rolldown.
//!
//! It runs where projects are developed and deployed (`dev`, `build`, and `serve` of a project directory), never beside
//! tenants' code. What it does is what wrangler does with the same settings; where rolldown and esbuild part ways, the
//! worker's meaning decides. Called by the command line and by whoever loads a project from source.

use std::path::PathBuf;

use holm_config::bundle::Bundle;
use holm_config::project::Project;

mod blobs;
mod build_command;
mod diagnose;
mod message;
mod module_file;
mod node_builtin;
mod options;
mod resolve;
mod rolldown_build;
mod service_worker;
mod unbundled;

pub use build_command::run_build_command;
pub use message::{BundleError, BundleMessage};

/// Which code packages choose by `process.env.NODE_ENV`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `dev`.
    Development,
    /// `build` and `serve`.
    Production,
}

/// A bundle and what came up while it was made.
#[derive(Clone, Debug)]
pub struct Bundled {
    pub bundle: Bundle,
    /// Every file that was read for it, sorted: what a watcher has to watch.
    pub inputs: Vec<PathBuf>,
    pub warnings: Vec<BundleMessage>,
}

/// Bundles a project for production.
///
/// # Errors
/// Every error of the build at once, with the files read up to then.
pub async fn bundle(project: &Project) -> Result<Bundled, BundleError> {
    bundle_for(project, Mode::Production).await
}

/// Bundles a project for development or production. Run `run_build_command` before, if the project has one.
///
/// # Errors
/// Every error of the build at once, with the files read up to then.
pub async fn bundle_for(project: &Project, mode: Mode) -> Result<Bundled, BundleError> {
    let bundled = match project.bundling.no_bundle {
        true => unbundled::bundle(project)?,
        false => rolldown_build::bundle(project, mode).await?,
    };
    blobs::add(project, bundled)
}
