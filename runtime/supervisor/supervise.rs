//! The parent's life: start the first child, keep one serving, stop.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::os::fd::BorrowedFd;
use std::time::Duration;
use std::time::Instant;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;

use crate::child::Program;
use crate::family::Family;
use crate::message::Culprit;
use crate::message::Own;
use crate::strikes::StrikePolicy;

/// A second signal to stop leaves this much time.
const HASTE: Duration = Duration::from_secs(1);

/// The sockets that the parent holds, and every serving child accepts on.
#[derive(Debug, Default)]
pub struct Listeners {
    pub http: Option<TcpListener>,
    pub https: Option<TcpListener>,
    pub admin: Option<TcpListener>,
}

// === impl Listeners ===

impl Listeners {
    pub(crate) fn own(&self) -> Own {
        let address = |listener: &TcpListener| listener.local_addr().ok();
        Own {
            serving: [&self.http, &self.https].into_iter().flatten().filter_map(address).collect(),
            admin: self.admin.iter().filter_map(address).collect(),
        }
    }
}

/// Shared memory in which one child writes who is inside JavaScript. Readable after its end.
pub trait Witness {
    /// What the child maps.
    fn file(&self) -> BorrowedFd<'_>;

    fn testimony(&self) -> Testimony;
}

/// What a child has left in its blame table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Testimony {
    /// Whose threads had to be stopped for ever.
    pub crashed: Vec<Culprit>,
    /// Who was inside JavaScript beside them.
    pub in_turn: Vec<Culprit>,
}

/// What the parent of a server brings.
pub trait Parent {
    type Witness: Witness;

    /// The sockets to serve on, as the configuration says now. Called for each child that is to serve, once it has found
    /// the configuration and all workers good. A refusal leaves the sockets as they were.
    fn listeners(&mut self) -> impl Future<Output = Result<&Listeners, Refusal>>;

    /// Lets the sockets go.
    fn close(&mut self);

    /// A new blame table.
    ///
    /// # Errors
    /// When the system refuses the memory.
    fn witness(&self) -> io::Result<Self::Witness>;
}

/// When children are replaced, and when a tenant gets one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub strikes: StrikePolicy,
    /// Threads of one child that cannot be stopped, at which it is replaced. At least 1.
    pub stuck_threads: usize,
}

/// Why nothing is served: what to print, and the exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub text: String,
    pub status: u8,
}

/// Serves with children of `program` until a signal ends it; answers the exit status. On the process's first thread: children
/// die with the thread that started them.
///
/// # Errors
/// When the system refuses signal handlers, or a child at the start.
pub async fn supervise<P: Parent>(parent: P, program: Program, options: Options) -> io::Result<u8> {
    let mut signals = Signals::install()?;
    let (events, mut heard) = mpsc::unbounded_channel();
    let mut family = Family::new(parent, program, options, events);
    family.start_first()?;
    loop {
        let due = family.next_due();
        tokio::select! {
            Some((id, heard)) = heard.recv() => family.on_heard(id, heard).await,
            () = tokio::time::sleep_until(due.into()) => family.on_time(Instant::now()),
            signal = signals.next() => match signal {
                Told::Stop => family.stop(HASTE),
                Told::Reload => family.reload(),
                Told::Upgrade => family.upgrade(),
            },
        }
        if let Some(status) = family.exit_status() {
            return Ok(status);
        }
    }
}

/// What an operator asks for.
enum Told {
    Stop,
    Reload,
    Upgrade,
}

/// Installed before the first child: without a handler, each of them ends the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user2: Signal,
}

// === impl Signals ===

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
            _ = self.user2.recv() => Told::Upgrade,
        }
    }
}
