//! Reading `holm.toml`: the server's own tables.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::worker::Defaults;
use super::{Certificate, Cron, Listen, Seeing, ServerConfig, Usage, WorkerEntry, check, cron, egress, worker};
use crate::decode::{At, Decode, Fields, Located, Report};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::limits::{DRAIN_SECONDS, Limits, Scope, TABLE, THREADS, USAGE_INTERVAL, USAGE_ROTATE};
use crate::value::Source;

/// Loads a server's configuration.
///
/// # Errors
///
/// Everything that is wrong with it, at once. Projects are not read here; see [`ServerConfig::check_workers`].
pub fn load(path: &Path) -> Result<ServerConfig, Diagnostics> {
    let source = Source::read(path)?;
    let root = source.parse()?;
    let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let directory = file.parent().map_or_else(PathBuf::new, Path::to_owned);
    let mut report = Report::new(&source, Severity::Error);
    let Some(mut fields) = Fields::new(&At::root(&root), &mut report) else {
        return Err(report.diagnostics);
    };

    let server = fields.at("server");
    let limits = fields.at("limits").map_or_else(Limits::default, |at| server_limits(&at, &mut report));
    let usage = fields.at("usage").and_then(|at| usage(&at, &directory, &mut report));
    let cache_directory = fields.at("cache").and_then(|at| cache(&at, &directory, &mut report));
    let cron = fields.at("cron").map_or_else(Cron::default, |at| cron::server(&at, &directory, &mut report));
    let certificates = list(fields.at("certificate"), &mut report, |at, report| certificate(at, &directory, report));
    let defaults = Defaults { directory: &directory, limits: &limits, cron: cron.policy };
    let workers = list(fields.at("worker"), &mut report, |at, report| worker::decode(at, defaults, report));
    fields.finish(&mut report);

    let server = Server::decode(server.as_ref(), &directory, &mut report);
    check::addresses(&server, &certificates, &mut report);
    check::certificates(&certificates, &mut report);
    check::workers(&workers, &mut report);
    let Report { diagnostics, .. } = report;
    let warnings = diagnostics.sorted().into_result()?;
    Ok(ServerConfig {
        file,
        listen: Listen {
            http: server.http.map(|address| address.value),
            https: server.https.map(|address| address.value),
            admin: server.admin.map(|address| address.value),
        },
        threads: server.threads.and_then(|threads| usize::try_from(threads).ok()),
        drain: Duration::from_secs(server.drain_seconds.unwrap_or(DRAIN_SECONDS.default)),
        egress: server.egress.reach,
        denied: server.egress.denied,
        trusted: server.egress.trusted,
        seeing: Seeing {
            expose_cpu: server.expose_cpu.unwrap_or(false),
            log_clients: server.log_clients.unwrap_or(false),
        },
        cron,
        usage,
        cache_directory,
        limits,
        certificates: certificates.into_iter().map(|certificate| certificate.value).collect(),
        workers: workers.into_iter().map(|worker| worker.value).collect(),
        warnings,
    })
}

/// `[server]` as it was read.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) http: Option<Located<SocketAddr>>,
    pub(super) https: Option<Located<SocketAddr>>,
    pub(super) admin: Option<Located<SocketAddr>>,
    threads: Option<u64>,
    drain_seconds: Option<u64>,
    egress: egress::ServerEgress,
    expose_cpu: Option<bool>,
    log_clients: Option<bool>,
}

// === impl Server ===

impl Server {
    fn decode(at: Option<&At<'_>>, directory: &Path, report: &mut Report<'_>) -> Self {
        let Some(mut fields) = at.and_then(|at| Fields::new(at, report)) else {
            return Self::default();
        };
        let server = Self {
            http: fields.optional("http", report),
            https: fields.optional("https", report),
            admin: fields.optional("admin", report),
            threads: fields.at("threads").and_then(|at| at.bounded(&THREADS, report)),
            drain_seconds: fields.at("drain_seconds").and_then(|at| at.bounded(&DRAIN_SECONDS, report)),
            egress: fields.at("egress").map(|at| egress::server(&at, directory, report)).unwrap_or_default(),
            expose_cpu: fields.optional("expose_cpu", report),
            log_clients: fields.optional("log_clients", report),
        };
        fields.finish(report);
        server
    }

    /// The addresses that are given, by their key.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Located<SocketAddr>> {
        [&self.http, &self.https, &self.admin].into_iter().flatten()
    }
}

impl Decode for SocketAddr {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let text = String::decode(at, report)?;
        if let Ok(address) = text.parse() {
            return Some(address);
        }
        let help = match text.rsplit_once(':') {
            _ if text.parse::<std::net::IpAddr>().is_ok() => format!("add a port: \"{text}:8080\""),
            Some(("", port)) => {
                format!("add an address: \"0.0.0.0:{port}\" for every interface, \"127.0.0.1:{port}\" for this machine")
            }
            Some(("localhost", port)) => format!("write the address: \"127.0.0.1:{port}\""),
            _ => "write it as \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned(),
        };
        report.error(at, format!("`{}` is no address with a port: \"{text}\"", at.key), help);
        None
    }
}

