//! What `fetch()` needs from the world: one exchange, and the redirects it asks for.
//!
//! The implementation lives in `holm-stores`; an isolate sees only this trait. Every call crosses the seam as owned data.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use holm_isolate::Body;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::Uri;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

/// A future that the front runtime drives. Dropping it aborts the exchange.
pub type Exchange = Pin<Box<dyn Future<Output = Result<OutboundResponse, FetchError>> + Send + 'static>>;

/// The same for the addresses of a name.
pub type Lookup = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, FetchError>> + Send + 'static>>;

/// The world's side of `fetch()`.
pub trait Outbound: Send + Sync + 'static {
    /// Sends `request` and answers once the head of the (last) response is here.
    fn fetch(&self, request: OutboundRequest) -> Exchange;

    /// The addresses of `name` that a request would be sent to.
    fn lookup(&self, name: String) -> Lookup;
}

/// The `redirect` member of a request (WHATWG Fetch §2.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirect {
    Follow,
    Manual,
    Error,
}

/// Whether a `content-encoding` of the response is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoding {
    /// Undo gzip, deflate and br; `content-encoding` and `content-length` are taken off the head.
    Automatic,
    /// Hand the bytes on as they came.
    Manual,
}

#[derive(Debug)]
pub struct OutboundRequest {
    pub method: Method,
    /// Absolute, `http` or `https`.
    pub url: Uri,
    pub headers: HeaderMap,
    pub body: Body,
    pub redirect: Redirect,
    /// Exchanges this call may still make, the first one included (each redirect is a subrequest of its own).
    pub max_hops: u32,
    pub decoding: Decoding,
    /// The `cdn-loop` header, which the worker has no say in.
    pub cdn_loop: Option<HeaderValue>,
}

#[derive(Debug)]
pub struct OutboundResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
    /// The URL of the last exchange.
    pub url: Uri,
    /// Exchanges made: 1 without a redirect.
    pub hops: u32,
    /// The connection, once it has switched to the WebSocket protocol (status 101). A request asks for that by `upgrade: websocket`.
    pub upgraded: Option<Wire>,
}

/// A connection whose bytes belong to whoever holds it.
pub struct Wire(Pin<Box<dyn Stream>>);

trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// Why there is no response. Each text is what JavaScript sees in its `TypeError`.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    #[error("fetch failed: the URL is not valid")]
    InvalidUrl,
    #[error("fetch failed: unknown protocol {0}; http and https are supported")]
    UnknownProtocol(String),
    /// One text for every reason, so that a worker cannot map the network behind the host.
    #[error("fetch failed: destination not allowed")]
    DestinationNotAllowed,
    #[error("fetch failed: could not resolve the host")]
    Resolve,
    #[error("fetch failed: could not connect")]
    Connect,
    #[error("fetch failed: TLS handshake failed")]
    Tls,
    #[error("fetch failed: no response within the time limit")]
    HeadTimeout,
    #[error("fetch failed: the headers of the response are too large")]
    HeadTooLarge,
    #[error("fetch failed: the connection was lost")]
    ConnectionLost,
    #[error("fetch failed: the server answered the WebSocket handshake with something else")]
    Handshake,
    #[error("fetch failed: unexpected redirect")]
    UnexpectedRedirect,
    #[error("Too many redirects.")]
    TooManyRedirects,
    #[error("Too many subrequests.")]
    TooManySubrequests,
    #[error(
        "A request with a one-time-use body (it was initialized from a stream, not a buffer) encountered a redirect requiring the body to be retransmitted. To avoid this error in the future, construct this request from a buffer-like body initializer."
    )]
    BodyNotRepeatable,
    #[error("fetch failed: invalid request: {0}")]
    InvalidRequest(String),
}

// === impl Wire ===

impl Wire {
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}
