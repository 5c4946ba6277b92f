//! Listeners: the accept loop, how many connections it lets in, and the way from a socket to a served connection.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::Entry;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;

use crate::certificates::CertStore;
use crate::connection;
use crate::connection::Connection;
use crate::connection::Service;
use crate::door::Door;
use crate::options::ConnectionLimits;
use crate::options::Options;
use crate::shutdown::ShutdownSignal;
use crate::socket::Socket;
use crate::tls;
use crate::workers::Workers;

/// How long the loop rests when the process is out of descriptors, where trying at once would spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// The HTTP and TLS door to `W`. One front has any number of listeners; its connection limits hold for all of them together.
pub struct Front<W> {
    door: Arc<Door<W>>,
    options: Arc<Options>,
    gate: Arc<Gate>,
}

/// What is spoken on a listener below HTTP.
#[derive(Clone, Debug)]
pub enum Transport {
    Plain,
    Tls(Arc<CertStore>),
}

// === impl Front ===

impl<W: Workers> Front<W> {
    pub fn new(workers: W, options: Options) -> Self {
        let gate = Arc::new(Gate::new(&options.connections));
        let options = Arc::new(options);
        Self { door: Arc::new(Door::new(workers, Arc::clone(&options))), options, gate }
    }

    /// Serves `listener` until the drain, and returns when its last connection has ended (or was dropped at the drain's
    /// end). Fails only at the start, if TLS cannot be set up.
    pub async fn serve(
        &self,
        listener: TcpListener,
        transport: Transport,
        signal: ShutdownSignal,
    ) -> Result<(), rustls::Error> {
        let tls = match transport {
            Transport::Plain => None,
            Transport::Tls(certificates) => {
                Some(TlsSetup { config: tls::server_config(Arc::clone(&certificates))?, certificates })
            }
        };
        let entrance = Entrance {
            service: Arc::clone(&self.door),
            tls,
            protocol: connection::protocol(&self.options),
            options: Arc::clone(&self.options),
        };
        accept(listener, entrance, Arc::clone(&self.gate), signal).await;
        Ok(())
    }
}

/// Serves `service` in plain HTTP: the admin listener.
pub(crate) async fn serve_plain<S: Service>(
    listener: TcpListener,
    service: S,
    options: Options,
    signal: ShutdownSignal,
) {
    let gate = Arc::new(Gate::new(&options.connections));
    let entrance =
        Entrance { service, tls: None, protocol: connection::protocol(&options), options: Arc::new(options) };
    accept(listener, entrance, gate, signal).await;
}

/// What all connections of one listener share.
struct Entrance<S> {
    service: S,
    tls: Option<TlsSetup>,
    protocol: auto::Builder<TokioExecutor>,
    options: Arc<Options>,
}

struct TlsSetup {
    config: Arc<ServerConfig>,
    certificates: Arc<CertStore>,
}

async fn accept<S: Service>(listener: TcpListener, entrance: Entrance<S>, gate: Arc<Gate>, mut signal: ShutdownSignal) {
    let entrance = Arc::new(entrance);
    // Every connection holds a sender; the channel closes when the last one has ended.
    let (alive, mut all_ended) = mpsc::channel::<Infallible>(1);
    while signal.until().is_none() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = signal.changed() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                rest_after(&error).await;
                continue;
            }
        };
        let Some(pass) = gate.admit(peer.ip()) else {
            tracing::debug!(%peer, "too many connections");
            continue;
        };
        let (entrance, signal, alive) = (Arc::clone(&entrance), signal.clone(), alive.clone());
        tokio::spawn(async move {
            entrance.welcome(stream, peer, signal).await;
            drop((pass, alive));
        });
    }
    drop((listener, alive));
    all_ended.recv().await;
}

/// A connection that broke before it was accepted is its client's matter; anything else may last.
async fn rest_after(error: &io::Error) {
    use io::ErrorKind::ConnectionAborted;
    use io::ErrorKind::ConnectionRefused;
    use io::ErrorKind::ConnectionReset;
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "cannot accept connections; trying again");
        tokio::time::sleep(ACCEPT_BACKOFF).await;
    }
}

// === impl Entrance ===

impl<S: Service> Entrance<S> {
    async fn welcome(&self, stream: TcpStream, peer: SocketAddr, signal: ShutdownSignal) {
        // Answers leave at once; a peer that is gone already shows at the first read.
        let _ = stream.set_nodelay(true);
        let options = &*self.options;
        let connection = Arc::new(Connection::new(peer));
        let socket = Socket::new(stream, Arc::clone(&connection), options.timeouts.write);
        let Some(setup) = &self.tls else {
            connection::serve(socket, connection, &self.protocol, self.service.clone(), options, signal).await;
            return;
        };
        let handshake = tls::accept(Arc::clone(&setup.config), &setup.certificates, socket);
        let (stream, session) = match tokio::time::timeout(options.timeouts.tls_handshake, handshake).await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "TLS handshake failed");
                return;
            }
            Err(_) => {
                tracing::debug!(%peer, "TLS handshake timed out");
                return;
            }
        };
        connection.forget_received();
        if connection.tls.set(session).is_ok() {
            connection::serve(stream, connection, &self.protocol, self.service.clone(), options, signal).await;
        }
    }
}

/// Counts connections, in all and by address.
struct Gate {
    total: Arc<Semaphore>,
    per_address: usize,
    /// Many threads accept and close at once, mostly for different clients.
    by_address: DashMap<IpAddr, usize>,
}

/// A connection's place; given back when dropped.
struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
    _total: OwnedSemaphorePermit,
}

// === impl Gate ===

impl Gate {
    fn new(limits: &ConnectionLimits) -> Self {
        Self {
            total: Arc::new(Semaphore::new(limits.total.min(Semaphore::MAX_PERMITS))),
            per_address: limits.per_address,
            by_address: DashMap::new(),
        }
    }

    fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Pass> {
        let total = Arc::clone(&self.total).try_acquire_owned().ok()?;
        let address = network_of(address);
        let mut count = self.by_address.entry(address).or_insert(0);
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        drop(count);
        Some(Pass { gate: Arc::clone(self), address, _total: total })
    }
}

// === impl Pass ===

impl Drop for Pass {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.gate.by_address.entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What one client has: an IPv4 address, or the /64 network that an IPv6 subscriber is given.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_the_whole_a_bound() {
        let gate = Arc::new(Gate::new(&ConnectionLimits { total: 3, per_address: 2 }));
        let first = gate.admit(address("192.0.2.1")).unwrap();
        let _second = gate.admit(address("::ffff:192.0.2.1")).unwrap();
        assert!(gate.admit(address("192.0.2.1")).is_none());
        let _third = gate.admit(address("2001:db8::1")).unwrap();
        assert!(gate.admit(address("192.0.2.2")).is_none());
        drop(first);
        assert!(gate.admit(address("192.0.2.1")).is_some());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let gate = Arc::new(Gate::new(&ConnectionLimits { total: 9, per_address: 1 }));
        let _first = gate.admit(address("2001:db8::1")).unwrap();
        assert!(gate.admit(address("2001:db8::ffff:2")).is_none());
        assert!(gate.admit(address("2001:db8:0:1::1")).is_some());
    }
}
