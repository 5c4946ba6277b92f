//! `holm build`: a project into a directory that `serve` loads without the bundler.

use time::Date;

use super::BuildArgs;
use super::exit::Exit;

/// Runs the command.
pub(super) fn run(args: &BuildArgs) -> Exit {
    let project = match holm_config::project::load(&args.project.path, &args.project.load_options()) {
        Ok(project) => project,
        Err(diagnostics) => {
            eprintln!("{diagnostics}");
            return Exit::Config;
        }
    };
    for warning in &project.warnings {
        eprintln!("{warning}");
    }
    let runtime = match super::process::runtime(None) {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Failure;
        }
    };
    let bundled = runtime.block_on(async {
        holm_bundler::run_build_command(&project).await?;
        holm_bundler::bundle(&project).await
    });
    let bundled = match bundled {
        Ok(bundled) => bundled,
        Err(error) => {
            eprintln!("{error}");
            return Exit::Config;
        }
    };
    for warning in &bundled.warnings {
        eprintln!("warning: {warning}");
    }
    if let Err(error) = bundled.bundle.write(&project.worker_settings(), &args.output) {
        eprintln!("error: {error}");
        return Exit::Failure;
    }
    let bytes: usize = bundled.bundle.modules.iter().map(|module| module.source.len()).sum();
    println!(
        "{}: {} modules, {:.1} KiB, in {}",
        project.name,
        bundled.bundle.modules.len(),
        bytes as f64 / 1024.0,
        args.output.display()
    );
    Exit::Ok
}

/// The day, in UTC: against it a compatibility date is in the future.
pub(super) fn today() -> Date {
    time::OffsetDateTime::now_utc().date()
}
