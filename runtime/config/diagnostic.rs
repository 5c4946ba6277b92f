//! Errors and warnings about a file the user wrote, printed like a compiler prints them.
//!
//! Invariant: a diagnostic says what to do next, in its message or its help. Made by every loader of this crate (and by
//! the command line for what only it can see); printed by the command line.

use std::fmt;
use std::path::PathBuf;

/// Whether loading can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration works, but perhaps not as its author thinks.
    Warning,
    /// Nothing is started with this configuration.
    Error,
}

/// The source line a diagnostic points into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The whole line, without its line break.
    pub line: String,
    /// How many characters from the column on are meant; at least 1.
    pub width: usize,
}

/// One error or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub file: PathBuf,
    /// Counted from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// Counted from 1, in characters; 0 when the file as a whole is meant.
    pub column: usize,
    /// Dotted path of the key: `env.production.limits.cpu_ms`, `routes[1].pattern`.
    pub key: Option<String>,
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
    pub excerpt: Option<Excerpt>,
}

/// A place in a file, for what only shows later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub(crate) diagnostic: Diagnostic,
}

/// Diagnostics in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

/// Characters of a source line that are shown.
const EXCERPT_WIDTH: usize = 120;

// === impl Excerpt ===

impl Excerpt {
    /// The line with carets below `column`; of a long line, what is around it.
    fn write(&self, f: &mut fmt::Formatter<'_>, column: usize) -> fmt::Result {
        let before = column.saturating_sub(1);
        let long = self.line.chars().nth(EXCERPT_WIDTH).is_some();
        let skipped = if long { before.saturating_sub(EXCERPT_WIDTH / 2) } else { 0 };
        let shown: String = self.line.chars().skip(skipped).take(EXCERPT_WIDTH).collect();
        // Tabs are kept in the line of carets, so that it lines up whatever their width.
        let indent: String = shown.chars().take(before - skipped).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(f, "\n   | {shown}\n   | {indent}{}", "^".repeat(self.width.min(EXCERPT_WIDTH)))
    }
}

// === impl Diagnostic ===

impl Diagnostic {
    /// A diagnostic about a file as a whole, for example one that cannot be read.
    #[must_use]
    pub fn about_file(severity: Severity, file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            severity,
            file: file.into(),
            line: 0,
            column: 0,
            key: None,
            message: message.into(),
            help: None,
            excerpt: None,
        }
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Diagnostic {
    /// ```text
    /// error: <message>
    ///   --> path:line:column
    ///    | <source line>
    ///    |     ^^^^
    ///    = help: <what to do next>
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  --> {}", self.severity, self.message, self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if let Some(excerpt) = &self.excerpt {
            excerpt.write(f, self.column)?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n   = help: {help}")?;
        }
        Ok(())
    }
}

// === impl Location ===

impl Location {
    /// A file as a whole.
    #[must_use]
    pub fn of_file(file: impl Into<PathBuf>) -> Self {
        Self { diagnostic: Diagnostic::about_file(Severity::Error, file, "") }
    }

    /// An error about this place.
    #[must_use]
    pub fn error(&self, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        Diagnostic { message: message.into(), ..self.diagnostic.clone() }.with_help(help)
    }

    /// A warning about this place.
    #[must_use]
    pub fn warning(&self, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..self.error(message, help) }
    }

    /// The dotted path of the key that stands there.
    #[must_use]
    pub fn key(&self) -> &str {
        self.diagnostic.key.as_deref().unwrap_or_default()
    }
}

// === impl Diagnostics ===

impl Diagnostics {
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(Diagnostic::is_error)
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of the files' first appearance, and of the lines in each.
    #[must_use]
    pub fn sorted(self) -> Self {
        let mut files: Vec<PathBuf> = Vec::new();
        for diagnostic in &self.0 {
            if !files.contains(&diagnostic.file) {
                files.push(diagnostic.file.clone());
            }
        }
        let mut diagnostics = self.0;
        diagnostics.sort_by_key(|found| (files.iter().position(|file| *file == found.file), found.line, found.column));
        Self(diagnostics)
    }

    /// `Ok` with the warnings, or `Err` with everything when there is an error among them.
    pub fn into_result(self) -> Result<Vec<Diagnostic>, Self> {
        if self.has_errors() { Err(self) } else { Ok(self.0) }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, iter: I) {
        self.0.extend(iter);
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            file: "wrangler.jsonc".into(),
            line: 3,
            column: 11,
            key: Some("name".into()),
            message: "`name` must be a string, found a number".into(),
            help: Some("put it in quotes".into()),
            excerpt: Some(Excerpt { line: "  \"name\": 12,".into(), width: 2 }),
        }
    }

    #[test]
    fn prints_like_a_compiler() {
        assert_eq!(
            sample().to_string(),
            "error: `name` must be a string, found a number\n  --> wrangler.jsonc:3:11\n   |   \"name\": 12,\n   |           ^^\n   = help: put it in quotes"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_meant() {
        let line = format!("{}here{}", "x".repeat(5_000), "y".repeat(5_000));
        let excerpt = Some(Excerpt { line, width: 4_000 });
        let printed = Diagnostic { column: 5_001, excerpt, ..sample() }.to_string();
        let mut lines = printed.lines().skip(2);
        let (shown, carets) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
        assert_eq!(shown.len(), "   | ".len() + EXCERPT_WIDTH);
        assert_eq!(shown.find("here"), carets.find('^'));
        assert!(printed.len() < 1_000, "{} bytes", printed.len());
    }

    #[test]
    fn prints_a_whole_file_without_position() {
        let diagnostic = Diagnostic::about_file(Severity::Warning, "a.toml", "empty").with_help("fill it");
        assert_eq!(diagnostic.to_string(), "warning: empty\n  --> a.toml\n   = help: fill it");
    }

    #[test]
    fn warnings_alone_are_no_failure() {
        let warning = Diagnostic::about_file(Severity::Warning, "a", "b");
        assert_eq!(Diagnostics(vec![warning.clone()]).into_result(), Ok(vec![warning.clone()]));
        let both = Diagnostics(vec![warning, sample()]);
        assert_eq!(both.clone().into_result(), Err(both));
    }
}
