//! The syntax of `.env` and `.dev.vars` files: `NAME=value` lines, as the npm package `dotenv` reads them.
//!
//! Where that package skips what it does not understand, this reader says so with the line. Pure; called for each env
//! file.

/// One `NAME=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
}

/// What is wrong, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) offset: usize,
    pub(super) message: &'static str,
    pub(super) help: &'static str,
}

/// All assignments, and everything that is none.
pub(super) fn parse(text: &str) -> (Vec<Assignment>, Vec<SyntaxError>) {
    let mut assignments = Vec::new();
    let mut errors = Vec::new();
    let mut offset = 0;
    while offset < text.len() {
        let line_end = end_of_line(text, offset);
        let start = offset + leading_blanks(&text[offset..line_end]);
        if start == line_end || text[start..].starts_with('#') {
            offset = line_end + 1;
            continue;
        }
        match assignment(text, start, line_end) {
            Ok((assignment, end)) => {
                assignments.push(assignment);
                offset = end_of_line(text, end) + 1;
            }
            Err(error) => {
                errors.push(error);
                offset = line_end + 1;
            }
        }
    }
    (assignments, errors)
}

fn end_of_line(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |newline| from + newline)
}

fn leading_blanks(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// The assignment that starts at `start`, and where its value ends.
fn assignment(text: &str, start: usize, line_end: usize) -> Result<(Assignment, usize), SyntaxError> {
    let line = &text[start..line_end];
    let after_export = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => line.len() - rest.trim_start().len(),
        _ => 0,
    };
    let name_start = start + after_export;
    let name_text = &text[name_start..line_end];
    let name_length = name_text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))
        .unwrap_or(name_text.len());
    let name = &name_text[..name_length];
    let rest = &name_text[name_length..];
    let trimmed = rest.trim_start();
    if name.is_empty() {
        return Err(SyntaxError {
            offset: name_start,
            message: "expected a name",
            help: "write NAME=value; a name has letters, digits, \"_\", \".\" and \"-\"",
        });
    }
    let separated = trimmed.starts_with('=') || (rest.starts_with(':') && rest[1..].starts_with([' ', '\t']));
    if !separated {
        return Err(SyntaxError {
            offset: name_start + name_length,
            message: "expected `=` after the name",
            help: "write NAME=value, or put `#` in front of a comment",
        });
    }
    let value_start = line_end - trimmed.len() + 1;
    let (value, end) = value(text, value_start, line_end)?;
    Ok((Assignment { name: name.to_owned(), value }, end))
}

fn value(text: &str, start: usize, line_end: usize) -> Result<(String, usize), SyntaxError> {
    let line = &text[start..line_end];
    let start = start + leading_blanks(line);
    let Some(quote) = text[start..line_end].chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) else {
        let line = text.get(start..line_end).unwrap_or_default();
        let value = line.split('#').next().unwrap_or_default().trim();
        return Ok((value.to_owned(), line_end));
    };
    let inside = start + 1;
    let Some(length) = closing_quote(&text[inside..], quote) else {
        return Err(SyntaxError {
            offset: start,
            message: "the quote is never closed",
            help: "close it, or put the value into another kind of quotes",
        });
    };
    let after = inside + length + 1;
    let rest = text[after..end_of_line(text, after)].trim();
    if !rest.is_empty() && !rest.starts_with('#') {
        return Err(SyntaxError {
            offset: after,
            message: "there is text after the closing quote",
            help: "put the whole value into quotes, or `#` in front of a comment",
        });
    }
    let quoted = text[inside..inside + length].replace("\r\n", "\n");
    let value = if quote == '"' { quoted.replace("\\n", "\n").replace("\\r", "\r") } else { quoted };
    Ok((value, after))
}

/// The offset of the first `quote` without a backslash in front.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        if c == quote && !escaped {
            return Some(index);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// Puts earlier values in place of `$NAME`, `${NAME}` and `${NAME:-default}`; `\$` is a dollar sign.
