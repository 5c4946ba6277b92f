//! The project's own build step (`build.command`), which makes the entry module before the bundler looks for it.

use std::process::Stdio;

use holm_config::project::Project;
use tokio::process::Command;

use crate::message::{BundleError, BundleMessage};

/// Runs `build.command` in `build.cwd` through the system's shell, and waits for it. Its output goes where ours goes.
/// Does nothing when the project has no such command. Dropping the future ends the command.
///
/// # Errors
/// The command could not be started, or did not end with status 0.
pub async fn run_build_command(project: &Project) -> Result<(), BundleError> {
    let Some(command) = project.build.command.as_deref() else { return Ok(()) };
    let directory = &project.build.cwd;
    let status = shell(command).current_dir(directory).stdin(Stdio::null()).kill_on_drop(true).status().await.map_err(
        |error| {
            about(
                project,
                format!("the build command `{command}` could not be started in {}: {error}", directory.display()),
            )
            .with_help("check `build.command` and `build.cwd`")
        },
    )?;
    if status.success() {
        return Ok(());
    }
    let end = match status.code() {
        Some(code) => format!("exited with status {code}"),
        None => "was ended by a signal".to_owned(),
    };
    let message = about(project, format!("the build command `{command}` {end}"))
        .with_help(format!("its output is above; it ran in {}", directory.display()));
    Err(message.into())
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command);
    shell
}

#[cfg(windows)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(command);
    shell
}

fn about(project: &Project, message: String) -> BundleMessage {
    let message = BundleMessage::new(message);
    match &project.config_file {
        Some(file) => message.in_file(file),
        None => message,
    }
}
