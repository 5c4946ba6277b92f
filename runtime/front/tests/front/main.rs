//! The front as its clients meet it: real sockets on an ephemeral port, with workers that need no engine behind it.

mod answers;
mod client_gone;
mod harness;
mod limits;
mod pace;
mod routing;
mod shutdown;
mod tls;
