//! What `connect()` and `node:net` need from the world: a connection to a host and a port, and TLS over one that is there.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use crate::fetch::outbound::Wire;

/// A future that the front runtime drives. Dropping it gives the connection up.
pub type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, ConnectError>> + Send + 'static>>;

/// The world's side of `connect()`.
pub trait Tcp: Send + Sync + 'static {
    fn connect(&self, host: String, port: u16, security: Security) -> Connecting<Connected>;

    /// Speaks TLS over `wire`, as a client.
    fn start_tls(&self, wire: Wire, client: TlsClient) -> Connecting<Secured>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Plain,
    Tls,
}

#[derive(Debug)]
pub struct Connected {
    pub wire: Wire,
    pub remote: SocketAddr,
    pub local: SocketAddr,
}

/// What a client says and expects in a handshake.
#[derive(Clone, Debug, Default)]
pub struct TlsClient {
    /// Whose certificate it has to be: a name or an address.
    pub name: String,
    /// Protocols to offer, the preferred one first.
    pub alpn: Vec<Vec<u8>>,
    /// Certificates (PEM) trusted in place of the server's.
    pub roots: Option<String>,
}

/// A connection that speaks TLS, and what was agreed on.
#[derive(Debug)]
pub struct Secured {
    pub wire: Wire,
    pub alpn: Option<Vec<u8>>,
    /// As Node.js writes it: `TLSv1.3`.
    pub version: &'static str,
    /// The name that IANA has for it: `TLS_AES_128_GCM_SHA256`.
    pub cipher: String,
    /// The server's (DER).
    pub certificate: Vec<u8>,
}

/// Why there is no connection. Each text is what JavaScript sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// One text for every reason, so that a worker cannot map the network behind the host.
    #[error("connect failed: destination not allowed")]
    DestinationNotAllowed,
    #[error("connect failed: could not resolve the host")]
    Resolve,
    #[error("connect failed: could not connect")]
    Connect,
    #[error("connect failed: TLS handshake failed")]
    Tls,
    #[error("connect failed: the server's certificate is not trusted, or not for this name")]
    Certificate,
    #[error("connect failed: no certificates could be read from what is to be trusted; give them as PEM")]
    Roots,
    #[error("connect failed: the protocols to offer are not a list of names, or too many")]
    Protocols,
    #[error("connect failed: port 25 is closed to workers; the port for submission is 587 or 465")]
    Mail,
}
