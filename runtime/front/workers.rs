//! What the front needs of the host: a routing table to read, and a place to send an event.

use std::net::SocketAddr;

use holm_isolate::Body;
use holm_isolate::Failure;
use http::HeaderMap;
use http::Method;
use http::Version;

use crate::request_id::RequestId;

/// The workers behind the door.
pub trait Workers: Clone + Send + Sync + 'static {
    type Worker: Send + Sync;

    /// The worker for a request. `host` is lower-case, without port and trailing dot; `path` is as the client sent it,
    /// without the query. Called once per request, so it reads memory only.
    fn route(&self, https: bool, host: &str, path: &str) -> Option<Self::Worker>;

    /// Runs one fetch event up to the head of its answer. A dropped future means that the client went away before the
    /// head; a dropped response body, that it went away later (or that the answer may have no body).
    fn dispatch(
        &self,
        worker: &Self::Worker,
        event: Incoming,
    ) -> impl Future<Output = Result<http::Response<Body>, Failure>> + Send;
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
    pub request_id: RequestId,
}
