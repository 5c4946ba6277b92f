//! What `connect()` needs from the world: a connection to a host and a port, and TLS over one that is there.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use crate::fetch::outbound::Wire;

/// A future that the front runtime drives. Dropping it gives the connection up.
pub type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, ConnectError>> + Send + 'static>>;

/// The world's side of `connect()`.
pub trait Tcp: Send + Sync + 'static {
    fn connect(&self, host: String, port: u16, security: Security) -> Connecting<Connected>;

    /// Speaks TLS over `wire`, as a client of `name`.
    fn start_tls(&self, wire: Wire, name: String) -> Connecting<Wire>;
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
}
