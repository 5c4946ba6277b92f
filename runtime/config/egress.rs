//! Where subrequests may go, as an operator writes it: a reach, and lists of names and networks.
//!
//! Plain data and how it is matched; what is looked up, connected and refused is decided in `holm-stores`. Invariant: a name
//! is lower-case ASCII without a trailing dot, a network has no bits beyond its prefix, and neither is "everything".

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

mod network;

pub use network::Network;

/// Where subrequests may go, judged by the address that is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Egress {
    /// Unicast addresses of the public internet that are not this machine's own: what tenants get.
    #[default]
    Public,
    /// And loopback: for `dev`, where the other half of a project listens on localhost.
    PublicAndLoopback,
    /// Every address, the network behind the host included: for operators who run only their own workers.
    Any,
}

/// The lists of one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WorkerEgress {
    /// All that it may reach: names at addresses within the server's reach, networks whatever the reach. `None`: whatever
    /// is within reach.
    pub allow: Option<Destinations>,
    /// What it may not, whatever else is said.
    pub deny: Destinations,
    /// The only ports it may connect to. `None`: all but those of other protocols.
    pub ports: Option<Vec<u16>>,
}

/// Names and networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Destinations {
    pub names: Vec<NamePattern>,
    pub networks: Vec<Network>,
}

/// `example.com`, or `*.example.com` for everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamePattern {
    /// Begins with a dot for everything below.
    name: String,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Name(NamePattern),
    Network(Network),
}

/// Why a text is no destination, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    #[error("it is empty; write a name like \"api.example.com\" or a network like \"10.1.2.0/24\"")]
    Empty,
    #[error("it is a URL; write the host alone")]
    Url,
    #[error("it has a port; remove it, and give the ports in `ports`")]
    Port,
    #[error("it means everything; leave `allow` out for all within reach, or write `allow = []` for nothing")]
    Everything,
    #[error("a wildcard stands for whole labels at the start; write \"*.example.com\"")]
    Wildcard,
    #[error("{0:?} cannot stand in a name; use letters, digits, \"-\" and \".\" (punycode for other letters)")]
    Character(char),
    #[error("it has an empty label; remove the extra \".\"")]
    EmptyLabel,
    #[error("it ends in a number and is no IP address; write all four numbers, like \"127.0.0.1\"")]
    Number,
    #[error("the prefix is no number from 0 to {0}; write a network like \"10.1.2.0/24\"")]
    Prefix(u8),
    #[error("the part before \"/\" is no IP address; write a network like \"10.1.2.0/24\"")]
    Address,
    #[error("it has bits beyond its prefix; write \"{0}\"")]
    HostBits(Network),
}

/// Ports of other protocols that can be made to read an HTTP request as their own (WHATWG Fetch §2.9, "bad port").
const BAD_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Whether `port` belongs to a protocol that no `fetch()` may speak to.
#[must_use]
pub fn is_bad_port(port: u16) -> bool {
    BAD_PORTS.binary_search(&port).is_ok()
}

// === impl Destinations ===

impl Destinations {
    /// Whether a host that is a name is on the list. `host` is as a URL has it.
    #[must_use]
    pub fn has_name(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.matches(host))
    }

    /// Whether `address` is within a network of the list.
    #[must_use]
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

impl FromIterator<Destination> for Destinations {
    fn from_iter<T: IntoIterator<Item = Destination>>(destinations: T) -> Self {
        let mut list = Self::default();
        for destination in destinations {
            match destination {
                Destination::Name(name) => list.names.push(name),
                Destination::Network(network) => list.networks.push(network),
            }
        }
        list
    }
}

// === impl NamePattern ===

impl NamePattern {
    /// `host` in any letters, with or without the trailing dot of an absolute name.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
        let name = self.name.as_bytes();
        if !self.name.starts_with('.') {
            return host.eq_ignore_ascii_case(name);
        }
        match host.len().checked_sub(name.len()) {
            Some(start @ 1..) => host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(name)),
            _ => false,
        }
    }
}

