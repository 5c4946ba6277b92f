//! A wrangler project, resolved for one environment: what `wrangler.jsonc`, `wrangler.json` or `wrangler.toml` says, with
//! the env files and the command line's overrides applied.
//!
//! Invariant: every path is absolute, every value is within its bounds, and nothing the author asked for was left out
//! in silence: what Holm does not support is an error. Loaded by `dev`, `serve` and `build`; read by the bundler and the
//! host.

use std::collections::BTreeMap;
use std::path::PathBuf;

use holm_cron::Trigger;
use serde_json::Value;
use time::Date;

use crate::bundle::{ModuleKind, WorkerSettings};
use crate::diagnostic::Diagnostic;
use crate::route::RoutePattern;

mod bindings;
mod compatibility;
mod decode_bindings;
mod decode_routes;
mod decode_settings;
mod dotenv;
mod entry;
mod env_files;
mod environment;
mod keys;
mod load;
mod locate;
mod rules;

pub use bindings::*;
pub(crate) use compatibility::parse_date;
pub(crate) use decode_settings::check_name;
pub use load::{environments, load};
pub use rules::{ModuleRule, ModuleRules, RuleMatch};

/// How to load a project.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The environment to select (`--env`).
    pub env: Option<String>,
    /// `--var NAME:VALUE`; they win over everything else.
    pub var_overrides: Vec<(String, String)>,
    /// The day against which a compatibility date is "in the future".
    pub today: Date,
    /// Whether `.dev.vars` and `.env` files are read. They are for local development.
    pub env_files: bool,
    /// The variables of the process, for `CLOUDFLARE_ENV` and the switches wrangler reads from there. Empty: none apply.
    pub host_environment: BTreeMap<String, String>,
}

/// A wrangler project for one environment.
#[derive(Clone, Debug)]
pub struct Project {
    /// The worker's name; `<name>-<env>` when an environment is selected and does not name itself.
    pub name: String,
    /// The configuration file; `None` for a script without one.
    pub config_file: Option<PathBuf>,
    /// Where relative paths start: the directory of the configuration file (or of the script).
    pub directory: PathBuf,
    /// The selected environment.
    pub environment: Option<String>,
    /// The entry module. It exists, unless `build.command` is there to make it.
    pub main: PathBuf,
    pub compatibility: Compatibility,
    pub vars: Vars,
    /// What the project asks for; a server may grant less.
    pub limits: InvocationLimits,
    pub routes: Vec<Route>,
    pub workers_dev: Option<bool>,
    pub bundling: Bundling,
    pub build: Build,
    pub dev: Dev,
    pub deployment: Deployment,
    pub bindings: Bindings,
    /// Files that are globals of a service worker.
    pub blobs: Vec<Blob>,
    /// Every configuration and env file that was read: a change of one of them changes the project.
    pub inputs: Vec<PathBuf>,
    /// Files that would be read if they existed: the project changes when one of them appears.
    pub absent_inputs: Vec<PathBuf>,
    pub warnings: Vec<Diagnostic>,
}

/// An entry of `wasm_modules`, `text_blobs` or `data_blobs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Of the global.
    pub name: String,
    pub kind: ModuleKind,
    /// Exists.
    pub path: PathBuf,
}

/// Which behaviour of the platform a worker was written against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compatibility {
    pub date: Date,
    /// As the author wrote them.
    pub flags: Vec<String>,
    /// Every known flag, on or off, after the date and the explicit flags.
    pub resolved: BTreeMap<&'static str, bool>,
}

/// Values of `env`, by where they came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vars {
    /// From the configuration file: strings or any JSON.
    pub config: BTreeMap<String, Value>,
    /// From `.dev.vars` or `.env` files. They may be secrets: never written to a bundle or a log.
    pub env_files: BTreeMap<String, String>,
    /// From the command line.
    pub overrides: BTreeMap<String, String>,
}

/// What one invocation may use, as the project asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvocationLimits {
    /// CPU milliseconds per invocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Subrequests per invocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subrequests: Option<u64>,
}

/// One entry of `routes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub pattern: RoutePattern,
    pub zone_id: Option<String>,
    pub zone_name: Option<String>,
    /// The worker serves the whole host.
    pub custom_domain: bool,
}

