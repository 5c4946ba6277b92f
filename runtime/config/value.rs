//! One tree for JSONC and TOML, in which every key and value knows where it stands in its file.
//!
//! Invariant: a span is a byte range of the source's text, on character boundaries. Made by `value::jsonc` and
//! `value::toml`; read by the decoders.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics, Excerpt, Severity};

mod jsonc;
mod toml;

pub(crate) type Span = Range<usize>;

/// A configuration file and its text.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// As the user named it; diagnostics show it.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    /// TOML only.
    DateTime(String),
    Array(Vec<Node>),
    Table(Table),
}

/// Entries in the order of the file; keys are unique.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

// === impl Source ===

impl Source {
    pub(crate) fn read(path: &Path) -> Result<Self, Diagnostics> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Diagnostic::about_file(Severity::Error, path, format!("cannot read the file: {error}"))
                .with_help("check that it exists, is readable and is UTF-8 text")
        })?;
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Ok(Self { path: path.to_owned(), text })
    }

    /// Parses by the file's extension: TOML for `.toml`, JSON with comments otherwise.
    pub(crate) fn parse(&self) -> Result<Node, Diagnostics> {
        if self.path.extension().is_some_and(|extension| extension == "toml") {
            toml::parse(self)
        } else {
            jsonc::parse(self)
        }
    }

    pub(crate) fn diagnostic(&self, severity: Severity, span: &Span, message: impl Into<String>) -> Diagnostic {
        let (line, column, excerpt) = self.locate(span);
        Diagnostic {
            severity,
            file: self.path.clone(),
            line,
            column,
            key: None,
            message: message.into(),
            help: None,
            excerpt: Some(excerpt),
        }
    }

    fn locate(&self, span: &Span) -> (usize, usize, Excerpt) {
        let start = floor_char_boundary(&self.text, span.start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |newline| start + newline);
        let line_text = self.text[line_start..line_end].trim_end_matches('\r');
        let end = floor_char_boundary(&self.text, span.end.max(start)).min(line_start + line_text.len());
        let width = self.text.get(start..end).map_or(0, |meant| meant.chars().count()).max(1);
        (
            before.matches('\n').count() + 1,
            self.text[line_start..start].chars().count() + 1,
            Excerpt { line: line_text.to_owned(), width },
        )
    }
}

fn floor_char_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

// === impl Value ===

impl Value {
    /// "a string", "a number": what an error says was found.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::DateTime(_) => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "an object",
        }
    }

    /// Whether the value asks for nothing: `null`, `false`, and whatever holds only that.
    pub(crate) fn is_inert(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) => true,
            Self::Array(items) => items.is_empty(),
            Self::Table(table) => table.entries.iter().all(|entry| entry.node.value.is_inert()),
            Self::Bool(true) | Self::Integer(_) | Self::Float(_) | Self::String(_) | Self::DateTime(_) => false,
        }
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Integer(value) => Json::from(*value),
            Self::Float(value) => Json::from(*value),
            Self::String(value) | Self::DateTime(value) => Json::String(value.clone()),
            Self::Array(items) => Json::Array(items.iter().map(|item| item.value.to_json()).collect()),
            Self::Table(table) => Json::Object(
                table.entries.iter().map(|entry| (entry.key.clone(), entry.node.value.to_json())).collect(),
            ),
        }
    }
}

// === impl Table ===

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}
