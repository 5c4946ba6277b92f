//! What belongs to this machine: its addresses, and where the server itself listens.
//!
//! The addresses of a machine change while it runs, so they are not listed but tried: a socket can be bound to an address
//! exactly if it is the machine's own. Where the system lets sockets be bound to any address, only the addresses that the
//! server was told to listen on are known.

use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::RwLock;

/// Where the server listens, shared by all of its workers' policies. Told once the listeners are bound.
#[derive(Clone, Debug, Default)]
pub struct OwnListeners {
    listeners: Arc<RwLock<Listeners>>,
}

#[derive(Debug, Default)]
struct Listeners {
    serving: Vec<SocketAddr>,
    private: Vec<SocketAddr>,
}

// === impl OwnListeners ===

impl OwnListeners {
    /// Says where workers are served, and which listeners are for the operator: those are out of every worker's reach.
    pub fn set(&self, serving: Vec<SocketAddr>, private: Vec<SocketAddr>) {
        let mut listeners = self.listeners.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *listeners = Listeners { serving, private };
    }

    /// Whether `address` is a listener of the operator's. `address` is canonical.
    pub(super) fn is_private(&self, address: SocketAddr) -> bool {
        let listeners = self.listeners.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let same = |private: &SocketAddr| {
            let everywhere = private.ip().is_unspecified() && (address.ip().is_loopback() || is_bindable(address.ip()));
            private.port() == address.port() && (private.ip().to_canonical() == address.ip() || everywhere)
        };
        listeners.private.iter().any(same)
    }

    /// Whether `address` is one of this machine's.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        let listeners = self.listeners.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        listeners.serving.iter().any(|listener| listener.ip().to_canonical() == address) || is_bindable(address)
    }
}

/// Whether binding tells anything: on some systems a socket can be bound to addresses of other machines too. These two are
/// reserved for documentation.
static BINDING_TELLS: LazyLock<[bool; 2]> = LazyLock::new(|| {
    let foreign: [IpAddr; 2] =
        [Ipv4Addr::new(192, 0, 2, 1).into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()];
    let tells = foreign.map(|address| !can_bind(address));
    if tells.contains(&false) {
        tracing::warn!(
            "sockets can be bound to foreign addresses here (ip_nonlocal_bind), so this machine's own public addresses are \
             not known; list them in `[server] egress = {{ deny = [...] }}`"
        );
    }
    tells
});

fn is_bindable(address: IpAddr) -> bool {
    let [v4, v6] = *BINDING_TELLS;
    (if address.is_ipv4() { v4 } else { v6 }) && can_bind(address)
}

/// Without a clear no (out of sockets, for one) the address is taken for the machine's own.
fn can_bind(address: IpAddr) -> bool {
    !matches!(UdpSocket::bind((address, 0)), Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_machine_is_told_from_a_foreign_one() {
        let own = OwnListeners::default();
        assert!(own.has(Ipv4Addr::LOCALHOST.into()));
        assert!(!own.has(Ipv4Addr::new(8, 8, 8, 8).into()));
        own.set(vec!["8.8.8.8:443".parse().unwrap()], Vec::new());
        assert!(own.has(Ipv4Addr::new(8, 8, 8, 8).into()));
    }

    #[test]
    fn a_listener_of_the_operator_is_that_address_and_port() {
        let own = OwnListeners::default();
        own.set(Vec::new(), vec!["127.0.0.1:9090".parse().unwrap(), "0.0.0.0:9091".parse().unwrap()]);
        for (address, expected) in [
            ("127.0.0.1:9090", true),
            ("127.0.0.1:9092", false),
            ("127.0.0.2:9090", false),
            ("127.0.0.2:9091", true),
            ("8.8.8.8:9091", false),
        ] {
            assert_eq!(own.is_private(address.parse().unwrap()), expected, "{address}");
        }
    }
}
