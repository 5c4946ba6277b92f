//! The thread that ends a turn that outran its CPU budget.
//!
//! CPU time cannot pass faster than wall time, so a turn needs no look before its remaining budget has passed on the wall
//! clock: short turns are never looked at. Each isolate has a slot. The watchdog terminates only while it holds the slot's
//! lock and the slot is armed, and disarming takes the same lock, so a termination can never hit the next turn. It is
//! level-triggered: it asserts again on every tick until the turn has been left, since the engine cancels a termination
//! while it formats an exception and then runs getters of the script.

use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use deno_core::v8;
use holm_metrics::Histogram;
use parking_lot::Condvar;
use parking_lot::Mutex;

use crate::Account;
use crate::cpu::ThreadClock;

/// Between two looks at a turn that is past its budget.
const TICK: Duration = Duration::from_millis(1);
/// How long the watchdog naps while turns come and go; while it naps, arming a longer budget wakes nobody.
const NAP: Duration = Duration::from_millis(20);
const NEVER: u64 = u64::MAX;

/// The watchdog of the process. Cheap to clone.
#[derive(Clone)]
pub struct Watchdog {
    shared: Arc<Shared>,
}

struct Shared {
    epoch: Instant,
    slots: Mutex<Vec<Weak<Slot>>>,
    /// When the watchdog looks next, in nanoseconds since `epoch`; `NEVER` while it sleeps until it is notified.
    next_look: AtomicU64,
    /// Raised by each arming, so that the watchdog knows whether turns still come.
    armings: AtomicU64,
    wake: Condvar,
    wake_lock: Mutex<()>,
    lag: Histogram,
    /// No thread looks: no budget holds.
    absent: bool,
}

/// How late the watchdog looks.
const LAG: &[Duration] = &[
    Duration::from_micros(100),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

/// One isolate's place at the watchdog.
pub(crate) struct Slot {
    shared: Arc<Shared>,
    clock: Option<ThreadClock>,
    isolate: v8::IsolateHandle,
    /// Looked at, too, in a turn that lasts.
    memory: Arc<Account>,
    /// When to look at the turn, in nanoseconds since the epoch; `NEVER` while no turn runs. Read without the lock.
    look_at: AtomicU64,
    turn: Mutex<Turn>,
}

#[derive(Default)]
struct Turn {
    armed: bool,
    /// On the thread's CPU clock.
    deadline_ns: u64,
    terminated: bool,
}

// === impl Watchdog ===

impl Watchdog {
    /// Starts the watchdog's thread; it lives as long as the process.
    ///
    /// # Errors
    /// When the system refuses the thread.
    pub fn start() -> std::io::Result<Self> {
        let watchdog = Self::new(false);
        let thread = Arc::clone(&watchdog.shared);
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || thread.run())?;
        Ok(watchdog)
    }

    /// No watchdog, and so no limit: for measuring what one costs.
    #[must_use]
    pub fn absent() -> Self {
        Self::new(true)
    }

    fn new(absent: bool) -> Self {
        let shared = Arc::new(Shared {
            epoch: Instant::now(),
            slots: Mutex::default(),
            next_look: AtomicU64::new(NEVER),
            armings: AtomicU64::new(0),
            wake: Condvar::new(),
            wake_lock: Mutex::new(()),
            lag: Histogram::new(LAG),
            absent,
        });
        Self { shared }
    }

    /// How much later than it meant to the watchdog looked at turns that are past their budgets' wall time.
    #[must_use]
    pub fn lag(&self) -> &Histogram {
        &self.shared.lag
    }

    /// A slot for the isolate that runs on the calling thread.
    pub(crate) fn slot(&self, isolate: v8::IsolateHandle, memory: Arc<Account>) -> Arc<Slot> {
        let slot = Arc::new(Slot {
            shared: Arc::clone(&self.shared),
            clock: ThreadClock::of_this_thread(),
            isolate,
            memory,
            look_at: AtomicU64::new(NEVER),
            turn: Mutex::default(),
        });
        self.shared.slots.lock().push(Arc::downgrade(&slot));
        slot
    }
}

// === impl Shared ===

impl Shared {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(NEVER - 1)
    }

    fn run(&self) {
        let mut armings_before = 0;
        loop {
            let now = self.now_ns();
            let mut next = self.look_around(now);
            let armings = self.armings.load(Ordering::Relaxed);
            if next == NEVER && armings != armings_before {
                next = now + nanos(NAP);
            }
            armings_before = armings;
            self.sleep_until(next);
        }
    }

    /// Looks at every slot that is due; answers when to look again.
    fn look_around(&self, now: u64) -> u64 {
        let mut next = NEVER;
        self.slots.lock().retain(|slot| {
            let Some(slot) = slot.upgrade() else { return false };
            let mut look_at = slot.look_at.load(Ordering::Acquire);
            if look_at <= now {
                self.lag.observe(Duration::from_nanos(now - look_at));
                look_at = slot.look(now);
            }
            next = next.min(look_at);
            true
        });
        next
    }

    fn sleep_until(&self, next: u64) {
        let mut guard = self.wake_lock.lock();
        self.next_look.store(next, Ordering::SeqCst);
        // A turn that was armed before `next_look` was stored compared with an older one and may have woken nobody.
        let armed =
            self.slots.lock().iter().filter_map(Weak::upgrade).map(|slot| slot.look_at.load(Ordering::SeqCst)).min();
        let next = next.min(armed.unwrap_or(NEVER));
        self.next_look.store(next, Ordering::SeqCst);
        if next == NEVER {
            self.wake.wait(&mut guard);
        } else {
            self.wake.wait_until(&mut guard, self.epoch + Duration::from_nanos(next));
        }
    }

    fn notify(&self, look_at: u64) {
        self.armings.fetch_add(1, Ordering::SeqCst);
        if look_at < self.next_look.load(Ordering::SeqCst) {
            let _guard = self.wake_lock.lock();
            self.wake.notify_one();
        }
    }
}

// === impl Slot ===

impl Slot {
    /// Begins a turn that may use `budget` of CPU time from `since` on, a time of the thread's CPU clock in nanoseconds.
    pub(crate) fn arm(&self, since: u64, budget: Duration) {
        if self.shared.absent {
            return;
        }
        let look_at = self.shared.now_ns().saturating_add(nanos(budget.min(NAP)));
        {
            let mut turn = self.turn.lock();
            *turn = Turn { armed: true, deadline_ns: since.saturating_add(nanos(budget)), terminated: false };
            self.look_at.store(look_at, Ordering::SeqCst);
        }
        self.shared.notify(look_at);
    }

    /// Ends the turn. Answers whether the watchdog terminated it; after this it no longer can.
    pub(crate) fn disarm(&self) -> bool {
        if self.shared.absent {
            return false;
        }
        let mut turn = self.turn.lock();
        turn.armed = false;
        self.look_at.store(NEVER, Ordering::Release);
        turn.terminated
    }

    /// Judges the turn by its CPU clock; answers when to look again.
    fn look(&self, now: u64) -> u64 {
        let mut turn = self.turn.lock();
        if !turn.armed {
            return NEVER;
        }
        let used = self.clock.and_then(ThreadClock::now_ns).unwrap_or(u64::MAX);
        let look_at = if used >= turn.deadline_ns {
            turn.terminated = true;
            self.isolate.terminate_execution();
            now + nanos(TICK)
        } else {
            self.memory.ask();
            now + turn.deadline_ns.saturating_sub(used).clamp(100_000, nanos(NAP))
        };
        self.look_at.store(look_at, Ordering::Release);
        look_at
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER / 2)
}
