//! The command line: `dev`, `serve`, `build` and `types`.

mod allowed_hosts;
mod build;
mod cron;
mod deploy;
mod dev;
mod exit;
mod inspector;
mod log;
mod metrics;
mod observe;
mod origin;
mod overlay;
mod parent;
mod private;
mod process;
mod serve;
mod services;
mod settings;
mod site;
mod superior;
mod terminal;
mod types;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use holm_config::project::LoadOptions;

/// An edge isolate runtime, compatible with the Cloudflare Workers API and with wrangler projects.
#[derive(Debug, Parser)]
#[command(name = "holm", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one worker on this machine, and reload it as its files change
    Dev(DevArgs),
    /// Serve many workers by host name
    Serve(ServeArgs),
    /// Bundle a project into a directory that `serve` loads without the bundler
    Build(BuildArgs),
    /// Write the types of a project's `env`, and of the runtime for its compatibility date
    Types(TypesArgs),
}

/// Which project, and what is set from outside of it.
#[derive(Args, Clone, Debug)]
struct ProjectArgs {
    /// A directory with a wrangler.jsonc, wrangler.json or wrangler.toml, such a file, or a script
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The environment of the project's configuration
    #[arg(short, long, value_name = "NAME")]
    env: Option<String>,
    /// Set a variable; may be given several times, and wins over the configuration and the env files
    #[arg(long = "var", value_name = "NAME:VALUE", value_parser = parse_var)]
    vars: Vec<(String, String)>,
}

#[derive(Args, Clone, Debug)]
struct DevArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// Other projects, which are not served but can be called over service bindings
    #[arg(value_name = "PROJECT")]
    others: Vec<PathBuf>,
    /// The port to listen on; 0 picks a free one [default: dev.port of the project, or 8787]
    #[arg(short, long)]
    port: Option<u16>,
    /// The address to listen on [default: dev.ip of the project, or 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// Let Chrome DevTools or VS Code debug the worker, on this port of 127.0.0.1; 0 picks a free one [default: dev.inspector_port
    /// of the project, or none]
    #[arg(long, value_name = "PORT")]
    inspector_port: Option<u16>,
    /// A host name that requests may have, beside localhost, IP addresses, `dev.host` and the hosts of the project's routes; can
    /// be given several times
    #[arg(long = "allow-host", value_name = "NAME")]
    allow_hosts: Vec<String>,
    /// A PEM file of authorities that outgoing TLS trusts beside those of the web; can be given several times
    #[arg(long, value_name = "FILE")]
    egress_ca: Vec<PathBuf>,
    /// How much of what the worker logs is shown
    #[arg(long, value_enum, default_value_t = LogLevel::Info)]
    log_level: LogLevel,
    /// Do not reload when files change
    #[arg(long)]
    no_watch: bool,
}

#[derive(Args, Clone, Debug)]
struct ServeArgs {
    /// The server's configuration
    #[arg(short, long, value_name = "FILE", default_value = "holm.toml")]
    config: PathBuf,
    /// Check the configuration and the workers, and exit
    #[arg(long)]
    check: bool,
    /// Serve in this process, without a parent that replaces it when it crashes
    #[arg(long)]
    single_process: bool,
    /// Serve for the parent process at the other end of standard input
    #[arg(long, hide = true)]
    child: bool,
}

#[derive(Args, Clone, Debug)]
struct BuildArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// The directory to write; it is replaced whole
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

#[derive(Args, Clone, Debug)]
struct TypesArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// The file to write, from the project's directory [default: worker-configuration.d.ts]
    #[arg(short, long, value_name = "FILE", value_parser = types::parse_output)]
    output: Option<PathBuf>,
    /// The name of the interface
    #[arg(long, value_name = "NAME", default_value = "Env")]
    env_interface: String,
    /// Write nothing; fail if the file is not what would be written
    #[arg(long)]
    check: bool,
}

/// What of a worker's log is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    None,
}

// === impl ProjectArgs ===

impl ProjectArgs {
    /// How the project is loaded; without its env files, which are not for what is written to disk.
    fn load_options(&self) -> LoadOptions {
        LoadOptions {
            env: self.env.clone(),
            var_overrides: self.vars.clone(),
            host_environment: std::env::vars().collect(),
            ..LoadOptions::new(build::today())
        }
    }
}

/// Parses the command line and runs the command.
pub(crate) fn main() -> ExitCode {
    let status = match Cli::parse().command {
        Command::Dev(args) => dev::run(args),
        Command::Serve(args) => serve::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Types(args) => types::run(&args),
    };
    status.into()
}

fn parse_var(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME:VALUE".to_owned()),
    }
}
