//! Reading one `[[worker]]`.

use std::collections::BTreeMap;
use std::path::Path;

use holm_cron::Policy;

use super::decode::worker_limits;
use super::egress;
use super::routes;
use super::{Origin, WorkerEntry, WorkerSource};
use crate::decode::{At, Decode, Fields, Located, Report};
use crate::diagnostic::{Location, Severity};
use crate::limits::Limits;
use crate::project::check_name;
use crate::route::{PatternError, RoutePattern};
use crate::value::Value;

/// What the server says for all of its workers.
#[derive(Clone, Copy)]
pub(super) struct Defaults<'a> {
    /// Where relative paths start.
    pub(super) directory: &'a Path,
    pub(super) limits: &'a Limits,
    pub(super) cron: Policy,
}

pub(super) fn decode(at: &At<'_>, defaults: Defaults<'_>, report: &mut Report<'_>) -> Option<WorkerEntry> {
    let Defaults { directory, limits: server, cron } = defaults;
    let mut fields = Fields::new(at, report)?;
    let source = source(at, &mut fields, directory, report);
    let name: Option<Located<String>> = fields.optional("name", report);
    if let Some(name) = &name
        && let Err(reason) = check_name(&name.value)
    {
        let message = format!("`{}` cannot be \"{}\": {reason}", name.key, name.value);
        report.error_located(name, message, "choose a name like \"my-worker\"");
    }
    let tenant: Option<Located<String>> = fields.optional("tenant", report);
    if let Some(tenant) = &tenant
        && let Err(reason) = check_name(&tenant.value)
    {
        let message = format!("`{}` cannot be \"{}\": {reason}", tenant.key, tenant.value);
        report.error_located(tenant, message, "choose a name like \"my-company\"");
    }
    let hostnames = patterns(fields.at("hostnames"), RoutePattern::hostname, report);
    let vars = fields.at("vars").map(|at| vars(&at, report)).unwrap_or_default();
    let limits = fields.at("limits").map_or(*server, |at| worker_limits(&at, server, report));
    let cron = fields.at("cron").map_or(cron, |at| super::cron::worker(&at, cron, report));
    let egress = fields.at("egress").map(|at| egress::worker(&at, report)).unwrap_or_default();
    let origin = fields.at("origin").and_then(|at| Origin::decode(&at, report));
    let routes = fields.at("routes").map(|at| routes::decode(&at, server, report)).unwrap_or_default();
    fields.finish(report);
    let mut diagnostic = report.source.diagnostic(Severity::Error, &at.node.span, String::new());
    diagnostic.key = Some(at.key.clone());
    Some(WorkerEntry {
        source: source?,
        name: name.map(|name| name.value),
        tenant: tenant.map(|tenant| tenant.value),
        hostnames,
        routes,
        vars,
        limits,
        cron,
        egress,
        origin,
        location: Location { diagnostic },
    })
}

/// Exactly one of `project` and `bundle`, which exists.
fn source(at: &At<'_>, fields: &mut Fields<'_>, directory: &Path, report: &mut Report<'_>) -> Option<WorkerSource> {
    let project: Option<Located<String>> = fields.optional("project", report);
    let bundle: Option<Located<String>> = fields.optional("bundle", report);
    let env: Option<Located<String>> = fields.optional("env", report);
    match (project, bundle) {
        (Some(project), None) => {
            let path = resolve(directory, &project);
            if !path.exists() {
                report.error_located(
                    &project,
                    format!("`{}` does not exist: {}", project.key, path.display()),
                    "name a directory with a wrangler configuration; a relative path starts at this configuration's directory",
                );
                return None;
            }
            Some(WorkerSource::Project { path, env: env.map(|env| env.value) })
        }
        (None, Some(bundle)) => {
            if let Some(env) = env {
                report.error_located(
                    &env,
                    format!("`{}` has no effect: a bundle is built for one environment", env.key),
                    "remove it, and build the bundle with `holm build --env`",
                );
            }
            let path = resolve(directory, &bundle);
            if !path.join("holm.json").is_file() {
                report.error_located(
                    &bundle,
                    format!("`{}` is no bundle: there is no {}", bundle.key, path.join("holm.json").display()),
                    "name a directory that `holm build` wrote; a relative path starts at this configuration's directory",
                );
                return None;
            }
            Some(WorkerSource::Bundle { path })
        }
        (Some(_), Some(bundle)) => {
            let message = format!("`{}` has both `project` and `bundle`", at.key);
            report.error_located(&bundle, message, "keep one of the two");
            None
        }
        (None, None) => {
            report.error(
                at,
                format!("`{}` has no code: there is neither `project` nor `bundle`", at.key),
                "add `project = \"…\"` (a wrangler project) or `bundle = \"…\"` (made by `holm build`)",
            );
            None
        }
    }
}

fn resolve(directory: &Path, path: &Located<String>) -> std::path::PathBuf {
    directory.join(&path.value).components().collect()
}

fn patterns(
    at: Option<At<'_>>,
    parse: fn(&str) -> Result<RoutePattern, PatternError>,
    report: &mut Report<'_>,
) -> Vec<RoutePattern> {
    let items = at.and_then(|at| at.items(report)).unwrap_or_default();
    items.iter().filter_map(|item| pattern(item, parse, report)).collect()
}

pub(super) fn pattern(
    at: &At<'_>,
    parse: fn(&str) -> Result<RoutePattern, PatternError>,
    report: &mut Report<'_>,
) -> Option<RoutePattern> {
    let text = String::decode(at, report)?;
    match parse(&text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let error = error.to_string();
            // A pattern error is "what is wrong; what to write".
            let (wrong, help) = error.split_once("; ").unwrap_or((&error, "correct the pattern"));
            report.error(at, format!("`{}` cannot be \"{text}\": {wrong}", at.key), help);
            None
        }
    }
}

fn vars(at: &At<'_>, report: &mut Report<'_>) -> BTreeMap<String, serde_json::Value> {
    let mut vars = BTreeMap::new();
    for (name, at) in at.entries(report).unwrap_or_default() {
        if matches!(at.node.value, Value::DateTime(_)) {
            report.wrong_type(&at, "a string");
        }
        vars.insert(name.to_owned(), at.node.value.to_json());
    }
    vars
}
