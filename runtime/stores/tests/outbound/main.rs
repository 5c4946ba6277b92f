//! `HttpOutbound` against real servers on this machine.

mod bodies;
mod connections;
mod egress;
mod redirects;
mod upstream;
mod wire;
