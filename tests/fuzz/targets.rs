//! The bodies of the fuzz targets: each takes bytes, feeds them to a parser and checks what must hold for any input.
//!
//! They are built twice: with libFuzzer (`tests/fuzz/README.md`), and by `tests/fuzzing.rs`, which runs them over the seeds and
//! over random changes of those. What they test comes from `crate::subject`.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::path::Path;
use std::path::PathBuf;

use bytes::Bytes;
use futures::FutureExt;
use futures::StreamExt;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Uri;
use http::header;
use url::Url;

use crate::subject::authority::Authority;
use crate::subject::authority::Target;
use crate::subject::cdn_loop;
use crate::subject::coding;
use crate::subject::coding::Coding;
use crate::subject::config::egress::Destination;
use crate::subject::config::egress::Network;
use crate::subject::config::limits::TABLE;
use crate::subject::config::project;
use crate::subject::config::project::LoadOptions;
use crate::subject::config::route::RoutePattern;
use crate::subject::config::route::RouteTable;
use crate::subject::config::server;
use crate::subject::data_url as data;
use crate::subject::public;
use crate::subject::target;

/// Reads bytes; panics where they break what must hold.
pub type Body = fn(&[u8]);

/// A target and its name, which is that of its directory of seeds.
pub const ALL: &[(&str, Body)] = &[
    ("authority", authority),
    ("cdn_loop", cdn_loop),
    ("coding", coding),
    ("data_url", data_url),
    ("destination", destination),
    ("href", href),
    ("is_public", is_public),
    ("project", project),
    ("route", route),
    ("server", server),
];

/// The first line and the rest.
fn lines(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = data.iter().position(|byte| *byte == b'\n')?;
    Some((&data[..end], &data[end + 1..]))
}

/// A request's target and, on further lines, its `Host` headers: whatever is routed on is what the URL standard reads.
pub fn authority(data: &[u8]) {
    let (target, hosts) = lines(data).unwrap_or((data, b""));
    let Ok(uri) = Uri::try_from(target) else { return };
    let mut headers = HeaderMap::new();
    for host in hosts.split(|byte| *byte == b'\n').filter(|host| !host.is_empty()) {
        let Ok(host) = HeaderValue::from_bytes(host) else { return };
        headers.append(header::HOST, host);
    }
    for https in [false, true] {
        let Ok(target) = Target::read(https, &Method::GET, &uri, &headers) else { continue };
        let host = target.host();
        assert!(!host.is_empty() && !host.ends_with('.') && !host.contains(|c: char| c.is_ascii_uppercase()), "{host}");
        assert!(target.url.starts_with(if https { "https://" } else { "http://" }));
        let authority = Authority::parse(target.host_and_port()).expect("a target's own host is valid");
        assert_eq!(authority.host, host);
        // Punycode that decodes to nothing is refused by the URL standard; everything else is the same host to both.
        if let Ok(url) = Url::parse(&target.url) {
            let read = url.host_str().unwrap_or_default();
            let bare = |host: &str| host.trim_matches(['[', ']']).parse::<Ipv6Addr>();
            assert!(read == host || bare(read).is_ok_and(|read| bare(host) == Ok(read)), "{read} {host}");
            assert_eq!(url.port(), authority.port.filter(|port| *port != if https { 443 } else { 80 }));
            assert!(url.username().is_empty() && url.password().is_none());
        }
    }
}

/// `cdn-loop` headers, one a line: one more pass is one deeper.
pub fn cdn_loop(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for value in data.split(|byte| *byte == b'\n').take(64) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(cdn_loop::CDN_LOOP, value);
        }
    }
    let depth = cdn_loop::loop_depth(&headers);
    let next = cdn_loop::next_loop(&headers);
    let mut after = HeaderMap::new();
    after.insert(cdn_loop::CDN_LOOP, next);
    assert_eq!(cdn_loop::loop_depth(&after), depth.saturating_add(1));
}

/// A coding, then coded bytes: decoding ends, within its limit.
pub fn coding(data: &[u8]) {
    const LIMIT: u64 = 1 << 20;
    let [kind, coded @ ..] = data else { return };
    let coding = match kind % 3 {
        0 => Coding::Gzip,
        1 => Coding::Deflate,
        _ => Coding::Brotli,
    };
    let pieces: Vec<_> =
        coded.chunks(1 + usize::from(kind / 3)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut decoded = std::pin::pin!(coding::decoded(futures::stream::iter(pieces), coding, LIMIT));
    let mut length = 0;
    // All pieces are here, so nothing is waited for.
    while let Some(Some(Ok(bytes))) = decoded.next().now_or_never() {
        length += bytes.len() as u64;
    }
    assert!(length <= LIMIT, "{length}");
}

/// A `data:` URL, if it is one: its type can be a header.
pub fn data_url(data: &[u8]) {
    let Ok(url) = std::str::from_utf8(data) else { return };
    if let Some(data) = data::parse(url) {
        HeaderValue::from_str(&data.content_type).expect("a header value");
        assert!(data.content_type.contains('/'));
    }
}

/// An entry of an `egress` list: it is written as it is read, and is not everything.
pub fn destination(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Destination>() {
        Ok(Destination::Name(name)) => {
            let again: Destination = name.to_string().parse().expect("a name is written as it is read");
            assert_eq!(again, Destination::Name(name.clone()));
            assert!(!name.matches("") && !name.matches("."));
        }
        Ok(Destination::Network(network)) => {
            let again: Network = network.to_string().parse().expect("a network is written as it is read");
            assert_eq!(again, network);
            let both = [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(255, 255, 255, 255)].map(IpAddr::from);
            assert!(!both.iter().all(|address| network.contains(*address)), "{network}");
        }
        Err(error) => assert!(error.to_string().contains("; ") || error.to_string().contains("write"), "{error}"),
    }
}

/// A URL, as JavaScript would have it after its class has read it: it can be fetched, from the same host.
pub fn href(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(url) = Url::parse(text) else { return };
    if !matches!(url.scheme(), "http" | "https") || url.as_str().len() > 16 << 10 {
        return;
    }
    let host = url.host_str().unwrap_or_default();
    let target = target::of(url.as_str());
    // A host of other characters is one that no name server knows.
    let is_usual = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte));
    match target {
        Some(target) => {
            assert_eq!(target.host(), Some(host), "{url}");
            assert_eq!(target.port_u16(), url.port(), "{url}");
            assert_eq!(target.scheme_str(), Some(url.scheme()));
            // What is sent means the same to a server that reads it by the URL standard.
            let again = Url::parse(&target.to_string()).expect("a URL");
            assert_eq!(again.host_str(), url.host_str());
        }
        None => assert!(!is_usual, "{url}"),
    }
}

