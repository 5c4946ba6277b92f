//! What the front needs of the host: a routing table to read, and a place to send an event.

use std::net::SocketAddr;
use std::sync::Arc;

use holm_isolate::Body;
use holm_isolate::Failure;
use holm_isolate::Ticket;
use holm_metrics::WorkerStats;
use http::HeaderMap;
use http::Method;
use http::Uri;
use http::Version;

/// The workers behind the door.
pub trait Workers: Clone + Send + Sync + 'static {
    type Worker: Send + Sync;

    /// The worker for a request. `host` is lower-case, without port and trailing dot; `path` is as the client sent it,
    /// without the query. Called once per request, so it reads memory only.
    ///
    /// # Errors
    /// When none is to have it.
    fn route(&self, https: bool, host: &str, path: &str) -> Result<Self::Worker, Unrouted>;

    /// Runs one fetch event up to the head of its answer. A dropped future means that the client went away before the
    /// head; a dropped response body, that it went away later (or that the answer may have no body).
    fn dispatch(
        &self,
        worker: &Self::Worker,
        event: Incoming,
    ) -> impl Future<Output = Result<http::Response<Body>, Failure>> + Send;

    /// Where the requests of a worker are counted, if they are.
    fn stats(&self, _worker: &Self::Worker) -> Option<Arc<WorkerStats>> {
        None
    }

    /// A request was answered with `failure` before an isolate took it up, so that no invocation tells of it.
    fn turned_away(&self, _worker: &Self::Worker, _request: &TurnedAway<'_>, _failure: &Failure) {}
}

/// Why a request goes to no worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrouted {
    /// None serves this address: 404.
    Unknown,
    /// A development server is not to be reached by this name: 403.
    HostNotAllowed,
}

/// A request that no isolate has seen.
#[derive(Debug)]
pub struct TurnedAway<'a> {
    pub method: &'a Method,
    /// As the client sent it.
    pub target: &'a Uri,
    pub ticket: &'a Arc<Ticket>,
}

/// One checked request.
#[derive(Debug)]
pub struct Incoming {
    pub method: Method,
    /// `scheme://host[:port]/path?query`; the host is lower-case, the default port left out, the rest as sent.
    pub url: String,
    /// Without the headers that concern only the connection, and without `x-holm-*`.
    pub headers: HeaderMap,
    pub body: Body,
    pub peer: SocketAddr,
    pub https: bool,
    pub http_version: Version,
    pub ticket: Arc<Ticket>,
}