pub(super) fn expand(value: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(dollar) = rest.find('$') {
        let (before, from) = rest.split_at(dollar);
        let after = &from[1..];
        if let Some(literal) = before.strip_suffix('\\') {
            expanded.push_str(literal);
            expanded.push('$');
            rest = after;
            continue;
        }
        expanded.push_str(before);
        let (replacement, consumed) = reference(after, lookup);
        expanded.push_str(&replacement);
        rest = after.get(consumed..).unwrap_or_default();
    }
    expanded.push_str(rest);
    expanded
}

/// What a reference after a `$` stands for, and how many bytes it has.
fn reference(after: &str, lookup: &dyn Fn(&str) -> Option<String>) -> (String, usize) {
    if let Some(close) = after.strip_prefix('{').and_then(|inner| inner.find('}')) {
        let inner = &after[1..=close];
        let (name, default) = match inner.split_once(":-").or_else(|| inner.split_once('-')) {
            Some((name, default)) => (name, default),
            None => (inner, ""),
        };
        let value = lookup(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned());
        return (value, close + 2);
    }
    let length = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
    let starts_well = after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if length == 0 || !starts_well {
        return ("$".to_owned(), 0);
    }
    (lookup(&after[..length]).unwrap_or_default(), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let (assignments, errors) = parse(text);
        assert_eq!(errors, [], "{text}");
        assignments.into_iter().map(|assignment| (assignment.name, assignment.value)).collect()
    }

    fn one(text: &str) -> String {
        values(text).remove(0).1
    }

    #[test]
    fn reads_plain_quoted_and_exported_values() {
        assert_eq!(one("A=plain value  # comment"), "plain value");
        assert_eq!(one("A="), "");
        assert_eq!(one("A=   "), "");
        assert_eq!(one("  export A = 'single # kept' # comment"), "single # kept");
        assert_eq!(one("A=\"line\\nbreak\""), "line\nbreak");
        assert_eq!(one("A='line\\nkept'"), "line\\nkept");
        assert_eq!(one("A=`{\"a\": 'b'}`"), "{\"a\": 'b'}");
        assert_eq!(one("A: yaml"), "yaml");
        assert_eq!(one("A=a=b=c"), "a=b=c");
        assert_eq!(one("A=\"say \\\"hi\\\"\""), "say \\\"hi\\\"");
        assert_eq!(one("exported=1"), "1");
    }

    #[test]
    fn reads_values_of_several_lines_and_both_line_endings() {
        let text = "# keys\r\nA=1\r\n\r\nB=\"first\r\nsecond\"\r\nC=3";
        let expected = [("A", "1"), ("B", "first\nsecond"), ("C", "3")];
        assert_eq!(values(text), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn says_what_is_no_assignment() {
        let (assignments, errors) = parse("A=1\nJUST_A_NAME\n=x\nB='open\nC=\"x\" y\nD=4\n");
        let names: Vec<&str> = assignments.iter().map(|assignment| assignment.name.as_str()).collect();
        assert_eq!(names, ["A", "D"]);
        let found: Vec<(usize, &str)> = errors.iter().map(|error| (error.offset, error.message)).collect();
        assert_eq!(
            found,
            [
                (15, "expected `=` after the name"),
                (16, "expected a name"),
                (21, "the quote is never closed"),
                (32, "there is text after the closing quote"),
            ]
        );
    }

    #[test]
    fn expands_references_to_earlier_values() {
        let lookup = |name: &str| (name == "HOST").then(|| "example.com".to_owned());
        assert_eq!(expand("https://$HOST/a", &lookup), "https://example.com/a");
        assert_eq!(expand("${HOST}:${PORT:-80}${GONE}", &lookup), "example.com:80");
        assert_eq!(expand("cost: \\$5 and $5 and $", &lookup), "cost: $5 and $5 and $");
        assert_eq!(expand("${unclosed", &lookup), "${unclosed");
    }

    #[test]
    fn never_panics_on_any_short_text() {
        let alphabet = ['A', '=', '"', '\'', '\\', '\n', ' ', '#', '$', '{', '}', 'ä', ':', '\r'];
        let mut seed = 11_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..8 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
            }
            for assignment in parse(&text).0 {
                expand(&assignment.value, &|_| None);
            }
        }
    }
}
