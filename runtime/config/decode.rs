//! From a tree of values to typed fields, with every error collected.
//!
//! Invariant: a decoder that returns `None` has reported why. Used by the project and the server configuration, which
//! differ in how they take a key nobody knows: a warning there, an error here.

use crate::diagnostic::{Diagnostic, Diagnostics, Location, Severity};
use crate::limits::Limit;
use crate::value::{Entry, Node, Source, Span, Table, Value};

mod types;

/// Collects what is wrong with one file.
#[derive(Debug)]
pub(crate) struct Report<'s> {
    pub(crate) source: &'s Source,
    /// How a key that is not known is taken.
    pub(crate) unknown_keys: Severity,
    pub(crate) diagnostics: Diagnostics,
}

/// A value and the key under which it stands.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    /// Dotted path from the root of the file.
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: &'a Node,
}

/// A decoded value that a later check may complain about.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) key: String,
    pub(crate) span: Span,
}

pub(crate) trait Decode: Sized {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self>;
}

/// The entries of one object, taken by name; what is left when it is finished is not known.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    at: At<'a>,
    table: &'a Table,
    known: Vec<&'static str>,
}

// === impl Report ===

impl<'s> Report<'s> {
    pub(crate) fn new(source: &'s Source, unknown_keys: Severity) -> Self {
        Self { source, unknown_keys, diagnostics: Diagnostics::default() }
    }

    fn push(
        &mut self,
        severity: Severity,
        key: &str,
        span: &Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let diagnostic = Diagnostic {
            key: (!key.is_empty()).then(|| key.to_owned()),
            help: Some(help.into()),
            ..self.source.diagnostic(severity, span, message)
        };
        self.diagnostics.push(diagnostic);
    }

    /// The place of a value, for what only shows later.
    pub(crate) fn location(&self, at: &At<'_>) -> Location {
        let diagnostic = self.source.diagnostic(Severity::Error, &at.node.span, "");
        Location { diagnostic: Diagnostic { key: Some(at.key.clone()), ..diagnostic } }
    }

    pub(crate) fn error(&mut self, at: &At<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, &at.key, &at.node.span, message, help);
    }

    /// An error about the key itself, whatever its value.
    pub(crate) fn error_at_key(&mut self, at: &At<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, &at.key, &at.key_span, message, help);
    }

    pub(crate) fn error_located<T>(
        &mut self,
        located: &Located<T>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Error, &located.key, &located.span, message, help);
    }

    pub(crate) fn warn(&mut self, at: &At<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, &at.key, &at.node.span, message, help);
    }

    pub(crate) fn warn_at_key(&mut self, at: &At<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, &at.key, &at.key_span, message, help);
    }

    /// The value has another type than `expected` ("a string").
    pub(crate) fn wrong_type(&mut self, at: &At<'_>, expected: &str) {
        let found = at.node.value.kind();
        let help = match (&at.node.value, expected) {
            (Value::Null, _) => "remove the key, or give it a value".to_owned(),
            (Value::DateTime(date), "a string") => format!("put it in quotes: \"{date}\""),
            (Value::Integer(_) | Value::Float(_) | Value::Bool(_), "a string") => "put it in quotes".to_owned(),
            (Value::String(text), "a number" | "an integer") if text.parse::<f64>().is_ok() => {
                format!("remove the quotes: {text}")
            }
            (Value::String(text), "a boolean") if text == "true" || text == "false" => {
                format!("remove the quotes: {text}")
            }
            (Value::String(_), expected) if expected.starts_with("an array") => "put it in brackets: [ … ]".to_owned(),
            _ => format!("give {expected}"),
        };
        self.error(at, format!("`{}` must be {expected}, found {found}", at.key), help);
    }

    /// `name` is the last part of the key.
    pub(crate) fn unknown_key(&mut self, at: &At<'_>, name: &str, known: &[&str]) {
        let help = match suggest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.is_empty() => "remove it".to_owned(),
            None if known.len() <= 12 => {
                format!("remove it; the keys here are {}", known.join(", "))
            }
            None => "remove it, or check its spelling".to_owned(),
        };
        self.push(self.unknown_keys, &at.key, &at.key_span, format!("unknown key `{}`", at.key), help);
    }
}

