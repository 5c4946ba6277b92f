//! Compatibility dates and flags.

use super::*;

fn with_date(date: &str, flags: &str) -> Scratch {
    jsonc(&format!(
        "{{ \"name\": \"a\", \"main\": \"src/index.ts\",\n\"compatibility_date\": {date},\n\"compatibility_flags\": {flags} }}"
    ))
}

#[test]
fn date_and_flags_select_behaviors() {
    let project = loaded(&with_date("\"2024-01-01\"", "[\"brotli_content_encoding\", \"url_original\"]"));
    assert_eq!(project.compatibility.date, date!(2024 - 01 - 01));
    assert!(project.compatibility.is_on("brotli_content_encoding"));
    assert!(!project.compatibility.is_on("url_standard"));
    assert!(!project.compatibility.is_on("rpc"));
    assert!(!project.compatibility.is_on("no such flag"));
}

#[test]
fn a_date_in_the_future_is_refused() {
    assert_eq!(
        errors(&with_date("\"2026-09-02\"", "[]")),
        [
            "error 2:23 `compatibility_date` is in the future: today is 2026-09-01 | use \"2026-09-01\" or an earlier date"
        ]
    );
    assert_eq!(loaded(&with_date("\"2026-09-01\"", "[]")).warnings, []);
}

#[test]
fn a_date_of_another_form_is_refused() {
    for date in ["\"2026-9-1\"", "\"2026-02-30\"", "\"\"", "\"2026-01-01T00:00:00\""] {
        let found = errors(&with_date(date, "[]"));
        assert!(found[0].contains("must be a date like 2026-01-31"), "{found:?}");
    }
    assert_eq!(
        errors(&with_date("\"2026–01–01\"", "[]")),
        ["error 2:23 `compatibility_date` has a dash where a hyphen belongs | write it as YYYY-MM-DD"]
    );
}

#[test]
fn without_a_date_it_is_today_with_a_warning() {
    let project = loaded(&jsonc("{ \"name\": \"a\", \"main\": \"src/index.ts\" }"));
    assert_eq!(project.compatibility.date, date!(2026 - 09 - 01));
    assert_eq!(project.warnings.len(), 1);
    assert_eq!(project.warnings[0].message, "there is no `compatibility_date`: today's, 2026-09-01, is used");
}

#[test]
fn flags_are_checked() {
    let flags = "[\"nodejs_compta\",\n\"rpc\", \"no_rpc\",\n\"nodejs_als\", \"nodejs_als\",\n\"qqqq\", 3]";
    assert_eq!(
        errors(&with_date("\"2026-01-01\"", flags)),
        [
            "error 3:25 there is no compatibility flag `nodejs_compta` | did you mean `nodejs_compat`?",
            "error 4:8 the compatibility flags `rpc` and `no_rpc` contradict each other | keep one of the two",
            "error 5:15 the compatibility flag `nodejs_als` is given twice | keep one of the two",
            "error 6:1 there is no compatibility flag `qqqq` | remove it, or check its spelling",
            "error 6:9 `compatibility_flags[6]` must be a string, found a number | put it in quotes",
        ]
    );
}

#[test]
fn flags_without_their_feature_are_noted() {
    assert_eq!(
        warnings(&with_date("\"2026-01-01\"", "[\"nodejs_compat\", \"precise_timers\"]")),
        [
            "warning 3:42 `precise_timers` has no effect: the clock stands still while JavaScript runs | remove it to silence this warning",
        ]
    );
    assert_eq!(
        warnings(&with_date("\"2026-01-01\"", "[\"url_original\"]")),
        [
            "warning 3:25 `url_original` has no effect: URLs are those of the standard | remove it to silence this warning",
        ]
    );
    assert_eq!(warnings(&with_date("\"2026-01-01\"", "[\"url_standard\", \"no_rpc\"]")), [""; 0]);
    assert_eq!(warnings(&with_date("\"2026-09-01\"", "[\"no_nodejs_compat\"]")), [""; 0]);
}
