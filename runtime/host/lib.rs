//! The owner of isolates and their threads: which workers there are, which host name leads to which, and which isolate runs
//! an event.
//!
//! [`Host::dispatch`] is the data path: it reads memory only, and answers 503 (`Overloaded`) before an isolate is touched
//! when a worker's bounds are reached. Isolates start on the first event of a worker, from a spare where there is one, and
//! end by idle time, count and memory, least recently used first.

mod catalog;
mod host;
mod spares;
mod worker;

pub use catalog::Catalog;
pub use catalog::Entry;
pub use host::Host;
pub use host::HostOptions;
pub use host::Isolation;
pub use worker::Worker;
pub use worker::WorkerSpec;
