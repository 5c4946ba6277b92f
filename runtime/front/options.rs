//! What an operator may set about the door, as plain data with the defaults of production. The command line maps its
//! config into these.

use std::time::Duration;

/// All settings of a front; they hold for each of its listeners.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub limits: Limits,
    pub timeouts: Timeouts,
    pub connections: ConnectionLimits,
    pub error_detail: ErrorDetail,
    pub client_headers: ClientHeaders,
    pub coalescing: Coalescing,
    pub cpu_header: CpuHeader,
}

/// Sizes of what a client may send.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of path and query; more is answered with 414.
    pub url_bytes: usize,
    /// Bytes of all header names and values together; more is answered with 431.
    pub header_bytes: usize,
    /// Bytes of one header's name and value; more is answered with 431.
    pub one_header_bytes: usize,
    /// Header fields, where the crumbs of a cookie count as one; more is answered with 431.
    pub header_count: usize,
    /// Bytes of a request body; more is answered with 413.
    pub body_bytes: u64,
    /// A body whose announced length is at most this many bytes is collected before the dispatch.
    pub buffered_body_bytes: u64,
    /// Streams open at once in an HTTP/2 connection.
    pub streams: u32,
    /// Bytes of all headers of a worker's answer; more is an exception of the worker.
    pub answer_header_bytes: usize,
}

/// How long the door waits for a client.
#[derive(Clone, Debug)]
pub struct Timeouts {
    pub tls_handshake: Duration,
    /// From the connection (or its handshake) to the first byte of the first request.
    pub first_byte: Duration,
    /// From the first byte of a request to the end of its headers.
    pub headers: Duration,
    /// Between the end of an answer and the next request.
    pub keep_alive: Duration,
    /// For a collected body as a whole, and between two pieces of a streamed one. Passed: 408.
    pub body: Duration,
    /// A client that takes no byte of an answer for this long is dropped.
    pub write: Duration,
}

/// How many connections are held; those beyond are closed at once.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    pub total: usize,
    /// From one address (one /64 network for IPv6).
    pub per_address: usize,
}

/// What an error page tells beside its code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorDetail {
    /// The code and the request's id: what a stranger may know.
    #[default]
    Code,
    /// Message and stack too: for the author of the worker, at the author's own machine.
    Full,
}

/// What is done with headers that speak for the client's address (`x-forwarded-for` and its like).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientHeaders {
    /// What the client sent is dropped, and the address of its socket put in place.
    #[default]
    Replace,
    /// They are passed on: for a front behind a proxy that sets them.
    Trust,
}

/// Whether a TLS connection may carry requests for a host that is not the one it was opened for. Refused: 421, at which
/// browsers open a connection of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coalescing {
    /// If the certificate of the connection covers the host.
    #[default]
    SameCertificate,
    /// Never.
    Never,
}

/// Whether answers of workers tell what they cost (`x-holm-cpu-us`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CpuHeader {
    #[default]
    Absent,
    /// The CPU time of the invocation up to the head of its answer, in microseconds.
    Told,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            url_bytes: 16 << 10,
            header_bytes: 32 << 10,
            one_header_bytes: 16 << 10,
            header_count: 100,
            body_bytes: 100 << 20,
            buffered_body_bytes: 64 << 10,
            streams: 100,
            answer_header_bytes: 128 << 10,
        }
    }
}

// === impl Timeouts ===

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tls_handshake: Duration::from_secs(5),
            first_byte: Duration::from_secs(10),
            headers: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
        }
    }
}

// === impl ConnectionLimits ===

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { total: 16_384, per_address: 1_024 }
    }
}
