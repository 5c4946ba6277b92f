//! What the machine says about names: `resolv.conf` and `hosts`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::SocketAddrV6;

const DNS_PORT: u16 = 53;
/// As many as resolvers use (`resolv.conf(5)`).
const SERVERS: usize = 3;

/// Search domains and all options are left out on purpose.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) servers: Vec<SocketAddr>,
    /// By lower-case name.
    pub(super) hosts: HashMap<String, Vec<IpAddr>>,
}

// === impl Settings ===

impl Settings {
    /// Reads the machine's files; one that is not there is empty.
    pub(super) fn read() -> Self {
        let text =
            |path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        Self { servers: servers(&text("/etc/resolv.conf")), hosts: hosts(&text("/etc/hosts")) }
    }
}

fn servers(text: &str) -> Vec<SocketAddr> {
    let named: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next())?.and_then(server)
        })
        .take(SERVERS)
        .collect();
    // What a resolver asks where nothing is said.
    if named.is_empty() { vec![SocketAddr::from(([127, 0, 0, 1], DNS_PORT))] } else { named }
}

fn server(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, DNS_PORT));
    }
    let (address, scope) = text.split_once('%')?;
    let scope = scope.parse().ok()?;
    Some(SocketAddrV6::new(address.parse().ok()?, DNS_PORT, 0, scope).into())
}

fn hosts(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(address) = words.next().and_then(|address| address.parse().ok()) else { continue };
        for name in words {
            hosts.entry(name.to_ascii_lowercase()).or_default().push(address);
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_those_of_the_file() {
        let text = "# comment\nsearch corp.example\nnameserver 10.0.0.2 # first\n nameserver ::1\nnameserver nonsense\noptions ndots:5\nnameserver fe80::1%3\nnameserver 9.9.9.9\n";
        let expected: Vec<SocketAddr> =
            ["10.0.0.2:53", "[::1]:53", "[fe80::1%3]:53"].map(|address| address.parse().unwrap()).into();
        assert_eq!(servers(text), expected);
        assert_eq!(servers(""), ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn a_host_has_all_addresses_of_the_file() {
        let hosts =
            hosts("127.0.0.1 localhost\n::1 localhost ip6-localhost # comment\n10.0.0.1 Db.example db\nnonsense x\n");
        assert_eq!(hosts["localhost"], ["127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(hosts["db.example"], hosts["db"]);
        assert!(!hosts.contains_key("x"));
    }
}
