//! What a redirect makes of a request (WHATWG Fetch §4.4, "HTTP-redirect fetch"). Pure: called by `exchange` between two
//! exchanges.
//!
//! Invariant: credentials that were taken off on the way to another origin do not come back on the way home.

use bytes::Bytes;
use holm_apis::fetch::outbound::FetchError;
use holm_isolate::Body;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::Uri;
use http::header;
use url::Url;

/// Redirects followed in one call.
pub(super) const MAX_REDIRECTS: u32 = 20;

/// Headers that describe a body, gone when the body is (WHATWG Fetch, "request-body-header name").
const ABOUT_THE_BODY: [HeaderName; 4] =
    [header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CONTENT_LOCATION, header::CONTENT_TYPE];

/// Headers meant for one origin.
const CREDENTIALS: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// What is known of a request's body after it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Empty,
    /// Can be sent again.
    Bytes(Bytes),
    /// Is used up.
    Stream,
}

/// The request of the next exchange, apart from the body that is being sent.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Uri,
    pub(super) headers: HeaderMap,
    pub(super) source: Source,
}

pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

// === impl Source ===

impl Source {
    pub(super) fn of(body: &Body) -> Self {
        match body {
            Body::Empty => Self::Empty,
            Body::Bytes(bytes) => Self::Bytes(bytes.clone()),
            Body::Stream(_) => Self::Stream,
        }
    }

    /// The body once more. A used-up stream does not get here: [`Hop::redirect`] refuses it.
    pub(super) fn body(&self) -> Body {
        match self {
            Self::Bytes(bytes) => Body::Bytes(bytes.clone()),
            Self::Empty | Self::Stream => Body::Empty,
        }
    }
}

// === impl Hop ===

impl Hop {
    /// Becomes the request that a response with `status` and `location` asks for.
    pub(super) fn redirect(&mut self, status: StatusCode, location: &HeaderValue) -> Result<(), FetchError> {
        let next = resolve(&self.url, location)?;
        if status != StatusCode::SEE_OTHER && self.source == Source::Stream {
            return Err(FetchError::BodyNotRepeatable);
        }
        if becomes_get(status, &self.method) {
            self.method = Method::GET;
            self.source = Source::Empty;
            remove(&mut self.headers, &ABOUT_THE_BODY);
        }
        if !same_origin(&self.url, &next) {
            remove(&mut self.headers, &CREDENTIALS);
        }
        self.url = next;
        Ok(())
    }
}

fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => method == Method::POST,
        StatusCode::SEE_OTHER => method != Method::GET && method != Method::HEAD,
        _ => false,
    }
}

fn remove(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

/// The URL that `location` means when it comes from `base`. User names and passwords in it are not handed on.
fn resolve(base: &Uri, location: &HeaderValue) -> Result<Uri, FetchError> {
    let base = Url::parse(&base.to_string()).map_err(|_| FetchError::InvalidUrl)?;
    let mut url = base.join(&text(location)).map_err(|_| FetchError::InvalidUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(FetchError::UnknownProtocol(url.scheme().to_owned()));
    }
    // Neither fails on a URL with a host, which these schemes always have.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    Uri::try_from(url.as_str()).map_err(|_| FetchError::InvalidUrl)
}

/// Servers send UTF-8 where they do not send ASCII; what is neither is read byte by byte.
fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    }
}

fn same_origin(one: &Uri, other: &Uri) -> bool {
    let host = |url: &Uri| url.host().map(str::to_ascii_lowercase);
    one.scheme() == other.scheme() && port(one) == port(other) && host(one) == host(other)
}

