//! Route patterns: `[scheme://]host[/path][*]`, as wrangler and the Workers platform read them ("Routes: matching
//! behavior").
//!
//! Invariant: a pattern's host is lower-case ASCII without a port; a wildcard stands only at the start of the host and
//! at the end of the path. Parsed by the project and the server configuration; matched by the host's routing table.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

mod table;

pub use table::RouteTable;

/// Which requests a worker gets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoutePattern {
    scheme: Option<Scheme>,
    host: HostPattern,
    path: PathPattern,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scheme {
    Http,
    Https,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum HostPattern {
    Exact(String),
    /// What the host ends with: `.example.com` for `*.example.com`, `example.com` for `*example.com`.
    EndsWith(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum PathPattern {
    Exact(String),
    StartsWith(String),
}

/// How narrow a pattern is; the greatest of the matching ones wins.
///
/// An exact host is narrower than a wildcard, then the longer host, then the longer path, then an exact path, then a
/// pattern with a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity {
    exact_host: bool,
    host_length: usize,
    path_length: usize,
    exact_path: bool,
    scheme: bool,
}

/// Why a text is no route pattern, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("the pattern is empty; write at least a host, like \"example.com/*\"")]
    Empty,
    #[error("the scheme \"{0}\" is not http or https; leave it out to match both")]
    Scheme(String),
    #[error("there is no host; write one in front of the path, like \"example.com/*\"")]
    NoHost,
    #[error("a host may have one wildcard, at its start; write \"*.example.com\" or \"*example.com\"")]
    HostWildcard,
    #[error("a port cannot be matched; remove \":{0}\"")]
    Port(String),
    #[error("{0:?} cannot stand in a host; use letters, digits, \"-\" and \".\" (punycode for other letters)")]
    HostCharacter(char),
    #[error("the host has an empty label; remove the extra \".\"")]
    EmptyLabel,
    #[error("a path may have one wildcard, at its end; write \"/path*\"")]
    PathWildcard,
    #[error("a query cannot be matched; remove everything from \"?\" on")]
    Query,
    #[error("a fragment never reaches a server; remove everything from \"#\" on")]
    Fragment,
    #[error("a blank cannot stand in a pattern; write it as %20 in a path")]
    Blank,
    #[error("a hostname has no scheme and no path; write \"{0}\" alone, or use a route")]
    NotAHostname(String),
}

// === impl RoutePattern ===

impl RoutePattern {
    /// A host with everything below it: `example.com`, `*.example.com`.
    pub fn hostname(text: &str) -> Result<Self, PatternError> {
        if text.contains('/') {
            let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
            let host = rest.split('/').next().unwrap_or(rest);
            return Err(PatternError::NotAHostname(host.to_owned()));
        }
        check_characters(text)?;
        Ok(Self { scheme: None, host: parse_host(text)?, path: PathPattern::StartsWith("/".to_owned()) })
    }

    /// Whether a request matches. `host` is lower-case and without a port; `path` starts with `/` and has no query.
    #[must_use]
    pub fn matches(&self, https: bool, host: &str, path: &str) -> bool {
        self.host.matches(host) && self.path.matches(path) && self.matches_scheme(https)
    }

    /// Whether a request for this host, as in [`RoutePattern::matches`], can match.
    #[must_use]
    pub fn matches_host(&self, host: &str) -> bool {
        self.host.matches(host)
    }

    fn matches_scheme(&self, https: bool) -> bool {
        match self.scheme {
            None => true,
            Some(Scheme::Http) => !https,
            Some(Scheme::Https) => https,
        }
    }

    #[must_use]
    pub fn specificity(&self) -> Specificity {
        let (exact_host, host) = match &self.host {
            HostPattern::Exact(host) => (true, host),
            HostPattern::EndsWith(suffix) => (false, suffix),
        };
        let (exact_path, path) = match &self.path {
            PathPattern::Exact(path) => (true, path),
            PathPattern::StartsWith(prefix) => (false, prefix),
        };
        Specificity {
            exact_host,
            host_length: host.len(),
            path_length: path.len(),
            exact_path,
            scheme: self.scheme.is_some(),
        }
    }
}

impl FromStr for RoutePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        check_characters(text)?;
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(Scheme::Http), rest),
            Some(("https", rest)) => (Some(Scheme::Https), rest),
            // As on the platform: `*://` says both in full.
            Some(("*", rest)) => (None, rest),
            Some((other, _)) => return Err(PatternError::Scheme(other.to_owned())),
            None => (None, text),
        };
        let (host, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        Ok(Self { scheme, host: parse_host(host)?, path: parse_path(path)? })
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Some(Scheme::Http) => f.write_str("http://")?,
            Some(Scheme::Https) => f.write_str("https://")?,
            None => {}
        }
        match &self.host {
            HostPattern::Exact(host) => f.write_str(host)?,
            HostPattern::EndsWith(suffix) => write!(f, "*{suffix}")?,
        }
        match &self.path {
            PathPattern::Exact(path) => f.write_str(path),
            PathPattern::StartsWith(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl PartialOrd for RoutePattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RoutePattern {
    /// From the widest to the narrowest; patterns of the same width by their text.
    fn cmp(&self, other: &Self) -> Ordering {
        self.specificity().cmp(&other.specificity()).then_with(|| self.to_string().cmp(&other.to_string()))
    }
}

impl serde::Serialize for RoutePattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for RoutePattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

// === impl HostPattern, PathPattern ===

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host == exact,
            Self::EndsWith(suffix) => host.ends_with(suffix.as_str()),
        }
    }
}

