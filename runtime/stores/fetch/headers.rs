//! Headers between JavaScript and the wire.
//!
//! Invariant: framing is made anew on each side and never handed on. What a worker copied from its own request
//! (`content-length`, `transfer-encoding`, `connection`, …) says nothing about the message that is sent, and names that only
//! Holm itself uses are Holm's to write.

use holm_apis::fetch::outbound::Decoding;
use holm_isolate::Body;
use holm_isolate::CDN_LOOP;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::header;

/// Headers about one connection, not about the message (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What a request's headers may not decide either: the destination is the URL's, the length the body's.
const NOT_THE_WORKERS: [HeaderName; 4] =
    [header::HOST, header::CONTENT_LENGTH, header::EXPECT, header::PROXY_AUTHENTICATE];

/// Names that only Holm itself uses.
const INTERNAL_PREFIX: &str = "x-holm-";
/// Tells an upstream which worker a request is from.
const CF_WORKER: HeaderName = HeaderName::from_static("cf-worker");

/// What Holm says in each request of a worker, whatever the worker says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signature<'a> {
    pub(super) worker: Option<&'a HeaderValue>,
    /// How the request came here (RFC 8586).
    pub(super) cdn_loop: Option<&'a HeaderValue>,
}

/// Makes the headers of a worker's request ready for the wire.
pub(super) fn outgoing(headers: &mut HeaderMap, decoding: Decoding, signature: Signature<'_>) {
    strip_hop_by_hop(headers);
    sign(headers, signature);
    for name in &NOT_THE_WORKERS {
        headers.remove(name);
    }
    if decoding == Decoding::Automatic && !headers.contains_key(header::ACCEPT_ENCODING) {
        // Part of a compressed body cannot be decoded (WHATWG Fetch §4.6).
        let accepted = if headers.contains_key(header::RANGE) { "identity" } else { "gzip, br" };
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
    }
}

fn sign(headers: &mut HeaderMap, signature: Signature<'_>) {
    let internal: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(INTERNAL_PREFIX)).cloned().collect();
    for name in internal {
        headers.remove(name);
    }
    for (name, value) in [(CF_WORKER, signature.worker), (CDN_LOOP, signature.cdn_loop)] {
        headers.remove(&name);
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    }
}

/// Says that there is no body where a server would otherwise expect one (WHATWG Fetch §4.6). Other lengths are said by
/// hyper, from the body itself.
pub(super) fn length(headers: &mut HeaderMap, method: &Method, body: &Body) {
    if matches!(body, Body::Empty) && (method == Method::POST || method == Method::PUT) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// Makes the headers of an upstream's response ready for the worker.
pub(super) fn incoming(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        strip_named_by_connection(headers);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

fn strip_named_by_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn headers_about_the_connection_are_not_handed_on() {
        let mut given = headers(&[
            ("connection", "keep-alive, X-Once ,"),
            ("content-length", "7"),
            ("expect", "100-continue"),
            ("host", "victim.example"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-once", "1"),
            ("x-kept", "1"),
        ]);
        outgoing(&mut given, Decoding::Manual, Signature::default());
        assert_eq!(given, headers(&[("x-kept", "1")]));
    }

    #[test]
    fn what_holm_says_is_not_the_workers_to_say() {
        let (worker, cdn_loop) = (HeaderValue::from_static("shop"), HeaderValue::from_static("holm; subreqs=3"));
        let forged = [("cf-worker", "other"), ("cdn-loop", "holm; subreqs=0"), ("x-holm-loop", "0"), ("x-kept", "1")];
        let mut given = headers(&forged);
        let signature = Signature { worker: Some(&worker), cdn_loop: Some(&cdn_loop) };
        outgoing(&mut given, Decoding::Manual, signature);
        assert_eq!(given, headers(&[("x-kept", "1"), ("cf-worker", "shop"), ("cdn-loop", "holm; subreqs=3")]));
        let mut given = headers(&forged);
        outgoing(&mut given, Decoding::Manual, Signature::default());
        assert_eq!(given, headers(&[("x-kept", "1")]));
    }

    #[test]
    fn codings_are_asked_for_only_where_the_worker_has_not() {
        let asked = |pairs, decoding| {
            let mut headers = headers(pairs);
            outgoing(&mut headers, decoding, Signature::default());
            headers.get(header::ACCEPT_ENCODING).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(asked(&[], Decoding::Automatic).as_deref(), Some("gzip, br"));
        assert_eq!(asked(&[("accept-encoding", "br")], Decoding::Automatic).as_deref(), Some("br"));
        assert_eq!(asked(&[("range", "bytes=0-9")], Decoding::Automatic).as_deref(), Some("identity"));
        assert_eq!(asked(&[], Decoding::Manual), None);
    }
}
