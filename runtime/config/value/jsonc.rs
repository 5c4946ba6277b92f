//! JSON with comments and trailing commas, and nothing looser than that.

use jsonc_parser::common::Ranged;
use jsonc_parser::{ParseOptions, ast};

use super::{Entry, Node, Source, Span, Table, Value};
use crate::diagnostic::{Diagnostics, Severity};

const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) fn parse(source: &Source) -> Result<Node, Diagnostics> {
    let parsed = jsonc_parser::parse_to_ast(&source.text, &Default::default(), &OPTIONS).map_err(|error| {
        let range = error.range();
        source
            .diagnostic(Severity::Error, &(range.start..range.end), format!("not valid JSON: {}", error.kind()))
            .with_help("comments and trailing commas are fine; keys and strings need double quotes")
    })?;
    let Some(root) = parsed.value else {
        return Err(source
            .diagnostic(Severity::Error, &(0..0), "the file is empty")
            .with_help("a configuration is an object: { \"name\": \"…\", \"main\": \"…\" }")
            .into());
    };
    let mut errors = Diagnostics::default();
    let node = convert(&root, source, &mut errors);
    if errors.is_empty() { Ok(node) } else { Err(errors) }
}

fn convert(value: &ast::Value<'_>, source: &Source, errors: &mut Diagnostics) -> Node {
    let span = span_of(value);
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
        ast::Value::StringLit(literal) => Value::String(literal.value.to_string()),
        ast::Value::NumberLit(literal) => number(literal.value),
        ast::Value::Array(array) => {
            Value::Array(array.elements.iter().map(|element| convert(element, source, errors)).collect())
        }
        ast::Value::Object(object) => Value::Table(table(object, source, errors)),
    };
    Node { span, value }
}

fn number(text: &str) -> Value {
    match text.parse() {
        Ok(integer) => Value::Integer(integer),
        Err(_) => Value::Float(text.parse().unwrap_or(f64::NAN)),
    }
}

fn table(object: &ast::Object<'_>, source: &Source, errors: &mut Diagnostics) -> Table {
    let mut table = Table::default();
    for property in &object.properties {
        let key = property.name.as_str().to_owned();
        let key_span = span_of(&property.name);
        if table.get(&key).is_some() {
            errors.push(
                source
                    .diagnostic(Severity::Error, &key_span, format!("the key `{key}` is given twice in one object"))
                    .with_help("keep one of the two"),
            );
            continue;
        }
        let node = convert(&property.value, source, errors);
        table.entries.push(Entry { key, key_span, node });
    }
    table
}

fn span_of(ranged: &impl Ranged) -> Span {
    let range = ranged.range();
    range.start..range.end
}
