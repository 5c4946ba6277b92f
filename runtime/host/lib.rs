//! The owner of isolates and their threads: which workers there are, which host name leads to which, and which isolate runs
//! an event.
//!
//! [`Host::dispatch`] is the data path: it reads memory only, and answers 503 (`Overloaded`) before an isolate is touched
//! when the bounds of a worker or of its tenant are reached. Isolates start on the first event of a worker, from a spare where
//! there is one, and beside those that do not keep up; starts are rationed, so that a tenant of many workers gets no more of
//! them than others. They end by idle time, count and memory, least recently used first.

mod back_off;
mod catalog;
mod gate;
mod host;
mod pool;
mod seats;
mod spares;
mod tenants;
mod worker;

pub use catalog::Catalog;
pub use catalog::Entry;
pub use catalog::Routed;
pub use host::Admission;
pub use host::Host;
pub use host::HostOptions;
pub use host::Isolation;
pub use host::WeakHost;
pub use worker::Worker;
pub use worker::WorkerSpec;
