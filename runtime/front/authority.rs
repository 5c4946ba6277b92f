//! From what the client sent to the host that is routed on and the URL that the worker sees.
//!
//! One normaliser for routing, the TLS check and the URL: what is not plainly a host name is refused, not repaired. Called by
//! the door for each request; pure, so that it can be fuzzed.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::ops::Range;

use http::HeaderMap;
use http::Method;
use http::Uri;
use http::header;

/// A host and perhaps a port, as in `Host` and `:authority`, checked but in the letters of the sender.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    /// A DNS name without trailing dot, an IPv4 address, or an IPv6 address in brackets.
    pub host: &'a str,
    pub port: Option<u16>,
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// `scheme://host[:port]/path?query`.
    pub url: String,
    host: Range<usize>,
}

/// Why a request has no target. The text is for the error page: it says what was wrong with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    #[error("the request names no host: send a Host header")]
    NoHost,
    #[error("the request has more than one Host header")]
    SeveralHosts,
    #[error("the host of the request is not a valid host name")]
    InvalidHost,
    #[error("the Host header and the request target name different hosts")]
    HostsDiffer,
    #[error("the request target is not a path")]
    NotAPath,
    #[error("the method CONNECT is not served")]
    Connect,
}

/// The IP address that a host is, if it is one; IPv6 is in brackets.
#[must_use]
pub fn address(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// Whether a host is no name that somebody could let resolve to this machine ("DNS rebinding").
#[must_use]
pub fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || address(host).is_some()
}

// === impl Authority ===

impl<'a> Authority<'a> {
    /// Reads `host[:port]`; `None` if it is anything else.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = if text.starts_with('[') {
            let (host, rest) = text.split_at(text.find(']')? + 1);
            host.get(1..host.len() - 1)?.parse::<Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        } else {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            let host = host.strip_suffix('.').unwrap_or(host);
            if !is_host_name(host) {
                return None;
            }
            (host, port)
        };
        let port = match port {
            Some(digits) => Some(parse_port(digits)?),
            None => None,
        };
        Some(Self { host, port })
    }

    fn names_the_same_as(&self, other: &Authority<'_>, default_port: u16) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

// === impl Target ===

impl Target {
    /// Reads the target of a request in any of its forms: path and `Host`, absolute, `:authority`.
    pub fn read(https: bool, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Self, InvalidTarget> {
        if *method == Method::CONNECT {
            return Err(InvalidTarget::Connect);
        }
        let default_port = if https { 443 } else { 80 };
        if uri.scheme().is_none() && uri.authority().is_some() {
            return Err(InvalidTarget::NotAPath);
        }
        let named = match uri.authority() {
            Some(authority) => Some(Authority::parse(authority.as_str()).ok_or(InvalidTarget::InvalidHost)?),
            None => None,
        };
        let header = host_header(headers)?;
        let authority = match (named, header) {
            (Some(named), Some(header)) if !named.names_the_same_as(&header, default_port) => {
                return Err(InvalidTarget::HostsDiffer);
            }
            (Some(authority), _) | (None, Some(authority)) => authority,
            (None, None) => return Err(InvalidTarget::NoHost),
        };
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let slash = match path.bytes().next() {
            Some(b'/') => "",
            // `http://host?query` has a path too, only an empty one.
            None | Some(b'?') => "/",
            Some(_) => return Err(InvalidTarget::NotAPath),
        };
        Ok(Self::assemble(https, authority, default_port, slash, path))
    }

    fn assemble(https: bool, authority: Authority<'_>, default_port: u16, slash: &str, path: &str) -> Self {
        const LONGEST_PORT: usize = ":65535".len();
        let scheme = if https { "https://" } else { "http://" };
        let mut url =
            String::with_capacity(scheme.len() + authority.host.len() + LONGEST_PORT + slash.len() + path.len());
        url.push_str(scheme);
        url.push_str(authority.host);
        let host = scheme.len()..url.len();
        url.make_ascii_lowercase();
        if let Some(port) = authority.port.filter(|port| *port != default_port) {
            url.push(':');
            url.push_str(&port.to_string());
        }
        url.push_str(slash);
        url.push_str(path);
        Self { url, host }
    }

    /// Lower-case, without port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.get(self.host.clone()).unwrap_or_default()
    }

    /// `host[:port]`, as a `Host` header says it.
    #[must_use]
    pub fn host_and_port(&self) -> &str {
        let rest = self.url.get(self.host.start..).unwrap_or_default();
        rest.split_once('/').map_or(rest, |(authority, _)| authority)
    }
}

fn host_header(headers: &HeaderMap) -> Result<Option<Authority<'_>>, InvalidTarget> {
    let mut values = headers.get_all(header::HOST).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(InvalidTarget::SeveralHosts);
    }
    let text = value.to_str().map_err(|_| InvalidTarget::InvalidHost)?;
    Authority::parse(text).map(Some).ok_or(InvalidTarget::InvalidHost)
}

