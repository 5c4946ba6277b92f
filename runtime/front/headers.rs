//! Header lists at the door: what a client may send in, and what of a worker's answer goes out.
//!
//! Both are one pass over the list; most lists need no change after it. Names that a client puts into `Connection` are not
//! removed: it would let a client delete headers that it did not send.

use holm_isolate::Body;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::Version;
use http::header;

use crate::error_page::Format;
use crate::options::ClientHeaders;
use crate::options::Limits;
use crate::status::Refusal;

/// Names that only Holm itself uses; a client's and a worker's are dropped.
const INTERNAL_PREFIX: &str = "x-holm-";

/// What `dev` adds to the answers of a version whose successor does not build. It comes from behind the door, as theirs do.
const DEV_BUILD: &str = "x-holm-build";

/// Bytes that a field takes on the wire beside its name and value: `": "` and CRLF.
const FIELD_OVERHEAD: usize = 4;

/// What the headers of a request say to the front.
#[derive(Debug, Default)]
pub(crate) struct Screened {
    /// The form in which the client takes an error.
    pub(crate) format: Format,
    dropped: Vec<HeaderName>,
    cookies: usize,
    foreign_expectation: bool,
    /// Fields that say how the body is framed, and whether one of them says something else than `chunked`.
    codings: usize,
    foreign_coding: bool,
    looping: bool,
}

/// Reads the headers of a request once: sizes, and what must not reach a worker. Never fails without [`Screened::format`],
/// so that a refusal has its form too.
pub(crate) fn screen(headers: &HeaderMap, limits: &Limits, client: ClientHeaders) -> (Screened, Result<(), Refusal>) {
    let mut screened = Screened::default();
    let mut bytes = 0;
    let mut largest = 0;
    for (name, value) in headers {
        let field = name.as_str().len() + value.len() + FIELD_OVERHEAD;
        bytes += field;
        largest = largest.max(field);
        screened.note(name, value, client);
    }
    let count = headers.len() - screened.cookies.saturating_sub(1);
    let fits = count <= limits.header_count && bytes <= limits.header_bytes && largest <= limits.one_header_bytes;
    let result = if !fits {
        Err(Refusal::HeadersTooLarge)
    } else if screened.codings > 1 || screened.foreign_coding {
        Err(Refusal::BadRequest("The transfer coding of the request is not `chunked` alone.".into()))
    } else if screened.foreign_expectation {
        Err(Refusal::ExpectationFailed)
    } else if screened.looping && holm_isolate::loop_depth(headers) >= holm_isolate::LOOP_DEPTH {
        Err(Refusal::LoopLimit)
    } else {
        Ok(())
    };
    (screened, result)
}

// === impl Screened ===

impl Screened {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue, client: ClientHeaders) {
        match name.as_str() {
            "accept" if contains(value, b"text/html") => self.format = Format::Html,
            "cookie" => self.cookies += 1,
            "cdn-loop" => self.looping = true,
            "expect" => {
                self.foreign_expectation |= !value.as_bytes().eq_ignore_ascii_case(b"100-continue");
                self.dropped.push(name.clone());
            }
            // `upgrade` stays: a worker looks for it.
            // Others may read more into it than hyper does, and then see another request where the body ends.
            "transfer-encoding" => {
                self.codings += 1;
                self.foreign_coding |= !value.as_bytes().eq_ignore_ascii_case(b"chunked");
                self.dropped.push(name.clone());
            }
            "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" => self.dropped.push(name.clone()),
            "cf-connecting-ip" | "forwarded" | "true-client-ip" | "x-forwarded-for" | "x-forwarded-host"
            | "x-forwarded-proto" | "x-real-ip"
                if client == ClientHeaders::Replace =>
            {
                self.dropped.push(name.clone());
            }
            other if other.starts_with(INTERNAL_PREFIX) => self.dropped.push(name.clone()),
            _ => {}
        }
    }

    /// Makes the headers what a worker sees.
    pub(crate) fn apply(&self, headers: &mut HeaderMap, version: Version, host: &str) {
        for name in &self.dropped {
            headers.remove(name);
        }
        if self.cookies > 1 {
            join_cookies(headers);
        }
        if version == Version::HTTP_2
            && !headers.contains_key(header::HOST)
            && let Ok(host) = HeaderValue::from_str(host)
        {
            headers.insert(header::HOST, host);
        }
    }
}

/// HTTP/2 clients may send a cookie header in crumbs, which are one header to everyone else (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, whole);
    }
}

/// Takes from a worker's answer what only the connection, or only the front, may say. Answers how many bytes are left.
pub(crate) fn clean(headers: &mut HeaderMap) -> usize {
    let dropped: Vec<_> = headers.keys().filter(|name| is_not_for_workers_to_say(name)).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD).sum()
}

fn is_not_for_workers_to_say(name: &HeaderName) -> bool {
    match name.as_str() {
        "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade" => true,
        other => other.starts_with("proxy-") || (other.starts_with(INTERNAL_PREFIX) && other != DEV_BUILD),
    }
}

