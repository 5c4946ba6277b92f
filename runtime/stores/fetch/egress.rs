//! Which hosts, addresses and ports a worker may reach. Asked by `connect` for every socket before it is made.
//!
//! What is connected is decided on addresses: what a name means is known only once it is resolved. Names count beside them,
//! where an operator has listed some.

mod own;
pub mod public;

use std::net::IpAddr;
use std::net::SocketAddr;

pub use holm_config::egress::Destinations;
pub use holm_config::egress::Egress;
pub use holm_config::egress::WorkerEgress;
use holm_config::egress::is_bad_port;

pub use self::own::OwnListeners;
use self::public::embedded;
pub use self::public::is_public;

/// Decides on each host, address and port that a worker's connection would go to.
///
/// A connection is made if all of these hold: no deny list has the host or the address; the port may be spoken to; and the
/// address is within reach (or within a network on the worker's `allow` list). Where there is an `allow` list, being within
/// reach counts only for hosts that it names.
#[derive(Clone, Debug, Default)]
pub struct EgressPolicy {
    pub egress: Egress,
    /// Refused to every worker although `egress` has it.
    pub denied: Destinations,
    pub worker: WorkerEgress,
    /// Where this server listens itself.
    pub own: OwnListeners,
}

/// How a host may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// At every address within reach.
    WithinReach,
    /// Only at addresses of the networks that the worker's `allow` list names.
    ListedNetworks,
}

/// Ports of databases, refused on the public internet: MySQL, PostgreSQL, Redis, Elasticsearch, memcached.
const DATABASE_PORTS: [u16; 5] = [3306, 5432, 6379, 9200, 11211];

// === impl EgressPolicy ===

impl EgressPolicy {
    #[must_use]
    pub fn new(egress: Egress) -> Self {
        Self { egress, ..Self::default() }
    }

    /// How `host`, a name or an address as a URL has it, may be reached; `None`: not at all.
    pub(super) fn way(&self, host: &str) -> Option<Way> {
        if self.denied.has_name(host) || self.worker.deny.has_name(host) {
            return None;
        }
        match &self.worker.allow {
            Some(allow) if !allow.has_name(host) => Some(Way::ListedNetworks),
            _ => Some(Way::WithinReach),
        }
    }

    /// Whether a connection to `address` may be made on this way.
    pub(super) fn permits(&self, way: Way, address: SocketAddr) -> bool {
        let port = address.port();
        let address = address.ip().to_canonical();
        // Connecting to "no address" reaches this machine, whatever it is called.
        if address.is_unspecified() || self.own.is_private(SocketAddr::new(address, port)) {
            return false;
        }
        let denied = |address| self.denied.has_address(address) || self.worker.deny.has_address(address);
        if denied(address) || embedded(address).is_some_and(|inner| denied(IpAddr::V4(inner))) {
            return false;
        }
        let listed = self.worker.allow.as_ref().is_some_and(|allow| allow.has_address(address));
        listed || (way == Way::WithinReach && self.is_within_reach(address))
    }

    fn is_within_reach(&self, address: IpAddr) -> bool {
        match self.egress {
            // An address that the internet reaches this machine at is still this machine.
            Egress::Public => is_public(address) && !self.own.has(embedded(address).map_or(address, IpAddr::V4)),
            Egress::PublicAndLoopback => address.is_loopback() || is_public(address),
            Egress::Any => true,
        }
    }

