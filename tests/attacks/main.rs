//! Hostile workers against the real `holm serve`: each case is a test, beside a victim tenant that is asked all the while.
//!
//! ```console
//! $ cargo test --release --workspace --test attacks                     # the fast tier
//! $ HOLM_ATTACKS=full cargo test --release --workspace --test attacks   # all of it
//! $ cargo test --release --workspace --test attacks -- ISO-             # one family
//! $ cargo test --release --workspace --test attacks -- --ignored CPU-04 # one that waits for what Holm still lacks
//! ```
//!
//! After every case: the attacker's next request is served, the victim has noticed nothing, the serving process is the same
//! unless the case's blast class allows otherwise, and no secret has reached anyone but its owner. See `stage.rs`.

#[path = "../support/mod.rs"]
mod support;

mod bindings;
mod canary;
mod case;
mod cpu;
mod isolation;
mod leaks;
mod memory;
mod native;
mod others;
mod polluter;
mod processes;
mod sockets;
mod stage;
mod summary;
mod table;
mod timing;

use libtest_mimic::Arguments;
use libtest_mimic::Failed;
use libtest_mimic::Trial;

use crate::case::Tier;
use crate::case::What;
use crate::summary::Summary;

fn main() {
    let mut arguments = Arguments::from_args();
    // One case at a time: what happens to the victim and to the process is that case's doing.
    arguments.test_threads = Some(1);
    let full = std::env::var("HOLM_ATTACKS").is_ok_and(|tier| tier == "full");
    let cases = table::all();
    let summary = Summary::new(cases, full);
    let mut trials = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let name = case.title();
        match &case.what {
            What::NotApplicable(reason) => {
                trials.push(nothing(format!("{name} [not applicable: {reason}]")));
                continue;
            }
            What::Elsewhere(place) => {
                trials.push(nothing(format!("{name} [in {place}]")));
                continue;
            }
            What::Requests(_) | What::Scenario(_) if case.tier == Tier::Full && !full => {
                trials.push(nothing(format!("{name} [full tier: HOLM_ATTACKS=full]")));
                continue;
            }
            What::Requests(_) | What::Scenario(_) => {}
        }
        let summary = summary.clone();
        let run = move || {
            let result = stage::run(index);
            summary.note(index, result.is_ok());
            result.map_err(Failed::from)
        };
        trials.push(match case.waits_for {
            Some(what) => Trial::test(format!("{name} [waits for: {what}]"), run).with_ignored_flag(true),
            None => Trial::test(name, run),
        });
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    stage::close();
    summary.print();
    conclusion.exit();
}

/// A line in the list of tests.
fn nothing(name: String) -> Trial {
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}
