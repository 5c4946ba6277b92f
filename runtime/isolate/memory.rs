//! The account of one isolate's memory: what the engine holds for it, its ArrayBuffers, and the bytes that Rust holds.
//!
//! The engine's part is measured (at the end of a turn that did something, in a turn every few milliseconds, and whenever the
//! other two parts pass the limit); ArrayBuffers and what Rust holds are counted as they come and go, from any thread. Every
//! buffer that a script can make larger holds a [`Charge`], or is [kept](Account::keep). A measurement that is over the limit
//! collects garbage before it judges.
//!
//! Three lines: an ArrayBuffer of some size is refused at the limit (the script sees a `RangeError`); at the soft limit the
//! isolate retires once its invocations have finished; above the hard one the turn that is running ends.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use deno_core::v8;

/// What Rust holds of fewer bytes is not worth a charge: the bounds on operations, invocations and chunks bound it.
const SMALL: usize = 4 << 10;
/// The hard limit lies this share of the limit above it, so that a script may use the limit up and be refused the rest.
const SLACK: usize = 16;
/// The soft limit, in percent of the limit; higher where a worker holds much from its start.
const SOFT: usize = 80;
/// A collection that brings the isolate this share of the limit below the soft limit keeps it.
const RELIEF: usize = 10;
/// What an ArrayBuffer takes beside its bytes, in the engine and in the allocator.
const BUFFER: usize = 256;
/// A change of the counted parts that is worth a measurement at the end of a turn.
const NOTABLE: usize = 1 << 20;

/// One isolate's account. Shared with whatever holds bytes for it.
pub struct Account {
    /// Bytes; 0 until a worker is loaded.
    limit: AtomicUsize,
    /// Bytes; set with `limit`, and again once the worker has started.
    soft: AtomicUsize,
    /// ArrayBuffers that the allocator gave out.
    buffers: AtomicUsize,
    /// What Rust holds.
    held: AtomicUsize,
    /// What the engine held at the last measurement, ArrayBuffers aside.
    engine: AtomicUsize,
    /// The same after the last full collection, or when the isolate was blank.
    live: AtomicUsize,
    /// `buffers` and `held` at the last measurement.
    measured: AtomicUsize,
    /// A measurement has been asked for.
    asked: AtomicBool,
    /// Set once: how a measurement is asked for from any thread.
    isolate: OnceLock<v8::IsolateHandle>,
}

/// How much an isolate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Fine,
    /// It should be replaced once its invocations have finished.
    Soft,
    Hard,
}

/// The account would be over its limit.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the worker's memory limit is reached")]
pub struct OverLimit;

/// Bytes that Rust holds for an isolate, until it is dropped.
pub struct Charge {
    account: Arc<Account>,
    bytes: usize,
}

/// Bytes with their charge.
struct Kept {
    bytes: Bytes,
    _charge: Charge,
}

// === impl Account ===

impl Default for Account {
    fn default() -> Self {
        Self {
            limit: AtomicUsize::new(0),
            soft: AtomicUsize::new(usize::MAX),
            buffers: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            engine: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            measured: AtomicUsize::new(0),
            asked: AtomicBool::new(false),
            isolate: OnceLock::new(),
        }
    }
}

impl Account {
    /// Bytes held, the engine's as of the last measurement.
    #[must_use]
    pub fn total(&self) -> usize {
        self.engine.load(Ordering::Relaxed).saturating_add(self.counted())
    }

    /// The limit in bytes; nothing is over it while no worker is loaded.
    #[must_use]
    pub fn limit(&self) -> usize {
        match self.limit.load(Ordering::Relaxed) {
            0 => usize::MAX / 4,
            limit => limit,
        }
    }