impl PathPattern {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::StartsWith(prefix) => path.starts_with(prefix.as_str()),
        }
    }
}

fn check_characters(text: &str) -> Result<(), PatternError> {
    if text.is_empty() {
        return Err(PatternError::Empty);
    }
    if text.contains('?') {
        return Err(PatternError::Query);
    }
    if text.contains('#') {
        return Err(PatternError::Fragment);
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(PatternError::Blank);
    }
    Ok(())
}

fn parse_host(text: &str) -> Result<HostPattern, PatternError> {
    if text.is_empty() {
        return Err(PatternError::NoHost);
    }
    let (wildcard, name) = match text.strip_prefix('*') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if name.contains('*') {
        return Err(PatternError::HostWildcard);
    }
    let name = name.to_ascii_lowercase();
    check_host(&name, wildcard)?;
    Ok(if wildcard { HostPattern::EndsWith(name) } else { HostPattern::Exact(name) })
}

fn check_host(name: &str, wildcard: bool) -> Result<(), PatternError> {
    if let Some(address) = name.strip_prefix('[') {
        let (address, after) = address.split_once(']').ok_or(PatternError::HostCharacter('['))?;
        if let Some(port) = after.strip_prefix(':') {
            return Err(PatternError::Port(port.to_owned()));
        }
        return match address.parse::<std::net::Ipv6Addr>() {
            Ok(_) if after.is_empty() && !wildcard => Ok(()),
            _ => Err(PatternError::HostCharacter('[')),
        };
    }
    if let Some((_, port)) = name.split_once(':') {
        return Err(PatternError::Port(port.to_owned()));
    }
    if let Some(bad) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.')) {
        return Err(PatternError::HostCharacter(bad));
    }
    let labels = if wildcard { name.strip_prefix('.').unwrap_or(name) } else { name };
    let dotted = wildcard && name.starts_with('.');
    if (!labels.is_empty() || dotted) && labels.split('.').any(str::is_empty) {
        return Err(PatternError::EmptyLabel);
    }
    Ok(())
}

fn parse_path(text: &str) -> Result<PathPattern, PatternError> {
    let (wildcard, path) = match text.strip_suffix('*') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if path.contains('*') {
        return Err(PatternError::PathWildcard);
    }
    let path = path.to_owned();
    Ok(if wildcard { PathPattern::StartsWith(path) } else { PathPattern::Exact(path) })
}

#[cfg(test)]
mod tests;
