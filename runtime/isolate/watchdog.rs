//! The thread that ends a turn that outran its CPU budget.
//!
//! CPU time cannot pass faster than wall time, so a turn needs no look before its remaining budget has passed on the wall
//! clock: short turns are never looked at. Each isolate has a slot. The watchdog terminates only while it holds the slot's
//! lock and the slot is armed, and disarming takes the same lock, so a termination can never hit the next turn. It is
//! level-triggered: it asserts again on every tick until the turn has been left, since the engine cancels a termination
//! while it formats an exception and then runs getters of the script.
//!
//! Some of the engine's loops never look whether they are terminated. A turn that has not been left after the grace is given
//! up: whoever waits for its isolate is answered, the isolate takes nothing new, and the thread gets only the time that
//! nobody else wants. If it comes back after all, its isolate ends; if it does not, that is reported, since nothing but the
//! end of the process ends it.

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
use crate::blame::BlameTable;
use crate::blame::Blamed;
use crate::blame::Claim;
use crate::blame::Place;
use crate::blame::Trouble;
use crate::cores::QUANTUM;
use crate::cores::Runner;
use crate::cpu::ThreadClock;
use crate::crash;
use crate::crash::OnCrash;
use crate::handle::Abandonment;
use crate::handle::Status;
use crate::interrupt::take_turns;
use crate::priority::Thread;
use crate::state::Owner;
use crate::vital::AbortOnUnwind;
use crate::vital::Vital;

/// Between two looks at a turn that is past its budget.
const TICK: Duration = Duration::from_millis(1);
/// Between two looks at a turn that has been given up.
const SLOW_TICK: Duration = Duration::from_millis(50);
/// How long the watchdog naps while turns come and go; while it naps, arming a longer budget wakes nobody.
const NAP: Duration = QUANTUM;
const NEVER: u64 = u64::MAX;
/// A turn that has been given up is reported after so many graces: until then it may be a long sort, which ends.
const PATIENCE: u32 = 4;
/// Places of a blame table that nobody but this process reads.
const OWN_PLACES: usize = 1_024;

/// The watchdog of the process. Cheap to clone.
#[derive(Clone)]
pub struct Watchdog {
    shared: Arc<Shared>,
}

/// What the watchdog is started with.
pub struct WatchdogOptions {
    /// How long a terminated turn may take to end before it is given up.
    pub kill_grace: Duration,
    /// Where the process writes who is inside JavaScript.
    pub blame: BlameTable,
    /// What an isolate's thread does that cannot go on.
    pub on_crash: OnCrash,
    /// Called on the watchdog's threads: it must not block.
    pub report: Box<dyn Fn(Report) + Send + Sync>,
}

/// What the watchdog could not settle alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A turn was given up; it may still end.
    GivenUp(Blamed),
    /// A turn that was given up does not end. Its thread runs until the process ends.
    Stuck(Blamed),
    /// An isolate's thread stopped where it could not go on. It holds its memory until the process ends.
    Stopped(Blamed),
    /// A helper thread of the engine stopped where it could not go on. Isolates may wait for it without end.
    HelperStopped,
    /// A task of this name, which the process needs as long as it lives, has panicked.
    Panicked(&'static str),
}

pub(crate) type Reporter = Arc<dyn Fn(Report) + Send + Sync>;

struct Shared {
    epoch: Instant,
    kill_grace: Duration,
    /// For ever: threads that never end write into it.
    blame: &'static BlameTable,
    report: Reporter,
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
    status: Arc<Status>,
    clock: ThreadClock,
    thread: Thread,
    blame: Claim,
    isolate: v8::IsolateHandle,
    /// Looked at, too, in a turn that lasts.
    memory: Arc<Account>,
    runner: Arc<Runner>,
    /// When to look at the turn, in nanoseconds since the epoch; `NEVER` while no turn runs. Read without the lock.
    look_at: AtomicU64,
    turn: Mutex<Turn>,
}

#[derive(Default)]
struct Turn {
    armed: bool,
    owner: Owner,
    /// Both on the thread's CPU clock.
    began_ns: u64,
    deadline_ns: u64,
    /// When it was terminated first, in nanoseconds since the epoch.
    terminated_at: Option<u64>,
    reported: bool,
}

/// The system cannot measure a thread's CPU time: nothing would bound a turn.
#[derive(Debug, thiserror::Error)]
#[error("the thread's CPU clock cannot be read, so no budget can be enforced")]
pub(crate) struct NoClock;

// === impl WatchdogOptions ===

