//! The ids of the catalogue whose cases are in other test programs, and those that nothing here can be attacked by yet.

use crate::case::Case;
use crate::case::elsewhere;
use crate::case::not_applicable;

const DOOR: &str = "tests/http_attacks.rs";
const EGRESS: &str = "tests/egress.rs";
const OUTBOUND: &str = "runtime/stores/tests/outbound";
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
        not_applicable("OUT-05", "there is nothing but fetch() that leaves"),
        elsewhere("HTTP-28", "tests/metrics.rs"),
        elsewhere("OPS-10", "tests/metrics.rs"),
        elsewhere("OPS-11", "runtime/config/server/tests.rs, tests/serve.rs"),
        elsewhere("OPS-16", "tests/metrics.rs"),
        elsewhere("OPS-13", "tests/dev.rs"),
        not_applicable("OPS-22", "one process does everything"),
        not_applicable("OPS-23", "one process does everything"),
        not_applicable("OPS-25", "one process does everything"),
        not_applicable("OPS-26", "one process does everything"),
        not_applicable("HTTP-35", "there are no assets"),
        not_applicable("OPS-01", "there are no assets"),
        not_applicable("OPS-17", "there is no log but the server's own"),
    ]);
    let storage = [
        "BND-01", "BND-02", "BND-04", "BND-05", "BND-07", "BND-08", "BND-10", "BND-11", "BND-13", "BND-14", "BND-16",
        "BND-17", "BND-19", "BND-20", "BND-22", "BND-23", "BND-25", "BND-26",
    ];
    cases.extend(storage.map(|id| not_applicable(id, "there are no bindings to stores, queues and services")));
    cases
}
