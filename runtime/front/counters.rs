//! What the door counts beside what its workers use.

use std::sync::Arc;

use holm_metrics::Counter;
use holm_metrics::Gauge;
use holm_metrics::Labelled;

use crate::status::Refusal;

/// One front's counters, over all of its listeners.
#[derive(Debug)]
pub struct Counters {
    /// Connections open now.
    pub open: Gauge,
    pub accepted: Counter,
    /// Connections closed at once, by bound.
    pub turned_away: Labelled,
    /// What a client took too long for, by kind.
    pub timeouts: Labelled,
    pub tls_failures: Counter,
    /// Connections of HTTP/2 that were closed for frames without a purpose.
    pub floods: Counter,
    /// Connections that ended because what came was no HTTP, or too much of it.
    pub broken: Counter,
    /// Failed tries to accept a connection: the process or the system is short of something.
    pub accept_failures: Counter,
    /// Requests that were answered without a worker, by the code of the refusal.
    pub refusals: Labelled,
}

/// Which bound on connections was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Total,
    Address,
}

/// Which wait for a client was too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    TlsHandshake,
    FirstByte,
    Head,
    Idle,
    Body,
    Write,
}

// === impl Counters ===

impl Counters {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            open: Gauge::default(),
            accepted: Counter::new(),
            turned_away: Labelled::new(&["total", "address"]),
            timeouts: Labelled::new(&["tls_handshake", "first_byte", "head", "idle", "body", "write"]),
            tls_failures: Counter::new(),
            floods: Counter::new(),
            broken: Counter::new(),
            accept_failures: Counter::new(),
            refusals: Labelled::new(Refusal::CODES),
        })
    }

    pub(crate) fn turned_away(&self, by: Bound) {
        self.turned_away.increment(by as usize);
    }

    pub(crate) fn timed_out(&self, pause: Pause) {
        self.timeouts.increment(pause as usize);
    }

    pub(crate) fn refused(&self, refusal: &Refusal) {
        let code = refusal.code();
        self.refusals.increment(Refusal::CODES.iter().position(|known| *known == code).unwrap_or(usize::MAX));
    }
}
