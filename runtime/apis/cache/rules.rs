//! Which responses are kept, and what a request gets of one: RFC 9111, with the platform's own rules.
//!
//! Freshness is the crate `http-cache-semantics`'s to compute. A request's own `cache-control` has no say: the script decides by calling.

use std::time::Duration;
use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header;
use http_cache_semantics::CacheOptions;
use http_cache_semantics::CachePolicy;

use super::interface::CachedResponse;

const CF_CACHE_STATUS: HeaderName = HeaderName::from_static("cf-cache-status");
/// The directive that says: keep it, without the cookies.
const PRIVATE_COOKIES: &str = "private=set-cookie";

/// How far the clocks that a response was kept and is looked for by may be apart.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Why a response can never be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, deno_error::JsError)]
#[class(type)]
pub enum Unkeepable {
    #[error("Cannot cache response to a range request (206 Partial Content).")]
    Partial,
    #[error("Cannot cache response with 'Vary: *' header.")]
    VaryAll,
}

/// What a request gets.
#[derive(Debug, PartialEq, Eq)]
pub struct Served {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A response without its body, made ready to be kept. `None`: it is not to be kept.
pub fn admit(
    status: StatusCode,
    mut headers: HeaderMap,
    request: &HeaderMap,
    now: SystemTime,
) -> Result<Option<CachedResponse>, Unkeepable> {
    if status == StatusCode::PARTIAL_CONTENT {
        return Err(Unkeepable::Partial);
    }
    if tokens(&headers, &header::VARY).any(|name| name == "*") {
        return Err(Unkeepable::VaryAll);
    }
    if status == StatusCode::NOT_MODIFIED || status.is_informational() {
        return Ok(None);
    }
    let mut judged = headers.clone();
    if headers.contains_key(header::SET_COOKIE) {
        if !without_cookies(&mut judged) {
            return Ok(None);
        }
        headers.remove(header::SET_COOKIE);
        judged.remove(header::SET_COOKIE);
    }
    let policy = policy(status, judged, now);
    if !policy.is_storable() {
        return Ok(None);
    }
    let left = policy.time_to_live(now);
    if left.is_zero() {
        return Ok(None);
    }
    let vary = tokens(&headers, &header::VARY).filter_map(|name| name.parse::<HeaderName>().ok());
    let vary = vary.map(|name| (name.clone(), selecting(request, &name))).collect();
    let fresh_until = now.checked_add(left).unwrap_or(now);
    Ok(Some(CachedResponse {
        status,
        headers,
        body: Bytes::new(),
        stored: now,
        age: policy.age(now),
        fresh_until,
        vary,
    }))
}

fn policy(status: StatusCode, headers: HeaderMap, now: SystemTime) -> CachePolicy {
    let request = http::Request::new(());
    let mut response = http::Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    CachePolicy::new_options(&request, &response, now, CacheOptions { shared: true, ..CacheOptions::default() })
}

/// Takes `private=set-cookie` out of what is judged; `false`: it is not there.
fn without_cookies(headers: &mut HeaderMap) -> bool {
    let directives: Vec<String> = tokens(headers, &header::CACHE_CONTROL).map(str::to_owned).collect();
    let is_it = |directive: &String| directive.to_ascii_lowercase().replace('"', "") == PRIVATE_COOKIES;
    if !directives.iter().any(is_it) {
        return false;
    }
    let rest: Vec<String> = directives.into_iter().filter(|directive| !is_it(directive)).collect();
    match HeaderValue::try_from(rest.join(", ")) {
        Ok(value) => headers.insert(header::CACHE_CONTROL, value).is_some(),
        Err(_) => false,
    }
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// All values of a header, as one.
fn selecting(request: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let values: Vec<&[u8]> = request.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    values.join(&b", "[..])
}

/// What `request` gets of a kept response. `None`: it is stale, was kept for another request, or in a future that the clock has
/// been set back from, so that nobody knows how old it is.
pub fn serve(kept: &CachedResponse, request: &HeaderMap, now: SystemTime) -> Option<Served> {
    let is_of_the_future = kept.stored.duration_since(now).is_ok_and(|ahead| ahead > CLOCK_SKEW);
    if is_of_the_future
        || now >= kept.fresh_until
        || kept.vary.iter().any(|(name, value)| selecting(request, name) != *value)
    {
        return None;
    }
    let mut headers = kept.headers.clone();
    let age = kept.age + now.duration_since(kept.stored).unwrap_or(Duration::ZERO);
    headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
    headers.insert(CF_CACHE_STATUS, HeaderValue::from_static("HIT"));
    if is_not_modified(kept, request) {
        headers.remove(header::CONTENT_LENGTH);
        return Some(Served { status: StatusCode::NOT_MODIFIED, headers, body: Bytes::new() });
    }
    let length = kept.body.len();
    match range(kept, request) {
        Range::Whole => Some(Served { status: kept.status, headers, body: kept.body.clone() }),
        Range::Part { from, to } => {
            let content_range = format!("bytes {from}-{}/{length}", to - 1);
            headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(content_range).ok()?);
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
            Some(Served { status: StatusCode::PARTIAL_CONTENT, headers, body: kept.body.slice(from..to) })
        }
        Range::Unsatisfiable => {
            headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(format!("bytes */{length}")).ok()?);
            headers.remove(header::CONTENT_LENGTH);
            Some(Served { status: StatusCode::RANGE_NOT_SATISFIABLE, headers, body: Bytes::new() })
        }
    }
}

