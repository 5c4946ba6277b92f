//! Where what workers tell goes on a server: structured log lines, and the worker's numbers.
//!
//! One line per request, when its invocation has ended and its answer has gone out. What a client or a worker wrote is cut to
//! a length and stands in fields that are escaped, so that no line can be made to look like two.

use std::borrow::Cow;
use std::sync::Arc;

use holm_isolate::InvocationRecord;
use holm_isolate::Level;
use holm_isolate::LogRecord;
use holm_isolate::Observer;
use holm_isolate::Outcome;
use holm_isolate::Ticket;
use holm_metrics::WorkerStats;

use super::log;
use super::log::Format;

/// Longest text of each kind in a line, in bytes.
const URL_BYTES: usize = 2 << 10;
const ERROR_BYTES: usize = 4 << 10;
const STACK_BYTES: usize = 8 << 10;
const CONSOLE_BYTES: usize = 32 << 10;

/// Counts one worker's requests, and writes its records through `tracing`.
pub(super) struct ServerLog {
    pub(super) stats: Arc<WorkerStats>,
    pub(super) clients: Clients,
}

/// Whether the log has the addresses of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clients {
    Left,
    Named,
}

/// What is known of a request when its invocation ends. The rest comes when its answer has gone out.
struct Line {
    stats: Arc<WorkerStats>,
    clients: Clients,
    invocation: u32,
    outcome: Outcome,
    method: String,
    url: String,
    wall_us: u64,
    queued_us: u64,
    cpu_us: u64,
    turns: u32,
    subrequests: u32,
    error: Option<String>,
    stack: Option<String>,
}

// === impl ServerLog ===

impl ServerLog {
    fn count(&self, record: &InvocationRecord<'_>) {
        let stats = &self.stats;
        stats.requests.increment(record.outcome.index());
        stats.queue_wait.observe(record.queued);
        if record.ticket.has_begun() {
            stats.wall.observe(record.wall);
            stats.cpu_ns.add(record.ledger.cpu_ns);
            stats.subrequests.add(record.ledger.subrequests.into());
        }
        if !matches!(record.outcome, Outcome::Ok | Outcome::ClientGone) {
            stats.failed(record.outcome.code(), Some(record.ticket.request_id.to_string()));
        }
    }
}

impl Observer for ServerLog {
    fn log(&self, record: &LogRecord<'_>) {
        let LogRecord { level, invocation, request_id, text } = *record;
        let request_id = request_id.map(tracing::field::display);
        let (worker, tenant) = (self.stats.worker.as_str(), self.stats.tenant.as_str());
        let text = one_line(cut(text, CONSOLE_BYTES));
        match level {
            Level::Debug => tracing::debug!(target: "worker", worker, tenant, invocation, request_id, "{text}"),
            Level::Info => tracing::info!(target: "worker", worker, tenant, invocation, request_id, "{text}"),
            Level::Warn => tracing::warn!(target: "worker", worker, tenant, invocation, request_id, "{text}"),
            Level::Error => tracing::error!(target: "worker", worker, tenant, invocation, request_id, "{text}"),
        }
    }

    fn ended(&self, record: &InvocationRecord<'_>) {
        self.count(record);
        if !tracing::enabled!(target: "invocation", tracing::Level::INFO) {
            return;
        }
        let microseconds = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let line = Line {
            stats: Arc::clone(&self.stats),
            clients: self.clients,
            invocation: record.invocation,
            outcome: record.outcome,
            method: cut(record.method, 32).into_owned(),
            url: cut(record.url, URL_BYTES).into_owned(),
            wall_us: microseconds(record.wall),
            queued_us: microseconds(record.queued),
            cpu_us: record.ledger.cpu_ns / 1_000,
            turns: record.ledger.turns,
            subrequests: record.ledger.subrequests,
            error: record.error.map(|error| cut(error, ERROR_BYTES).into_owned()),
            stack: record.stack.map(|stack| cut(stack, STACK_BYTES).into_owned()),
        };
        record.ticket.at_the_end(move |ticket| line.write(ticket));
    }

    fn stats(&self) -> Option<&Arc<WorkerStats>> {
        Some(&self.stats)
    }
}

// === impl Line ===

impl Line {
    fn write(&self, ticket: &Ticket) {
        let client = match self.clients {
            Clients::Named => ticket.client.map(|client| client.to_string()),
            Clients::Left => None,
        };
        // The worker was content with an answer that the door could not send.
        let (outcome, error) = match ticket.unsendable() {
            Some(why) if self.outcome == Outcome::Ok => (Outcome::Exception, Some(why)),
            _ => (self.outcome, self.error.as_deref()),
        };
        tracing::info!(
            target: "invocation",
            worker = self.stats.worker,
            tenant = self.stats.tenant,
            request_id = %ticket.request_id,
            invocation = self.invocation,
            outcome = outcome.code(),
            method = self.method,
            host = host_of(&self.url),
            url = self.url,
            client,
            status = ticket.status(),
            passed_through = ticket.is_passed_through().then_some(true),
            wall_us = self.wall_us,
            queued_us = self.queued_us,
            cpu_us = self.cpu_us,
            turns = self.turns,
            subrequests = self.subrequests,
            bytes_in = ticket.bytes_in(),
            bytes_out = ticket.bytes_out(),
            error = error,
            stack = self.stack,
        );
    }
}

/// At most `longest` bytes of `text`, with a sign where something is missing.
fn cut(text: &str, longest: usize) -> Cow<'_, str> {
    if text.len() <= longest {
        return text.into();
    }
    let end = (0..=longest).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default()).into()
}

/// Lines of text are lines of the log: a worker must not be able to write one that looks like another's. JSON escapes by
/// itself.
fn one_line(text: Cow<'_, str>) -> Cow<'_, str> {
    if log::format() == Format::Json || !text.chars().any(|character| character.is_control() && character != '\t') {
        return text;
    }
    let escaped = text.chars().flat_map(|character| {
        let (plain, escape) = match character.is_control() && character != '\t' {
            true => (None, Some(character.escape_default())),
            false => (Some(character), None),
        };
        plain.into_iter().chain(escape.into_iter().flatten())
    });
    escaped.collect::<String>().into()
}

/// The host and port of an absolute URL.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    rest.split(['/', '?']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("aééé", 4), "aé…");
    }

    #[test]
    fn a_text_of_several_lines_is_one_line() {
        assert_eq!(one_line("a\tb".into()), "a\tb");
        assert_eq!(one_line("a\nINFO b\u{1b}[2J\r".into()), "a\\nINFO b\\u{1b}[2J\\r");
    }

    #[test]
    fn the_host_is_a_part_of_the_url() {
        assert_eq!(host_of("https://a.example:8443/path?b"), Some("a.example:8443"));
        assert_eq!(host_of("/path"), None);
    }
}
