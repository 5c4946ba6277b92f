//! TOML, with every syntax error of the file at once.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Entry, Node, Source, Table, Value};
use crate::diagnostic::{Diagnostics, Severity};

pub(super) fn parse(source: &Source) -> Result<Node, Diagnostics> {
    let (root, errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        return Ok(Node { span: root.span(), value: Value::Table(table(root.get_ref())) });
    }
    let mut diagnostics = Diagnostics::default();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        diagnostics.push(
            source
                .diagnostic(Severity::Error, &span, format!("not valid TOML: {}", error.message()))
                .with_help("correct the syntax here; https://toml.io describes it"),
        );
    }
    Err(diagnostics.sorted())
}

fn table(parsed: &DeTable<'_>) -> Table {
    let mut entries: Vec<Entry> = parsed
        .iter()
        .map(|(key, value)| Entry { key: key.get_ref().to_string(), key_span: key.span(), node: convert(value) })
        .collect();
    // The parser's map is ordered by key; a reader expects errors in the order of the file.
    entries.sort_by_key(|entry| entry.key_span.start);
    Table { entries }
}

fn convert(value: &Spanned<DeValue<'_>>) -> Node {
    let converted = match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or_else(|_| Value::Float(integer.as_str().parse().unwrap_or(f64::NAN)), Value::Integer),
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(value) => Value::DateTime(value.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(convert).collect()),
        DeValue::Table(inner) => Value::Table(table(inner)),
    };
    Node { span: value.span(), value: converted }
}
