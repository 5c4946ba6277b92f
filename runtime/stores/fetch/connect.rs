//! Every new connection: name lookup, egress policy, TCP, TLS. Called by the pool when it has no connection to spare.
//!
//! Invariant: names and IP literals pass the same policy, and what is connected to is an address that passed it, from the
//! same lookup; a name that means something else a moment later changes nothing.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use holm_config::egress::ends_in_a_number;
use http::Uri;
use http::uri::Scheme;
use hyper::rt::Read;
use hyper::rt::ReadBufCursor;
use hyper::rt::Write;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::Connected;
use hyper_util::client::legacy::connect::Connection;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::EgressPolicy;
use super::OutboundOptions;
use super::egress::Way;
use super::resolve::Resolve;

/// Addresses tried for one name. A name with thousands of them would make one call a scan.
const ADDRESSES_PER_NAME: usize = 16;
/// The port of a connection that nobody has named.
const HTTPS: u16 = 443;
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Why there is no connection. It says which step failed and nothing about the network behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConnectFailure {
    #[error("destination not allowed")]
    Denied,
    #[error("name not resolved")]
    Resolve,
    #[error("not connected")]
    Connect,
    #[error("TLS handshake failed")]
    Tls,
}

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, ConnectFailure>> + Send>>;

/// The whole way to a connection, within one deadline.
#[derive(Clone)]
pub(super) struct Connector {
    https: HttpsConnector<VettedTcp>,
    gate: Arc<Gate>,
    deadline: Duration,
}

/// TCP to permitted addresses only.
#[derive(Clone)]
struct VettedTcp {
    gate: Arc<Gate>,
}

/// Name lookup, for one connection, that forgets addresses that are not permitted.
#[derive(Clone)]
struct VettedNames {
    gate: Arc<Gate>,
    way: Way,
    port: u16,
}

/// What is decided and counted for each new connection.
pub(super) struct Gate {
    connect_timeout: Duration,
    policy: EgressPolicy,
    resolver: Arc<dyn Resolve>,
    connections: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
}

/// A TCP stream that counts as one of the open connections until it is dropped.
pub(super) struct CountedStream {
    stream: TokioIo<TcpStream>,
    _slot: OwnedSemaphorePermit,
}

// === impl Connector ===

impl Connector {
    pub(super) fn new(tls: ClientConfig, options: &OutboundOptions) -> Self {
        let gate = Arc::new(Gate::new(options));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(VettedTcp { gate: Arc::clone(&gate) });
        Self { https, gate, deadline: options.connect_timeout }
    }

    pub(super) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// A connection to a host and a port, for whatever protocol.
    pub(super) async fn tcp(&self, host: &str, port: u16) -> Result<CountedStream, ConnectFailure> {
        let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let url = Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query("/").build();
        let url = url.map_err(|_| ConnectFailure::Resolve)?;
        let connecting = VettedTcp { gate: Arc::clone(&self.gate) }.call(url);
        tokio::time::timeout(self.deadline, connecting).await.unwrap_or(Err(ConnectFailure::Connect))
    }

    /// The same gate and bounds; servers are not offered HTTP/2.
    pub(super) fn http1_only(&self, tls: ClientConfig) -> Self {
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(VettedTcp { gate: Arc::clone(&self.gate) });
        Self { https, gate: Arc::clone(&self.gate), deadline: self.deadline }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<CountedStream>;
    type Error = ConnectFailure;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.deadline, self.https.call(url));
        Box::pin(async move {
            match connecting.await {
                Ok(Ok(stream)) => Ok(stream),
                // Failures before TLS are `VettedTcp`'s own; anything else is said by TLS.
                Ok(Err(error)) => Err(error.downcast_ref().copied().unwrap_or(ConnectFailure::Tls)),
                Err(_) => Err(ConnectFailure::Connect),
            }
        })
    }
}

// === impl VettedTcp ===

impl VettedTcp {
    fn connector(&self, names: VettedNames) -> HttpConnector<VettedNames> {
        let mut tcp = HttpConnector::new_with_resolver(names);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEP_ALIVE));
        tcp.set_connect_timeout(Some(self.gate.connect_timeout));
        tcp
    }
}

