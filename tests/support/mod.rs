//! What the black-box tests stand on: the real binary as a child process, projects in temporary directories, an HTTP client
//! that can also misbehave, and an upstream for `fetch()`.
//!
//! Invariant: a test waits for events (a line of output, an answer, the end of a process), never for time to pass; the
//! deadline is a safety net. Everything a test starts ends with it.

#![allow(dead_code, reason = "every test binary includes this module and uses a part of it")]

pub mod cases;
pub mod client;
pub mod frames;
pub mod lines;
pub mod load;
pub mod output;
pub mod process;
pub mod project;
pub mod raw;
pub mod redis;
pub mod tls;
pub mod upstream;

use std::time::Duration;

/// Nothing that a test waits for takes this long, unless it never comes.
pub const DEADLINE: Duration = Duration::from_secs(60);
