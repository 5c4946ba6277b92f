//! One connection: what its requests share, and the task that serves it to its end.
//!
//! Invariant: everything that can wait for the client has a deadline. Reading a head and being idle: [`Deadlines`]; the
//! socket that takes no bytes: [`crate::socket`]; a body: [`crate::upload`].

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use http::HeaderValue;
use http::Request;
use http::Response;
use http::Version;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use crate::deadlines::Deadlines;
use crate::deadlines::Step;
use crate::options::Options;
use crate::reply::Reply;
use crate::shutdown::ShutdownSignal;
use crate::tls::TlsSession;

/// What answers the requests of a connection: the door, or the admin router.
pub(crate) trait Service: Clone + Send + Sync + 'static {
    type Body: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    fn answer(
        &self,
        connection: &Connection,
        request: Request<hyper::body::Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// What the requests of a connection share, and what its deadlines look at.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    /// Set once the handshake is done; empty for plain HTTP.
    pub(crate) tls: OnceLock<TlsSession>,
    /// The peer's address, ready to be put into headers.
    pub(crate) client_address: HeaderValue,
    begun: AtomicU32,
    in_flight: AtomicU32,
    received: AtomicBool,
    multiplexed: AtomicBool,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The first byte of the first request.
    Opening,
    /// The rest of a request's head.
    Head,
    /// Nothing: requests are in flight.
    Busy,
    /// The next request.
    Idle,
}

/// A request's place among those in flight.
pub(crate) struct InFlight(Arc<Connection>);

// === impl Connection ===

impl Connection {
    pub(crate) fn new(peer: SocketAddr) -> Self {
        let address = peer.ip().to_canonical().to_string();
        Self {
            peer,
            tls: OnceLock::new(),
            client_address: HeaderValue::try_from(address).unwrap_or_else(|_| HeaderValue::from_static("")),
            begun: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            received: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
        }
    }

    /// Bytes have come from the client.
    pub(crate) fn note_received(&self) {
        self.received.store(true, Ordering::Relaxed);
    }

    /// What came so far was no request (the handshake).
    pub(crate) fn forget_received(&self) {
        self.received.store(false, Ordering::Relaxed);
    }

    pub(crate) fn waiting(&self) -> Waiting {
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            Waiting::Busy
        } else if self.received.load(Ordering::Relaxed) && !self.is_multiplexed() {
            Waiting::Head
        } else if self.begun() == 0 {
            Waiting::Opening
        } else {
            Waiting::Idle
        }
    }

    /// The number of requests so far, which tells one wait from the next.
    pub(crate) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Known from the first request on: HTTP/2, where bytes between requests (settings, pings) are no sign of a request.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Ordering::Relaxed)
    }

    fn begin(self: &Arc<Self>, version: Version) -> InFlight {
        if version == Version::HTTP_2 {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }
}

// === impl InFlight ===

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.forget_received();
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The HTTP settings of all connections of a listener.
pub(crate) fn protocol(options: &Options) -> auto::Builder<TokioExecutor> {
    // hyper reads a head into one buffer, so this bounds it; the exact limits are the door's.
    const HEAD_BUFFER_BYTES: usize = 64 << 10;
    let limits = &options.limits;
    let head_bytes = limits.header_bytes + limits.url_bytes;
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // It would cost a timer for each request and does not cover the first byte: see `Deadlines`.
        .header_read_timeout(None)
        .max_buf_size(head_bytes.max(HEAD_BUFFER_BYTES));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(options.timeouts.write)
        .keep_alive_timeout(options.timeouts.write);
    builder
}

/// Serves HTTP until the client, a deadline or the drain ends it.
pub(crate) async fn serve<S: Service>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: Arc<Connection>,
    protocol: &auto::Builder<TokioExecutor>,
    service: S,
    options: &Options,
    mut signal: ShutdownSignal,
) {
    let shared = Arc::clone(&connection);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let service = service.clone();
        let in_flight = shared.begin(request.version());
        async move {
            let response = service.answer(&in_flight.0, request).await;
            Ok::<_, Infallible>(response.map(|body| Reply::new(body, in_flight)))
        }
    });
    let mut http = pin!(protocol.serve_connection(TokioIo::new(stream), service));
    let mut deadlines = pin!(Deadlines::new(&options.timeouts));
    if let Some(until) = signal.until() {
        deadlines.as_mut().drain(until);
    }
    loop {
        tokio::select! {
            biased;
            result = http.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(peer = %connection.peer, error, "connection failed");
                }
                return;
            }
            step = std::future::poll_fn(|cx| deadlines.as_mut().poll(cx, &connection)) => match step {
                Step::Finish => http.as_mut().graceful_shutdown(),
                Step::Close => {
                    tracing::debug!(peer = %connection.peer, waiting = ?connection.waiting(), "connection timed out");
                    return;
                }
            },
            until = signal.changed() => deadlines.as_mut().drain(until),
        }
    }
}
