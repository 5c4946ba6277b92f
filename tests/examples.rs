//! Each example is a test: its `cases.json`, against the server that its README tells to start.

mod support;

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Arguments;
use libtest_mimic::Failed;
use libtest_mimic::Trial;

/// Each test is a server with an engine in it.
const AT_ONCE: usize = 4;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("workers-examples");
    let trial = |(name, folder): (String, PathBuf)| {
        Trial::test(name, move || {
            install_packages(&folder)?;
            support::cases::run(&folder).map_err(Failed::from)
        })
    };
    let trials = support::cases::folders(&root).into_iter().map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// What the README of an example with npm packages says to do first.
fn install_packages(folder: &Path) -> Result<(), Failed> {
    if !folder.join("package-lock.json").is_file() || folder.join("node_modules").is_dir() {
        return Ok(());
    }
    let installed = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder).output();
    let advice = format!("run `npm ci` in {} where npm can be reached", folder.display());
    match installed {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("npm ci failed; {advice}\n{}", String::from_utf8_lossy(&output.stderr)).into()),
        Err(error) => Err(format!("npm does not run ({error}); {advice}").into()),
    }
}
