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
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use http::HeaderValue;
use http::Request;
use http::Response;
use http::Version;
use http::header;
use http_body::Body as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use crate::counters::Counters;
use crate::counters::Pause;
use crate::deadlines::Deadlines;
use crate::deadlines::Step;
use crate::options::Options;
use crate::reply::Reply;
use crate::shutdown::ShutdownSignal;
use crate::streams;
use crate::streams::Streams;
use crate::tls::TlsSession;
use crate::websocket::Switched;

/// What answers the requests of a connection: the door, or the admin router.
pub(crate) trait Service: Clone + Send + Sync + 'static {
    type Body: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    fn answer(
        &self,
        connection: &Arc<Connection>,
        request: Request<hyper::body::Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// What the requests of a connection share, and what its deadlines look at.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) counters: Arc<Counters>,
    /// Set once the handshake is done; empty for plain HTTP.
    pub(crate) tls: OnceLock<TlsSession>,
    /// The peer's address, ready to be put into headers.
    pub(crate) client_address: HeaderValue,
    begun: AtomicU32,
    in_flight: AtomicU32,
    received: AtomicBool,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    body_credit: AtomicU64,
    multiplexed: AtomicBool,
    uploads: AtomicBool,
    drains: AtomicBool,
    /// What it has switched to.
    switched: Mutex<Option<Switched>>,
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
    pub(crate) fn new(peer: SocketAddr, counters: Arc<Counters>) -> Self {
        let address = peer.ip().to_canonical().to_string();
        Self {
            peer,
            counters,
            tls: OnceLock::new(),
            client_address: HeaderValue::try_from(address).unwrap_or_else(|_| HeaderValue::from_static("")),
            begun: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            received: AtomicBool::new(false),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            body_credit: AtomicU64::new(0),
            multiplexed: AtomicBool::new(false),
            uploads: AtomicBool::new(false),
            drains: AtomicBool::new(false),
            switched: Mutex::new(None),
        }
    }

    /// Bytes have come from the client.
    pub(crate) fn note_received(&self, bytes: usize) {
        self.received.store(true, Ordering::Relaxed);
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn note_sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A piece of a request's body was read.
    pub(crate) fn note_body(&self, bytes: usize) {
        // Small pieces have the most around them: a frame's head, and a TLS record's.
        const AROUND: u64 = 64;
        if bytes > 0 {
            self.body_credit.fetch_add(bytes as u64 * 2 + AROUND, Ordering::Relaxed);
        }
    }

    /// HTTP/2 has frames that make work and are no part of a request: settings, pings, priorities, window updates, empty
    /// data. Whoever sends many more of them than requests, bodies and answers call for is only making work.
    pub(crate) fn is_flooding(&self) -> bool {
        const FREE: u64 = 1 << 20;
        const A_REQUEST: u64 = 64 << 10;
        // The least that a client acknowledges the data of answers with is far below this.
        const SENT_PER_BYTE: u64 = 8;
        if !self.is_multiplexed() {
            return false;
        }
        let received = self.received_bytes.load(Ordering::Relaxed);
        let bodies = self.body_credit.load(Ordering::Relaxed);
        let answers = self.sent_bytes.load(Ordering::Relaxed) / SENT_PER_BYTE;
        received > FREE + u64::from(self.begun()) * A_REQUEST + bodies + answers
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

    /// The client may still be sending the body of the last request: nobody has read it to its end. Of HTTP/1 only, where
    /// the end of the answer can be the end of the connection.
    pub(crate) fn uploads(&self) -> bool {
        self.uploads.load(Ordering::Relaxed)
    }

    /// The body of the request was read to its end.
    pub(crate) fn note_body_end(&self) {
        self.uploads.store(false, Ordering::Relaxed);
    }

    /// Its answer of status 101 is about to be written.
    pub(crate) fn switch(&self, switched: Switched) {
        *self.switched.lock() = Some(switched);
    }

    fn begin(self: &Arc<Self>, request: &Request<hyper::body::Incoming>) -> InFlight {
        if request.version() == Version::HTTP_2 {
            self.multiplexed.store(true, Ordering::Relaxed);
        } else {
            self.uploads.store(!request.body().is_end_stream(), Ordering::Relaxed);
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
pub(crate) fn protocol(options: &Options, counters: &Arc<Counters>) -> auto::Builder<Streams> {
    // hyper reads a head into one buffer, so this bounds it; the exact limits are the door's.
    const HEAD_BUFFER_BYTES: usize = 64 << 10;
    // hyper parses this many fields without an allocation.
    const FIELDS: usize = 100;
    // The rest are the defaults of hyper and h2 at the time of writing, said here so that an update does not change them.
    const WINDOW_BYTES: u32 = 1 << 20;
    const FRAME_BYTES: u32 = 16 << 10;
    const SEND_BUFFER_BYTES: usize = 64 << 10;
    const PENDING_RESETS: usize = 20;
    const ERROR_RESETS: usize = 1_024;
    let limits = &options.limits;
    let head_bytes = limits.header_bytes + limits.url_bytes;
    let mut builder = auto::Builder::new(Streams::new(options.timeouts.write, Arc::clone(counters)));
    builder
        .http1()
        .timer(TokioTimer::new())
        // It would cost a timer for each request and does not cover the first byte: see `Deadlines`.
        .header_read_timeout(None)
        .max_buf_size(head_bytes.max(HEAD_BUFFER_BYTES));
    if limits.header_count > FIELDS {
        builder.http1().max_headers(limits.header_count);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .adaptive_window(false)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(ERROR_RESETS)
        .keep_alive_interval(options.timeouts.write)
        .keep_alive_timeout(options.timeouts.write);
    builder
}

/// The client sent what is no HTTP, or more of it than fits. hyper answers that itself, with a status and nothing else.
fn is_no_http(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
}

const fn pause_of(waiting: Waiting) -> Option<Pause> {
    match waiting {
        Waiting::Opening => Some(Pause::FirstByte),
        Waiting::Head => Some(Pause::Head),
        Waiting::Idle => Some(Pause::Idle),
        Waiting::Busy => None,
    }
}

/// Serves HTTP until the client, a deadline or the drain ends it.
pub(crate) async fn serve<S: Service>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: Arc<Connection>,
    protocol: &auto::Builder<Streams>,
    service: S,
    options: &Options,
    mut signal: ShutdownSignal,
) {
    let shared = Arc::clone(&connection);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let service = service.clone();
        let in_flight = shared.begin(&request);
        async move {
            let mut response = streams::noted(service.answer(&in_flight.0, request)).await;
            if in_flight.0.drains.load(Ordering::Relaxed) && !in_flight.0.is_multiplexed() {
                // An answer that took no time is gone before the deadlines see that a request was there.
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| Reply::new(body, in_flight)))
        }
    });
    let mut http = pin!(protocol.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut deadlines = pin!(Deadlines::new(&options.timeouts));
    if let Some(until) = signal.until() {
        connection.drains.store(true, Ordering::Relaxed);
        deadlines.as_mut().drain(until);
    }
    loop {
        tokio::select! {
            biased;
            result = http.as_mut() => {
                if let Err(error) = result {
                    if is_no_http(&*error) {
                        connection.counters.broken.increment();
                    }
                    tracing::debug!(peer = %connection.peer, error, "connection failed");
                }
                break;
            }
            step = std::future::poll_fn(|cx| deadlines.as_mut().poll(cx, &connection)) => match step {
                Step::Finish => http.as_mut().graceful_shutdown(),
                Step::Close => {
                    let waiting = connection.waiting();
                    tracing::debug!(peer = %connection.peer, ?waiting, "connection timed out");
                    if let Some(pause) = pause_of(waiting) {
                        connection.counters.timed_out(pause);
                    }
                    return;
                }
            },
            until = signal.changed() => {
                connection.drains.store(true, Ordering::Relaxed);
                deadlines.as_mut().drain(until);
            }
        }
    }
    let switched = connection.switched.lock().take();
    if let Some(switched) = switched {
        switched.run(signal).await;
    }
}
