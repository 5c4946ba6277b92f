//! Holm, an edge isolate runtime: one binary that serves workers for many tenants, and runs one worker at its author's desk.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
