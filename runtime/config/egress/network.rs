//! Blocks of IP addresses in CIDR form.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::DestinationError;

/// `10.1.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// IPv4 where it can be written so.
    address: IpAddr,
    prefix: u8,
}

// === impl Network ===

impl Network {
    /// Whether `text` is an IP address, perhaps in the brackets of a URL.
    pub(super) fn is_address(text: &str) -> bool {
        unbracketed(text).parse::<IpAddr>().is_ok()
    }

    /// Whether `address`, in whichever form it is written, is within.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let beyond = 32_u32.saturating_sub(u32::from(self.prefix));
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(beyond).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let beyond = 128_u32.saturating_sub(u32::from(self.prefix));
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(beyond).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The network that `address` is in.
    fn around(address: IpAddr, prefix: u8) -> Self {
        let address = match address {
            IpAddr::V4(address) => {
                let beyond = 32_u32.saturating_sub(u32::from(prefix));
                let mask = u32::MAX.checked_shl(beyond).unwrap_or(0);
                IpAddr::from((address.to_bits() & mask).to_be_bytes())
            }
            IpAddr::V6(address) => {
                let beyond = 128_u32.saturating_sub(u32::from(prefix));
                let mask = u128::MAX.checked_shl(beyond).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        Self { address, prefix }
    }
}

impl FromStr for Network {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = unbracketed(address).parse().map_err(|_| DestinationError::Address)?;
        let longest = if written.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(prefix) => match prefix.parse::<u8>() {
                Ok(prefix) if prefix <= longest => prefix,
                _ => return Err(DestinationError::Prefix(longest)),
            },
        };
        // `::ffff:10.0.0.0/104` is 10.0.0.0/8: addresses are compared in their IPv4 form.
        let (address, prefix) = match (written, written.to_canonical()) {
            (IpAddr::V6(_), canonical @ IpAddr::V4(_)) if prefix >= 96 => (canonical, prefix - 96),
            _ => (written, prefix),
        };
        if prefix == 0 {
            return Err(DestinationError::Everything);
        }
        let network = Self::around(address, prefix);
        if network.address == address { Ok(network) } else { Err(DestinationError::HostBits(network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn unbracketed(text: &str) -> &str {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_of_its_prefix() {
        for (network, inside, outside) in [
            ("10.1.2.0/24", "10.1.2.255", "10.1.3.0"),
            ("10.0.0.0/8", "::ffff:10.9.9.9", "11.0.0.0"),
            ("203.0.113.7", "203.0.113.7", "203.0.113.6"),
            ("128.0.0.0/1", "255.255.255.255", "127.255.255.255"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("8000::/1", "ffff::", "7fff::"),
            ("::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        let v4: Network = "10.0.0.0/8".parse().unwrap();
        assert!(!v4.contains("2001:db8::1".parse().unwrap()));
        assert_eq!("[2001:db8::]/32".parse::<Network>().unwrap().to_string(), "2001:db8::/32");
    }
}
