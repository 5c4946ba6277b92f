//! What a request carries with it through the server: who it is, when it came, and what it has moved so far.
//!
//! Shared by the door, which moves the bytes, and the isolate, which runs the invocation. Whoever lets go last has seen
//! everything, so the record of the request is written then: [`Ticket::at_the_end`]. Counting touches atomics only.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use holm_metrics::WorkerStats;
use parking_lot::Mutex;

use crate::RequestId;

/// One request's ticket.
pub struct Ticket {
    pub request_id: RequestId,
    /// The address of the client's socket.
    pub client: Option<IpAddr>,
    received: Instant,
    stats: Option<Arc<WorkerStats>>,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    wants_cpu: AtomicBool,
    /// CPU time up to the head of the answer, in nanoseconds; `UNKNOWN` before it.
    head_cpu_ns: AtomicU64,
    begun: AtomicBool,
    passed_through: AtomicBool,
    /// Of the answer that went out; 0 before it.
    status: AtomicU16,
    unsendable: OnceLock<String>,
    /// Somebody writes the record: the isolate, or whoever answers in its place once it was given up.
    claimed: AtomicBool,
    /// The isolate that took the request up was given up; its thread may hold the ticket for ever.
    left_behind: AtomicBool,
    last_word: Mutex<Option<LastWord>>,
}

type LastWord = Box<dyn FnOnce(&Ticket) + Send>;

const UNKNOWN: u64 = u64::MAX;

// === impl Ticket ===

impl Ticket {
    /// For a request that came just now. What it moves is counted for `stats` too.
    #[must_use]
    pub fn new(request_id: RequestId, client: Option<IpAddr>, stats: Option<Arc<WorkerStats>>) -> Arc<Self> {
        Arc::new(Self {
            request_id,
            client,
            received: Instant::now(),
            stats,
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            wants_cpu: AtomicBool::new(false),
            head_cpu_ns: AtomicU64::new(UNKNOWN),
            begun: AtomicBool::new(false),
            passed_through: AtomicBool::new(false),
            status: AtomicU16::new(0),
            unsendable: OnceLock::new(),
            claimed: AtomicBool::new(false),
            left_behind: AtomicBool::new(false),
            last_word: Mutex::default(),
        })
    }

    /// For an event that no client sent.
    #[must_use]
    pub fn detached() -> Arc<Self> {
        Self::new(RequestId::next(), None, None)
    }

    // --- bytes

    /// Bytes of the request's body were taken from the client.
    pub fn came_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(stats) = &self.stats {
            stats.bytes_in.add(bytes as u64);
        }
    }

    /// Bytes of the answer's body were handed to the connection.
    pub fn went_out(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(stats) = &self.stats {
            stats.bytes_out.add(bytes as u64);
        }
    }

    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    // --- the invocation

    /// An isolate has taken the request up, here or in another process: from here on its invocation writes the record.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Whether the caller is the one that writes the request's record.
    pub(crate) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }

    /// The isolate that has taken the request up was given up. Answers whether the caller is to write the record: the isolate
    /// will not, even if it comes back.
    pub(crate) fn leave_behind(&self) -> bool {
        let claimed = self.claim();
        if claimed {
            self.left_behind.store(true, Ordering::Release);
            self.begun.store(false, Ordering::Release);
        }
        claimed
    }

    /// How long it took from the door to the first turn.
    #[must_use]
    pub(crate) fn queued(&self, begun: Instant) -> Duration {
        begun.saturating_duration_since(self.received)
    }

    /// Since the request came.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.received.elapsed()
    }

    /// The answer shall tell the CPU time that it took.
    pub fn ask_for_cpu(&self) {
        self.wants_cpu.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn wants_cpu(&self) -> bool {
        self.wants_cpu.load(Ordering::Relaxed)
    }

    /// Notes the CPU time, in nanoseconds, up to the head of the answer.
    pub fn note_cpu(&self, nanoseconds: u64) {
        self.head_cpu_ns.store(nanoseconds, Ordering::Relaxed);
    }

    /// CPU time of the invocation up to the head of its answer, where it was asked for and is known.
    #[must_use]
    pub fn head_cpu(&self) -> Option<Duration> {
        let nanoseconds = self.head_cpu_ns.load(Ordering::Relaxed);
        (self.wants_cpu() && nanoseconds != UNKNOWN).then(|| Duration::from_nanos(nanoseconds))
    }

    // --- the answer

    /// The door answers with this status.
    pub fn answered(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// What the client was answered with; `None` while it was not, or when it had gone before.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        Some(self.status.load(Ordering::Relaxed)).filter(|status| *status != 0)
    }

    /// The worker's answer cannot be sent as it is; the client gets an error in its place.
    pub fn cannot_send(&self, why: &str) {
        let _ = self.unsendable.set(why.to_owned());
    }

    /// Why the worker's own answer did not go out.
    #[must_use]
    pub fn unsendable(&self) -> Option<&str> {
        self.unsendable.get().map(String::as_str)
    }

    /// The worker failed, and its origin answered.
    pub fn pass_through(&self) {
        self.passed_through.store(true, Ordering::Relaxed);
        if let Some(stats) = &self.stats {
            stats.passed_through.increment();
        }
    }

    #[must_use]
    pub fn is_passed_through(&self) -> bool {
        self.passed_through.load(Ordering::Relaxed)
    }

    // --- the end

    /// `last_word` is called when the answer has gone out and the invocation has ended, whichever comes later; at once when
    /// the invocation's isolate has been given up, since its thread may never let go.
    pub fn at_the_end(&self, last_word: impl FnOnce(&Self) + Send + 'static) {
        if self.left_behind.load(Ordering::Acquire) {
            last_word(self);
            return;
        }
        *self.last_word.lock() = Some(Box::new(last_word));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(last_word) = self.last_word.get_mut().take() {
            last_word(self);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_comes_when_the_last_holder_lets_go() {
        let ticket = Ticket::detached();
        let said = Arc::new(AtomicU64::new(0));
        let written = Arc::clone(&said);
        let of_the_door = Arc::clone(&ticket);
        ticket.at_the_end(move |ticket| written.store(ticket.bytes_out(), Ordering::Relaxed));
        drop(ticket);
        of_the_door.went_out(7);
        assert_eq!(said.load(Ordering::Relaxed), 0);
        drop(of_the_door);
        assert_eq!(said.load(Ordering::Relaxed), 7);
    }

    #[test]
    fn the_last_word_does_not_wait_for_an_isolate_that_was_given_up() {
        let ticket = Ticket::detached();
        let _of_the_isolate = Arc::clone(&ticket);
        ticket.begin();
        assert!(ticket.leave_behind() && !ticket.claim());
        assert!(!ticket.has_begun());
        let said = Arc::new(AtomicBool::new(false));
        let written = Arc::clone(&said);
        ticket.at_the_end(move |_| written.store(true, Ordering::Relaxed));
        assert!(said.load(Ordering::Relaxed));
    }

    #[test]
    fn cpu_time_is_told_only_when_asked_for() {
        let ticket = Ticket::detached();
        ticket.note_cpu(5);
        assert_eq!(ticket.head_cpu(), None);
        ticket.ask_for_cpu();
        assert_eq!(ticket.head_cpu(), Some(Duration::from_nanos(5)));
    }
}