/// Four or sixteen bytes of an address: no private address is public, in any form.
pub fn is_public(data: &[u8]) {
    if let Some(octets) = data.get(..4) {
        let v4 = Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]);
        let verdict = public::is_public(v4.into());
        assert_eq!(public::is_public(v4.to_ipv6_mapped().into()), verdict, "{v4}");
        let [.., high, low] = v4.to_ipv6_mapped().segments();
        assert_eq!(public::is_public(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into()), verdict, "{v4}");
        for never in [
            v4.to_ipv6_compatible(),
            Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, high, low),
        ] {
            assert!(!public::is_public(never.into()), "{never}");
        }
        let special = v4.is_private()
            || v4.is_loopback()
            || v4.is_link_local()
            || v4.is_multicast()
            || v4.is_broadcast()
            || v4.is_documentation()
            || v4.is_unspecified();
        assert!(!(special && verdict), "{v4}");
    }
    if let Some(octets) = data.get(..16).and_then(|octets| <[u8; 16]>::try_from(octets).ok()) {
        let v6 = Ipv6Addr::from(octets);
        let special = v6.is_loopback()
            || v6.is_unspecified()
            || v6.is_multicast()
            || v6.is_unique_local()
            || v6.is_unicast_link_local()
            || (v6.segments()[0] & 0xe000 != 0x2000
                && v6.to_ipv4_mapped().is_none()
                && public::embedded(v6.into()).is_none());
        assert!(!(special && public::is_public(v6.into())), "{v6}");
    }
}

/// `wrangler.jsonc`, or `wrangler.toml` where the first byte is `t`: it loads, or says what is wrong.
pub fn project(input: &[u8]) {
    let [kind, text @ ..] = input else { return };
    let directory = directory("project");
    for name in ["wrangler.toml", "wrangler.jsonc"] {
        let _ = std::fs::remove_file(directory.join(name));
    }
    let file = directory.join(if *kind == b't' { "wrangler.toml" } else { "wrangler.jsonc" });
    std::fs::write(&file, text).expect("a temporary file");
    match project::load(&directory, &LoadOptions::new(time::macros::date!(2026 - 08 - 01))) {
        Ok(project) => {
            assert!(!project.name.is_empty());
            project.warnings.iter().for_each(|warning| assert!(!warning.to_string().is_empty()));
        }
        Err(diagnostics) => assert!(!diagnostics.to_string().is_empty()),
    }
}

/// A pattern, a host and a path, on lines: the table finds what the pattern matches.
pub fn route(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.split('\n');
    let pattern = parts.next().unwrap_or_default();
    let host = parts.next().unwrap_or_default().to_ascii_lowercase();
    let path = format!("/{}", parts.next().unwrap_or_default());
    for parsed in [pattern.parse::<RoutePattern>(), RoutePattern::hostname(pattern)] {
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                assert!(error.to_string().contains("; "), "{error}");
                continue;
            }
        };
        assert_eq!(parsed.to_string().parse::<RoutePattern>().as_ref(), Ok(&parsed), "{pattern:?}");
        let table = RouteTable::new([(parsed.clone(), ())]);
        for https in [false, true] {
            assert_eq!(table.find(https, &host, &path).is_some(), parsed.matches(https, &host, &path), "{pattern:?}");
        }
    }
}

/// `holm.toml`: it loads with every limit within its bounds, or says what is wrong.
pub fn server(text: &[u8]) {
    let file = directory("server").join("holm.toml");
    std::fs::write(&file, text).expect("a temporary file");
    match server::load(&file) {
        Ok(config) => {
            for limits in config.workers.iter().map(|worker| &worker.limits).chain([&config.limits]) {
                for row in TABLE {
                    let value = limits.get(row.key).expect("every row has a value");
                    assert!((row.min..=row.max).contains(&value), "{}", row.key);
                }
            }
            assert!(config.listen.http.is_some() || config.listen.https.is_some());
            config.warnings.iter().for_each(|warning| assert!(!warning.to_string().is_empty()));
        }
        Err(diagnostics) => assert!(!diagnostics.to_string().is_empty()),
    }
}

/// A directory of this process, with a worker in it for configurations to name.
fn directory(name: &str) -> PathBuf {
    let root = if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    let directory = root.join(format!("holm-fuzz-{}-{name}", std::process::id()));
    if !directory.exists() {
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        std::fs::write(directory.join("index.js"), "export default {};\n").expect("a temporary file");
    }
    directory
}
