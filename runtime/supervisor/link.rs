//! The child's end: what it is for, what it is told, and what it tells.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::channel;
use crate::channel::Channel;
use crate::channel::Receiver;
use crate::harden;
use crate::message::CRASHED;
use crate::message::Counts;
use crate::message::Culprit;
use crate::message::Farewell;
use crate::message::Hello;
use crate::message::Own;
use crate::message::PROTOCOL;
use crate::message::Role;
use crate::message::Tenant;
use crate::message::ToChild;
use crate::message::ToParent;
use crate::supervise::Listeners;

/// Between two signs of life. The parent takes several missing ones for a process that hangs.
pub(crate) const BEAT: Duration = Duration::from_millis(500);

/// What a child begins with.
pub struct Adopted {
    pub link: Link,
    pub role: Role,
    /// The tenants that have children of their own.
    pub private: Vec<Tenant>,
    /// What the parent has counted so far.
    pub counts: Counts,
    /// Where the child writes who is inside JavaScript.
    pub blame: OwnedFd,
}

/// Speaks to the parent. Cheap to clone; of any thread.
#[derive(Clone, Debug)]
pub struct Link {
    channel: Channel,
}

/// What the parent wants.
pub enum Order {
    Listen(Listeners),
    /// Where the server listens: out of its workers' reach.
    Own(Own),
    /// A connection to the child that runs this tenant, or from the one that serves.
    Connect(Tenant, std::os::unix::net::UnixStream),
    /// This tenant's workers run elsewhere from now on.
    Seclude(Tenant),
    Reload,
    /// What the parent has counted.
    Counts(Counts),
    /// Finish within this time, and end; again: sooner.
    Drain(Duration, Farewell),
    /// The parent has gone.
    Orphaned,
}

/// Takes the parent's orders.
pub struct Orders {
    receiver: Receiver,
}

// === impl Link ===

impl Link {
    /// Takes over the channel that the parent has put in the place of standard input, and hardens the process. First of all.
    ///
    /// # Errors
    /// When this process is no child of a parent of the same build.
    pub fn adopt() -> io::Result<Adopted> {
        let channel = Channel::new(harden::take_standard_input()?);
        let strange = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let Some((ToChild::Hello(hello), mut files)) = channel.receive_blocking()? else {
            return Err(strange("the parent process did not say what this one is for"));
        };
        let Hello { protocol, parent, role, private, counts } = hello;
        if protocol != PROTOCOL {
            return Err(strange("the parent process is of another build; restart it instead of sending SIGUSR2"));
        }
        harden::harden(parent)?;
        let blame = files.pop().ok_or_else(|| strange("the parent process sent no blame table"))?;
        Ok(Adopted { link: Self { channel }, role, private, counts, blame })
    }

    /// What the parent wants from now on. Once, within a tokio runtime.
    ///
    /// # Errors
    /// When the runtime refuses the channel.
    pub fn orders(&self) -> io::Result<Orders> {
        Ok(Orders { receiver: self.channel.receiver()? })
    }

    /// Tells the parent that the process is alive, for as long as the front runtime runs its tasks.
    pub async fn beat(self) {
        let mut interval = tokio::time::interval(BEAT);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.say(&ToParent::Beat);
        }
    }

    /// The configuration is good; the parent answers with the listeners.
    pub fn loaded(&self, drain: Duration) {
        self.say(&ToParent::Loaded { drain_ms: millis(drain) });
    }

    /// Requests are answered.
    pub fn serving(&self) {
        self.say(&ToParent::Serving);
    }

    /// Asks for a replacement, and for the drain after that.
    pub fn recycle(&self) {
        self.say(&ToParent::Recycle);
    }

    /// The connection to a tenant's process has ended: if the process is there, another one is wanted.
    pub fn disconnected(&self, tenant: Tenant) {
        self.say(&ToParent::Disconnected { tenant });
    }

    /// A turn cannot be ended.
    pub fn stuck(&self, culprit: Culprit) {
        self.say(&ToParent::Stuck(culprit));
    }

    /// The bytes that tell the parent of a crash, and the descriptor to send them to: for a signal handler.
    #[must_use]
    pub fn crash_message(&self) -> (std::os::fd::RawFd, &'static [u8]) {
        (self.channel.raw(), CRASHED)
    }

    fn say(&self, message: &ToParent) {
        // A parent that has gone ends this process; one that does not read misses a message.
        if let Err(error) = self.channel.send(message, &[]) {
            tracing::debug!(%error, "the parent process cannot be told");
        }
    }
}

// === impl Orders ===

impl Orders {
    /// The next order.
    pub async fn next(&mut self) -> Order {
        loop {
            let (message, files) = match self.receiver.receive().await {
                Ok(Some(packet)) => packet,
                Ok(None) => return Order::Orphaned,
                Err(error) => {
                    tracing::error!(%error, "the parent process cannot be understood");
                    return Order::Orphaned;
                }
            };
            let mut files = files.into_iter();
            match message {
                ToChild::Hello(_) => {}
                ToChild::Listen { http, https, admin } => {
                    let mut take = |wanted: bool| if wanted { files.next().map(Into::into) } else { None };
                    return Order::Listen(Listeners { http: take(http), https: take(https), admin: take(admin) });
                }
                ToChild::Connect { tenant } => {
                    if let Some(stream) = files.next() {
                        return Order::Connect(tenant, stream.into());
                    }
                }
                ToChild::Seclude { tenant } => return Order::Seclude(tenant),
                ToChild::Reload => return Order::Reload,
                ToChild::Drain { grace_ms, farewell } => {
                    return Order::Drain(Duration::from_millis(grace_ms), farewell);
                }
                ToChild::Own(own) => return Order::Own(own),
                ToChild::Counts(counts) => return Order::Counts(counts),
            }
        }
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Both ends of a connection between two children.
pub(crate) fn connection() -> io::Result<(OwnedFd, OwnedFd)> {
    channel::stream_pair()
}
