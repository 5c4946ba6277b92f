//! Which addresses are of the public internet.
//!
//! IPv6 is a list of what is, so that a block assigned tomorrow is closed; IPv4, which is used up, is a list of what is not.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

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
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => embedded(IpAddr::V6(address)).is_some_and(is_public_v4),
        [0x2001, 0..=0x1ff, ..] => false, // protocol assignments: Teredo, ORCHID, benchmarks
        [0x2001, 0xdb8, ..] => false,     // documentation
        [0x2002, ..] => false,            // 6to4, which embeds any IPv4 address
        [0x3fff, 0..=0xfff, ..] => false, // documentation
        [0x2000..=0x3fff, ..] => true,    // global unicast
        _ => false,
    }
}

/// The IPv4 address that a translator on the way would make of an IPv6 address: NAT64, 6to4, IPv4-compatible.
pub fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let (high, low) = match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Some(Ipv4Addr::new(a, b, c, d))
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
}