fn port(url: &Uri) -> u16 {
    url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

    fn hop(method: Method, url: &str, source: Source) -> Hop {
        let mut headers = HeaderMap::new();
        for name in SECRETS.iter().chain(&["content-type", "x-api-key"]) {
            headers.insert(*name, HeaderValue::from_static("value"));
        }
        Hop { method, url: url.parse().unwrap(), headers, source }
    }

    fn bytes() -> Source {
        Source::Bytes(Bytes::from_static(b"body"))
    }

    fn follow(hop: &mut Hop, status: u16, location: &str) -> Result<(), FetchError> {
        hop.redirect(StatusCode::from_u16(status).unwrap(), &HeaderValue::from_str(location).unwrap())
    }

    #[test]
    fn the_status_decides_on_method_and_body() {
        let cases = [
            (301, Method::POST, Method::GET, false),
            (302, Method::POST, Method::GET, false),
            (301, Method::PUT, Method::PUT, true),
            (302, Method::DELETE, Method::DELETE, true),
            (303, Method::POST, Method::GET, false),
            (303, Method::PUT, Method::GET, false),
            (303, Method::HEAD, Method::HEAD, true),
            (307, Method::POST, Method::POST, true),
            (308, Method::PATCH, Method::PATCH, true),
        ];
        for (status, before, after, body_kept) in cases {
            let mut hop = hop(before.clone(), "http://a.example/", bytes());
            follow(&mut hop, status, "/next").unwrap();
            assert_eq!(hop.method, after, "{status} {before}");
            assert_eq!(hop.source, if body_kept { bytes() } else { Source::Empty }, "{status} {before}");
            assert_eq!(hop.headers.contains_key("content-type"), body_kept, "{status} {before}");
        }
    }

    #[test]
    fn a_stream_survives_only_a_303() {
        for status in [301, 302, 307, 308] {
            let mut hop = hop(Method::POST, "http://a.example/", Source::Stream);
            assert!(matches!(follow(&mut hop, status, "/"), Err(FetchError::BodyNotRepeatable)), "{status}");
        }
        follow(&mut hop(Method::POST, "http://a.example/", Source::Stream), 303, "/").unwrap();
    }

    #[test]
    fn location_is_resolved_against_the_current_url() {
        let cases = [
            ("http://a.example/x/y?q=1", "z", "http://a.example/x/z"),
            ("http://a.example/x/y?q=1", "?r=2", "http://a.example/x/y?r=2"),
            ("http://a.example/x", "//b.example/", "http://b.example/"),
            ("https://a.example:8443/x", "../z", "https://a.example:8443/z"),
            ("http://a.example/", "http://user:pass@b.example/#part", "http://b.example/"),
            ("http://a.example/", "http://2130706433/", "http://127.0.0.1/"),
            ("http://a.example/", "/caf\u{e9}", "http://a.example/caf%C3%A9"),
        ];
        for (from, location, to) in cases {
            let mut hop = hop(Method::GET, from, Source::Empty);
            follow(&mut hop, 302, location).unwrap();
            assert_eq!(hop.url.to_string(), to, "{from} {location}");
        }
    }

    #[test]
    fn other_protocols_and_nonsense_are_errors() {
        let mut hop = hop(Method::GET, "http://a.example/", Source::Empty);
        for location in ["file:///etc/passwd", "data:,x", "javascript:1"] {
            assert!(matches!(follow(&mut hop, 302, location), Err(FetchError::UnknownProtocol(_))), "{location}");
        }
        assert!(matches!(follow(&mut hop, 302, "http://[/"), Err(FetchError::InvalidUrl)));
    }

    #[test]
    fn credentials_stay_at_their_origin_for_good() {
        let crossings = [
            ("http://a.example/", "http://b.example/"),
            ("https://a.example/", "http://a.example/"),
            ("http://a.example/", "http://a.example:8080/"),
        ];
        for (home, abroad) in crossings {
            let mut hop = hop(Method::GET, home, Source::Empty);
            follow(&mut hop, 302, abroad).unwrap();
            follow(&mut hop, 302, home).unwrap();
            for name in SECRETS {
                assert!(!hop.headers.contains_key(name), "{home} {abroad} {name}");
            }
            assert!(hop.headers.contains_key("x-api-key"));
        }
        let mut hop = hop(Method::GET, "http://a.example/", Source::Empty);
        follow(&mut hop, 302, "http://A.example:80/next").unwrap();
        assert!(SECRETS.iter().all(|name| hop.headers.contains_key(*name)));
    }
}