/// RFC 9110 §13.2.2: `if-none-match` has the word, if it is there.
fn is_not_modified(kept: &CachedResponse, request: &HeaderMap) -> bool {
    if kept.status != StatusCode::OK {
        return false;
    }
    if request.contains_key(header::IF_NONE_MATCH) {
        let Some(etag) = kept.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok()) else { return false };
        let weak = |tag: &str| tag.trim_start_matches("W/").to_owned();
        return tokens(request, &header::IF_NONE_MATCH).any(|tag| tag == "*" || weak(tag) == weak(etag));
    }
    match (date(request, &header::IF_MODIFIED_SINCE), date(&kept.headers, &header::LAST_MODIFIED)) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// The bytes that a request wants.
enum Range {
    Whole,
    Part {
        from: usize,
        /// Behind the last byte.
        to: usize,
    },
    Unsatisfiable,
}

/// One range of bytes. What asks for several, or in other units, gets everything (RFC 9110 §14.2).
fn range(kept: &CachedResponse, request: &HeaderMap) -> Range {
    let Some(wanted) = request.get(header::RANGE).and_then(|value| value.to_str().ok()) else { return Range::Whole };
    if kept.status != StatusCode::OK || !if_range_holds(kept, request) {
        return Range::Whole;
    }
    let Some(range) = wanted.strip_prefix("bytes=").filter(|range| !range.contains(',')) else { return Range::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Range::Whole };
    let length = kept.body.len();
    let number = |text: &str| text.parse::<usize>().ok();
    match (number(first), number(last)) {
        (Some(from), _) if from >= length => Range::Unsatisfiable,
        (Some(from), None) if last.is_empty() => Range::Part { from, to: length },
        (Some(from), Some(last)) if last >= from => Range::Part { from, to: length.min(last.saturating_add(1)) },
        (None, Some(0)) if first.is_empty() => Range::Unsatisfiable,
        (None, Some(_)) if first.is_empty() && length == 0 => Range::Unsatisfiable,
        (None, Some(tail)) if first.is_empty() => Range::Part { from: length.saturating_sub(tail), to: length },
        _ => Range::Whole,
    }
}

