//! The ids of the catalogue whose cases are in other test programs, and those that nothing here can be attacked by yet.

use crate::case::Case;
use crate::case::elsewhere;
use crate::case::not_applicable;

const DOOR: &str = "tests/http_attacks.rs";
const EGRESS: &str = "tests/egress.rs";
const OUTBOUND: &str = "runtime/stores/tests/outbound";
const NOT_SHUT_IN: &str = "the process that serves opens its files and sockets itself";
const TOOLS: &str = "tests/ops_attacks.rs";

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        "HTTP-01", "HTTP-02", "HTTP-04", "HTTP-05", "HTTP-07", "HTTP-08", "HTTP-10", "HTTP-11", "HTTP-13", "HTTP-14",
        "HTTP-16", "HTTP-17", "HTTP-19", "HTTP-20", "HTTP-22", "HTTP-23", "HTTP-25", "HTTP-26", "HTTP-29", "HTTP-31",
        "HTTP-32", "HTTP-34", "HTTP-37", "HTTP-38", "OPS-08",
    ]
    .into_iter()
    .map(|id| elsewhere(id, DOOR))
    .collect();
    cases.extend(["OPS-02", "OPS-04", "OPS-05", "OPS-14", "OPS-19", "OPS-20"].map(|id| elsewhere(id, TOOLS)));
    let reached = ["OUT-01", "OUT-04", "OUT-07", "OUT-08", "OUT-14", "OUT-16", "OUT-17", "OUT-19", "OUT-22"];
    cases.extend(reached.map(|id| elsewhere(id, EGRESS)));
    cases.extend(["OUT-02", "OUT-10", "OUT-11", "OUT-13", "OUT-23"].map(|id| elsewhere(id, OUTBOUND)));
    cases.extend([
        // Nothing is connected that is refused, so there is nothing to time.
        elsewhere("OUT-20", EGRESS),
        elsewhere("OUT-05", EGRESS),
        elsewhere("HTTP-28", "tests/metrics.rs"),
        elsewhere("OPS-10", "tests/metrics.rs"),
        elsewhere("OPS-11", "runtime/config/server/tests.rs, tests/serve.rs"),
        elsewhere("OPS-16", "tests/metrics.rs"),
        elsewhere("OPS-13", "tests/dev.rs"),
        not_applicable("OPS-22", NOT_SHUT_IN),
        not_applicable("OPS-23", NOT_SHUT_IN),
        elsewhere("OPS-25", "runtime/supervisor/child.rs"),
        elsewhere("OPS-26", "tests/processes.rs"),
        not_applicable("HTTP-35", "static assets are not available"),
        not_applicable("OPS-01", "static assets are not available"),
        not_applicable("OPS-17", "nobody but the operator can read a log"),
        elsewhere("BND-01", "tests/cache.rs, and BND-05 here: the caches of tenants"),
        elsewhere("BND-08", "runtime/stores/cache/disk.rs"),
    ]);
    for (what, ids) in [
        ("there are no key-value namespaces", &["BND-04", "BND-23"][..]),
        ("SQL: there is no such binding", &["BND-10", "BND-11"]),
        ("there are no durable objects", &["BND-14", "BND-16", "BND-17", "BND-22"]),
        ("there are no queues", &["BND-19", "BND-20"]),
    ] {
        cases.extend(ids.iter().map(|id| not_applicable(id, what)));
    }
    cases
}
