//! What the bundler has to say to the author: errors and warnings that point into source text.
//!
//! Invariant: a message about a module names its file, and its line and column whenever they are known. Printed by the
//! command line, and serialised for the browser's error overlay.

use std::fmt;
use std::path::{Path, PathBuf};

/// One error or warning.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BundleMessage {
    /// Absolute path; `None` when the message is about no file in particular.
    pub file: Option<PathBuf>,
    /// Counted from 1.
    pub line: Option<u32>,
    /// Counted from 1, in characters.
    pub column: Option<u32>,
    /// The lines around the place, numbered, with carets below it.
    pub excerpt: Option<String>,
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
}

/// Why there is no bundle: every error that was found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BundleError {
    pub messages: Vec<BundleMessage>,
    /// The files that were read before the bundler gave up: what a watcher has to watch until the errors are mended.
    pub inputs: Vec<PathBuf>,
}

/// A place in a source text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Counted from 1.
    pub(crate) line: u32,
    /// Counted from 1, in characters.
    pub(crate) column: u32,
    /// How many characters are meant; at least 1.
    pub(crate) width: u32,
}

/// Characters of a source line that are shown: the rest of a minified file helps nobody.
const EXCERPT_WIDTH: usize = 120;

// === impl BundleMessage ===

impl BundleMessage {
    /// A message about no file in particular.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { file: None, line: None, column: None, excerpt: None, message: message.into(), help: None }
    }

    #[must_use]
    pub fn in_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at `place` of `source`, the text of the message's file.
    #[must_use]
    pub(crate) fn at(mut self, place: Place, source: &str) -> Self {
        self.line = Some(place.line);
        self.column = Some(place.column);
        self.excerpt = excerpt(source, place);
        self
    }

    /// Points at the first place where the file imports `specifier`, when the file can be read and does so literally.
    #[must_use]
    pub(crate) fn at_import(self, importer: &Path, specifier: &str) -> Self {
        let message = self.in_file(importer);
        let Ok(source) = std::fs::read_to_string(importer) else { return message };
        match Place::of_import(&source, specifier) {
            Some(place) => message.at(place, &source),
            None => message,
        }
    }
}

impl fmt::Display for BundleMessage {
    /// ```text
    /// <message>
    ///   --> path:line:column
    ///    3 | <source line>
    ///      |        ^^^^
    ///    = help: <what to do next>
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(file) = &self.file {
            write!(f, "\n  --> {}", file.display())?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(f, ":{line}:{column}")?;
            }
        }
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n   = help: {}", help.replace('\n', "\n           "))?;
        }
        Ok(())
    }
}

// === impl BundleError ===

impl BundleError {
    /// An error before any file was read.
    #[must_use]
    pub fn from_message(message: BundleMessage) -> Self {
        Self { messages: vec![message], inputs: Vec::new() }
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, message) in self.messages.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "error: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BundleError {}

impl From<BundleMessage> for BundleError {
    fn from(message: BundleMessage) -> Self {
        Self::from_message(message)
    }
}

// === impl Place ===

impl Place {
    /// The place of the quoted `specifier` in `source`.
    pub(crate) fn of_import(source: &str, specifier: &str) -> Option<Self> {
        let offset = ['"', '\'', '`']
            .into_iter()
            .filter_map(|quote| source.find(&format!("{quote}{specifier}{quote}")))
            .min()?;
        Some(Self::at_offset(source, offset, specifier.chars().count() + 2))
    }

    /// The place of the first occurrence of `text` in `source`.
    pub(crate) fn of_text(source: &str, text: &str) -> Option<Self> {
        source.find(text).map(|offset| Self::at_offset(source, offset, text.chars().count()))
    }

    fn at_offset(source: &str, offset: usize, width: usize) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: saturating(before.matches('\n').count() + 1),
            column: saturating(before.get(line_start..).unwrap_or("").chars().count() + 1),
            width: saturating(width.max(1)),
        }
    }
}

fn saturating(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The line of `place` with its neighbours and carets, or `None` when the source has no such line.
fn excerpt(source: &str, place: Place) -> Option<String> {
    let line_index = place.line.checked_sub(1)? as usize;
    let lines: Vec<&str> = source.lines().skip(line_index.saturating_sub(1)).take(3).collect();
    let target = line_index.min(1);
    let line = lines.get(target)?;
    let column = (place.column as usize).saturating_sub(1);
    let skipped = if line.chars().count() > EXCERPT_WIDTH { column.saturating_sub(EXCERPT_WIDTH / 2) } else { 0 };

    let first_number = line_index + 1 - target;
    let gutter = (first_number + lines.len()).to_string().len().max(3);
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let shown: String = line.chars().skip(skipped).take(EXCERPT_WIDTH).collect();
        let number = first_number + index;
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(format!(" {number:>gutter$} | {shown}").trim_end());
        if index == target {
            // Tabs stay tabs below the line, so that the carets line up whatever their width.
            let indent: String = line
                .chars()
                .skip(skipped)
                .take(column - skipped)
                .map(|character| if character == '\t' { '\t' } else { ' ' })
                .collect();
            let room = line.chars().count().saturating_sub(column).max(1);
            let carets = "^".repeat((place.width as usize).clamp(1, room.min(EXCERPT_WIDTH)));
            text.push_str(&format!("\n {:gutter$} | {indent}{carets}", ""));
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "const a = 1;\nimport \"nope\";\n\texport { a };\n";

    #[test]
    fn an_excerpt_shows_the_line_its_neighbours_and_carets() {
        let place = Place::of_import(SOURCE, "nope").expect("the import is there");
        assert_eq!(place, Place { line: 2, column: 8, width: 6 });
        let message = BundleMessage::new("not found").in_file("/p/index.js").at(place, SOURCE).with_help("look again");
        assert_eq!(
            message.to_string(),
            "not found\n  --> /p/index.js:2:8\n   1 | const a = 1;\n   2 | import \"nope\";\n     |        ^^^^^^\n   3 | \texport { a };\n   = help: look again"
        );
    }

    #[test]
    fn the_first_line_has_no_neighbour_above() {
        let place = Place { line: 1, column: 7, width: 1 };
        assert_eq!(
            excerpt(SOURCE, place).as_deref(),
            Some("   1 | const a = 1;\n     |       ^\n   2 | import \"nope\";\n   3 | \texport { a };")
        );
    }

    #[test]
    fn tabs_stay_tabs_below_the_line() {
        let place = Place::of_text(SOURCE, "export").expect("the text is there");
        assert_eq!(
            excerpt(SOURCE, place).as_deref(),
            Some("   2 | import \"nope\";\n   3 | \texport { a };\n     | \t^^^^^^")
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let source = format!("{}here{}", "x".repeat(5_000), "y".repeat(5_000));
        let place = Place::of_text(&source, "here").expect("the text is there");
        let excerpt = excerpt(&source, place).expect("the line is there");
        let mut lines = excerpt.lines();
        let (shown, carets) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
        assert!(shown.len() <= EXCERPT_WIDTH + 10);
        assert_eq!(shown.find("here"), carets.find('^'));
    }

    #[test]
    fn a_place_past_the_end_has_no_excerpt() {
        assert_eq!(excerpt(SOURCE, Place { line: 99, column: 1, width: 1 }), None);
    }
}
