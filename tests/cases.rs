//! Each folder below `tests/cases` is a test: a worker, and the requests and answers in its `cases.json`.
//!
//! `cargo test --release --workspace --test cases -- body/` runs the folders of one area.

mod support;

use std::path::Path;
use std::path::PathBuf;

use libtest_mimic::Arguments;
use libtest_mimic::Failed;
use libtest_mimic::Trial;

/// Each test is a server with an engine in it.
const AT_ONCE: usize = 4;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let trial = |(name, folder): (String, PathBuf)| {
        Trial::test(name, move || support::cases::run(&folder).map_err(Failed::from))
    };
    let trials = support::cases::folders(&root).into_iter().map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit();
}