impl WatchdogOptions {
    /// With a blame table that nobody else reads, and without reports.
    ///
    /// # Errors
    /// When the system refuses the memory.
    pub fn alone() -> std::io::Result<Self> {
        Ok(Self {
            kill_grace: Duration::from_millis(500),
            blame: BlameTable::create(OWN_PLACES)?,
            on_crash: OnCrash::Die,
            report: Box::new(|_| {}),
        })
    }
}

// === impl Watchdog ===

impl Watchdog {
    /// Starts the watchdog's thread; it lives as long as the process.
    ///
    /// # Errors
    /// When the system refuses the thread.
    pub fn start(options: WatchdogOptions) -> std::io::Result<Self> {
        let on_crash = options.on_crash;
        let watchdog = Self::new(options, false);
        let thread = Arc::clone(&watchdog.shared);
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            let _no_process_without_it = AbortOnUnwind;
            thread.run();
        })?;
        if !matches!(on_crash, OnCrash::Die) {
            let wake = crash::install(on_crash)?;
            let thread = Arc::clone(&watchdog.shared);
            std::thread::Builder::new().name("crash".to_owned()).spawn(move || {
                let _no_process_without_it = AbortOnUnwind;
                loop {
                    crash::wait(wake);
                    thread.answer_for_stopped();
                }
            })?;
        }
        Ok(watchdog)
    }

    /// No watchdog, and so no limit: for measuring what one costs.
    ///
    /// # Errors
    /// When the system refuses the memory.
    pub fn absent() -> std::io::Result<Self> {
        Ok(Self::new(WatchdogOptions::alone()?, true))
    }

    fn new(options: WatchdogOptions, absent: bool) -> Self {
        let WatchdogOptions { kill_grace, blame, on_crash: _, report } = options;
        let shared = Arc::new(Shared {
            epoch: Instant::now(),
            kill_grace,
            blame: Box::leak(Box::new(blame)),
            report: Arc::from(report),
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

    /// For a task or a thread that has to live as long as the process.
    #[must_use]
    pub fn vital(&self, name: &'static str) -> Vital {
        Vital::new(name, Arc::clone(&self.shared.report))
    }

    /// How much later than it meant to the watchdog looked at turns that are past their budgets' wall time.
    #[must_use]
    pub fn lag(&self) -> &Histogram {
        &self.shared.lag
    }

    /// A slot for the isolate that runs on the calling thread.
    ///
    /// # Errors
    /// When nothing could bound its turns.
    pub(crate) fn slot(
        &self,
        isolate: v8::IsolateHandle,
        status: Arc<Status>,
        runner: Arc<Runner>,
    ) -> Result<Arc<Slot>, NoClock> {
        let clock = ThreadClock::of_this_thread().filter(|clock| clock.now_ns().is_some()).ok_or(NoClock)?;
        let slot = Arc::new(Slot {
            shared: Arc::clone(&self.shared),
            clock,
            thread: Thread::current(),
            blame: self.shared.blame.claim(),
            isolate,
            memory: Arc::clone(&status.memory),
            status,
            runner,
            look_at: AtomicU64::new(NEVER),
            turn: Mutex::default(),
        });
        self.shared.slots.lock().push(Arc::downgrade(&slot));
        Ok(slot)
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
                let late = now - look_at;
                self.lag.observe(Duration::from_nanos(late));
                look_at = slot.look(now, late);
            }
            next = next.min(look_at);
            true
        });
        next
    }

    /// Answers whoever waits for a thread that has stopped.
    fn answer_for_stopped(&self) {
        let slots: Vec<Arc<Slot>> = self.slots.lock().iter().filter_map(Weak::upgrade).collect();
        let helper = crash::take_stopped_helper();
        if helper == Some(Trouble::OutOfMemory) {
            // It worked for an isolate whose heap was full; the engine does not say for which.
            for slot in slots.iter().filter(|slot| slot.status.is_heap_raised()) {
                slot.status.stop(Trouble::OutOfMemory);
                if let Some(place) = slot.place() {
                    place.stop(Trouble::OutOfMemory);
                }
            }
        }
        if helper.is_some() {
            (self.report)(Report::HelperStopped);
            crash::tell();
        }
        for slot in slots {
            let Some(trouble) = slot.status.take_stopped() else { continue };
            let owner = slot.turn.try_lock().map_or(0, |turn| turn.owner);
            let why = match trouble {
                Trouble::OutOfMemory => Abandonment::OutOfMemory,
                _ => Abandonment::Crashed,
            };
            slot.status.abandon(why, owner);
            slot.runner.give_back();
            (self.report)(Report::Stopped(Blamed { trouble, ..slot.blamed(owner) }));
        }
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
    /// Names the worker that the isolate runs from now on.
    pub(crate) fn name(&self, worker: &str, tenant: &str) {
        self.blame.name(worker, tenant);
    }

    /// Begins a turn of `owner`, once the thread may run. It may use `budget` of CPU time from `since` on, a time of the
    /// thread's CPU clock in nanoseconds.
    pub(crate) fn arm(&self, owner: Owner, since: u64, budget: Duration) {
        if self.shared.absent {
            return;
        }
        self.runner.enter();
        let look_at = self.shared.now_ns().saturating_add(nanos(budget.min(NAP)));
        {
            let mut turn = self.turn.lock();
            let deadline_ns = since.saturating_add(nanos(budget));
            *turn = Turn { armed: true, owner, began_ns: since, deadline_ns, terminated_at: None, reported: false };
            self.look_at.store(look_at, Ordering::SeqCst);
        }
        self.blame.enter(owner);
        self.shared.notify(look_at);
    }

    /// Ends the turn. Answers whether the watchdog terminated it; after this it no longer can.
    pub(crate) fn disarm(&self) -> bool {
        if self.shared.absent {
            return false;
        }
        let terminated = {
            let mut turn = self.turn.lock();
            turn.armed = false;
            self.look_at.store(NEVER, Ordering::Release);
            turn.terminated_at.is_some()
        };
        self.blame.leave();
        if terminated && self.status.is_abandoned() {
            self.come_back();
        }
        terminated
    }

    /// Judges the turn by its CPU clock, so much later than was meant; answers when to look again.
    fn look(&self, now: u64, late: u64) -> u64 {
        let mut turn = self.turn.lock();
        // A thread that has stopped uses no time.
        if !turn.armed || turn.terminated_at.is_none() && self.status.is_abandoned() {
            self.look_at.store(NEVER, Ordering::Release);
            return NEVER;
        }
        if self.runner.is_waiting() {
            // It uses no time, and cannot leave its turn before it has a core.
            if let Some(terminated_at) = &mut turn.terminated_at {
                *terminated_at = now;
            }
            let look_at = now + nanos(NAP);
            self.look_at.store(look_at, Ordering::Release);
            return look_at;
        }
        let used = self.clock.now_ns().unwrap_or(u64::MAX);
        self.runner.relieve(used);
        // What kept the watchdog from looking (a machine that stood still) kept the turn from ending as well.
        turn.terminated_at = turn.terminated_at.map(|at| at.saturating_add(late));
        let look_at = if used >= turn.deadline_ns {
            let terminated_at = *turn.terminated_at.get_or_insert(now);
            self.isolate.terminate_execution();
            now + nanos(self.escalate(&mut turn, now.saturating_sub(terminated_at)))
        } else {
            self.memory.ask();
            if used.saturating_sub(turn.began_ns) >= nanos(QUANTUM) && self.runner.look() {
                self.isolate.request_interrupt(take_turns, std::ptr::null_mut());
            }
            now + turn.deadline_ns.saturating_sub(used).clamp(100_000, nanos(NAP))
        };
        self.look_at.store(look_at, Ordering::Release);
        look_at
    }

    /// What becomes of a turn that was terminated so long ago; answers how long to wait for it now.
    fn escalate(&self, turn: &mut Turn, since_ns: u64) -> Duration {
        let grace = nanos(self.shared.kill_grace);
        if since_ns < grace {
            return TICK;
        }
        if !self.status.is_abandoned() {
            self.status.abandon(Abandonment::Stuck, turn.owner);
            self.runner.give_back();
            self.thread.demote();
            (self.shared.report)(Report::GivenUp(self.blamed(turn.owner)));
        } else if since_ns >= grace * u64::from(PATIENCE) && !turn.reported {
            turn.reported = true;
            (self.shared.report)(Report::Stuck(self.blamed(turn.owner)));
        }
        SLOW_TICK
    }

    /// A turn that was given up has ended. What the thread does now takes locks that others wait for, so it must not go on
    /// at the priority of nobody.
    fn come_back(&self) {
        if self.thread.restore() {
            return;
        }
        (self.shared.report)(Report::Stuck(self.blamed(self.turn.lock().owner)));
        loop {
            std::thread::park();
        }
    }

    /// Where the thread writes what it does.
    pub(crate) const fn place(&self) -> Option<&'static Place> {
        self.blame.place()
    }

    fn blamed(&self, invocation: Owner) -> Blamed {
        let (worker, tenant) = self.blame.names();
        Blamed { worker, tenant, invocation, trouble: Trouble::Stuck }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER / 2)
}