/// The candidate that `name` is most likely a misspelling of.
pub(crate) fn suggest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

// === impl At ===

impl<'a> At<'a> {
    pub(crate) fn root(node: &'a Node) -> Self {
        Self { key: String::new(), key_span: node.span.clone(), node }
    }

    pub(crate) fn child(&self, entry: &'a Entry) -> Self {
        let key = if self.key.is_empty() { entry.key.clone() } else { format!("{}.{}", self.key, entry.key) };
        At { key, key_span: entry.key_span.clone(), node: &entry.node }
    }

    fn item(&self, index: usize, node: &'a Node) -> Self {
        At { key: format!("{}[{index}]", self.key), key_span: node.span.clone(), node }
    }

    pub(crate) fn table(&self, report: &mut Report<'_>) -> Option<&'a Table> {
        match &self.node.value {
            Value::Table(table) => Some(table),
            _ => {
                report.wrong_type(self, "an object");
                None
            }
        }
    }

    pub(crate) fn items(&self, report: &mut Report<'_>) -> Option<Vec<At<'a>>> {
        match &self.node.value {
            Value::Array(items) => Some(items.iter().enumerate().map(|(index, node)| self.item(index, node)).collect()),
            _ => {
                report.wrong_type(self, "an array");
                None
            }
        }
    }

    pub(crate) fn entries(&self, report: &mut Report<'_>) -> Option<Vec<(&'a str, At<'a>)>> {
        let table = self.table(report)?;
        Some(table.entries.iter().map(|entry| (entry.key.as_str(), self.child(entry))).collect())
    }

    /// A string out of a closed set.
    pub(crate) fn one_of<T: Copy>(&self, choices: &[(&str, T)], report: &mut Report<'_>) -> Option<T> {
        let text = String::decode(self, report)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        report.error(self, format!("`{}` cannot be \"{text}\"", self.key), format!("use one of {}", names.join(", ")));
        None
    }

    /// A whole number within a limit's bounds.
    pub(crate) fn bounded(&self, limit: &Limit, report: &mut Report<'_>) -> Option<u64> {
        let Value::Integer(value) = self.node.value else {
            report.wrong_type(self, "an integer");
            return None;
        };
        match u64::try_from(value) {
            Ok(value) if (limit.min..=limit.max).contains(&value) => Some(value),
            _ => {
                report.error(
                    self,
                    format!(
                        "`{}` is {value}, outside of {} to {}{}",
                        self.key,
                        limit.min,
                        limit.max,
                        limit.unit.suffix()
                    ),
                    format!("{}; the default is {}", limit.about, limit.default),
                );
                None
            }
        }
    }

    pub(crate) fn located<T>(&self, value: T) -> Located<T> {
        Located { value, key: self.key.clone(), span: self.node.span.clone() }
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    pub(crate) fn new(at: &At<'a>, report: &mut Report<'_>) -> Option<Self> {
        Some(Self { at: at.clone(), table: at.table(report)?, known: Vec::new() })
    }

    /// The value of `key`, which is known from now on.
    pub(crate) fn at(&mut self, key: &'static str) -> Option<At<'a>> {
        self.known.push(key);
        self.table.get(key).map(|entry| self.at.child(entry))
    }

    pub(crate) fn optional<T: Decode>(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<T> {
        T::decode(&self.at(key)?, report)
    }

    pub(crate) fn required<T: Decode>(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<T> {
        if self.table.get(key).is_none() {
            self.known.push(key);
            report.error(&self.at, format!("`{}` has no `{key}`", self.at.key), format!("add `{key}`"));
            return None;
        }
        self.optional(key, report)
    }

    /// Accepts keys whose values do not matter here.
    pub(crate) fn allow(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// Reports the keys nobody asked for.
    pub(crate) fn finish(self, report: &mut Report<'_>) {
        for entry in &self.table.entries {
            if !self.known.contains(&entry.key.as_str()) {
                report.unknown_key(&self.at.child(entry), &entry.key, &self.known);
            }
        }
    }
}
