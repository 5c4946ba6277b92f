//! The parent of the serving processes.
//!
//! The parent owns the listening sockets, runs no tenant's code and no engine, and keeps one child that serves: it starts it,
//! replaces it when it dies, hangs or asks for it, and lets the old one finish while the new one already accepts on the same
//! sockets. It remembers who brought a child down: three times within ten minutes, and the workers of that tenant run in a
//! child of their own.
//!
//! Both sides are here: [`supervise`] is the parent's life, [`Link`] the child's end of the channel between them.

mod back_off;
mod channel;
mod child;
mod family;
mod harden;
mod link;
mod message;
mod strikes;
mod supervise;

pub use child::Program;
pub use harden::exit_now;
pub use link::Adopted;
pub use link::Link;
pub use link::Order;
pub use link::Orders;
pub use message::Counts;
pub use message::Culprit;
pub use message::Farewell;
pub use message::Own;
pub use message::Reason;
pub use message::Role;
pub use message::Tenant;
pub use message::Trouble;
pub use strikes::StrikePolicy;
pub use supervise::Listeners;
pub use supervise::Options;
pub use supervise::Parent;
pub use supervise::Refusal;
pub use supervise::Testimony;
pub use supervise::Witness;
pub use supervise::supervise;
