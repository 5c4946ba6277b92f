//! The JavaScript of the `node:` modules, as text in the program: Node.js's own from `js-shims/node/lib`, Holm's in place of
//! what needs an operating system from `js-shims/node/own`. An isolate compiles a script when a worker asks for it.

/// Name and text, sorted by name.
static SCRIPTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/scripts.rs"));

/// The text of the script `name` (`internal/util`).
#[must_use]
pub fn script(name: &str) -> Option<&'static str> {
    let index = SCRIPTS.binary_search_by_key(&name, |(name, _)| name).ok()?;
    SCRIPTS.get(index).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted_and_found() {
        assert!(SCRIPTS.is_sorted_by_key(|(name, _)| *name));
        assert!(script("events").is_some_and(|text| text.contains("EventEmitter")));
        assert!(script("loader").is_some());
        assert!(script("no such script").is_none());
    }
}
