//! A set of route patterns, built once and read by every request without a lock.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{HostPattern, RoutePattern};

/// Patterns and what they lead to.
///
/// A lookup is a few hash lookups: one for the exact host, then one for each length that a wildcard host has, and under
/// each host the paths from the narrowest to the widest.
#[derive(Clone, Debug)]
pub struct RouteTable<T> {
    exact: HashMap<String, Vec<(RoutePattern, T)>>,
    suffixes: HashMap<String, Vec<(RoutePattern, T)>>,
    /// The lengths of the keys of `suffixes`, longest first.
    suffix_lengths: Vec<usize>,
}

// === impl RouteTable ===

impl<T> Default for RouteTable<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), suffixes: HashMap::new(), suffix_lengths: Vec::new() }
    }
}

impl<T> FromIterator<(RoutePattern, T)> for RouteTable<T> {
    fn from_iter<I: IntoIterator<Item = (RoutePattern, T)>>(routes: I) -> Self {
        Self::new(routes)
    }
}

impl<T> RouteTable<T> {
    /// A table of these routes. Of two equal patterns the first counts.
    #[must_use]
    pub fn new(routes: impl IntoIterator<Item = (RoutePattern, T)>) -> Self {
        let mut table = Self::default();
        for (pattern, target) in routes {
            let paths = match &pattern.host {
                HostPattern::Exact(host) => table.exact.entry(host.clone()).or_default(),
                HostPattern::EndsWith(suffix) => table.suffixes.entry(suffix.clone()).or_default(),
            };
            paths.push((pattern, target));
        }
        for paths in table.exact.values_mut().chain(table.suffixes.values_mut()) {
            // A stable sort, so that of two equal patterns the first stays in front.
            paths.sort_by_key(|(pattern, _)| Reverse(pattern.specificity()));
        }
        table.suffix_lengths = table.suffixes.keys().map(String::len).collect();
        table.suffix_lengths.sort_unstable_by_key(|length| Reverse(*length));
        table.suffix_lengths.dedup();
        table
    }

    /// Where a request goes. `host` is lower-case and without a port; `path` starts with `/` and has no query.
    #[must_use]
    pub fn find(&self, https: bool, host: &str, path: &str) -> Option<&T> {
        let exact = self.exact.get(host);
        let wildcards = self
            .suffix_lengths
            .iter()
            .filter_map(|length| host.len().checked_sub(*length).and_then(|start| host.get(start..)))
            .filter_map(|suffix| self.suffixes.get(suffix));
        exact.into_iter().chain(wildcards).find_map(|paths| {
            paths
                .iter()
                .find(|(pattern, _)| pattern.path.matches(path) && pattern.matches_scheme(https))
                .map(|(_, target)| target)
        })
    }

    /// How many patterns the table has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.values().chain(self.suffixes.values()).map(Vec::len).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.suffixes.is_empty()
    }
}
