//! What no table of `holm.toml` can check alone: addresses against each other, workers against each other.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::decode::Server;
use super::{Certificate, WorkerEntry, WorkerSource};
use crate::decode::{Located, Report};
use crate::diagnostic::{Diagnostic, Severity};
use crate::route::RoutePattern;

pub(super) fn addresses(server: &Server, certificates: &[Located<Certificate>], report: &mut Report<'_>) {
    if server.http.is_none() && server.https.is_none() && !report.diagnostics.has_errors() {
        report.diagnostics.push(
            Diagnostic::about_file(Severity::Error, &report.source.path, "the server listens nowhere")
                .with_help("add [server] with http = \"127.0.0.1:8080\", or https and a [[certificate]]"),
        );
    }
    if let Some(admin) = server.admin.as_ref().filter(|admin| !admin.value.ip().is_loopback()) {
        report.error_located(
            admin,
            format!("`{}` is {}, which other machines can reach", admin.key, admin.value),
            format!("use a loopback address: \"127.0.0.1:{}\"", admin.value.port()),
        );
    }
    let all: Vec<&Located<SocketAddr>> = server.addresses().collect();
    for (index, address) in all.iter().enumerate() {
        if let Some(earlier) = all.iter().take(index).find(|earlier| conflict(earlier.value, address.value)) {
            report.error_located(
                address,
                format!(
                    "`{}` ({}) and `{}` ({}) are the same address",
                    address.key, address.value, earlier.key, earlier.value
                ),
                "give each its own port",
            );
        }
    }
    let certificates_failed = certificates.is_empty() && report.diagnostics.iter().any(names_certificate);
    if let Some(https) = server.https.as_ref().filter(|_| certificates.is_empty() && !certificates_failed) {
        report.error_located(
            https,
            "`server.https` needs a certificate, and there is none",
            "add [[certificate]] with `cert` and `key`, both PEM files",
        );
    }
}

fn names_certificate(diagnostic: &Diagnostic) -> bool {
    diagnostic.key.as_deref().is_some_and(|key| key.starts_with("certificate"))
}

/// Whether the two cannot be bound at once. Port 0 is any free port.
fn conflict(one: SocketAddr, other: SocketAddr) -> bool {
    let overlap = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && overlap
}

pub(super) fn certificates(certificates: &[Located<Certificate>], report: &mut Report<'_>) {
    for (index, certificate) in certificates.iter().enumerate() {
        let twice = certificates.iter().take(index).any(|earlier| earlier.value.cert == certificate.value.cert);
        if twice {
            let message = format!("`{}` has the same `cert` as an earlier one", certificate.key);
            report.error_located(certificate, message, "remove one of the two");
        }
    }
}

pub(super) fn workers(workers: &[Located<WorkerEntry>], report: &mut Report<'_>) {
    if workers.is_empty() && !report.diagnostics.has_errors() {
        report.diagnostics.push(
            Diagnostic::about_file(
                Severity::Warning,
                &report.source.path,
                "there is no worker: every request gets a 404",
            )
            .with_help("add [[worker]] with `project` or `bundle`, and `hostnames`"),
        );
    }
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut patterns: HashMap<&RoutePattern, &str> = HashMap::new();
    for worker in workers {
        let entry = &worker.value;
        if let Some(name) = entry.name.as_deref()
            && let Some(earlier) = names.insert(name, &worker.key)
        {
            let message = format!("`{}` and `{earlier}` have the same name, \"{name}\"", worker.key);
            report.error_located(worker, message, "give each worker its own `name`");
        }
        for pattern in entry.patterns() {
            if let Some(earlier) = patterns.insert(pattern, &worker.key) {
                let message = match earlier == worker.key {
                    true => format!("`{}` has \"{pattern}\" twice", worker.key),
                    false => format!("`{}` and `{earlier}` both have \"{pattern}\"", worker.key),
                };
                report.error_located(worker, message, "keep it in one place");
            }
        }
        let same_source = |earlier: &&Located<WorkerEntry>| {
            earlier.value.source == entry.source && earlier.value.name.is_none() && entry.name.is_none()
        };
        let earlier = workers.iter().take_while(|other| other.key != worker.key).find(same_source);
        if let Some(earlier) = earlier {
            let message = format!("`{}` and `{}` are the same worker", worker.key, earlier.key);
            report.error_located(worker, message, "remove one of the two, or give one a `name`");
        }
    }
}

pub(super) fn loaded_workers(workers: &[WorkerEntry], loaded: &[(String, Vec<RoutePattern>)]) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut names: HashMap<&str, ()> = HashMap::new();
    let mut patterns: HashMap<&RoutePattern, &str> = HashMap::new();
    for (entry, (name, own)) in workers.iter().zip(loaded) {
        if names.insert(name, ()).is_some() {
            diagnostics.push(
                entry
                    .location
                    .error(format!("there are two workers called \"{name}\""), "give this one another `name`"),
            );
        }
        for pattern in entry.patterns().chain(own) {
            match patterns.insert(pattern, name) {
                Some(earlier) if earlier != name => diagnostics.push(entry.location.error(
                    format!("\"{pattern}\" leads to both \"{earlier}\" and \"{name}\""),
                    "remove it from one of the two",
                )),
                _ => {}
            }
        }
        if entry.patterns().chain(own).next().is_none() {
            diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                ..entry.location.error(
                    format!("\"{name}\" has no hostname and no route: no request reaches it"),
                    "add `hostnames` or `routes`",
                )
            });
        }
    }
    diagnostics
}

impl WorkerSource {
    /// The path it is read from.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Project { path, .. } | Self::Bundle { path } => path,
        }
    }
}
