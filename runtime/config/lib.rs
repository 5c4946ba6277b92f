//! Typed configuration: `holm.toml` for the server, wrangler projects for workers.
//!
//! Everything is checked before anything starts: a load returns either a value whose fields are all valid, or every
//! error at once, each with its file, line and column. The command line loads; the bundler, the host and the front read
//! the plain types.

pub mod built_in_modules;
pub mod bundle;
mod decode;
pub mod diagnostic;
pub mod egress;
pub mod flags;
pub mod limits;
pub mod project;
pub mod route;
#[cfg(test)]
mod scratch;
pub mod server;
mod value;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
