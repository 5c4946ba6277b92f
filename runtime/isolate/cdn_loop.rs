//! The `cdn-loop` header (RFC 8586): how a request that comes back to its own server is told from a new one.
//!
//! A request that came in at depth `n` leaves, in each subrequest, as `holm; subreqs=n+1`, beside what other networks have
//! put into the header. It is written from the request as it came in, so a script has no say in it. The header is not signed:
//! a client that forges it is refused earlier, and a server on the way that takes it off could as well send a new request.
//! Read by the front for each request, written by `fetch()`.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

/// The header's name.
pub const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");
/// A request that has passed through this many invocations is refused.
pub const LOOP_DEPTH: u32 = 16;

const PSEUDONYM: &str = "holm";
const PARAMETER: &str = "subreqs=";

/// The invocations that a request has passed through; 0 for one that comes from a client.
#[must_use]
pub fn loop_depth(headers: &HeaderMap) -> u32 {
    headers.get_all(CDN_LOOP).iter().map(depth_of).fold(0, u32::saturating_add)
}

/// The header of a subrequest of an invocation that was started by a request with these headers.
#[must_use]
pub fn next_loop(headers: &HeaderMap) -> HeaderValue {
    let depth = loop_depth(headers).saturating_add(1);
    let mut value = Vec::new();
    for entry in headers.get_all(CDN_LOOP).iter().flat_map(entries).filter(|entry| !is_ours(entry)) {
        value.extend_from_slice(entry);
        value.extend_from_slice(b", ");
    }
    let ours = format!("{PSEUDONYM}; {PARAMETER}{depth}");
    value.extend_from_slice(ours.as_bytes());
    // What was part of a valid value is valid.
    HeaderValue::from_bytes(&value).unwrap_or(HeaderValue::from_static("holm; subreqs=16"))
}

fn depth_of(value: &HeaderValue) -> u32 {
    entries(value).filter(|entry| is_ours(entry)).map(entry_depth).fold(0, u32::saturating_add)
}

/// A list of `cdn-id *( ";" parameter )`. A comma within quotes splits too: no entry of Holm's has any.
fn entries(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty())
}

fn is_ours(entry: &[u8]) -> bool {
    let id = entry.split(|byte| *byte == b';').next().unwrap_or_default();
    id.trim_ascii().eq_ignore_ascii_case(PSEUDONYM.as_bytes())
}

/// An entry that names no number, or none that can be read, is one pass at least.
fn entry_depth(entry: &[u8]) -> u32 {
    entry
        .split(|byte| *byte == b';')
        .skip(1)
        .find_map(|parameter| std::str::from_utf8(parameter.trim_ascii()).ok()?.strip_prefix(PARAMETER))
        .map_or(1, |digits| digits.parse().unwrap_or(LOOP_DEPTH))
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (CDN_LOOP, HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn each_pass_counts_one_up() {
        let mut at = HeaderMap::new();
        for depth in 0..LOOP_DEPTH {
            assert_eq!(loop_depth(&at), depth);
            at.insert(CDN_LOOP, next_loop(&at));
        }
        assert_eq!(loop_depth(&at), LOOP_DEPTH);
    }

    #[test]
    fn the_entries_of_other_networks_stay() {
        let before = headers(&["foo123.example;note=\"a\", HOLM ; subreqs=3", "barcdn; x=1"]);
        assert_eq!(next_loop(&before), "foo123.example;note=\"a\", barcdn; x=1, holm; subreqs=4");
    }

    #[test]
    fn what_cannot_be_read_never_counts_less() {
        for (value, depth) in [
            ("", 0),
            ("holmes; subreqs=9", 0),
            ("holm", 1),
            ("holm; subreqs=0", 1),
            ("holm; subreqs=-1", LOOP_DEPTH),
            ("holm; subreqs=99999999999", LOOP_DEPTH),
            ("holm; x=1; subreqs=5", 5),
            ("holm; subreqs=4294967295, holm; subreqs=4294967295", u32::MAX),
            ("holm, holm", 2),
        ] {
            assert_eq!(loop_depth(&headers(&[value])), depth, "{value:?}");
        }
    }
}
