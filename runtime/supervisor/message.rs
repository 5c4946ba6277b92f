//! What the parent and a child tell each other: one JSON value per packet, some with open files beside it.

use std::net::SocketAddr;

use serde::Deserialize;
use serde::Serialize;

/// Raised when a message changes: both ends must be of the same build.
pub(crate) const PROTOCOL: u32 = 1;

/// From the parent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToChild {
    /// First, and with the blame table.
    Hello(Hello),
    /// Serve, with the listening sockets that are there, in this order.
    Listen {
        http: bool,
        https: bool,
        admin: bool,
    },
    /// Where the server listens. Before `Listen`, and again when it changes.
    Own(Own),
    /// A stream socket to the child that runs `tenant`'s workers, or, for such a child, from the one that serves.
    Connect {
        tenant: Tenant,
    },
    /// This tenant's workers run elsewhere from now on.
    Seclude {
        tenant: Tenant,
    },
    /// Put the configuration in force as it is now.
    Reload,
    /// Finish what runs, within this time, and end. A later one may only shorten it.
    Drain {
        grace_ms: u64,
        farewell: Farewell,
    },
    Counts(Counts),
}

/// The first message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol: u32,
    /// The parent's process id.
    pub(crate) parent: u32,
    pub(crate) role: Role,
    /// The tenants that have children of their own.
    pub(crate) private: Vec<Tenant>,
    pub(crate) counts: Counts,
}

/// From a child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToParent {
    /// The configuration and all workers are good; how long a drain may take is in it.
    Loaded { drain_ms: u64 },
    /// Requests are answered.
    Serving,
    /// Still alive.
    Beat,
    /// The child wants to be replaced, and then drained.
    Recycle,
    /// The connection to a tenant's own child has ended.
    Disconnected { tenant: Tenant },
    /// A turn that cannot be ended. The child serves on until it is replaced.
    Stuck(Culprit),
    /// An isolate's thread had to be stopped for ever, in a signal handler: who it was is in the blame table.
    Crashed,
}

/// [`ToParent::Crashed`], ready for a signal handler.
pub(crate) const CRASHED: &[u8] = b"\"Crashed\"";

/// The addresses at which a server listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    /// For everybody.
    pub serving: Vec<SocketAddr>,
    /// For the operator alone.
    pub admin: Vec<SocketAddr>,
}

/// Why a child drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Farewell {
    /// Another one serves in its place.
    Replaced,
    /// The server stops.
    Stopped,
}

/// What a child is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Accepts connections, and runs the workers of every tenant that has no process of its own.
    Serving,
    /// Runs one tenant's workers for the child that serves.
    Private(Tenant),
}

// === impl Role ===

impl Role {
    /// Whether a child of this role runs code of the tenant.
    pub(crate) fn may_run(&self, tenant: &Tenant) -> bool {
        match self {
            Self::Serving => true,
            Self::Private(own) => own == tenant,
        }
    }
}

/// Whose workers are held responsible together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tenant(pub String);

/// An invocation that is to blame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Culprit {
    pub worker: String,
    pub tenant: Tenant,
    /// Its number in its isolate; 0 for the worker's global scope.
    pub invocation: u32,
    pub trouble: Trouble,
}

/// What an invocation did to its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// It was inside JavaScript when the process ended.
    InTurn,
    /// Its turn could not be terminated.
    Stuck,
    /// The engine ran out of memory where it cannot throw.
    OutOfMemory,
    /// A check of the engine failed.
    CheckFailed,
    /// The process was to abort: a panic of an op, or a heap that the allocator found damaged.
    Aborted,
    /// A memory fault or an illegal instruction.
    Faulted,
}

/// Why a process was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// It ended without being asked to.
    Died,
    /// A thread of it was stopped for ever, where the engine or the machine refused to go on.
    Crashed,
    /// Turns of it cannot be ended.
    Stuck,
    /// It gave no sign of life.
    Hung,
    /// It asked for it.
    Asked,
    /// The operator asked for it.
    Upgrade,
}

/// What the parent has counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Processes replaced, by [`Reason`], in the order of [`Reason::ALL`].
    pub restarts: [u64; Reason::ALL.len()],
    /// Of the tenants that have most of them.
    pub strikes: Vec<(Tenant, u64)>,
    /// Tenants whose workers run in a process of their own.
    pub apart: Vec<Tenant>,
}

// === impl Reason ===

impl Reason {
    pub const ALL: [Self; 6] = [Self::Died, Self::Crashed, Self::Stuck, Self::Hung, Self::Asked, Self::Upgrade];

    /// For logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Died => "died",
            Self::Crashed => "crashed",
            Self::Stuck => "stuck",
            Self::Hung => "hung",
            Self::Asked => "asked",
            Self::Upgrade => "upgrade",
        }
    }
}

// === impl Tenant ===

impl std::borrow::Borrow<str> for Tenant {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Trouble ===

impl Trouble {
    /// Whether the memory of the process may be damaged.
    pub(crate) const fn is_suspect(self) -> bool {
        matches!(self, Self::Aborted | Self::Faulted)
    }

    /// For logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InTurn => "in_turn",
            Self::Stuck => "stuck",
            Self::OutOfMemory => "out_of_memory",
            Self::CheckFailed => "check_failed",
            Self::Aborted => "aborted",
            Self::Faulted => "faulted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_signal_handler_sends_is_a_message() {
        assert!(matches!(serde_json::from_slice(CRASHED), Ok(ToParent::Crashed)));
    }

    #[test]
    fn the_largest_counts_fit_into_one_packet() {
        let tenant = Tenant("x".repeat(255));
        let counts = Counts {
            restarts: [u64::MAX; Reason::ALL.len()],
            strikes: vec![(tenant.clone(), u64::MAX); crate::strikes::TOLD],
            apart: vec![tenant; crate::family::APART],
        };
        let bytes = serde_json::to_vec(&ToChild::Counts(counts)).unwrap();
        assert!(bytes.len() < crate::channel::LONGEST, "{}", bytes.len());
    }

    #[test]
    fn reasons_are_counted_in_their_order() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
    }
}
