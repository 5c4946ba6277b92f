//! `HttpOutbound` against real servers on this machine.

mod bodies;
mod certificates;
mod connections;
mod egress;
mod names;
mod redirects;
mod upstream;
mod wire;
