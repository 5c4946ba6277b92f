//! The settings that are no bindings: name, entry module, bundling, limits, development server, deployment.
//!
//! One function per key, called through the table of keys with the value in force.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use holm_cron::Trigger;
use time::Date;

use super::{
    Bindings, Blob, Build, Deployment, Dev, InvocationLimits, Logs, ModuleRules, Observability, Placement, Protocol,
    Route, Traces,
};
use crate::bundle::ModuleKind;
use crate::decode::{At, Decode, Fields, Located, Report};
use crate::limits::Limits;
use crate::value::Value;

/// What the keys decode into, before it becomes a project.
#[derive(Debug)]
pub(super) struct Settings {
    /// Where relative paths start; absolute.
    pub(super) directory: PathBuf,
    pub(super) today: Date,
    pub(super) name: Option<Located<String>>,
    pub(super) main: Main,
    pub(super) compatibility_date: Option<Date>,
    pub(super) compatibility_flags: Vec<String>,
    pub(super) vars: BTreeMap<String, serde_json::Value>,
    pub(super) required_secrets: Vec<Located<String>>,
    pub(super) limits: InvocationLimits,
    pub(super) routes: Vec<Route>,
    pub(super) workers_dev: Option<bool>,
    pub(super) rules: ModuleRules,
    pub(super) alias: BTreeMap<String, String>,
    pub(super) define: BTreeMap<String, String>,
    pub(super) minify: bool,
    pub(super) keep_names: bool,
    pub(super) no_bundle: bool,
    pub(super) find_additional_modules: bool,
    pub(super) base_dir: Option<PathBuf>,
    pub(super) preserve_file_names: bool,
    pub(super) tsconfig: Option<PathBuf>,
    pub(super) jsx_factory: Option<String>,
    pub(super) jsx_fragment: Option<String>,
    pub(super) upload_source_maps: bool,
    pub(super) build: Build,
    pub(super) dev: Dev,
    pub(super) deployment: Deployment,
    pub(super) bindings: Bindings,
    pub(super) blobs: Vec<Blob>,
}

/// The entry module as the configuration has it.
#[derive(Debug)]
pub(super) enum Main {
    Absent,
    /// Of a wrong type, which has been reported.
    Refused,
    Given(Located<String>),
}

// === impl Settings ===

impl Settings {
    pub(super) fn new(directory: PathBuf, today: Date) -> Self {
        Self {
            build: Build { command: None, cwd: directory.clone(), watch: Vec::new() },
            directory,
            today,
            name: None,
            main: Main::Absent,
            compatibility_date: None,
            compatibility_flags: Vec::new(),
            vars: BTreeMap::new(),
            required_secrets: Vec::new(),
            limits: InvocationLimits::default(),
            routes: Vec::new(),
            workers_dev: None,
            rules: ModuleRules::default(),
            alias: BTreeMap::new(),
            define: BTreeMap::new(),
            minify: false,
            keep_names: true,
            no_bundle: false,
            find_additional_modules: false,
            base_dir: None,
            preserve_file_names: false,
            tsconfig: None,
            jsx_factory: None,
            jsx_fragment: None,
            upload_source_maps: false,
            dev: Dev::default(),
            deployment: Deployment::default(),
            bindings: Bindings::default(),
            blobs: Vec::new(),
        }
    }

    /// `text` from the configuration's directory.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        resolve(&self.directory, text)
    }
}

/// `text` as a path from `directory`, without `.` segments.
pub(super) fn resolve(directory: &Path, text: &str) -> PathBuf {
    directory.join(text).components().collect()
}

/// Replaces a setting by what decodes, and leaves it otherwise.
fn set<T: Decode>(target: &mut T, at: &At<'_>, report: &mut Report<'_>) {
    if let Some(value) = T::decode(at, report) {
        *target = value;
    }
}

pub(super) fn schema(at: &At<'_>, _: &mut Settings, report: &mut Report<'_>) {
    String::decode(at, report);
}

pub(super) fn name(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(name) = String::decode(at, report) else {
        return;
    };
    if let Err(reason) = check_name(&name) {
        report.error(at, format!("`{}` cannot be \"{name}\": {reason}", at.key), "choose a name like \"my-worker\"");
    }
    settings.name = Some(at.located(name));
}