impl Service<Uri> for VettedTcp {
    type Response = CountedStream;
    type Error = ConnectFailure;
    type Future = Connecting<CountedStream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let port = port_of(&url);
        let Some(way) = self.gate.way_to(&url, port) else {
            return Box::pin(std::future::ready(Err(ConnectFailure::Denied)));
        };
        let gate = self.gate.clone();
        let mut tcp = self.connector(VettedNames { gate: gate.clone(), way, port });
        Box::pin(async move {
            let slot = gate.connections.clone().acquire_owned().await.map_err(|_| ConnectFailure::Connect)?;
            let stream = tcp.call(url).await.map_err(|error| step_of(&error))?;
            // What the socket says it is connected to has the last word.
            match stream.inner().peer_addr() {
                Ok(peer) if gate.policy.permits(way, peer) => Ok(CountedStream { stream, _slot: slot }),
                Ok(_) => Err(ConnectFailure::Denied),
                Err(_) => Err(ConnectFailure::Connect),
            }
        })
    }
}

/// The step that a failed TCP connection failed in: `VettedNames` names its own, the rest is TCP.
fn step_of(error: &(dyn std::error::Error + 'static)) -> ConnectFailure {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref().copied())
        .unwrap_or(ConnectFailure::Connect)
}

// === impl VettedNames ===

impl Service<Name> for VettedNames {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ConnectFailure;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { gate, way, port } = self.clone();
        Box::pin(async move {
            // Another way to write an address (`127.1`, `0x7f.1`), which the URL class would have read.
            if ends_in_a_number(name.as_str()) {
                return Err(ConnectFailure::Denied);
            }
            let found = gate.lookup(name.as_str()).await?;
            Ok(gate.permitted(found, way, port)?.into_iter())
        })
    }
}

// === impl Gate ===

impl Gate {
    pub(super) fn new(options: &OutboundOptions) -> Self {
        Self {
            connect_timeout: options.connect_timeout,
            policy: options.policy.clone(),
            resolver: Arc::clone(&options.resolver),
            connections: Arc::new(Semaphore::new(options.connections.min(Semaphore::MAX_PERMITS))),
            lookups: Arc::new(Semaphore::new(options.lookups.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// The addresses of a name, of those that a connection would be made to: others say what the network behind the host is.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, ConnectFailure> {
        if ends_in_a_number(name) {
            return Err(ConnectFailure::Denied);
        }
        let way = self.policy.way(name).ok_or(ConnectFailure::Denied)?;
        let found = tokio::time::timeout(self.connect_timeout, self.lookup(name));
        let found = found.await.map_err(|_| ConnectFailure::Resolve)??;
        let permitted = self.permitted(found, way, HTTPS)?;
        Ok(permitted.into_iter().map(|address| address.ip()).collect())
    }

    fn permitted(&self, found: Vec<IpAddr>, way: Way, port: u16) -> Result<Vec<SocketAddr>, ConnectFailure> {
        if found.is_empty() {
            return Err(ConnectFailure::Resolve);
        }
        let permitted: Vec<_> = found
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .filter(|address| self.policy.permits(way, *address))
            .take(ADDRESSES_PER_NAME)
            .collect();
        if permitted.is_empty() { Err(ConnectFailure::Denied) } else { Ok(permitted) }
    }

    /// Decides on the host and the port, and on the address where the host is one: `HttpConnector` does not look those up.
    fn way_to(&self, url: &Uri, port: u16) -> Option<Way> {
        let host = url.host().unwrap_or_default();
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let way = self.policy.way(host)?;
        let address_permitted = match literal.parse::<IpAddr>() {
            Ok(address) => self.policy.permits(way, SocketAddr::new(address, port)),
            Err(_) => true,
        };
        (address_permitted && self.policy.permits_port(port)).then_some(way)
    }

    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, ConnectFailure> {
        // No server is asked about these (RFC 6761 §6.3).
        if is_localhost(name) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let _permit = self.lookups.acquire().await.map_err(|_| ConnectFailure::Resolve)?;
        self.resolver.resolve(name).await.map_err(|_| ConnectFailure::Resolve)
    }
}

fn port_of(url: &Uri) -> u16 {
    url.port_u16().unwrap_or(if url.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 })
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
}

// === impl CountedStream ===

impl CountedStream {
    /// Of the other side, and of this one.
    pub(super) fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        let stream = self.stream.inner();
        Ok((stream.peer_addr()?, stream.local_addr()?))
    }
}

impl Connection for CountedStream {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl Read for CountedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<(), io::Error>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, io::Error>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<Result<usize, io::Error>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