    /// Whether HTTP may be spoken to `port`.
    #[must_use]
    pub fn permits_port(&self, port: u16) -> bool {
        if is_bad_port(port) {
            return false;
        }
        match &self.worker.ports {
            Some(ports) => ports.contains(&port),
            None => self.egress != Egress::Public || !DATABASE_PORTS.contains(&port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(policy: &EgressPolicy, host: &str, address: &str) -> bool {
        policy.way(host).is_some_and(|way| policy.permits(way, SocketAddr::new(address.parse().unwrap(), 443)))
    }

    fn list(entries: &[&str]) -> Destinations {
        entries.iter().map(|entry| entry.parse().unwrap()).collect()
    }

    #[test]
    fn loopback_is_opened_without_the_private_network() {
        let policy = EgressPolicy::new(Egress::PublicAndLoopback);
        for address in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "8.8.8.8"] {
            assert!(permits(&policy, "host.example", address), "{address}");
        }
        for address in ["10.0.0.1", "169.254.169.254", "fe80::1", "64:ff9b::7f00:1", "0.0.0.0", "::"] {
            assert!(!permits(&policy, "host.example", address), "{address}");
        }
    }

    #[test]
    fn a_denied_address_is_refused_in_every_spelling() {
        let policy = EgressPolicy { denied: list(&["8.8.8.0/24", "2001:db8::/32"]), ..EgressPolicy::new(Egress::Any) };
        for address in ["8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "::8.8.8.8", "2001:db8::1"]
        {
            assert!(!permits(&policy, "host.example", address), "{address}");
        }
        assert!(permits(&policy, "host.example", "10.0.0.1"));
        assert!(!permits(&policy, "host.example", "0.0.0.0"));
        assert!(!permits(&policy, "host.example", "::"));
    }

    #[test]
    fn an_allow_list_is_all_that_a_worker_reaches() {
        let worker = WorkerEgress {
            allow: Some(list(&["api.example.com", "*.example.org", "10.1.2.0/24"])),
            deny: list(&["bad.example.org", "10.1.2.9"]),
            ports: None,
        };
        let policy = EgressPolicy { worker, ..EgressPolicy::default() };
        for (host, address, expected) in [
            ("api.example.com", "8.8.8.8", true),
            ("API.example.com.", "8.8.8.8", true),
            ("a.example.org", "8.8.8.8", true),
            // A name is reached within reach only: who owns it does not choose an address behind the host.
            ("api.example.com", "127.0.0.1", false),
            ("api.example.com", "10.9.9.9", false),
            // A network is open whatever the reach, by name or by address.
            ("10.1.2.3", "10.1.2.3", true),
            ("anything.example", "10.1.2.3", true),
            ("anything.example", "::ffff:10.1.2.3", true),
            ("anything.example", "8.8.8.8", false),
            ("8.8.8.8", "8.8.8.8", false),
            // What is denied is denied.
            ("bad.example.org", "8.8.8.8", false),
            ("BAD.example.org.", "8.8.8.8", false),
            ("10.1.2.9", "10.1.2.9", false),
            ("api.example.com", "10.1.2.9", false),
        ] {
            assert_eq!(permits(&policy, host, address), expected, "{host} {address}");
        }
        let nothing = WorkerEgress { allow: Some(Destinations::default()), ..WorkerEgress::default() };
        let policy = EgressPolicy { worker: nothing, ..EgressPolicy::new(Egress::Any) };
        assert!(!permits(&policy, "host.example", "8.8.8.8"));
    }

    #[test]
    fn the_servers_deny_list_wins_over_a_workers_allow_list() {
        let worker = WorkerEgress { allow: Some(list(&["a.example", "10.0.0.0/8"])), ..WorkerEgress::default() };
        let policy = EgressPolicy { worker, denied: list(&["*.example", "10.1.0.0/16"]), ..EgressPolicy::default() };
        assert!(!permits(&policy, "a.example", "8.8.8.8"));
        assert!(!permits(&policy, "x", "10.1.0.1"));
        assert!(permits(&policy, "x", "10.2.0.1"));
    }

    #[test]
    fn ports_of_other_protocols_are_refused() {
        let public = EgressPolicy::new(Egress::Public);
        for port in [22, 25, 53, 110, 3306, 5432, 6379, 9200, 11211] {
            assert!(!public.permits_port(port), "{port}");
        }
        for port in [80, 443, 3000, 8080, 8443] {
            assert!(public.permits_port(port), "{port}");
        }
        let local = EgressPolicy::new(Egress::PublicAndLoopback);
        assert!(local.permits_port(9200));
        assert!(!local.permits_port(25));
        let listed = WorkerEgress { ports: Some(vec![443, 9200, 25]), ..WorkerEgress::default() };
        let listed = EgressPolicy { worker: listed, ..EgressPolicy::default() };
        assert!(listed.permits_port(443) && listed.permits_port(9200));
        assert!(!listed.permits_port(80) && !listed.permits_port(25));
    }
}
