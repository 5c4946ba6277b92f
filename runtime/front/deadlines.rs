//! The deadlines of a connection between its requests, and its part in the drain.
//!
//! One timer for a connection, not for a request: it is moved only when it fires or when a nearer deadline comes up, so a
//! request costs one look at the clock. Polled by the connection's task after HTTP itself.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::Sleep;

use crate::connection::Connection;
use crate::connection::Waiting;
use crate::options::Timeouts;

/// How long a connection of HTTP/1 that is idle at a drain may wait for a request that is perhaps under way: the answer to it
/// then says `connection: close`, where a bare close would look like a failed request.
const LINGER: Duration = Duration::from_secs(1);

/// How long a connection may take to close once it was asked to.
const PARTING: Duration = Duration::from_secs(5);

/// What is to be done with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Finish what is in flight, take no more.
    Finish,
    /// Drop it.
    Close,
}

pub(crate) struct Deadlines<'a> {
    timeouts: &'a Timeouts,
    timer: Pin<Box<Sleep>>,
    seen: (Waiting, u32),
    since: Instant,
    ending: Ending,
}

/// How far the end of the connection has come.
#[derive(Clone, Copy, Debug)]
enum Ending {
    No,
    /// The drain has begun, the connection has not been told.
    Lingering {
        linger: Instant,
        until: Instant,
    },
    /// It has been told.
    Finishing {
        until: Instant,
    },
}

// === impl Deadlines ===

impl<'a> Deadlines<'a> {
    pub(crate) fn new(timeouts: &'a Timeouts) -> Self {
        let since = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(since + timeouts.first_byte));
        Self { timeouts, timer, seen: (Waiting::Opening, 0), since, ending: Ending::No }
    }

    /// The drain began, or its end came nearer.
    pub(crate) fn drain(mut self: Pin<&mut Self>, until: Instant) {
        self.ending = match self.ending {
            Ending::No => Ending::Lingering { linger: until.min(Instant::now() + LINGER), until },
            Ending::Lingering { linger, until: before } => {
                Ending::Lingering { linger: linger.min(until), until: before.min(until) }
            }
            Ending::Finishing { until: before } => Ending::Finishing { until: before.min(until) },
        };
        self.approach();
    }

    /// Ready when the connection has to end, once for each step.
    pub(crate) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, connection: &Connection) -> Poll<Step> {
        self.look(connection);
        if let Ending::Lingering { until, .. } = self.ending
            && (self.seen.0 == Waiting::Busy || connection.is_multiplexed())
        {
            return Poll::Ready(self.finish(until));
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            match self.due() {
                Some(due) if due <= now => return Poll::Ready(self.expire(now)),
                due => {
                    let next = due.unwrap_or(now + self.timeouts.keep_alive);
                    self.timer.as_mut().reset(next);
                }
            }
        }
    }

    /// Takes note of what the connection waits for now.
    fn look(&mut self, connection: &Connection) {
        let seen = (connection.waiting(), connection.begun());
        if seen == self.seen {
            return;
        }
        self.seen = seen;
        if seen.0 != Waiting::Busy {
            self.since = Instant::now();
            self.approach();
        }
    }

    /// Moves the timer nearer, if it stands beyond the next deadline.
    fn approach(&mut self) {
        if let Some(due) = self.due().filter(|due| *due < self.timer.deadline()) {
            self.timer.as_mut().reset(due);
        }
    }

    /// The next deadline. A busy connection has none of its own: its invocations have theirs.
    fn due(&self) -> Option<Instant> {
        let waited = match self.seen.0 {
            Waiting::Busy => None,
            Waiting::Opening => Some(self.since + self.timeouts.first_byte),
            Waiting::Head => Some(self.since + self.timeouts.headers),
            Waiting::Idle => Some(self.since + self.timeouts.keep_alive),
        };
        match self.ending {
            Ending::No => waited,
            Ending::Lingering { linger, .. } => Some(waited.map_or(linger, |waited| waited.min(linger))),
            Ending::Finishing { until } => Some(until),
        }
    }

    fn expire(&mut self, now: Instant) -> Step {
        match (self.ending, self.seen.0) {
            (Ending::Finishing { .. }, _) | (_, Waiting::Opening | Waiting::Head) => Step::Close,
            (Ending::Lingering { until, .. }, _) => self.finish(until),
            (Ending::No, Waiting::Busy | Waiting::Idle) => self.finish(now + PARTING),
        }
    }

    fn finish(&mut self, until: Instant) -> Step {
        self.ending = Ending::Finishing { until };
        self.approach();
        Step::Finish
    }
}
