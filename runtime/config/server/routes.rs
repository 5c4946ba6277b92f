//! Reading a worker's `routes`: patterns, each with a CPU budget of its own where it is a table.

use super::Route;
use super::worker::pattern;
use crate::decode::{At, Fields, Report};
use crate::limits::Limits;
use crate::value::Value;

/// `server`: no route is granted more.
pub(super) fn decode(at: &At<'_>, server: &Limits, report: &mut Report<'_>) -> Vec<Route> {
    let items = at.items(report).unwrap_or_default();
    items.iter().filter_map(|item| route(item, server, report)).collect()
}

fn route(at: &At<'_>, server: &Limits, report: &mut Report<'_>) -> Option<Route> {
    if !matches!(at.node.value, Value::Table(_)) {
        return Some(Route { pattern: pattern(at, str::parse, report)?, cpu_ms: None });
    }
    let mut fields = Fields::new(at, report)?;
    let parsed = match fields.at("pattern") {
        Some(at) => pattern(&at, str::parse, report),
        None => {
            report.error(at, format!("`{}` has no `pattern`", at.key), "add `pattern = \"example.com/path/*\"`");
            None
        }
    };
    let cpu_ms = fields.at("limits").and_then(|at| cpu_ms(&at, server, report));
    fields.finish(report);
    Some(Route { pattern: parsed?, cpu_ms })
}

fn cpu_ms(at: &At<'_>, server: &Limits, report: &mut Report<'_>) -> Option<u64> {
    let mut fields = Fields::new(at, report)?;
    let cpu_ms = fields.at("cpu_ms").and_then(|at| {
        let value = at.bounded(Limits::row("cpu_ms")?, report)?;
        super::decode::at_most_the_servers("cpu_ms", value, &at, server, report);
        Some(value)
    });
    fields.finish(report);
    cpu_ms
}
