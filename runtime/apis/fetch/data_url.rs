//! `data:` URLs (WHATWG Fetch §6): a response that needs no network.

use data_url::DataUrl;

/// What a `data:` URL holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Data {
    pub content_type: String,
    pub bytes: Vec<u8>,
}

/// Reads a `data:` URL; `None` if it is not well formed. Its fragment is no part of the data.
#[must_use]
pub fn parse(url: &str) -> Option<Data> {
    let url = DataUrl::process(url).ok()?;
    let (bytes, _) = url.decode_to_vec().ok()?;
    Some(Data { content_type: url.mime_type().to_string(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_has_a_type_and_bytes() {
        for (url, content_type, bytes) in [
            ("data:,", "text/plain;charset=US-ASCII", &b""[..]),
            ("data:,a%20b%2", "text/plain;charset=US-ASCII", b"a b%2"),
            ("data:text/HTML,<p>", "text/html", b"<p>"),
            ("data:text/plain;charset=UTF-8,%E2%82%AC", "text/plain;charset=UTF-8", b"\xe2\x82\xac"),
            ("data:;charset=x,a,b", "text/plain;charset=x", b"a,b"),
            ("data:application/json;base64,eyJhIjoxfQ==", "application/json", b"{\"a\":1}"),
            ("data:;BASE64,eA", "text/plain;charset=US-ASCII", b"x"),
            ("data:text/plain; base64,eA", "text/plain", b"x"),
            ("data:base64,eA", "text/plain;charset=US-ASCII", b"eA"),
            ("data:nonsense,x", "text/plain;charset=US-ASCII", b"x"),
        ] {
            let expected = Data { content_type: content_type.to_owned(), bytes: bytes.to_owned() };
            assert_eq!(parse(url), Some(expected), "{url}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for url in ["data:text/plain", "data:;base64,a", "data:;base64,a*b", "http://a/,x"] {
            assert_eq!(parse(url), None, "{url}");
        }
    }
}
