//! Reading `[[worker]] origin`: the server that a worker stands in front of.

use std::net::Ipv6Addr;

use crate::decode::{At, Decode, Report};
use crate::egress::is_bad_port;

/// A scheme, a host and a port: `http://127.0.0.1:3000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    text: String,
}

// === impl Origin ===

impl Origin {
    /// As a URL without path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Decode for Origin {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let text = String::decode(at, report)?;
        match parse(&text) {
            Ok(origin) => Some(origin),
            Err(wrong) => {
                let help = "write a scheme, a host and a port: \"http://127.0.0.1:3000\"";
                report.error(at, format!("`{}` cannot be \"{text}\": {wrong}", at.key), help);
                None
            }
        }
    }
}

fn parse(text: &str) -> Result<Origin, &'static str> {
    let (scheme, place) = text.split_once("://").unwrap_or_default();
    if !matches!(scheme, "http" | "https") {
        return Err("an origin begins with http:// or https://");
    }
    let place = place.strip_suffix('/').unwrap_or(place);
    if place.contains('@') {
        return Err("it has a user name, which is sent to nobody");
    }
    if place.contains(['/', '?', '#']) {
        return Err("it has a path; a request keeps its own");
    }
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    if !is_host(host) {
        return Err("it has no host, or one that cannot be");
    }
    if let Some(port) = port {
        match port.parse::<u16>() {
            Ok(0) | Err(_) => return Err("its port is no number from 1 to 65535"),
            Ok(port) if is_bad_port(port) => return Err("its port is that of another protocol"),
            Ok(_) => {}
        }
    }
    Ok(Origin { text: format!("{scheme}://{place}") })
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for (text, origin) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("https://origin.example/", "https://origin.example"),
            ("http://[::1]", "http://[::1]"),
            ("http://[::1]:81", "http://[::1]:81"),
        ] {
            assert_eq!(parse(text).unwrap().as_str(), origin, "{text}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "127.0.0.1:3000",
            "ftp://a.example",
            "http://",
            "http://:80",
            "http://a.example/path",
            "http://a.example?b",
            "http://u:p@a.example",
            "http://a.example:0",
            "http://a.example:65536",
            "http://a.example:",
            "http://a.example:25",
            "http://a b",
            "http://[a]",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
