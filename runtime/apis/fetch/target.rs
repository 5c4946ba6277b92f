//! From the URL that JavaScript has to the target that a request is sent to.
//!
//! The URL standard leaves characters in a path or query that RFC 3986 has no place for (`|` and `^` among them) and that
//! `http::Uri` may refuse. They are percent-encoded then, so that every URL that the `URL` class makes can be fetched.

use http::Uri;

/// The target of a request to `href`, a URL as the URL standard serializes it; `None` if its host is none that a request can
/// be sent to. Its fragment stays behind.
#[must_use]
pub fn of(href: &str) -> Option<Uri> {
    let href = href.split('#').next().unwrap_or(href);
    href.parse().or_else(|_| encoded(href).parse()).ok()
}

/// `href` with everything after its host in characters that RFC 3986 has.
fn encoded(href: &str) -> String {
    let authority = href.find("://").map_or(0, |scheme| scheme + "://".len());
    let path = href[authority..].find(['/', '?']).map_or(href.len(), |path| authority + path);
    let (place, rest) = href.split_at(path);
    let mut encoded = String::with_capacity(href.len() + 16);
    encoded.push_str(place);
    for byte in rest.bytes() {
        let kept = byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
        if kept {
            encoded.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            encoded.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                encoded.push(HEX.get(usize::from(digit)).copied().map_or('0', char::from));
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_the_url_without_its_fragment() {
        for (href, target) in [
            ("http://a.example/a?b#c", "http://a.example/a?b"),
            ("http://a.example/a%20b?c=%7C", "http://a.example/a%20b?c=%7C"),
            ("http://u:p@[::1]:81/", "http://u:p@[::1]:81/"),
        ] {
            assert_eq!(of(href).unwrap(), target, "{href}");
        }
        assert_eq!(of("http://a.example/`x`<").unwrap().path(), "/%60x%60%3C");
        assert!(of("http://a b/").is_none());
    }

    #[test]
    fn what_is_encoded_is_after_the_host_and_not_encoded_already() {
        for (href, target) in [
            ("http://a.example/%20|^'[]?a='|^`{}[]\"", "http://a.example/%20%7C%5E'[]?a='%7C%5E%60%7B%7D[]%22"),
            ("http://a.example?<>", "http://a.example?%3C%3E"),
            ("http://u:p@[::1]:81/`", "http://u:p@[::1]:81/%60"),
            ("http://a.example", "http://a.example"),
        ] {
            assert_eq!(encoded(href), target);
        }
    }

    #[test]
    fn every_character_of_a_path_and_a_query_can_be_asked_for() {
        for byte in (0x20..0x7f_u8).filter(|byte| !b"#?".contains(byte)) {
            let byte = char::from(byte);
            for href in [format!("http://a.example/x{byte}y"), format!("http://a.example/?x{byte}y")] {
                let uri = of(&href).unwrap_or_else(|| panic!("{href}"));
                assert_eq!(uri.host(), Some("a.example"), "{href}");
            }
        }
    }
}
