//! Applications as people write them, from packages of npm: each folder of `tests/applications` is a worker and the requests
//! and answers in its `cases.json`.
//!
//! The packages' versions are those of `tests/applications/package-lock.json`; they are installed at the first run. Where npm
//! cannot be reached the tests are skipped, and say so.

mod support;

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Arguments;
use libtest_mimic::Failed;
use libtest_mimic::Trial;

/// Each test is a server with an engine in it, after a build.
const AT_ONCE: usize = 2;

/// What npm prints when there is no way to the registry.
const UNREACHABLE: &[&str] =
    &["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "ERR_SOCKET_TIMEOUT"];

enum Packages {
    Installed,
    Unreachable,
    Failed(String),
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/applications");
    let packages = if arguments.list { Packages::Installed } else { install(&root) };
    if matches!(packages, Packages::Unreachable) {
        eprintln!("skipped: npm cannot reach its registry; run `npm ci` in {} where it can", root.display());
    }
    let folders = support::cases::folders(&root).into_iter();
    let trials = folders.map(|(name, folder)| trial(name, folder, &packages)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: String, folder: PathBuf, packages: &Packages) -> Trial {
    match packages {
        Packages::Installed => Trial::test(name, move || support::cases::run(&folder).map_err(Failed::from)),
        Packages::Unreachable => Trial::test(name, || Ok(())).with_ignored_flag(true),
        Packages::Failed(message) => {
            let message = message.clone();
            Trial::test(name, move || Err(Failed::from(message)))
        }
    }
}

/// The packages of the lock file, unless they are there: a copy of it lies among them then.
fn install(root: &Path) -> Packages {
    let lock = std::fs::read(root.join("package-lock.json")).unwrap();
    let stamp = root.join("node_modules/.holm-lock");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Packages::Installed;
    }
    let output = match Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(root).output() {
        Ok(output) => output,
        Err(error) => return Packages::Failed(format!("npm does not run: {error}; install Node.js with npm")),
    };
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        std::fs::write(stamp, lock).unwrap();
        return Packages::Installed;
    }
    if UNREACHABLE.iter().any(|code| text.contains(code)) {
        return Packages::Unreachable;
    }
    Packages::Failed(format!("npm ci failed in {}:\n{text}", root.display()))
}
