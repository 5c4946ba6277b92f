//! Listeners: the accept loop, how many connections it lets in, and the way from a socket to a served connection.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::Entry;
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::certificates::CertStore;
use crate::connection;
use crate::connection::Connection;
use crate::connection::Service;
use crate::counters::Bound;
use crate::counters::Counters;
use crate::counters::Pause;
use crate::door::Door;
use crate::options::ConnectionLimits;
use crate::options::Options;
use crate::shutdown::ShutdownSignal;
use crate::socket::Socket;
use crate::streams::Streams;
use crate::tls;
use crate::workers::Workers;

/// Connections that the system may have taken for a listener that stops accepting.
const BACKLOG: usize = 1_024;

/// How long the loop rests when the process is out of descriptors, where trying at once would spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// How long nothing more is said about it.
const ACCEPT_SILENCE: Duration = Duration::from_secs(10);

/// The HTTP and TLS door to `W`. One front has any number of listeners; its connection limits hold for all of them together.
pub struct Front<W> {
    door: Arc<Door<W>>,
    options: Arc<Options>,
    gate: Arc<Gate>,
    counters: Arc<Counters>,
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
        let counters = Counters::new();
        let gate = Arc::new(Gate::new(&options.connections, Arc::clone(&counters)));
        let options = Arc::new(options);
        let door = Arc::new(Door::new(workers, Arc::clone(&options), Arc::clone(&counters)));
        Self { door, options, gate, counters }
    }

    /// What the door counts.
    #[must_use]
    pub const fn counters(&self) -> &Arc<Counters> {
        &self.counters
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
            protocol: connection::protocol(&self.options, &self.counters),
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
    let counters = Counters::new();
    let gate = Arc::new(Gate::new(&options.connections, Arc::clone(&counters)));
    let protocol = connection::protocol(&options, &counters);
    let entrance = Entrance { service, tls: None, protocol, options: Arc::new(options) };
    accept(listener, entrance, gate, signal).await;
}

/// What all connections of one listener share.
struct Entrance<S> {
    service: S,
    tls: Option<TlsSetup>,
    protocol: auto::Builder<Streams>,
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
    let mut said: Option<Instant> = None;
    let mut waiting = BACKLOG;
    while let Some(accepted) = next(&listener, &mut signal, &mut waiting).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_client(&error) => continue,
            Err(error) => {
                // Trying at once would spin, and the next try would say the same.
                gate.counters.accept_failures.increment();
                if said.is_none_or(|said| said.elapsed() > ACCEPT_SILENCE) {
                    said = Some(Instant::now());
                    tracing::error!(%error, "cannot accept connections; trying again until it works");
                }
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        let pass = match gate.admit(peer.ip()) {
            Ok(pass) => pass,
            Err(bound) => {
                gate.counters.turned_away(bound);
                tracing::debug!(%peer, ?bound, "too many connections");
                continue;
            }
        };
        let (entrance, signal, alive) = (Arc::clone(&entrance), signal.clone(), alive.clone());
        tokio::spawn(async move {
            entrance.welcome(stream, peer, &pass.gate.counters, signal).await;
            drop((pass, alive));
        });
    }
    drop((listener, alive));
    all_ended.recv().await;
}

/// The next connection. Once the drain has begun, only those that the system has taken already: to their clients they look
/// accepted, and a close without an answer would look like a failed request.
async fn next(
    listener: &TcpListener,
    signal: &mut ShutdownSignal,
    waiting: &mut usize,
) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    if signal.until().is_none() {
        tokio::select! {
            accepted = listener.accept() => return Some(accepted),
            _ = signal.changed() => {}
        }
    }
    *waiting = waiting.checked_sub(1)?;
    match listener.poll_accept(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(accepted)) => Some(Ok(accepted)),
        Poll::Ready(Err(_)) | Poll::Pending => None,
    }
}

/// A connection that broke before it was accepted is its client's matter; anything else may last.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::ConnectionAborted;
    use io::ErrorKind::ConnectionRefused;
    use io::ErrorKind::ConnectionReset;
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

// === impl Entrance ===

impl<S: Service> Entrance<S> {
    async fn welcome(&self, stream: TcpStream, peer: SocketAddr, counters: &Arc<Counters>, signal: ShutdownSignal) {
        // Answers leave at once; a peer that is gone already shows at the first read.
        let _ = stream.set_nodelay(true);
        let options = &*self.options;
        let connection = Arc::new(Connection::new(peer, Arc::clone(counters)));
        let socket = Socket::new(stream, Arc::clone(&connection), options.timeouts.write);
        let Some(setup) = &self.tls else {
            connection::serve(socket, connection, &self.protocol, self.service.clone(), options, signal).await;
            return;
        };
        let handshake = tls::accept(Arc::clone(&setup.config), &setup.certificates, socket);
        let (stream, session) = match tokio::time::timeout(options.timeouts.tls_handshake, handshake).await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(error)) => {
                counters.tls_failures.increment();
                tracing::debug!(%peer, %error, "TLS handshake failed");
                return;
            }
            Err(_) => {
                counters.timed_out(Pause::TlsHandshake);
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
    counters: Arc<Counters>,
}

/// A connection's place; given back when dropped.
struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
    _total: OwnedSemaphorePermit,
}

// === impl Gate ===

impl Gate {
    fn new(limits: &ConnectionLimits, counters: Arc<Counters>) -> Self {
        Self {
            total: Arc::new(Semaphore::new(limits.total.min(Semaphore::MAX_PERMITS))),
            per_address: limits.per_address,
            by_address: DashMap::new(),
            counters,
        }
    }

    fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Pass, Bound> {
        let total = Arc::clone(&self.total).try_acquire_owned().map_err(|_| Bound::Total)?;
        let address = network_of(address);
        let mut count = self.by_address.entry(address).or_insert(0);
        if *count >= self.per_address {
            return Err(Bound::Address);
        }
        *count += 1;
        drop(count);
        self.counters.accepted.increment();
        self.counters.open.increment();
        Ok(Pass { gate: Arc::clone(self), address, _total: total })
    }
}

// === impl Pass ===

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.counters.open.decrement();
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
        let gate = Arc::new(Gate::new(&ConnectionLimits { total: 3, per_address: 2 }, Counters::new()));
        let first = gate.admit(address("192.0.2.1")).unwrap();
        let _second = gate.admit(address("::ffff:192.0.2.1")).unwrap();
        assert!(gate.admit(address("192.0.2.1")).is_err());
        let _third = gate.admit(address("2001:db8::1")).unwrap();
        assert!(gate.admit(address("192.0.2.2")).is_err());
        drop(first);
        assert!(gate.admit(address("192.0.2.1")).is_ok());
        assert_eq!(gate.counters.open.get(), 2);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let gate = Arc::new(Gate::new(&ConnectionLimits { total: 9, per_address: 1 }, Counters::new()));
        let _first = gate.admit(address("2001:db8::1")).unwrap();
        assert!(gate.admit(address("2001:db8::ffff:2")).is_err());
        assert!(gate.admit(address("2001:db8:0:1::1")).is_ok());
    }
}
