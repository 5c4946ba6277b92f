//! `holm.toml`: the addresses, ceilings, certificates and workers of `holm serve`.
//!
//! Invariant: strict. A key that is not known is an error, since an operator must be able to trust that what is written
//! is in force. Every path is absolute. Loaded by `serve` before anything is bound.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use holm_cron::Policy;

use crate::diagnostic::{Diagnostic, Location};
use crate::egress::{Destinations, WorkerEgress};
use crate::limits::Limits;
use crate::route::RoutePattern;

mod check;
mod cron;
mod decode;
mod egress;
mod origin;
mod routes;
mod worker;

pub use crate::egress::Egress;
pub use decode::load;
pub use origin::Origin;

/// A server and its workers.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The file it was read from.
    pub file: PathBuf,
    pub listen: Listen,
    /// Worker threads of the front runtime; `None`: one per core.
    pub threads: Option<usize>,
    /// How long a stopping server waits for invocations in flight.
    pub drain: Duration,
    /// Where workers' subrequests may go.
    pub egress: Egress,
    pub seeing: Seeing,
    pub cron: Cron,
    /// Where usage is written down, if it is.
    pub usage: Option<Usage>,
    /// Where cached responses are kept on disk, if they are.
    pub cache_directory: Option<PathBuf>,
    /// Where none of them may go, whatever is within reach.
    pub denied: Destinations,
    /// PEM files of authorities that subrequests trust beside the web's; they exist.
    pub trusted: Vec<PathBuf>,
    /// Ceilings and defaults for every worker.
    pub limits: Limits,
    pub certificates: Vec<Certificate>,
    pub workers: Vec<WorkerEntry>,
    pub warnings: Vec<Diagnostic>,
}

/// The addresses to bind. At least one of `http` and `https` is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    pub http: Option<SocketAddr>,
    /// Only with at least one certificate.
    pub https: Option<SocketAddr>,
    /// Always a loopback address.
    pub admin: Option<SocketAddr>,
}

/// What is told of requests, and to whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seeing {
    /// Answers of workers have `x-holm-cpu-us`.
    pub expose_cpu: bool,
    /// The log has the addresses of clients.
    pub log_clients: bool,
}

/// `[usage]`: the ledger that an operator bills from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub path: PathBuf,
    pub interval: Duration,
    pub rotate_bytes: u64,
}

/// `[cron]`: what becomes of scheduled events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cron {
    /// The directory that keeps what has run; `None`: the memory of the process.
    pub state: Option<PathBuf>,
    /// Of every worker that has none of its own.
    pub policy: Policy,
}

/// A certificate chain and its key, both PEM files that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// One `[[worker]]`.
#[derive(Clone, Debug)]
pub struct WorkerEntry {
    pub source: WorkerSource,
    /// Overrides the project's name.
    pub name: Option<String>,
    /// Whose worker it is; `None`: its own.
    pub tenant: Option<String>,
    /// Hosts the worker serves whole, as route patterns.
    pub hostnames: Vec<RoutePattern>,
    /// Beside the project's own routes.
    pub routes: Vec<Route>,
    /// Win over the project's.
    pub vars: BTreeMap<String, serde_json::Value>,
    /// The server's limits with the worker's own in their place; none is above the server's.
    pub limits: Limits,
    /// What becomes of its scheduled events that cannot be on time.
    pub cron: Policy,
    /// Narrows where the worker's subrequests may go, or opens a network to it.
    pub egress: WorkerEgress,
    /// Answers what the worker fails at, if the worker asks for that.
    pub origin: Option<Origin>,
    /// Where the entry stands.
    pub location: Location,
}

/// One of a worker's `routes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub pattern: RoutePattern,
    /// CPU time of invocations that come by this route, in place of the worker's `cpu_ms`; at most the server's.
    pub cpu_ms: Option<u64>,
}

/// Where a worker's code comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerSource {
    /// A directory with a wrangler configuration, such a file, or a script.
    Project { path: PathBuf, env: Option<String> },
    /// A directory that `holm build` wrote.
    Bundle { path: PathBuf },
}

#[cfg(test)]
mod tests;
