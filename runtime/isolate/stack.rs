//! Maps stacks of generated code back to the author's files.

use std::sync::Arc;

/// Frames of a stack that are mapped; the rest is kept as it is.
const FRAMES: usize = 64;

/// Frames of the shims say nothing to a worker's author.
const SHIM: &str = "ext:";

/// Rewrites every `specifier:line:column` of `stack` for which `maps` knows a source map, and leaves out the shims' frames.
pub(crate) fn map(stack: &str, maps: impl Fn(&str) -> Option<Arc<sourcemap::SourceMap>>) -> String {
    let mut mapped = String::with_capacity(stack.len());
    let shim = |line: &str| line.trim_start().starts_with("at ") && line.contains(SHIM);
    for (index, line) in stack.lines().filter(|line| !shim(line)).enumerate() {
        if index > 0 {
            mapped.push('\n');
        }
        match (index < FRAMES).then(|| map_frame(line, &maps)).flatten() {
            Some(frame) => mapped.push_str(&frame),
            None => mapped.push_str(line),
        }
    }
    mapped
}

/// One line: `    at name (specifier:line:column)` or `    at specifier:line:column`.
fn map_frame(line: &str, maps: impl Fn(&str) -> Option<Arc<sourcemap::SourceMap>>) -> Option<String> {
    let at = line.find("at ")? + 3;
    let (start, end) = match line.rfind('(') {
        Some(open) => (open + 1, line.rfind(')')?),
        None => (line.rfind("at async ").map_or(at, |async_at| async_at + 9), line.len()),
    };
    let location = line.get(start..end)?;
    let (rest, column) = location.rsplit_once(':')?;
    let (specifier, number) = rest.rsplit_once(':')?;
    let (number, column): (u32, u32) = (number.parse().ok()?, column.parse().ok()?);
    let map = maps(specifier)?;
    let token = map.lookup_token(number.checked_sub(1)?, column.checked_sub(1)?)?;
    let source = token.get_source()?;
    Some(format!(
        "{}{source}:{}:{}{}",
        line.get(..start)?,
        token.get_src_line() + 1,
        token.get_src_col() + 1,
        line.get(end..)?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_known_modules_are_mapped_and_other_lines_stay() {
        let mut builder = sourcemap::SourceMapBuilder::new(None);
        builder.add(0, 4, 9, 2, Some("src/index.ts"), None, false);
        let map = Arc::new(builder.into_sourcemap());
        let stack = "Error: no\n    at fetch (index.js:1:5)\n    at async index.js:1:5\n    at fetch (ext:holm/entry.js:1:1)\n    at other.js:1:1";
        let mapped = super::map(stack, |specifier| (specifier == "index.js").then(|| Arc::clone(&map)));
        assert_eq!(
            mapped,
            "Error: no\n    at fetch (src/index.ts:10:3)\n    at async src/index.ts:10:3\n    at other.js:1:1"
        );
    }
}