/// Whether `name` can name a worker.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.is_empty() {
        Err("it is empty")
    } else if name.len() > 255 {
        Err("it is longer than 255 characters")
    } else if !name.chars().all(allowed) {
        Err("a name has lower-case letters, digits, \"-\" and \"_\" only")
    } else if name.starts_with('-') {
        Err("a name starts with a letter, a digit or \"_\"")
    } else {
        Ok(())
    }
}

pub(super) fn main(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.main = Located::decode(at, report).map_or(Main::Refused, Main::Given);
}

pub(super) fn limits(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(mut fields) = Fields::new(at, report) else {
        return;
    };
    let mut bounded = |key, report: &mut Report<'_>| {
        let at = fields.at(key)?;
        at.bounded(Limits::row(key)?, report)
    };
    settings.limits.cpu_ms = bounded("cpu_ms", report);
    settings.limits.subrequests = bounded("subrequests", report);
    fields.finish(report);
}

pub(super) fn workers_dev(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.workers_dev = bool::decode(at, report);
}

pub(super) fn rules(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    set(&mut settings.rules, at, report);
}

pub(super) fn alias(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    set(&mut settings.alias, at, report);
}

pub(super) fn wasm_modules(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    blobs(ModuleKind::CompiledWasm, at, settings, report);
}

pub(super) fn text_blobs(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    blobs(ModuleKind::Text, at, settings, report);
}

pub(super) fn data_blobs(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    blobs(ModuleKind::Data, at, settings, report);
}

fn blobs(kind: ModuleKind, at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    for (name, at) in at.entries(report).unwrap_or_default() {
        let Some(path) = String::decode(&at, report).map(|text| settings.path(&text)) else { continue };
        if settings.blobs.iter().any(|blob| blob.name == name) {
            report.error(&at, format!("`{}` is another global called `{name}`", at.key), "rename one of them");
        } else if path.is_file() {
            settings.blobs.push(Blob { name: name.to_owned(), kind, path });
        } else {
            report.error(&at, format!("`{}` names no file: {}", at.key, path.display()), "correct the path");
        }
    }
}

pub(super) fn define(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    set(&mut settings.define, at, report);
}

pub(super) fn no_bundle(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    set(&mut settings.no_bundle, at, report);
}

pub(super) fn minify(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    set(&mut settings.minify, at, report);
}

pub(super) fn keep_names(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    set(&mut settings.keep_names, at, report);
}

pub(super) fn find_additional_modules(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    set(&mut settings.find_additional_modules, at, report);
}

pub(super) fn preserve_file_names(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    set(&mut settings.preserve_file_names, at, report);
}

pub(super) fn upload_source_maps(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    set(&mut settings.upload_source_maps, at, report);
}

pub(super) fn jsx_factory(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.jsx_factory = String::decode(at, report);
}

pub(super) fn jsx_fragment(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.jsx_fragment = String::decode(at, report);
}

pub(super) fn base_dir(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(path) = String::decode(at, report).map(|text| settings.path(&text)) else {
        return;
    };
    if !path.is_dir() {
        report.error(at, format!("`{}` names no directory: {}", at.key, path.display()), "correct the path");
    }
    settings.base_dir = Some(path);
}

pub(super) fn tsconfig(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(path) = String::decode(at, report).map(|text| settings.path(&text)) else {
        return;
    };
    if !path.is_file() {
        report.error(at, format!("`{}` names no file: {}", at.key, path.display()), "correct the path");
    }
    settings.tsconfig = Some(path);
}

pub(super) fn vars(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    for (name, at) in at.entries(report).unwrap_or_default() {
        if matches!(at.node.value, Value::DateTime(_)) {
            report.wrong_type(&at, "a string");
        }
        settings.vars.insert(name.to_owned(), at.node.value.to_json());
    }
}

pub(super) fn build(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(mut fields) = Fields::new(at, report) else {
        return;
    };
    let command: Option<String> = fields.optional("command", report);
    let cwd: Option<String> = fields.optional("cwd", report);
    let watch = fields.at("watch_dir").map(|at| match &at.node.value {
        Value::String(text) => vec![text.clone()],
        Value::Array(_) => Vec::decode(&at, report).unwrap_or_default(),
        _ => {
            report.wrong_type(&at, "a string or an array of strings");
            Vec::new()
        }
    });
    fields.finish(report);
    let watch = watch.unwrap_or_else(|| vec!["./src".to_owned()]);
    settings.build = Build {
        cwd: cwd.map_or_else(|| settings.directory.clone(), |cwd| settings.path(&cwd)),
        watch: watch.iter().filter(|_| command.is_some()).map(|path| settings.path(path)).collect(),
        command,
    };
}