/// How modules become a bundle.
#[derive(Clone, Debug)]
pub struct Bundling {
    /// The author's rules, then the default rules, in the order in which they are tried.
    pub rules: ModuleRules,
    pub alias: BTreeMap<String, String>,
    pub define: BTreeMap<String, String>,
    pub minify: bool,
    /// Whether functions keep their `name` through bundling.
    pub keep_names: bool,
    /// Take the entry module as it is, without bundling.
    pub no_bundle: bool,
    /// Add the files under `base_dir` that match a rule, without bundling them.
    pub find_additional_modules: bool,
    /// Root of module names; the directory of `main` unless configured.
    pub base_dir: PathBuf,
    /// No content hash in front of the names of text, data and wasm modules.
    pub preserve_file_names: bool,
    /// As configured; the bundler looks for `tsconfig.json` itself otherwise.
    pub tsconfig: Option<PathBuf>,
    /// `None`: as `tsconfig.json` says, else `React.createElement`.
    pub jsx_factory: Option<String>,
    /// `None`: as `tsconfig.json` says, else `React.Fragment`.
    pub jsx_fragment: Option<String>,
    pub upload_source_maps: bool,
}

/// A command of the project that makes its entry module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    pub command: Option<String>,
    /// Where the command runs.
    pub cwd: PathBuf,
    /// What to watch, to run the command again.
    pub watch: Vec<PathBuf>,
}

/// Settings of the development server; `None` leaves the choice to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dev {
    pub ip: Option<String>,
    pub port: Option<u16>,
    pub inspector_port: Option<u16>,
    pub inspector_ip: Option<String>,
    pub local_protocol: Option<Protocol>,
    pub upstream_protocol: Option<Protocol>,
    /// Host of the URL the worker sees.
    pub host: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http,
    Https,
}

/// Settings that matter where the worker is deployed, and not to its code.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deployment {
    pub account_id: Option<String>,
    pub keep_vars: bool,
    pub logpush: Option<bool>,
    pub observability: Option<Observability>,
    pub placement: Option<Placement>,
    pub crons: Vec<Trigger>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observability {
    pub enabled: Option<bool>,
    /// 0 to 1.
    pub head_sampling_rate: Option<f64>,
    pub logs: Option<Logs>,
    pub traces: Option<Traces>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Logs {
    pub enabled: Option<bool>,
    /// 0 to 1.
    pub head_sampling_rate: Option<f64>,
    pub invocation_logs: Option<bool>,
    pub persist: bool,
    pub destinations: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    pub enabled: Option<bool>,
    /// 0 to 1.
    pub head_sampling_rate: Option<f64>,
    pub persist: bool,
    pub destinations: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    pub mode: Option<String>,
    pub hint: Option<String>,
    pub region: Option<String>,
    pub host: Option<String>,
    pub hostname: Option<String>,
}

// === impl LoadOptions ===

impl LoadOptions {
    /// No environment, no overrides, no env files.
    #[must_use]
    pub fn new(today: Date) -> Self {
        Self { env: None, var_overrides: Vec::new(), today, env_files: false, host_environment: BTreeMap::new() }
    }
}

// === impl Project ===

impl Project {
    /// What goes into a bundle beside the modules. Values of env files stay out of it.
    #[must_use]
    pub fn worker_settings(&self) -> WorkerSettings {
        WorkerSettings {
            name: self.name.clone(),
            compatibility: self.compatibility.clone(),
            limits: self.limits,
            vars: self.vars.published(),
            routes: self.routes.iter().map(|route| route.pattern.clone()).collect(),
            services: self.bindings.services.clone(),
            crons: self.deployment.crons.clone(),
        }
    }
}

// === impl Compatibility ===

impl Compatibility {
    #[must_use]
    pub fn new(date: Date, flags: Vec<String>) -> Self {
        let resolved = crate::flags::resolve(date, &flags);
        Self { date, flags, resolved }
    }

    /// Whether the flag of this name is on.
    #[must_use]
    pub fn is_on(&self, flag: &str) -> bool {
        self.resolved.get(flag).copied().unwrap_or(false)
    }
}

// === impl Vars ===

impl Vars {
    /// What `env` holds: the command line over the env files over the configuration.
    #[must_use]
    pub fn effective(&self) -> BTreeMap<String, Value> {
        let mut vars = self.config.clone();
        let texts = self.env_files.iter().chain(&self.overrides);
        vars.extend(texts.map(|(name, value)| (name.clone(), Value::String(value.clone()))));
        vars
    }

    /// What may be written to disk: everything but the env files, which may hold secrets.
    #[must_use]
    pub fn published(&self) -> BTreeMap<String, Value> {
        let mut vars = self.config.clone();
        let overrides = self.overrides.iter();
        vars.extend(overrides.map(|(name, value)| (name.clone(), Value::String(value.clone()))));
        vars
    }
}

#[cfg(test)]
mod tests;
