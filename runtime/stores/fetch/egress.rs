//! Which addresses a worker may reach. Asked by `connect` for every address before a socket is made to it.
//!
//! The decision is on addresses, never on names: what a name means is known only once it is resolved. IPv6 is a list of
//! what is allowed, so that a block assigned tomorrow is closed; IPv4, which is used up, is a list of what is not.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// The addresses within reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Egress {
    /// The public internet: what tenants get.
    #[default]
    Public,
    /// And this machine: for `dev`, where the other half of a project listens on localhost.
    PublicAndLoopback,
    /// Everything, the network behind the host included: for operators who run only their own workers.
    Any,
}

/// Decides on each address and port that a worker's connection would go to.
#[derive(Clone, Debug, Default)]
pub struct EgressPolicy {
    pub egress: Egress,
    /// Refused although `egress` has them: the public addresses of this host and of its neighbours.
    pub denied: Vec<IpAddr>,
}

/// Ports of other protocols that can be made to read an HTTP request as their own (WHATWG Fetch §2.9, "bad port").
const BAD_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Ports of databases, refused on the public internet: MySQL, PostgreSQL, Redis, Elasticsearch, memcached.
const DATABASE_PORTS: [u16; 5] = [3306, 5432, 6379, 9200, 11211];

// === impl EgressPolicy ===

impl EgressPolicy {
    #[must_use]
    pub fn new(egress: Egress) -> Self {
        Self { egress, denied: Vec::new() }
    }

    /// Whether a connection to `address` may be made.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if self.denied.iter().any(|denied| denied.to_canonical() == address) {
            return false;
        }
        match self.egress {
            Egress::Public => is_public(address),
            Egress::PublicAndLoopback => address.is_loopback() || is_public(address),
            Egress::Any => true,
        }
    }

    /// Whether HTTP may be spoken to `port`.
    #[must_use]
    pub fn permits_port(&self, port: u16) -> bool {
        let database = self.egress == Egress::Public && DATABASE_PORTS.contains(&port);
        !database && BAD_PORTS.binary_search(&port).is_err()
    }
}

/// Whether `address` is a unicast address of the public internet, and not a way to write one that is not.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The IANA special-purpose registry, and the one address of a cloud's metadata service that lies outside of it.
fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]              // this network, private, loopback
            | [100, 64..=127, ..]       // shared address space (carrier-grade NAT)
            | [168, 63, 129, 16]        // Azure's host agent
            | [169, 254, ..]            // link-local, metadata services
            | [172, 16..=31, ..]        // private
            | [192, 0, 0 | 2, _]        // protocol assignments, documentation
            | [192, 88, 99, _]          // relays of 6to4
            | [192, 168, ..]            // private
            | [198, 18 | 19, ..]        // benchmarks
            | [198, 51, 100, _]         // documentation
            | [203, 0, 113, _]          // documentation
            | [224..=255, ..] // multicast, reserved, broadcast
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // NAT64: as public as the IPv4 address it leads to.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0x2001, 0..=0x1ff, ..] => false, // protocol assignments: Teredo, ORCHID, benchmarks
        [0x2001, 0xdb8, ..] => false,     // documentation
        [0x2002, ..] => false,            // 6to4, which embeds any IPv4 address
        [0x3fff, 0..=0xfff, ..] => false, // documentation
        [0x2000..=0x3fff, ..] => true,    // global unicast
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_PUBLIC: [&str; 56] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:10.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ];

    const PUBLIC: [&str; 18] = [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.17",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.169.0.0",
        "198.17.255.255",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2001:200::1",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
    ];

    #[test]
    fn addresses_that_are_not_of_the_public_internet_are_told_apart() {
        for address in NOT_PUBLIC {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in PUBLIC {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn loopback_is_opened_without_the_private_network() {
        let policy = EgressPolicy::new(Egress::PublicAndLoopback);
        for address in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "8.8.8.8"] {
            assert!(policy.permits(address.parse().unwrap()), "{address}");
        }
        for address in ["10.0.0.1", "169.254.169.254", "fe80::1", "64:ff9b::7f00:1"] {
            assert!(!policy.permits(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_denied_address_is_refused_in_every_spelling() {
        let policy = EgressPolicy { egress: Egress::Any, denied: vec!["8.8.8.8".parse().unwrap()] };
        assert!(!policy.permits("8.8.8.8".parse().unwrap()));
        assert!(!policy.permits("::ffff:8.8.8.8".parse().unwrap()));
        assert!(policy.permits("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn ports_of_other_protocols_are_refused() {
        assert!(BAD_PORTS.is_sorted());
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
    }
}