/// The items of an array of tables, each with its place.
fn list<T>(
    at: Option<At<'_>>,
    report: &mut Report<'_>,
    decode: impl Fn(&At<'_>, &mut Report<'_>) -> Option<T>,
) -> Vec<Located<T>> {
    let items = at.and_then(|at| at.items(report)).unwrap_or_default();
    items.iter().filter_map(|item| Some(item.located(decode(item, report)?))).collect()
}

fn server_limits(at: &At<'_>, report: &mut Report<'_>) -> Limits {
    let mut limits = Limits::default();
    let Some(mut fields) = Fields::new(at, report) else {
        return limits;
    };
    for limit in TABLE {
        if let Some(value) = fields.at(limit.key).and_then(|at| at.bounded(limit, report)) {
            limits.set(limit.key, value);
        }
    }
    fields.finish(report);
    limits
}

/// `[worker.limits]`: what the worker may use, up to what the server grants every worker.
pub(super) fn worker_limits(at: &At<'_>, server: &Limits, report: &mut Report<'_>) -> Limits {
    let mut limits = *server;
    let Some(mut fields) = Fields::new(at, report) else {
        return limits;
    };
    for limit in TABLE {
        let Some(at) = fields.at(limit.key) else {
            continue;
        };
        if limit.scope == Scope::Server {
            report.error_at_key(
                &at,
                format!("`{}` is a limit of the server, not of one worker", limit.key),
                "move it to [limits]",
            );
            continue;
        }
        let Some(value) = at.bounded(limit, report) else {
            continue;
        };
        at_most_the_servers(limit.key, value, &at, server, report);
        limits.set(limit.key, value);
    }
    fields.finish(report);
    limits
}

/// Reports a value that is above what the server grants every worker.
pub(super) fn at_most_the_servers(key: &str, value: u64, at: &At<'_>, server: &Limits, report: &mut Report<'_>) {
    let (Some(limit), Some(ceiling)) = (Limits::row(key), server.get(key)) else { return };
    if value > ceiling {
        report.error(
            at,
            format!("`{}` is {value}, above the server's {ceiling}{}", at.key, limit.unit.suffix()),
            format!("lower it, or raise `{key}` in [limits]"),
        );
    }
}

fn usage(at: &At<'_>, directory: &Path, report: &mut Report<'_>) -> Option<Usage> {
    let mut fields = Fields::new(at, report)?;
    let path: Option<String> = fields.required("path", report);
    let interval = fields.at(USAGE_INTERVAL.key).and_then(|at| at.bounded(&USAGE_INTERVAL, report));
    let rotate = fields.at(USAGE_ROTATE.key).and_then(|at| at.bounded(&USAGE_ROTATE, report));
    fields.finish(report);
    Some(Usage {
        path: directory.join(path?),
        interval: Duration::from_secs(interval.unwrap_or(USAGE_INTERVAL.default)),
        rotate_bytes: rotate.unwrap_or(USAGE_ROTATE.default),
    })
}

/// `[cache]`.
fn cache(at: &At<'_>, directory: &Path, report: &mut Report<'_>) -> Option<PathBuf> {
    let mut fields = Fields::new(at, report)?;
    let path: Option<String> = fields.required("directory", report);
    fields.finish(report);
    Some(directory.join(path?))
}

fn certificate(at: &At<'_>, directory: &Path, report: &mut Report<'_>) -> Option<Certificate> {
    let mut fields = Fields::new(at, report)?;
    let cert = existing_file(&mut fields, "cert", directory, report);
    let key = existing_file(&mut fields, "key", directory, report);
    fields.finish(report);
    Some(Certificate { cert: cert?, key: key? })
}

fn existing_file(
    fields: &mut Fields<'_>,
    key: &'static str,
    directory: &Path,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    pem_file(&fields.required(key, report)?, directory, report)
}

/// The path of a PEM file that exists.
pub(super) fn pem_file(text: &Located<String>, directory: &Path, report: &mut Report<'_>) -> Option<PathBuf> {
    let path: PathBuf = directory.join(&text.value).components().collect();
    if !path.is_file() {
        report.error_located(
            text,
            format!("`{}` names no file: {}", text.key, path.display()),
            "name a PEM file; a relative path starts at this configuration's directory",
        );
        return None;
    }
    Some(path)
}

// === impl ServerConfig ===

impl ServerConfig {
    /// Checks what only shows once the workers are loaded: that names and routes are there once. `loaded` has the name and
    /// the project's own routes of each entry of [`ServerConfig::workers`], in the same order.
    #[must_use]
    pub fn check_workers(&self, loaded: &[(String, Vec<crate::route::RoutePattern>)]) -> Vec<Diagnostic> {
        check::loaded_workers(&self.workers, loaded)
    }
}

impl WorkerEntry {
    /// The patterns given here, `hostnames` before `routes`.
    pub fn patterns(&self) -> impl Iterator<Item = &crate::route::RoutePattern> {
        self.hostnames.iter().chain(self.routes.iter().map(|route| &route.pattern))
    }
}
