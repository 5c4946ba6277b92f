//! Reading `egress`: the server's, and a worker's.

use std::path::Path;
use std::path::PathBuf;

use super::decode::pem_file;
use crate::decode::{At, Decode, Fields, Report};
use crate::egress::{Destination, Destinations, Egress, WorkerEgress, is_bad_port};
use crate::value::Value;

/// The values of `[server] egress`, or of its `reach`.
const REACH: &[(&str, Egress)] =
    &[("public", Egress::Public), ("public-and-loopback", Egress::PublicAndLoopback), ("any", Egress::Any)];

/// `[server] egress` as it was read.
#[derive(Debug, Default)]
pub(super) struct ServerEgress {
    pub(super) reach: Egress,
    pub(super) denied: Destinations,
    pub(super) trusted: Vec<PathBuf>,
}

/// `[server] egress`: a word, or a table with `reach`, `deny` and `ca`.
pub(super) fn server(at: &At<'_>, directory: &Path, report: &mut Report<'_>) -> ServerEgress {
    if matches!(at.node.value, Value::String(_)) {
        return ServerEgress { reach: at.one_of(REACH, report).unwrap_or_default(), ..ServerEgress::default() };
    }
    let Some(mut fields) = Fields::new(at, report) else { return Default::default() };
    let reach = fields.at("reach").and_then(|at| at.one_of(REACH, report)).unwrap_or_default();
    let denied = fields.at("deny").map(|at| destinations(&at, report)).unwrap_or_default();
    let trusted = fields.at("ca").map(|at| files(&at, directory, report)).unwrap_or_default();
    fields.finish(report);
    ServerEgress { reach, denied, trusted }
}

fn files(at: &At<'_>, directory: &Path, report: &mut Report<'_>) -> Vec<PathBuf> {
    let items = at.items(report).unwrap_or_default();
    items.iter().filter_map(|item| pem_file(&item.located(String::decode(item, report)?), directory, report)).collect()
}

/// A worker's `egress`: a table with `allow`, `deny` and `ports`.
pub(super) fn worker(at: &At<'_>, report: &mut Report<'_>) -> WorkerEgress {
    if matches!(at.node.value, Value::String(_)) {
        report.error(
            at,
            format!("`{}` must be a table, found a string", at.key),
            "give it `allow`, `deny` or `ports`; how far all workers may reach is `[server] egress`",
        );
        return WorkerEgress::default();
    }
    let Some(mut fields) = Fields::new(at, report) else { return WorkerEgress::default() };
    let egress = WorkerEgress {
        allow: fields.at("allow").map(|at| destinations(&at, report)),
        deny: fields.at("deny").map(|at| destinations(&at, report)).unwrap_or_default(),
        ports: fields.at("ports").map(|at| ports(&at, report)),
    };
    fields.finish(report);
    egress
}

fn destinations(at: &At<'_>, report: &mut Report<'_>) -> Destinations {
    let items = at.items(report).unwrap_or_default();
    items.iter().filter_map(|item| destination(item, report)).collect()
}

fn destination(at: &At<'_>, report: &mut Report<'_>) -> Option<Destination> {
    let text = String::decode(at, report)?;
    match text.parse() {
        Ok(destination) => Some(destination),
        Err(error) => {
            let error: crate::egress::DestinationError = error;
            let error = error.to_string();
            // An error is "what is wrong; what to write".
            let (wrong, help) = error.split_once("; ").unwrap_or((&error, "correct the entry"));
            report.error(at, format!("`{}` cannot be \"{text}\": {wrong}", at.key), help);
            None
        }
    }
}

fn ports(at: &At<'_>, report: &mut Report<'_>) -> Vec<u16> {
    let items = at.items(report).unwrap_or_default();
    let mut ports = Vec::with_capacity(items.len());
    for item in &items {
        match u16::decode(item, report) {
            Some(port) if is_bad_port(port) => report.error(
                item,
                format!("`{}` is {port}, a port of another protocol that fetch() never speaks to", item.key),
                "remove it, or let the service listen on another port",
            ),
            Some(port) => ports.push(port),
            None => {}
        }
    }
    ports
}
