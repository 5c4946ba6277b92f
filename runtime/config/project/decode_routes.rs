//! `routes` and `route`.

use super::Route;
use super::decode_settings::Settings;
use crate::decode::{At, Fields, Report};
use crate::route::{PatternError, RoutePattern};
use crate::value::Value;

pub(super) fn routes(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    for item in at.items(report).unwrap_or_default() {
        settings.routes.extend(decode(&item, report));
    }
}

pub(super) fn route(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    if matches!(&at.node.value, Value::String(text) if text.is_empty()) {
        report.warn(at, format!("`{}` is empty and has no effect", at.key), "remove it");
        return;
    }
    settings.routes.extend(decode(at, report));
}

/// `None` for a route that is wrong, or switched off.
fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Route> {
    match &at.node.value {
        Value::String(text) => {
            let pattern = parse(at, text, RouteKind::Pattern, report)?;
            Some(Route { pattern, zone_id: None, zone_name: None, custom_domain: false })
        }
        Value::Table(_) => decode_object(at, report),
        _ => {
            report.wrong_type(at, "a string or an object");
            None
        }
    }
}

enum RouteKind {
    Pattern,
    CustomDomain,
}

fn decode_object(at: &At<'_>, report: &mut Report<'_>) -> Option<Route> {
    let mut fields = Fields::new(at, report)?;
    let text: Option<String> = fields.required("pattern", report);
    let pattern_at = fields.at("pattern");
    let zone_id: Option<String> = fields.optional("zone_id", report);
    let zone_name: Option<String> = fields.optional("zone_name", report);
    let custom_domain = fields.optional("custom_domain", report).unwrap_or(false);
    let enabled = fields.optional("enabled", report).unwrap_or(true);
    let _: Option<bool> = fields.optional("previews_enabled", report);
    fields.finish(report);
    if zone_id.is_some() && zone_name.is_some() {
        report.error(at, format!("`{}` has both `zone_id` and `zone_name`", at.key), "keep one of the two");
    }
    let kind = if custom_domain { RouteKind::CustomDomain } else { RouteKind::Pattern };
    let pattern = parse(&pattern_at?, &text?, kind, report)?;
    enabled.then_some(Route { pattern, zone_id, zone_name, custom_domain })
}

fn parse(at: &At<'_>, text: &str, kind: RouteKind, report: &mut Report<'_>) -> Option<RoutePattern> {
    let parsed: Result<RoutePattern, PatternError> = match kind {
        RouteKind::Pattern => text.parse(),
        RouteKind::CustomDomain if text.contains('*') => {
            report.error(
                at,
                format!("\"{text}\" cannot be a custom domain: it has a wildcard"),
                "name one host, or remove `custom_domain` to have a route",
            );
            return None;
        }
        RouteKind::CustomDomain => RoutePattern::hostname(text),
    };
    parsed
        .map_err(|error| {
            let error = error.to_string();
            // A pattern error is "what is wrong; what to write".
            let (wrong, help) = error.split_once("; ").unwrap_or((&error, "correct the pattern"));
            report.error(at, format!("`{}` is no route pattern: {wrong}", at.key), help);
        })
        .ok()
}
