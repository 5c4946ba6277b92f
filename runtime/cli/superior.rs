//! Who tells a serving process what to do: its parent, or, where it is the only process, the operator with signals.

use std::time::Duration;

use holm_isolate::Blamed;
use holm_isolate::Report;
use holm_supervisor::Farewell;
use holm_supervisor::Link;
use holm_supervisor::Order;
use holm_supervisor::Orders;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;

use super::parent;

/// A second signal to stop leaves this much time.
const HASTE: Duration = Duration::from_secs(1);

/// What the watchdog reports, on its way from the watchdog's thread.
pub(super) type Reports = mpsc::UnboundedReceiver<Report>;

/// Where orders come from.
pub(super) enum Superior {
    Parent {
        link: Link,
        orders: Orders,
        signals: Signals,
    },
    Operator {
        signals: Signals,
        /// Says that this process cannot go on, and ends where it can.
        poison: mpsc::UnboundedReceiver<()>,
        poisoned: bool,
        drains: bool,
    },
}

/// Installed before the process says that it serves: without a handler, each of them ends it.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user2: Signal,
}

enum Received {
    Terminate,
    Interrupt,
    HangUp,
    User2,
}

/// What becomes of a change that a running process cannot make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recycling {
    /// Another process takes over.
    UnderWay,
    /// Nobody is there to start one.
    Impossible,
}

// === impl Superior ===

impl Superior {
    /// Orders of the parent. Its signals are not for the child, which may get them too: from a terminal, or from whoever ends
    /// all processes of a service.
    pub(super) fn parent(link: Link) -> std::io::Result<Self> {
        let orders = link.orders()?;
        Ok(Self::Parent { link, orders, signals: Signals::install()? })
    }

    pub(super) fn operator(poison: mpsc::UnboundedReceiver<()>) -> std::io::Result<Self> {
        Ok(Self::Operator { signals: Signals::install()?, poison, poisoned: false, drains: false })
    }

    /// The next order.
    pub(super) async fn next(&mut self) -> Order {
        match self {
            Self::Parent { link, orders, signals } => loop {
                tokio::select! {
                    order = orders.next() => return order,
                    received = signals.next() => if let Received::Terminate = received {
                        tracing::info!("SIGTERM: asking the parent process for a replacement");
                        link.recycle();
                    },
                }
            },
            Self::Operator { signals, poison, poisoned, drains } => loop {
                let received = tokio::select! {
                    received = signals.next() => received,
                    Some(()) = poison.recv(), if !*drains => {
                        *poisoned = true;
                        tracing::error!("this process cannot go on: it drains and ends, start it again");
                        Received::Terminate
                    }
                };
                match received {
                    Received::Terminate | Received::Interrupt => {
                        let grace = if *drains { HASTE } else { Duration::MAX };
                        *drains = true;
                        return Order::Drain(grace, Farewell::Stopped);
                    }
                    Received::HangUp => return Order::Reload,
                    Received::User2 => {
                        tracing::warn!("a single process cannot be upgraded while it serves; restart it");
                    }
                }
            },
        }
    }

    /// Whether the process ends because it cannot go on, and nobody has replaced it.
    pub(super) const fn is_poisoned(&self) -> bool {
        matches!(self, Self::Operator { poisoned: true, .. })
    }

    /// The process answers requests.
    pub(super) fn serving(&self) {
        if let Self::Parent { link, .. } = self {
            link.serving();
        }
    }

    /// Asks for another process in the place of this one.
    pub(super) fn recycle(&self) -> Recycling {
        match self {
            Self::Parent { link, .. } => {
                link.recycle();
                Recycling::UnderWay
            }
            Self::Operator { .. } => Recycling::Impossible,
        }
    }
}

// === impl Signals ===

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.terminate.recv() => Received::Terminate,
            _ = self.interrupt.recv() => Received::Interrupt,
            _ = self.hang_up.recv() => Received::HangUp,
            _ = self.user2.recv() => Received::User2,
        }
    }
}

/// Logs what the watchdog reports, and tells the parent what only a new process mends.
pub(super) async fn report_to_parent(mut reports: Reports, link: Link) {
    while let Some(report) = reports.recv().await {
        log(&report);
        match report {
            Report::Stuck(blamed) => link.stuck(parent::culprit(blamed)),
            Report::Panicked(_) => link.recycle(),
            // Where a thread was stopped, it has told the parent itself.
            Report::GivenUp(_) | Report::Stopped(_) | Report::HelperStopped => {}
        }
    }
}

/// Logs what the watchdog reports, and says when the process has to end: at so many threads that cannot be stopped, or the
/// first one that the engine could not go on with.
pub(super) async fn report_to_self(mut reports: Reports, stuck_threads: u64, poisoned: mpsc::UnboundedSender<()>) {
    let mut stuck = 0;
    while let Some(report) = reports.recv().await {
        log(&report);
        match report {
            Report::GivenUp(_) => continue,
            Report::Stuck(_) => stuck += 1,
            Report::Stopped(_) | Report::HelperStopped | Report::Panicked(_) => stuck = stuck_threads,
        }
        if stuck >= stuck_threads {
            let _ = poisoned.send(());
        }
    }
}

fn log(report: &Report) {
    let (blamed, text) = match report {
        Report::GivenUp(blamed) => (blamed, "a turn was terminated and does not end; its isolate has been given up"),
        Report::Stuck(blamed) => (blamed, "a thread cannot be stopped"),
        Report::Stopped(blamed) => (blamed, "an isolate crashed; its thread was stopped"),
        Report::HelperStopped => {
            tracing::error!("a helper thread of the engine crashed and was stopped");
            return;
        }
        Report::Panicked(task) => {
            tracing::error!(task, "a task that the process needs has panicked; the process is to be replaced");
            return;
        }
    };
    let Blamed { worker, tenant, invocation, .. } = blamed;
    tracing::error!(worker, tenant, invocation, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_what_the_process_needs_is_the_end_of_one_that_is_alone() {
        let (report, reports) = mpsc::unbounded_channel();
        let (poison, mut poisoned) = mpsc::unbounded_channel();
        let blamed = Blamed {
            worker: String::new(),
            tenant: String::new(),
            invocation: 1,
            trouble: holm_isolate::Trouble::Stuck,
        };
        report.send(Report::Stuck(blamed)).unwrap();
        report.send(Report::Panicked("sweeper")).unwrap();
        drop(report);
        report_to_self(reports, 100, poison).await;
        assert_eq!(poisoned.recv().await, Some(()));
        assert_eq!(poisoned.recv().await, None);
    }
}