const PROTOCOLS: [(&str, Protocol); 2] = [("http", Protocol::Http), ("https", Protocol::Https)];

pub(super) fn dev(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(mut fields) = Fields::new(at, report) else {
        return;
    };
    let protocol = |at: Option<At<'_>>, report: &mut Report<'_>| at?.one_of(&PROTOCOLS, report);
    settings.dev = Dev {
        ip: fields.optional("ip", report),
        port: fields.optional("port", report),
        inspector_port: fields.optional("inspector_port", report),
        inspector_ip: fields.optional("inspector_ip", report),
        local_protocol: protocol(fields.at("local_protocol"), report),
        upstream_protocol: protocol(fields.at("upstream_protocol"), report),
        host: fields.optional("host", report),
    };
    fields.allow(&["enable_containers", "container_engine", "generate_types"]);
    fields.finish(report);
}

pub(super) fn account_id(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.deployment.account_id = String::decode(at, report).filter(|id| !id.is_empty());
}

pub(super) fn keep_vars(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    set(&mut settings.deployment.keep_vars, at, report);
}

pub(super) fn logpush(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.deployment.logpush = bool::decode(at, report);
}

pub(super) fn triggers(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(mut fields) = Fields::new(at, report) else {
        return;
    };
    let crons = fields.at("crons").and_then(|at| at.items(report)).unwrap_or_default();
    settings.deployment.crons = crons.iter().filter_map(|at| trigger(at, report)).collect();
    fields.allow(&["events"]);
    fields.finish(report);
}

fn trigger(at: &At<'_>, report: &mut Report<'_>) -> Option<Trigger> {
    let text = String::decode(at, report)?;
    match Trigger::parse(&text) {
        Ok(trigger) => Some(trigger),
        Err(error) => {
            let help = "the fields are minute, hour, day of the month, month and day of the week, in UTC or after CRON_TZ=Area/City";
            report.error(at, format!("`{}` is no cron expression: \"{text}\": {error}", at.key), help);
            None
        }
    }
}

pub(super) fn placement(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(mut fields) = Fields::new(at, report) else {
        return;
    };
    const MODES: [(&str, &str); 3] = [("off", "off"), ("smart", "smart"), ("targeted", "targeted")];
    settings.deployment.placement = Some(Placement {
        mode: fields.at("mode").and_then(|at| at.one_of(&MODES, report)).map(str::to_owned),
        hint: fields.optional("hint", report),
        region: fields.optional("region", report),
        host: fields.optional("host", report),
        hostname: fields.optional("hostname", report),
    });
    fields.finish(report);
}

pub(super) fn observability(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(mut fields) = Fields::new(at, report) else {
        return;
    };
    settings.deployment.observability = Some(Observability {
        enabled: fields.optional("enabled", report),
        head_sampling_rate: sampling_rate(&mut fields, report),
        logs: fields.optional("logs", report),
        traces: fields.optional("traces", report),
    });
    fields.finish(report);
}

fn sampling_rate(fields: &mut Fields<'_>, report: &mut Report<'_>) -> Option<f64> {
    let at = fields.at("head_sampling_rate")?;
    let rate = f64::decode(&at, report)?;
    if !(0.0..=1.0).contains(&rate) {
        report.error(&at, format!("`{}` is {rate}, outside of 0 to 1", at.key), "1 keeps everything, 0.1 one in ten");
    }
    Some(rate)
}

impl Decode for Logs {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let mut fields = Fields::new(at, report)?;
        let logs = Self {
            enabled: fields.optional("enabled", report),
            head_sampling_rate: sampling_rate(&mut fields, report),
            invocation_logs: fields.optional("invocation_logs", report),
            persist: fields.optional("persist", report).unwrap_or(true),
            destinations: fields.optional("destinations", report).unwrap_or_default(),
        };
        fields.finish(report);
        Some(logs)
    }
}

impl Decode for Traces {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let mut fields = Fields::new(at, report)?;
        let traces = Self {
            enabled: fields.optional("enabled", report),
            head_sampling_rate: sampling_rate(&mut fields, report),
            persist: fields.optional("persist", report).unwrap_or(true),
            destinations: fields.optional("destinations", report).unwrap_or_default(),
        };
        fields.finish(report);
        Some(traces)
    }
}