/// One to five digits, as a port has them.
fn parse_port(digits: &str) -> Option<u16> {
    let plain = matches!(digits.len(), 1..=5) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// Labels of letters, digits, `-` and `_`, within DNS's lengths. A name that the URL standard would read as a number
/// (`0x7f.1`) must be an IPv4 address as it is usually written, or routing and the URL would not mean the same host.
fn is_host_name(host: &str) -> bool {
    const LONGEST_NAME: usize = 253;
    const LONGEST_LABEL: usize = 63;
    if host.len() > LONGEST_NAME {
        return false;
    }
    let mut label = 0;
    for byte in host.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => label += 1,
            b'.' if label > 0 => label = 0,
            _ => return false,
        }
        if label > LONGEST_LABEL {
            return false;
        }
    }
    label > 0 && (!ends_in_a_number(host) || host.parse::<Ipv4Addr>().is_ok())
}

/// "Ends in a number checker" of the URL standard.
fn ends_in_a_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(https: bool, target: &str, host: Option<&'static str>) -> Result<Target, InvalidTarget> {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, HeaderValue::from_static(host));
        }
        Target::read(https, &Method::GET, &target.parse().unwrap(), &headers)
    }

    fn url(https: bool, target: &str, host: &'static str) -> String {
        read(https, target, Some(host)).unwrap().url
    }

    #[test]
    fn the_url_has_the_host_in_lower_case_and_the_rest_as_sent() {
        assert_eq!(url(false, "/A%2f/../b?Q=%C3#", "Hello.Example"), "http://hello.example/A%2f/../b?Q=%C3");
        assert_eq!(url(true, "/", "hello.example:8443"), "https://hello.example:8443/");
        assert_eq!(url(true, "/", "hello.example:443"), "https://hello.example/");
        assert_eq!(url(false, "/", "hello.example.:080"), "http://hello.example/");
        assert_eq!(url(false, "//victim/", "hello.example"), "http://hello.example//victim/");
        assert_eq!(url(false, "http://hello.example?q", "hello.example:80"), "http://hello.example/?q");
        assert_eq!(url(false, "http://HELLO.example", "hello.example"), "http://hello.example/");
    }

    #[test]
    fn the_host_is_what_is_routed_on() {
        let target = read(false, "/a:b", Some("[::1]:8787")).unwrap();
        assert_eq!((target.host(), target.host_and_port()), ("[::1]", "[::1]:8787"));
        let target = read(false, "/", Some("XN--MNCHEN-3YA.example.")).unwrap();
        assert_eq!((target.host(), target.host_and_port()), ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"));
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a%00",
            "a/b",
            "user@a",
            "a,b",
            "a:b",
            "a:",
            "a:99999",
            "a:+80",
            "a:000080",
            "[::1",
            "[::1]x",
            "[::g]",
            "[]",
            "::1",
            "0x7f.1",
            "127.1",
            "1.2.3.256",
            "010.0.0.1",
            "a:80:80",
        ] {
            assert!(Authority::parse(text).is_none(), "{text:?}");
        }
        assert!(Authority::parse(&"a".repeat(64)).is_none());
        assert!(Authority::parse(&"a.".repeat(127)).is_some());
        assert!(Authority::parse(&"a.".repeat(128)).is_none());
    }

    #[test]
    fn requests_without_one_clear_target_are_refused() {
        assert_eq!(read(false, "/", None), Err(InvalidTarget::NoHost));
        assert_eq!(read(false, "/", Some("a b")), Err(InvalidTarget::InvalidHost));
        assert_eq!(read(false, "http://victim/", Some("evil")), Err(InvalidTarget::HostsDiffer));
        assert_eq!(read(false, "http://u@victim/", Some("victim")), Err(InvalidTarget::InvalidHost));
        assert_eq!(read(false, "*", Some("a")), Err(InvalidTarget::NotAPath));
        assert_eq!(read(false, "a:80", Some("a")), Err(InvalidTarget::NotAPath));
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, HeaderValue::from_static("a"));
        headers.append(header::HOST, HeaderValue::from_static("a"));
        let several = Target::read(false, &Method::GET, &"/".parse().unwrap(), &headers);
        assert_eq!(several, Err(InvalidTarget::SeveralHosts));
        let connect = Target::read(false, &Method::CONNECT, &"a:443".parse().unwrap(), &HeaderMap::new());
        assert_eq!(connect, Err(InvalidTarget::Connect));
    }
}
