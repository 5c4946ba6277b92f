//! What a server counts, and the two places where it can be read: the Prometheus page of the admin listener, and the usage
//! ledger that an operator bills from.
//!
//! Counting is part of the data path: it touches atomics and nothing else, neither a lock nor the allocator. Reading is not,
//! and may take its time. This crate knows neither HTTP nor the engine; who counts what is decided by its callers.

mod cells;
mod elsewhere;
mod ledger;
mod page;
mod stats;

pub use cells::Counter;
pub use cells::Gauge;
pub use cells::Histogram;
pub use cells::Labelled;
pub use elsewhere::Elsewhere;
pub use elsewhere::RemoteCounts;
pub use elsewhere::WorkerCounts;
pub use ledger::LedgerHealth;
pub use ledger::LedgerOptions;
pub use ledger::UsageLedger;
pub use page::Family;
pub use page::Kind;
pub use page::Page;
pub use stats::Eviction;
pub use stats::LastError;
pub use stats::Registry;
pub use stats::Shed;
pub use stats::Totals;
pub use stats::WorkerStats;
