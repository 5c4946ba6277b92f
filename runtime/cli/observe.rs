//! Where what workers tell goes: structured log lines of a server.

use holm_isolate::InvocationRecord;
use holm_isolate::Level;
use holm_isolate::LogRecord;
use holm_isolate::Observer;

/// Writes one worker's records through `tracing`.
pub(super) struct ServerLog {
    pub(super) worker: String,
}

// === impl ServerLog ===

impl Observer for ServerLog {
    fn log(&self, record: &LogRecord<'_>) {
        let LogRecord { level, invocation, text } = *record;
        let worker = self.worker.as_str();
        match level {
            Level::Debug => tracing::debug!(target: "worker", worker, invocation, "{text}"),
            Level::Info => tracing::info!(target: "worker", worker, invocation, "{text}"),
            Level::Warn => tracing::warn!(target: "worker", worker, invocation, "{text}"),
            Level::Error => tracing::error!(target: "worker", worker, invocation, "{text}"),
        }
    }

    fn ended(&self, record: &InvocationRecord<'_>) {
        let InvocationRecord { invocation, outcome, method, url, status, wall, ledger, error, stack } = *record;
        tracing::info!(
            target: "invocation",
            worker = self.worker.as_str(),
            invocation,
            outcome = outcome.code(),
            method,
            url,
            status,
            wall_us = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
            cpu_us = ledger.cpu_ns / 1_000,
            turns = ledger.turns,
            subrequests = ledger.subrequests,
            error,
            stack,
        );
    }
}
