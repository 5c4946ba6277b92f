//! What `dev` prints: one line per request, the worker's console, errors with mapped stacks.

use std::io::IsTerminal;
use std::io::Write;

use holm_isolate::InvocationRecord;
use holm_isolate::Level;
use holm_isolate::LogRecord;
use holm_isolate::Observer;
use holm_isolate::Outcome;

use super::LogLevel;

/// The terminal of one `dev` session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminal {
    colours: bool,
    level: LogLevel,
}

/// How a text stands out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Style {
    Plain,
    Dim,
    Green,
    Yellow,
    Red,
}

// === impl Terminal ===

impl Terminal {
    pub(super) fn new(level: LogLevel) -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colours, level }
    }

    /// Writes a line. A terminal that has gone away does not stop the server.
    pub(super) fn line(self, style: Style, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{}", self.styled(style, text));
    }

    fn styled(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Dim => 2,
            Style::Green => 32,
            Style::Yellow => 33,
            Style::Red => 31,
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Observer for Terminal {
    fn log(&self, record: &LogRecord<'_>) {
        let (level, style) = match record.level {
            Level::Debug => (LogLevel::Debug, Style::Dim),
            Level::Info => (LogLevel::Info, Style::Plain),
            Level::Warn => (LogLevel::Warn, Style::Yellow),
            Level::Error => (LogLevel::Error, Style::Red),
        };
        if level >= self.level {
            self.line(style, record.text);
        }
    }

    fn ended(&self, record: &InvocationRecord<'_>) {
        if self.level == LogLevel::None {
            return;
        }
        let path = path_of(record.url);
        let status = record.status.map_or_else(|| record.outcome.code().to_owned(), |status| status.to_string());
        let style = match (record.outcome, record.status) {
            (Outcome::Ok, Some(status)) if status < 400 => Style::Green,
            // A scheduled event has none.
            (Outcome::Ok, None) => Style::Green,
            (Outcome::Ok | Outcome::ClientGone, _) => Style::Yellow,
            _ => Style::Red,
        };
        let wall = record.wall.as_secs_f64() * 1000.0;
        let cpu = record.ledger.cpu().as_secs_f64() * 1000.0;
        let line = format!("{} {path} {} {wall:.1} ms, CPU {cpu:.2} ms", record.method, self.styled(style, &status));
        self.line(Style::Plain, &line);
        match (record.outcome, record.stack, record.error) {
            (Outcome::ClientGone, ..) => {}
            (_, Some(stack), _) => self.line(Style::Red, stack),
            (_, None, Some(error)) => self.line(Style::Red, error),
            (_, None, None) => {}
        }
    }
}

/// The path and query of a URL; what is no URL, a trigger, as it is.
fn path_of(url: &str) -> &str {
    let Some(authority) = url.find("://").map(|scheme| scheme + 3) else { return url };
    url.get(authority..).and_then(|rest| rest.find('/')).and_then(|slash| url.get(authority + slash..)).unwrap_or("/")
}
