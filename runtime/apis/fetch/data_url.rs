//! `data:` URLs (WHATWG Fetch §6): a response that needs no network.

/// What a `data:` URL holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Data {
    pub content_type: String,
    pub bytes: Vec<u8>,
}

const DEFAULT_TYPE: &str = "text/plain;charset=US-ASCII";

/// Reads a `data:` URL without fragment; `None` if it is not well formed.
#[must_use]
pub fn parse(url: &str) -> Option<Data> {
    let (kind, data) = url.strip_prefix("data:")?.split_once(',')?;
    let bytes = percent_decoded(data);
    let kind = kind.trim_matches(|c: char| c.is_ascii_whitespace());
    match without_base64(kind) {
        Some(kind) => Some(Data { content_type: content_type(kind), bytes: base64_decoded(&bytes)? }),
        None => Some(Data { content_type: content_type(kind), bytes }),
    }
}

/// `kind` without a last `;base64`, if it has one.
fn without_base64(kind: &str) -> Option<&str> {
    let start = kind.len().checked_sub("base64".len())?;
    let (before, last) = (kind.get(..start)?, kind.get(start..)?);
    let before = before.trim_end_matches(' ').strip_suffix(';')?;
    last.eq_ignore_ascii_case("base64").then_some(before)
}

fn content_type(kind: &str) -> String {
    let kind = if kind.starts_with(';') { format!("text/plain{kind}") } else { kind.to_owned() };
    let essence = kind.split(';').next().unwrap_or_default().trim_end();
    let is_type = essence.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
    let is_text = kind.bytes().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e));
    if is_type && is_text { kind.replacen(essence, &essence.to_ascii_lowercase(), 1) } else { DEFAULT_TYPE.to_owned() }
}

fn is_token(text: &str) -> bool {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// "Forgiving-base64 decode" of the Infra standard.
fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut digits: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if digits.len().is_multiple_of(4) {
        for _ in 0..2 {
            digits.pop_if(|last| *last == b'=');
        }
    }
    if digits.len() % 4 == 1 {
        return None;
    }
    let mut decoded = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | base64_value(*digit)?;
        }
        let [_, bytes @ ..] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        decoded.extend(bytes.into_iter().take(group.len() - 1));
    }
    Some(decoded)
}

fn base64_value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match (first, after) {
            (b'%', [high, low, after @ ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low, after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((*first, after));
        decoded.push(byte);
        rest = after;
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_has_a_type_and_bytes() {
        for (url, content_type, bytes) in [
            ("data:,", DEFAULT_TYPE, &b""[..]),
            ("data:,a%20b%2", DEFAULT_TYPE, b"a b%2"),
            ("data:text/HTML,<p>", "text/html", b"<p>"),
            ("data:text/plain;charset=UTF-8,%E2%82%AC", "text/plain;charset=UTF-8", b"\xe2\x82\xac"),
            ("data:;charset=x,a,b", "text/plain;charset=x", b"a,b"),
            ("data:application/json;base64,eyJhIjoxfQ==", "application/json", b"{\"a\":1}"),
            ("data:;BASE64,eA", DEFAULT_TYPE, b"x"),
            ("data:text/plain; base64,eA", "text/plain", b"x"),
            ("data:base64,eA", DEFAULT_TYPE, b"eA"),
            ("data:nonsense,x", DEFAULT_TYPE, b"x"),
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
