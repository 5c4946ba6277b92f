//! CSS selectors, bounded: lol_html parses and compiles them recursively, on a stack that has an end.

use lol_html::Selector;

use super::HtmlError;

/// Bytes of one selector.
const BYTES: usize = 16 << 10;
/// Compound selectors in one chain (`a b > c` has three), and brackets in each other.
const DEPTH: usize = 64;

/// Parses a selector.
///
/// # Errors
/// When it is none, lol_html does not support it, or it is too complex.
pub(super) fn parse(text: &str) -> Result<Selector, HtmlError> {
    if text.len() > BYTES || depth(text) > DEPTH {
        return Err(HtmlError::Parser("The selector is too complex.".to_owned()));
    }
    text.parse().map_err(|error: lol_html::errors::SelectorError| HtmlError::Parser(error.to_string()))
}

/// An upper bound for how deep the parse and the compiled selector nest.
fn depth(text: &str) -> usize {
    let (mut chain, mut open, mut deepest) = (1_usize, 0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b',' if open == 0 => chain = 1,
            b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'>' | b'/' => chain += 1,
            _ => {}
        }
        deepest = deepest.max(open).max(chain);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_selectors_are_parsed() {
        for text in ["*", "div > p.lead, a[href^=\"http:\" i]", "li:nth-child(2n+1):not(.x)", "#a b"] {
            assert!(parse(text).is_ok(), "{text}");
        }
        let many = ["a[href]"; 1_000].join(", ");
        assert!(parse(&many).is_ok());
    }

    #[test]
    fn selectors_that_nest_too_deep_are_refused() {
        for text in [":not(".repeat(5_000), "a ".repeat(5_000), "a>".repeat(5_000), "a".repeat(BYTES + 1)] {
            assert!(matches!(parse(&text), Err(HtmlError::Parser(_))));
        }
    }
}
