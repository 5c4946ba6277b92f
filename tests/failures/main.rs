//! Everything that can go wrong with a request, as one table: what its client gets, what the log says, what is counted, and
//! what becomes of the requests beside it, of the isolate, and of another worker.
//!
//! `cargo test --release --workspace --test failures -- hung` runs the rows whose names have this in them.

#[path = "../support/mod.rs"]
mod support;

mod pass_through;
mod races;
mod row;
mod runner;
mod table;

use libtest_mimic::Arguments;
use libtest_mimic::Trial;

/// Each test is a server with an engine in it.
const AT_ONCE: usize = 4;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let rows = table::ROWS.iter().map(|row| trial(row.name, move || runner::run(row)));
    let others = races::ALL.iter().chain(pass_through::ALL).map(|(name, test)| trial(name, test));
    libtest_mimic::run(&arguments, rows.chain(others).collect()).exit();
}

fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}