impl FromStr for NamePattern {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(rest) => (".", rest),
            None => ("", text),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.contains('*') {
            return Err(DestinationError::Wildcard);
        }
        if let Some(other) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.')) {
            return Err(DestinationError::Character(other));
        }
        if name.split('.').any(str::is_empty) {
            return Err(DestinationError::EmptyLabel);
        }
        if ends_in_a_number(name) {
            return Err(DestinationError::Number);
        }
        Ok(Self { name: format!("{wildcard}{}", name.to_ascii_lowercase()) })
    }
}

/// "Ends in a number checker" of the URL standard: such a host is read as an IPv4 address, never as a name.
#[must_use]
pub fn ends_in_a_number(name: &str) -> bool {
    let last = name.strip_suffix('.').unwrap_or(name).rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wildcard = if self.name.starts_with('.') { "*" } else { "" };
        write!(f, "{wildcard}{}", self.name)
    }
}

// === impl Destination ===

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        match text {
            "" => return Err(DestinationError::Empty),
            "*" => return Err(DestinationError::Everything),
            _ if text.contains("://") => return Err(DestinationError::Url),
            _ => {}
        }
        if text.contains('/') || Network::is_address(text) {
            return text.parse().map(Self::Network);
        }
        if text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            return Err(DestinationError::Port);
        }
        text.parse().map(Self::Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NamePattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_itself_and_a_wildcard_is_what_is_below() {
        for (pattern, host, expected) in [
            ("api.example.com", "api.example.com", true),
            ("API.example.com.", "api.EXAMPLE.com.", true),
            ("api.example.com", "xapi.example.com", false),
            ("api.example.com", "api.example.com.evil.example", false),
            ("*.example.org", "a.example.org", true),
            ("*.example.org", "A.b.Example.org.", true),
            ("*.example.org", "example.org", false),
            ("*.example.org", ".example.org", false),
            ("*.example.org", "evil-example.org", false),
            ("*.example.org", "org", false),
        ] {
            assert_eq!(name(pattern).matches(host), expected, "{pattern} {host}");
        }
        assert_eq!(name("*.Example.org").to_string(), "*.example.org");
    }

    #[test]
    fn an_entry_is_a_name_or_a_network() {
        let list: Destinations = ["api.example.com", "*.example.org", "10.1.2.0/24", "203.0.113.7", "[2001:db8::1]"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        assert!(list.has_name("x.example.org") && !list.has_name("example.com"));
        for (address, expected) in
            [("10.1.2.255", true), ("10.1.3.0", false), ("203.0.113.7", true), ("2001:db8::1", true)]
        {
            assert_eq!(list.has_address(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn what_is_no_destination_says_what_to_write() {
        for (text, expected) in [
            ("", "it is empty; write a name like \"api.example.com\" or a network like \"10.1.2.0/24\""),
            ("*", "it means everything; leave `allow` out for all within reach, or write `allow = []` for nothing"),
            ("https://example.com", "it is a URL; write the host alone"),
            ("example.com:443", "it has a port; remove it, and give the ports in `ports`"),
            ("a*.example.com", "a wildcard stands for whole labels at the start; write \"*.example.com\""),
            ("*.*.com", "a wildcard stands for whole labels at the start; write \"*.example.com\""),
            ("a..b", "it has an empty label; remove the extra \".\""),
            (
                "münchen.example",
                "'ü' cannot stand in a name; use letters, digits, \"-\" and \".\" (punycode for other letters)",
            ),
            ("127.1", "it ends in a number and is no IP address; write all four numbers, like \"127.0.0.1\""),
            ("0x7f.1", "it ends in a number and is no IP address; write all four numbers, like \"127.0.0.1\""),
            ("10.1.2.3/24", "it has bits beyond its prefix; write \"10.1.2.0/24\""),
            ("10.0.0.0/33", "the prefix is no number from 0 to 32; write a network like \"10.1.2.0/24\""),
            ("example.com/24", "the part before \"/\" is no IP address; write a network like \"10.1.2.0/24\""),
        ] {
            assert_eq!(text.parse::<Destination>().unwrap_err().to_string(), expected, "{text:?}");
        }
        assert_eq!("0.0.0.0/0".parse::<Destination>(), Err(DestinationError::Everything));
        assert_eq!("::/0".parse::<Destination>(), Err(DestinationError::Everything));
    }

    #[test]
    fn ports_of_other_protocols_are_known() {
        assert!(BAD_PORTS.is_sorted());
        assert!(is_bad_port(25) && !is_bad_port(443));
    }
}