/// RFC 9110 §13.1.5: a strong tag, or the very date.
fn if_range_holds(kept: &CachedResponse, request: &HeaderMap) -> bool {
    let Some(condition) = request.get(header::IF_RANGE) else { return true };
    let is_strong = |tag: &HeaderValue| !tag.as_bytes().starts_with(b"W/");
    kept.headers.get(header::ETAG).is_some_and(|etag| etag == condition && is_strong(etag))
        || kept.headers.get(header::LAST_MODIFIED).is_some_and(|modified| modified == condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn kept(status: u16, fields: &[(&'static str, &'static str)]) -> Option<CachedResponse> {
        admit(StatusCode::from_u16(status).unwrap(), list(fields), &HeaderMap::new(), now()).unwrap()
    }

    fn fresh_seconds(fields: &[(&'static str, &'static str)]) -> Option<u64> {
        kept(200, fields).map(|kept| kept.fresh_until.duration_since(now()).unwrap().as_secs())
    }

    #[test]
    fn how_long_a_response_is_kept_is_what_it_says() {
        for (fields, seconds) in [
            (&[("cache-control", "max-age=60")][..], Some(60)),
            (&[("cache-control", "public, max-age=60, s-maxage=90")], Some(90)),
            (&[("cache-control", "max-age=60"), ("age", "20")], Some(40)),
            (&[("cache-control", "max-age=60"), ("age", "60")], None),
            (&[("cache-control", "no-store")], None),
            (&[("cache-control", "private, max-age=60")], None),
            (&[("cache-control", "no-cache, max-age=60")], None),
            (&[("cache-control", "s-maxage=0, max-age=60")], None),
            (&[("date", "Fri, 15 Jan 2027 08:00:00 GMT"), ("expires", "Fri, 15 Jan 2027 08:01:00 GMT")], Some(60)),
            (&[("expires", "Thu, 01 Jan 1970 00:00:00 GMT")], None),
            (&[], None),
        ] {
            assert_eq!(fresh_seconds(fields), seconds, "{fields:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_fresher() {
        let kept = kept(200, &[("cache-control", "max-age=60")]).unwrap();
        let at = |time| serve(&kept, &HeaderMap::new(), time).is_some();
        let second = Duration::from_secs(1);
        assert!(at(now()) && at(now() + 59 * second) && !at(now() + 60 * second));
        // Clocks of two processes, or a small correction.
        assert!(at(now() - 5 * second));
        assert!(!at(now() - 3_600 * second) && !at(SystemTime::UNIX_EPOCH));
    }

    #[test]
    fn cookies_are_not_kept() {
        assert!(kept(200, &[("cache-control", "max-age=60"), ("set-cookie", "a=1")]).is_none());
        let allowed = kept(200, &[("cache-control", "max-age=60, private=set-cookie"), ("set-cookie", "a=1")]).unwrap();
        assert!(!allowed.headers.contains_key("set-cookie"));
    }

    #[test]
    fn statuses_and_headers_that_cannot_be_kept() {
        let put = |status, fields: &[_]| admit(status, list(fields), &HeaderMap::new(), now());
        let fresh = ("cache-control", "max-age=60");
        assert_eq!(put(StatusCode::PARTIAL_CONTENT, &[fresh]).unwrap_err(), Unkeepable::Partial);
        assert_eq!(put(StatusCode::OK, &[fresh, ("vary", "accept, *")]).unwrap_err(), Unkeepable::VaryAll);
        assert!(put(StatusCode::NOT_MODIFIED, &[fresh]).unwrap().is_none());
        assert!(put(StatusCode::NOT_FOUND, &[fresh]).unwrap().is_some());
    }

    fn answer(fields: &[(&'static str, &'static str)]) -> Served {
        let mut kept = kept(
            200,
            &[
                ("cache-control", "max-age=60"),
                ("etag", "\"one\""),
                ("last-modified", "Fri, 15 Jan 2027 07:00:00 GMT"),
                ("vary", "accept-language"),
            ],
        )
        .unwrap();
        kept.body = Bytes::from_static(b"0123456789");
        serve(&kept, &list(fields), now() + Duration::from_secs(5)).unwrap()
    }

    #[test]
    fn a_condition_that_holds_is_answered_without_the_body() {
        for condition in [
            ("if-none-match", "\"one\""),
            ("if-none-match", "\"two\", W/\"one\""),
            ("if-none-match", "*"),
            ("if-modified-since", "Fri, 15 Jan 2027 07:00:00 GMT"),
        ] {
            assert_eq!(answer(&[condition]).status, 304, "{condition:?}");
        }
        for conditions in [
            &[("if-none-match", "\"two\"")][..],
            &[("if-none-match", "\"two\""), ("if-modified-since", "Fri, 15 Jan 2027 07:00:00 GMT")],
            &[("if-modified-since", "Fri, 15 Jan 2027 06:59:59 GMT")],
            &[],
        ] {
            let served = answer(conditions);
            assert_eq!((served.status.as_u16(), &served.body[..]), (200, &b"0123456789"[..]), "{conditions:?}");
            assert_eq!(
                (&served.headers["age"], &served.headers["cf-cache-status"]),
                (&"5".parse().unwrap(), &"HIT".parse().unwrap())
            );
        }
    }

    #[test]
    fn one_range_of_bytes_is_cut_out() {
        for (range, part, content_range) in [
            ("bytes=2-4", "234", "bytes 2-4/10"),
            ("bytes=7-", "789", "bytes 7-9/10"),
            ("bytes=-3", "789", "bytes 7-9/10"),
            ("bytes=-30", "0123456789", "bytes 0-9/10"),
            ("bytes=8-99", "89", "bytes 8-9/10"),
        ] {
            let served = answer(&[("range", range)]);
            assert_eq!((served.status.as_u16(), &served.body[..]), (206, part.as_bytes()), "{range}");
            assert_eq!(served.headers["content-range"], content_range);
            assert_eq!(served.headers["content-length"], part.len().to_string().as_str());
        }
        assert_eq!(answer(&[("range", "bytes=10-")]).status, 416);
        assert_eq!(answer(&[("range", "bytes=-0")]).status, 416);
        for whole in ["bytes=1-2,4-5", "items=1-2", "bytes=4-2", "bytes=x-1", "bytes=1"] {
            assert_eq!(answer(&[("range", whole)]).status, 200, "{whole}");
        }
        assert_eq!(answer(&[("range", "bytes=1-2"), ("if-range", "\"one\"")]).status, 206);
        assert_eq!(answer(&[("range", "bytes=1-2"), ("if-range", "\"two\"")]).status, 200);
    }

    #[test]
    fn a_response_is_for_requests_like_the_one_it_was_kept_for() {
        let german = list(&[("accept-language", "de")]);
        let fields = list(&[("cache-control", "max-age=60"), ("vary", "Accept-Language")]);
        let kept = admit(StatusCode::OK, fields, &german, now()).unwrap().unwrap();
        assert!(serve(&kept, &german, now()).is_some());
        assert!(serve(&kept, &list(&[("accept-language", "en")]), now()).is_none());
        assert!(serve(&kept, &HeaderMap::new(), now()).is_none());
        assert!(serve(&kept, &german, now() + Duration::from_secs(60)).is_none(), "stale");
    }
}
