//! The door: accepts connections, speaks TLS and HTTP, and turns each request into one dispatch.
//!
//! What a client sends is checked here (framing, host, sizes, pace) before a worker is touched, and what a worker answers is
//! made honest here before it reaches the wire. The front knows workers only through the trait [`Workers`], so that it is
//! tested without an engine.
//!
//! Life of a request: `listener` accepts, `connection` speaks HTTP under deadlines, `door` checks, routes and dispatches,
//! `status` picks the status code of whatever went wrong.

pub mod admin;
pub mod authority;
mod certificates;
mod connection;
mod counters;
mod deadlines;
mod door;
mod error_page;
mod expiry;
mod headers;
mod listener;
mod options;
mod reply;
mod shutdown;
mod socket;
mod status;
mod streams;
mod tls;
mod upload;
mod websocket;
mod workers;

pub use certificates::CertError;
pub use certificates::CertStore;
pub use certificates::CertificateFiles;
pub use counters::Counters;
pub use holm_isolate::RequestId;
pub use listener::Front;
pub use listener::Transport;
pub use options::ClientHeaders;
pub use options::Coalescing;
pub use options::ConnectionLimits;
pub use options::CpuHeader;
pub use options::ErrorDetail;
pub use options::Limits;
pub use options::Options;
pub use options::Timeouts;
pub use shutdown::Shutdown;
pub use shutdown::ShutdownSignal;
pub use workers::Incoming;
pub use workers::TurnedAway;
pub use workers::Unrouted;
pub use workers::Workers;