/// Makes an answer's length true, and takes the body away where HTTP has none. hyper writes the length that a body is known
/// to have; one that a worker only claims would cut a longer body off, or break the connection at the end of a shorter one.
pub(crate) fn settle_length(method: &Method, status: StatusCode, headers: &mut HeaderMap, body: &mut Body) {
    if *method == Method::HEAD {
        if let Some(length) = body.length().filter(|length| *length > 0) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        *body = Body::Empty;
        return;
    }
    headers.remove(header::CONTENT_LENGTH);
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED) {
        *body = Body::Empty;
    }
}

fn contains(value: &HeaderValue, part: &[u8]) -> bool {
    value.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn list(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    fn screened(mut headers: HeaderMap, client: ClientHeaders) -> HeaderMap {
        let (screened, result) = screen(&headers, &Limits::default(), client);
        assert_eq!(result, Ok(()));
        screened.apply(&mut headers, Version::HTTP_2, "hello.example");
        headers
    }

    #[test]
    fn internal_and_connection_headers_do_not_reach_a_worker() {
        let headers = screened(
            list(&[
                ("host", "a"),
                ("x-holm-tenant", "b"),
                ("connection", "x-secret"),
                ("x-secret", "kept"),
                ("te", "trailers"),
                ("x-forwarded-for", "1.2.3.4"),
                ("upgrade", "websocket"),
            ]),
            ClientHeaders::Replace,
        );
        assert_eq!(names(&headers), ["host", "upgrade", "x-secret"]);
    }

    #[test]
    fn a_trusted_proxy_may_speak_for_the_client() {
        let headers = screened(list(&[("host", "a"), ("x-forwarded-for", "1.2.3.4")]), ClientHeaders::Trust);
        assert_eq!(headers["x-forwarded-for"], "1.2.3.4");
    }

    #[test]
    fn the_crumbs_of_a_cookie_are_joined_and_http_2_gets_a_host() {
        let headers = screened(list(&[("cookie", "a=1"), ("cookie", "b=2")]), ClientHeaders::Replace);
        assert_eq!(headers["cookie"], "a=1; b=2");
        assert_eq!(headers["host"], "hello.example");
    }

    #[test]
    fn limits_hold_for_count_sum_and_each() {
        let limits = Limits { header_count: 2, header_bytes: 100, one_header_bytes: 40, ..Limits::default() };
        let result = |headers: HeaderMap| screen(&headers, &limits, ClientHeaders::Replace).1;
        let mut headers = list(&[("a", "1"), ("cookie", "x"), ("cookie", "y")]);
        assert_eq!(result(headers.clone()), Ok(()));
        headers.insert("b", HeaderValue::from_static("2"));
        assert_eq!(result(headers), Err(Refusal::HeadersTooLarge));
        let long = HeaderValue::from_str(&"x".repeat(36)).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("a", long.clone());
        assert_eq!(result(headers.clone()), Err(Refusal::HeadersTooLarge));
        headers.clear();
        headers.append("a", HeaderValue::from_str(&"x".repeat(35)).unwrap());
        headers.append("b", HeaderValue::from_str(&"x".repeat(35)).unwrap());
        assert_eq!(result(headers), Ok(()));
        assert_eq!(result(list(&[("expect", "x")])), Err(Refusal::ExpectationFailed));
        assert_eq!(result(list(&[("transfer-encoding", "Chunked")])), Ok(()));
        for wrong in [&[("transfer-encoding", "gzip, chunked")][..], &[("transfer-encoding", "chunked"); 2]] {
            assert!(matches!(result(list(wrong)), Err(Refusal::BadRequest(_))), "{wrong:?}");
        }
    }

    #[test]
    fn a_request_that_has_come_round_too_often_is_refused() {
        let result =
            |value: &'static str| screen(&list(&[("cdn-loop", value)]), &Limits::default(), ClientHeaders::Replace).1;
        assert_eq!(result("other, holm; subreqs=15"), Ok(()));
        assert_eq!(result("holm; subreqs=16"), Err(Refusal::LoopLimit));
    }

    fn finished(method: Method, status: u16, mut headers: HeaderMap, mut body: Body) -> (HeaderMap, Body) {
        clean(&mut headers);
        settle_length(&method, StatusCode::from_u16(status).unwrap(), &mut headers, &mut body);
        (headers, body)
    }

    #[test]
    fn a_length_that_a_worker_claims_is_dropped() {
        let claimed =
            || list(&[("content-length", "99"), ("keep-alive", "1"), ("proxy-authenticate", "x"), ("a", "b")]);
        let (headers, _) = finished(Method::GET, 200, claimed(), Body::Bytes(Bytes::from_static(b"four")));
        assert_eq!(names(&headers), ["a"]);
        let (headers, _) = finished(Method::GET, 204, claimed(), Body::Empty);
        assert_eq!(names(&headers), ["a"]);
    }

    #[test]
    fn an_answer_to_head_has_the_length_and_no_body() {
        let (headers, body) = finished(Method::HEAD, 200, HeaderMap::new(), Body::Bytes(Bytes::from_static(b"four")));
        assert_eq!(headers["content-length"], "4");
        assert!(matches!(body, Body::Empty));
        let (headers, _) = finished(Method::HEAD, 200, list(&[("content-length", "99")]), Body::Empty);
        assert_eq!(headers["content-length"], "99");
    }
}