    /// Charges `bytes`, whether or not there is room for them.
    #[must_use]
    pub fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        let mut charge = Charge { account: Arc::clone(self), bytes: 0 };
        charge.grow(bytes);
        charge
    }

    /// Charges `bytes` if there is room for them.
    ///
    /// # Errors
    /// When the limit would be passed.
    pub fn try_charge(self: &Arc<Self>, bytes: usize) -> Result<Charge, OverLimit> {
        let mut charge = Charge { account: Arc::clone(self), bytes: 0 };
        charge.try_grow(bytes)?;
        Ok(charge)
    }

    /// The same bytes, charged until the last reference to them has gone, wherever they go.
    #[must_use]
    pub fn keep(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        if bytes.len() < SMALL {
            return bytes;
        }
        self.charge(bytes.len()).keep(bytes)
    }

    fn counted(&self) -> usize {
        self.buffers.load(Ordering::Relaxed).saturating_add(self.held.load(Ordering::Relaxed))
    }

    fn hard(&self) -> usize {
        let limit = self.limit();
        limit + limit / SLACK
    }

    /// Names the isolate that is measured. Once.
    pub(crate) fn belongs_to(&self, isolate: &mut v8::Isolate) {
        let _ = self.isolate.set(isolate.thread_safe_handle());
        self.measure(isolate);
        self.live.store(self.engine.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(crate) fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
        self.soft.store(bytes / 100 * SOFT, Ordering::Relaxed);
    }

    /// The worker has started: what it holds now is no reason to retire it.
    pub(crate) fn started(&self, isolate: &mut v8::Isolate) {
        self.measure(isolate);
        let half_way = self.total().min(self.limit()).midpoint(self.limit());
        self.soft.fetch_max(half_way, Ordering::Relaxed);
    }

    // --- what Rust and native libraries hold, from any thread

    pub(crate) fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        self.ask_if_over();
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    // --- ArrayBuffers; called by the engine's allocator, on any thread

    /// Whether an ArrayBuffer of `bytes` that can be refused fits.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        let after = self.live.load(Ordering::Relaxed).saturating_add(self.counted()).saturating_add(bytes);
        after <= self.limit()
    }

    /// Whether even an ArrayBuffer that must not be refused would be one too many.
    pub(crate) fn is_hopeless(&self, bytes: usize) -> bool {
        self.counted().saturating_add(bytes) > self.limit().saturating_add(crate::limits::HEAP_GRACE)
    }

    pub(crate) fn add_buffer(&self, bytes: usize) {
        self.buffers.fetch_add(bytes + BUFFER, Ordering::Relaxed);
        self.ask_if_over();
    }

    pub(crate) fn remove_buffer(&self, bytes: usize) {
        self.buffers.fetch_sub(bytes + BUFFER, Ordering::Relaxed);
    }

    /// Whether the turn that runs is to end; for ops that work long.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.isolate.get().is_some_and(v8::IsolateHandle::is_execution_terminating)
    }

    // --- measuring

    /// Past the hard limit the isolate looks at itself, in the running turn or in the next one.
    fn ask_if_over(&self) {
        if self.total() > self.hard() {
            self.ask();
        }
    }

    /// Asks for a measurement at the next point where the engine can be interrupted.
    pub(crate) fn ask(&self) {
        if let Some(isolate) = self.isolate.get()
            && !self.asked.swap(true, Ordering::AcqRel)
        {
            isolate.request_interrupt(crate::interrupt::measure, std::ptr::null_mut());
        }
    }

    /// The interrupt that [`Account::ask`] asked for is here.
    pub(crate) fn answered(&self) {
        self.asked.store(false, Ordering::Release);
    }

    /// Whether the counted parts have changed enough since the last measurement.
    pub(crate) fn is_stale(&self) -> bool {
        self.counted().abs_diff(self.measured.load(Ordering::Relaxed)) > NOTABLE
    }

    /// Within a turn: whether the hard limit is passed, with the garbage collected.
    pub(crate) fn is_over(&self, isolate: &mut v8::Isolate) -> bool {
        self.measure(isolate);
        if self.total() <= self.hard() {
            return false;
        }
        self.collect(isolate);
        self.total() > self.hard()
    }

    /// After a turn. Garbage is collected before a limit counts as passed.
    pub(crate) fn judge(&self, isolate: &mut v8::Isolate) -> Fill {
        self.measure(isolate);
        let soft = self.soft.load(Ordering::Relaxed);
        if self.total() < soft {
            return Fill::Fine;
        }
        self.collect(isolate);
        if self.total() > self.hard() {
            Fill::Hard
        } else if self.total() > soft - self.limit() / RELIEF {
            Fill::Soft
        } else {
            Fill::Fine
        }
    }

    /// Collects garbage, and measures what is left.
    pub fn collect(&self, isolate: &mut v8::Isolate) {
        isolate.memory_pressure_notification(v8::MemoryPressureLevel::Critical);
        self.measure(isolate);
        self.live.store(self.engine.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(crate) fn measure(&self, isolate: &mut v8::Isolate) {
        let statistics = isolate.get_heap_statistics();
        let external = isolate.adjust_amount_of_external_allocated_memory(0);
        let external = usize::try_from(external).unwrap_or(0).saturating_sub(self.buffers.load(Ordering::Relaxed));
        let engine = statistics.used_heap_size()
            + statistics.malloced_memory()
            + statistics.total_global_handles_size()
            + external;
        self.engine.store(engine, Ordering::Relaxed);
        self.measured.store(self.counted(), Ordering::Relaxed);
    }
}

// === impl Charge ===

impl Charge {
    /// The bytes it stands for, with it: it lasts until their last reference has gone.
    #[must_use]
    pub fn keep(self, bytes: Bytes) -> Bytes {
        if bytes.len() < SMALL {
            return bytes;
        }
        Bytes::from_owner(Kept { bytes, _charge: self })
    }

    /// Charges `more` bytes, whether or not there is room for them.
    pub fn grow(&mut self, more: usize) {
        self.account.hold(more);
        self.bytes += more;
    }

    /// Charges `more` bytes if there is room for them.
    ///
    /// # Errors
    /// When the limit would be passed.
    pub fn try_grow(&mut self, more: usize) -> Result<(), OverLimit> {
        if self.account.total().saturating_add(more) > self.account.hard() {
            return Err(OverLimit);
        }
        self.grow(more);
        Ok(())
    }

    /// Stands for `bytes` from now on, whether or not there is room for them.
    pub fn set(&mut self, bytes: usize) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.account.hold(more),
            None => self.account.release(self.bytes - bytes),
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.release(self.bytes);
    }
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(limit: usize) -> Arc<Account> {
        let account = Arc::new(Account::default());
        account.set_limit(limit);
        account
    }

    #[test]
    fn a_charge_is_given_back_when_it_is_dropped() {
        let account = account(1 << 20);
        let mut charge = account.charge(1_000);
        charge.grow(500);
        assert_eq!(account.total(), 1_500);
        drop(charge);
        assert_eq!(account.total(), 0);
    }

    #[test]
    fn a_charge_that_passes_the_hard_limit_is_refused_and_leaves_nothing() {
        let account = account(1 << 20);
        let mut charge = account.try_charge(1 << 20).unwrap();
        assert!(charge.try_grow((1 << 20) / SLACK).is_ok());
        assert!(charge.try_grow(1).is_err());
        assert!(account.try_charge(1).is_err());
        drop(charge);
        assert_eq!(account.total(), 0);
    }

    #[test]
    fn kept_bytes_are_charged_until_their_last_reference_has_gone() {
        let account = account(1 << 20);
        let kept = account.keep(Bytes::from(vec![1; 10_000]));
        let part = kept.slice(5_000..);
        assert_eq!(account.total(), 10_000);
        drop(kept);
        assert_eq!(account.total(), 10_000);
        std::thread::spawn(move || drop(part)).join().unwrap();
        assert_eq!(account.total(), 0);
    }

    #[test]
    fn buffers_that_can_be_refused_fit_up_to_the_limit() {
        let account = account(1 << 20);
        assert!(account.fits(1 << 20));
        account.add_buffer(1 << 19);
        assert!(account.fits((1 << 19) - BUFFER) && !account.fits((1 << 19) + 1));
        account.remove_buffer(1 << 19);
        assert!(account.fits(1 << 20));
    }
}
