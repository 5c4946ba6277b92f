//! What wrangler's patterns match, which of them wins, and that the table agrees with the definition.

use super::*;

fn pattern(text: &str) -> RoutePattern {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_pattern_without_wildcards_matches_one_url() {
    let route = pattern("example.com/about");
    assert!(route.matches(true, "example.com", "/about"));
    assert!(!route.matches(true, "example.com", "/about/us"));
    assert!(!route.matches(true, "www.example.com", "/about"));
}

#[test]
fn a_host_without_a_path_matches_its_root_only() {
    let route = pattern("example.com");
    assert!(route.matches(false, "example.com", "/"));
    assert!(!route.matches(false, "example.com", "/about"));
}

#[test]
fn a_trailing_wildcard_matches_everything_with_the_prefix() {
    let route = pattern("example.com/api*");
    for path in ["/api", "/api/", "/api/users", "/apiary"] {
        assert!(route.matches(true, "example.com", path), "{path}");
    }
    assert!(!route.matches(true, "example.com", "/"));
}

#[test]
fn a_dotted_wildcard_host_matches_subdomains_only() {
    let route = pattern("*.example.com/*");
    assert!(route.matches(true, "a.example.com", "/"));
    assert!(route.matches(true, "a.b.example.com", "/x"));
    assert!(!route.matches(true, "example.com", "/"));
    assert!(!route.matches(true, "badexample.com", "/"));
}

#[test]
fn an_undotted_wildcard_host_matches_the_domain_too() {
    let route = pattern("*example.com/*");
    for host in ["example.com", "a.example.com", "myexample.com"] {
        assert!(route.matches(true, host, "/"), "{host}");
    }
}

#[test]
fn a_scheme_is_matched_when_given() {
    assert!(pattern("https://example.com/*").matches(true, "example.com", "/"));
    assert!(!pattern("https://example.com/*").matches(false, "example.com", "/"));
    assert!(!pattern("http://example.com/*").matches(true, "example.com", "/"));
    assert!(pattern("*://example.com/*").matches(false, "example.com", "/"));
}

#[test]
fn hosts_are_compared_in_lower_case_and_paths_as_they_are() {
    assert!(pattern("EXAMPLE.com/A").matches(true, "example.com", "/A"));
    assert!(!pattern("EXAMPLE.com/A").matches(true, "example.com", "/a"));
}

#[test]
fn a_hostname_serves_its_whole_host() {
    let host = RoutePattern::hostname("*.hello.example").unwrap();
    assert_eq!(host.to_string(), "*.hello.example/*");
    assert!(host.matches(false, "a.hello.example", "/any/path"));
    assert_eq!(RoutePattern::hostname("[::1]").unwrap().to_string(), "[::1]/*");
    assert_eq!(
        RoutePattern::hostname("https://a.example/x").unwrap_err(),
        PatternError::NotAHostname("a.example".into())
    );
}

#[test]
fn errors_say_what_is_wrong_and_what_to_write() {
    let cases: &[(&str, &str)] = &[
        ("", "the pattern is empty; write at least a host, like \"example.com/*\""),
        ("/path", "there is no host; write one in front of the path, like \"example.com/*\""),
        ("ftp://a.example/*", "the scheme \"ftp\" is not http or https; leave it out to match both"),
        ("a.*.example/*", "a host may have one wildcard, at its start; write \"*.example.com\" or \"*example.com\""),
        ("**.example/*", "a host may have one wildcard, at its start; write \"*.example.com\" or \"*example.com\""),
        ("a.example/*/b", "a path may have one wildcard, at its end; write \"/path*\""),
        ("a.example/**", "a path may have one wildcard, at its end; write \"/path*\""),
        ("a.example/?q=1", "a query cannot be matched; remove everything from \"?\" on"),
        ("a.example/#top", "a fragment never reaches a server; remove everything from \"#\" on"),
        ("a.example:8080/*", "a port cannot be matched; remove \":8080\""),
        ("a..example/*", "the host has an empty label; remove the extra \".\""),
        ("*./*", "the host has an empty label; remove the extra \".\""),
        (
            "exämple.com/*",
            "'ä' cannot stand in a host; use letters, digits, \"-\" and \".\" (punycode for other letters)",
        ),
        ("a b.example/*", "a blank cannot stand in a pattern; write it as %20 in a path"),
    ];
    for (text, message) in cases {
        let error = text.parse::<RoutePattern>().expect_err(text);
        assert_eq!(&error.to_string(), message, "{text}");
    }
}

#[test]
fn patterns_are_printed_as_they_are_written() {
    for text in ["example.com/", "https://*.example.com/a*", "*/*", "http://*example.com/x", "localhost/*"] {
        assert_eq!(pattern(text).to_string(), text);
        assert_eq!(pattern(&pattern(text).to_string()), pattern(text));
    }
}

#[test]
fn the_narrowest_pattern_wins() {
    let order = [
        "https://example.com/a/b",
        "example.com/a/b",
        "example.com/a/b*",
        "example.com/a*",
        "example.com/*",
        "*.example.com/a/b/c",
        "*.example.com/*",
        "*example.com/*",
        "*/*",
    ];
    for pair in order.windows(2) {
        let [narrow, wide] = pair else { unreachable!() };
        assert!(pattern(narrow).specificity() > pattern(wide).specificity(), "{narrow} before {wide}");
    }
}

#[test]
fn a_host_whose_paths_do_not_match_falls_back_to_a_wildcard_host() {
    let table = RouteTable::new([(pattern("a.example.com/api/*"), 1), (pattern("*.example.com/*"), 2)]);
    assert_eq!(table.find(true, "a.example.com", "/api/x"), Some(&1));
    assert_eq!(table.find(true, "a.example.com", "/other"), Some(&2));
    assert_eq!(table.find(true, "example.com", "/api/x"), None);
}

#[test]
fn of_two_equal_patterns_the_first_counts() {
    let table = RouteTable::new([(pattern("a.example/*"), 1), (pattern("a.example/*"), 2)]);
    assert_eq!(table.find(true, "a.example", "/"), Some(&1));
    assert_eq!(table.len(), 2);
}

#[test]
fn a_host_that_is_not_ascii_matches_only_wildcards_it_ends_with() {
    let table = RouteTable::new([(pattern("*e/*"), 1), (pattern("*.example/*"), 2)]);
    assert_eq!(table.find(true, "ä.example", "/"), Some(&2));
    assert_eq!(table.find(true, "ä", "/"), None);
}

/// A small generator, so that the property is the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

#[test]
fn the_table_finds_what_comparing_every_pattern_finds() {
    let mut random = Random(7);
    let hosts = ["a.example", "b.a.example", "xa.example", "example", "c.b.a.example"];
    let paths = ["/", "/a", "/a/", "/a/b", "/ab", "/b"];
    for _ in 0..300 {
        let patterns: Vec<RoutePattern> = (0..random.below(12))
            .map(|_| {
                let scheme = random.pick(&["", "", "http://", "https://"]);
                let star = random.pick(&["", "", "*", "*."]);
                let end = random.pick(&["", "*"]);
                pattern(&format!("{scheme}{star}{}{}{end}", random.pick(&hosts), random.pick(&paths)))
            })
            .collect();
        let table = RouteTable::new(patterns.iter().map(|pattern| (pattern.clone(), pattern.clone())));
        for host in hosts {
            for path in paths {
                for https in [false, true] {
                    let expected = patterns
                        .iter()
                        .filter(|pattern| pattern.matches(https, host, path))
                        .max_by_key(|pattern| pattern.specificity());
                    let found = table.find(https, host, path);
                    assert_eq!(
                        found.map(RoutePattern::specificity),
                        expected.map(RoutePattern::specificity),
                        "{host}{path} in {patterns:?}"
                    );
                    assert!(found.is_none_or(|found| found.matches(https, host, path)));
                }
            }
        }
    }
}
