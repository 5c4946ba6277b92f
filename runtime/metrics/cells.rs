//! The cells that are counted in: atomics, each good for any number of writers.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

// === impl Counter ===

impl Counter {
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn increment(&self) {
        self.add(1);
    }

    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down, never below zero.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

// === impl Gauge ===

impl Gauge {
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes back one [`Gauge::increment`].
    pub fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One counter for each value of a label that is known beforehand, and one for what is none of them.
#[derive(Debug)]
pub struct Labelled {
    values: &'static [&'static str],
    counters: Box<[Counter]>,
}

/// The label of what has no value of its own.
const OTHER: &str = "other";

// === impl Labelled ===

impl Labelled {
    #[must_use]
    pub fn new(values: &'static [&'static str]) -> Self {
        Self { values, counters: (0..=values.len()).map(|_| Counter::new()).collect() }
    }

    /// Counts one of the value at `index`.
    pub fn increment(&self, index: usize) {
        if let Some(counter) = self.counters.get(index.min(self.values.len())) {
            counter.increment();
        }
    }

    /// All values and their counts; `other` only if it has any.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let labels = self.values.iter().copied().chain([OTHER]);
        labels
            .zip(self.counters.iter().map(Counter::get))
            .enumerate()
            .filter(|(index, (_, count))| *index < self.values.len() || *count > 0)
            .map(|(_, pair)| pair)
    }

    pub(crate) fn counters(&self) -> &[Counter] {
        &self.counters
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counters.iter().map(Counter::get).sum()
    }
}

/// How often something took how long.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [Duration],
    /// One for each bound, and one beyond the last.
    counts: Box<[Counter]>,
    sum_ns: Counter,
}

// === impl Histogram ===

impl Histogram {
    /// `bounds` are the upper ends of the buckets, ascending.
    #[must_use]
    pub fn new(bounds: &'static [Duration]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| Counter::new()).collect(), sum_ns: Counter::new() }
    }

    pub fn observe(&self, took: Duration) {
        let bucket = self.bounds.iter().position(|bound| took <= *bound).unwrap_or(self.bounds.len());
        if let Some(count) = self.counts.get(bucket) {
            count.increment();
        }
        self.sum_ns.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn counters(&self) -> impl Iterator<Item = &Counter> {
        self.counts.iter().chain([&self.sum_ns])
    }

    /// The bounds with the count of everything up to each, as Prometheus has it.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        let mut total = 0;
        bounds.zip(self.counts.iter()).map(move |(bound, count)| {
            total += count.get();
            (bound, total)
        })
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(Counter::get).sum()
    }

    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_label_of_its_own_is_counted_as_other() {
        let counters = Labelled::new(&["a", "b"]);
        counters.increment(1);
        assert_eq!(counters.iter().collect::<Vec<_>>(), [("a", 0), ("b", 1)]);
        counters.increment(7);
        assert_eq!(counters.iter().collect::<Vec<_>>(), [("a", 0), ("b", 1), ("other", 1)]);
        assert_eq!(counters.total(), 2);
    }

    #[test]
    fn a_bucket_holds_what_is_at_most_its_bound() {
        const BOUNDS: &[Duration] = &[Duration::from_millis(1), Duration::from_millis(10)];
        let histogram = Histogram::new(BOUNDS);
        for ms in [0, 1, 2, 10, 11] {
            histogram.observe(Duration::from_millis(ms));
        }
        let counts: Vec<u64> = histogram.cumulative().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 4, 5]);
        assert_eq!((histogram.count(), histogram.sum_ns()), (5, 24_000_000));
    }
}
