//! Who runs when there is more to do than there are cores.
//!
//! The system gives every thread the same time, and each isolate has a thread: many tenants in endless loops would leave a
//! quiet one a sliver of a core, and let it wait for all of them each time it wakes. So whoever is *busy* needs a core to go
//! on, and there are as many as the machine has: a tenant that has used much CPU time lately, from the beginning of its
//! turns; any other, once a turn has lasted for longer than a quantum. Who has one keeps it over its turns, until it has
//! nothing to do, or for a quantum while others wait; the next is the one whose tenant has used the least lately.
//!
//! Whoever is busy also lets all others go first: where the process may undo it, with a scheduling policy that gives it what
//! nobody else wants; otherwise with a longer time slice, which needs no privilege and does less.
//!
//! A turn that is to give up its core, or needs one, is interrupted where the engine can be, and its thread waits within the
//! turn: that takes no CPU time, so it is charged to nobody. A turn of a native function that the engine cannot interrupt
//! loses its core all the same after a while, so that nobody waits for it.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use parking_lot::Condvar;
use parking_lot::Mutex;

use crate::cpu::thread_cpu_ns;
use crate::priority;
use crate::priority::Thread;

/// How long a turn may last before it needs a core, and how long a core is kept while others wait.
pub(crate) const QUANTUM: Duration = Duration::from_millis(5);

/// A core that was asked for so long ago is given to another one, although the turn that has it goes on.
const PATIENCE: Duration = Duration::from_millis(50);

/// A thread that lets all others go first and has had less than a quarter of a core for so long does not any more: something
/// else keeps the machine busy, and it may hold what others need.
const STARVING: Duration = Duration::from_millis(50);

/// What [`Recent`] counts from.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The cores of the machine. Cheap to clone.
#[derive(Clone)]
pub struct Cores(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// The length of `State::waiting`, to be read without the lock.
    waiting: AtomicUsize,
    /// What a tenant may have used lately and be quiet, in nanoseconds.
    bound_ns: AtomicU64,
    /// Who lets others go first may be scheduled as `SCHED_IDLE`.
    demotes: bool,
}

struct State {
    free: usize,
    waiting: Vec<Arc<Runner>>,
}

/// CPU time that the isolates of one tenant have used lately, in nanoseconds: what is older than about half a second counts
/// half, and so on.
#[derive(Debug, Default)]
pub struct Recent {
    /// The number of the half-life in the upper bits, what was used by then in the lower ones.
    word: AtomicU64,
}

/// One isolate's thread, as it competes for cores.
pub(crate) struct Runner {
    cores: Cores,
    thread: Thread,
    /// The tenant's; none while the isolate is blank.
    recent: OnceLock<Arc<Recent>>,
    has_core: AtomicBool,
    /// Since when, in nanoseconds, and what the thread's CPU clock said then.
    since_ns: AtomicU64,
    since_cpu_ns: AtomicU64,
    given: Condvar,
    /// The number of the turn that runs or ran last.
    turn: AtomicU64,
    /// What the tenant has been charged for the turn that runs, in nanoseconds.
    charged_ns: AtomicU64,
    /// The turn that has been asked to take a core, or to give its own to another one; 0 for none.
    asked: AtomicU64,
    lets_others_first: AtomicBool,
    waits: AtomicBool,
}

// === impl Cores ===

impl Cores {
    /// So many cores as the machine has.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new(cores, priority::can_restore())
    }

    fn new(free: usize, demotes: bool) -> Self {
        let state = Mutex::new(State { free, waiting: Vec::new() });
        let bound_ns = AtomicU64::new(Recent::BUSY_NS);
        Self(Arc::new(Shared { state, waiting: AtomicUsize::new(0), bound_ns, demotes }))
    }

    /// Isolates that wait for a core.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Gives the free cores to those that wait, first to the one whose tenant has used the least. After this nobody waits while
    /// a core is free.
    fn hand_on(&self, state: &mut State) {
        let now = now_ns();
        while state.free > 0
            && let Some(next) =
                (0..state.waiting.len()).min_by_key(|index| state.waiting.get(*index).map(|waiting| waiting.used(now)))
        {
            state.free -= 1;
            let next = state.waiting.remove(next);
            next.receive(now);
            next.given.notify_one();
        }
        self.waiting.store(state.waiting.len(), Ordering::Relaxed);
        let used = state.waiting.iter().map(|waiting| waiting.used(now));
        self.bound_ns.store(Recent::bound(used), Ordering::Relaxed);
    }
}

// === impl Recent ===

impl Recent {
    /// As a power of two, in nanoseconds.
    const HALF_LIFE_BITS: u32 = 29;
    #[cfg(test)]
    const HALF_LIFE: Duration = Duration::from_nanos(1 << Self::HALF_LIFE_BITS);
    const USED_BITS: u32 = 40;
    /// A tenant that has used more is busy. About a twentieth of a core, when it is used all the time.
    const BUSY_NS: u64 = 40_000_000;

    fn charge(&self, now_ns: u64, used_ns: u64) {
        let add = |word| Some(Self::word(word, now_ns, used_ns));
        let _ = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn used(&self, now_ns: u64) -> u64 {
        Self::at(self.word.load(Ordering::Relaxed), now_ns)
    }

    /// What a tenant may have used and be quiet while tenants wait that have used so much. Where there are many, each gets
    /// little: a tenant that has had nearly as much as those that wait is one of them.
    fn bound(waiting: impl Iterator<Item = u64>) -> u64 {
        let (count, used) = waiting.fold((0, 0_u64), |(count, sum), used| (count + 1, sum.saturating_add(used)));
        used.checked_div(count).map_or(Self::BUSY_NS, |mean| (mean / 4 * 3).min(Self::BUSY_NS))
    }

    /// The word of a time, moved on from an earlier one, with `more` used.
    fn word(before: u64, now_ns: u64, more: u64) -> u64 {
        let most = (1 << Self::USED_BITS) - 1;
        let used = Self::at(before, now_ns).saturating_add(more).min(most);
        let number = (before >> Self::USED_BITS).wrapping_add(Self::halvings(before, now_ns));
        number << Self::USED_BITS | used
    }

    /// What a word says at a later time.
    fn at(word: u64, now_ns: u64) -> u64 {
        let used = word & ((1 << Self::USED_BITS) - 1);
        used.checked_shr(u32::try_from(Self::halvings(word, now_ns)).unwrap_or(u32::MAX)).unwrap_or(0)
    }

    /// Half-lives between a word and a time. None for a time before it: another thread may have read the clock later and
    /// written first.
    const fn halvings(word: u64, now_ns: u64) -> u64 {
        let numbers = u64::MAX >> Self::USED_BITS;
        let halvings = (now_ns >> Self::HALF_LIFE_BITS).wrapping_sub(word >> Self::USED_BITS) & numbers;
        if halvings > numbers / 2 { 0 } else { halvings }
    }
}

// === impl Runner ===

impl Runner {
    /// The calling thread's.
    pub(crate) fn new(cores: Cores) -> Arc<Self> {
        Arc::new(Self {
            cores,
            thread: Thread::current(),
            recent: OnceLock::new(),
            has_core: AtomicBool::new(false),
            since_ns: AtomicU64::new(0),
            since_cpu_ns: AtomicU64::new(0),
            given: Condvar::new(),
            turn: AtomicU64::new(0),
            charged_ns: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            lets_others_first: AtomicBool::new(false),
            waits: AtomicBool::new(false),
        })
    }

    /// Its CPU time is the tenant's from now on.
    pub(crate) fn belongs_to(&self, tenant: Arc<Recent>) {
        let _ = self.recent.set(tenant);
    }

    fn used(&self, now_ns: u64) -> u64 {
        self.recent.get().map_or(0, |recent| recent.used(now_ns))
    }

    // --- on the isolate's thread

    /// Before a turn. Waits for a core if the tenant is busy.
    pub(crate) fn enter(self: &Arc<Self>) {
        self.turn.fetch_add(1, Ordering::Relaxed);
        let now = now_ns();
        if self.has_core.load(Ordering::Relaxed) {
            if self.is_to_yield(now) {
                self.yield_core();
            }
            return;
        }
        let is_busy = self.used(now) > self.cores.0.bound_ns.load(Ordering::Relaxed);
        self.let_others_first(is_busy);
        if is_busy {
            self.take_core();
        }
    }

    /// After a turn that took so much CPU time.
    pub(crate) fn leave(&self, used_ns: u64) {
        self.charge(used_ns.saturating_sub(self.charged_ns.swap(0, Ordering::Relaxed)));
    }

    /// Nothing is left to do. The thread wakes up as any other, whoever it wakes up for.
    pub(crate) fn rest(&self) {
        if self.has_core.load(Ordering::Relaxed) {
            self.give_back();
        }
        self.let_others_first(false);
    }

    /// The turn may be asked again. Answers whether it is the one that was asked, which may be over.
    pub(crate) fn answers(&self) -> bool {
        self.asked.swap(0, Ordering::AcqRel) == self.turn.load(Ordering::Relaxed)
    }

    /// Within a turn, when the engine was interrupted for [`Runner::look`].
    pub(crate) fn interrupted(self: &Arc<Self>) {
        if !self.answers() {
            return;
        }
        let has_core = self.has_core.load(Ordering::Relaxed);
        let now = now_ns();
        // What the turn has used is known when it ends; who goes on is decided now.
        let lasted = if has_core { self.has_had_it_for(now) } else { QUANTUM };
        let used = u64::try_from(lasted.as_nanos()).unwrap_or(u64::MAX);
        self.charged_ns.fetch_add(used, Ordering::Relaxed);
        self.charge(used);
        if !has_core {
            self.let_others_first(true);
            self.take_core();
        } else if self.is_to_yield(now) {
            self.yield_core();
        }
    }

    /// Whoever wakes up, of the threads that behave, runs at once instead of this one.
    fn let_others_first(&self, lets: bool) {
        if self.lets_others_first.swap(lets, Ordering::Relaxed) == lets {
            return;
        }
        match (self.cores.0.demotes, lets) {
            (false, _) => priority::set_slice(lets.then_some(priority::LONG_SLICE)),
            (true, false) => {
                self.thread.restore();
            }
            (true, true) => {
                self.thread.demote();
                // Whoever waits already was not asked again.
                priority::yield_now();
            }
        }
    }

    fn charge(&self, used_ns: u64) {
        if let Some(recent) = self.recent.get() {
            recent.charge(now_ns(), used_ns);
        }
    }

    fn is_to_yield(&self, now_ns: u64) -> bool {
        self.cores.waiting() > 0 && self.has_had_it_for(now_ns) >= QUANTUM
    }

    fn has_had_it_for(&self, now_ns: u64) -> Duration {
        Duration::from_nanos(now_ns.saturating_sub(self.since_ns.load(Ordering::Relaxed)))
    }

    /// Waits for a core, unless one is free.
    fn take_core(self: &Arc<Self>) {
        self.queue(&mut self.cores.0.state.lock());
    }

    /// Gives its core to the next, which may be this one again, and waits.
    fn yield_core(self: &Arc<Self>) {
        let mut state = self.cores.0.state.lock();
        // The watchdog may have taken it meanwhile.
        if self.has_core.swap(false, Ordering::Relaxed) {
            state.free += 1;
        }
        self.queue(&mut state);
    }

    fn queue(self: &Arc<Self>, state: &mut parking_lot::MutexGuard<'_, State>) {
        state.waiting.push(Arc::clone(self));
        self.cores.0.hand_on(state);
        self.wait(state);
        self.since_cpu_ns.store(thread_cpu_ns(), Ordering::Relaxed);
    }

    fn wait(&self, state: &mut parking_lot::MutexGuard<'_, State>) {
        if self.has_core.load(Ordering::Relaxed) {
            return;
        }
        self.waits.store(true, Ordering::Relaxed);
        while !self.has_core.load(Ordering::Relaxed) {
            self.given.wait(state);
        }
        self.waits.store(false, Ordering::Relaxed);
        self.since_ns.store(now_ns(), Ordering::Relaxed);
    }

    // --- on any thread

    fn receive(&self, now_ns: u64) {
        self.since_ns.store(now_ns, Ordering::Relaxed);
        self.has_core.store(true, Ordering::Relaxed);
    }

    /// What it has is another one's, if any waits. A thread that has not woken up yet to take its core keeps it.
    pub(crate) fn give_back(&self) {
        let mut state = self.cores.0.state.lock();
        if !self.is_waiting() && self.has_core.swap(false, Ordering::Relaxed) {
            state.free += 1;
            self.cores.0.hand_on(&mut state);
        }
    }

    /// It waits for a core, so its turn uses no CPU time.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// The watchdog's look at a thread that runs and has used so much CPU time since it began.
    pub(crate) fn relieve(&self, cpu_ns: u64) {
        if !self.cores.0.demotes || !self.lets_others_first.load(Ordering::Relaxed) {
            return;
        }
        let had = Duration::from_nanos(cpu_ns.saturating_sub(self.since_cpu_ns.load(Ordering::Relaxed)));
        let lasted = self.has_had_it_for(now_ns());
        if lasted >= STARVING && had < lasted / 4 && self.lets_others_first.swap(false, Ordering::Relaxed) {
            self.thread.restore();
        }
    }

    /// The watchdog's look at a turn that lasts. Answers whether the engine is to be interrupted.
    pub(crate) fn look(&self) -> bool {
        let now = now_ns();
        let has_core = self.has_core.load(Ordering::Relaxed);
        if has_core && self.cores.waiting() > 0 && self.has_had_it_for(now) >= PATIENCE {
            self.give_back();
        }
        let turn = self.turn.load(Ordering::Relaxed);
        (!has_core || self.is_to_yield(now)) && self.asked.swap(turn, Ordering::AcqRel) == 0
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn now_ns() -> u64 {
    u64::try_from(EPOCH.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn runner(cores: &Cores, recent: &Arc<Recent>) -> Arc<Runner> {
        let runner = Runner::new(cores.clone());
        runner.belongs_to(Arc::clone(recent));
        runner
    }

    /// A tenant that has used so much, and goes on using it.
    fn busy(used_ms: u64) -> Arc<Recent> {
        let recent = Arc::new(Recent::default());
        recent.charge(now_ns(), used_ms * MS);
        recent
    }

    fn wait_for(holds: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(Instant::now() < until);
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_was_used_counts_half_after_each_half_life() {
        let half_life = u64::try_from(Recent::HALF_LIFE.as_nanos()).unwrap();
        let (recent, now) = (Recent::default(), 7 * half_life + 3);
        recent.charge(now, 80 * MS);
        recent.charge(now + 1, 20 * MS);
        assert_eq!(
            [0, 1, 2, 3].map(|lives| recent.used(now + lives * half_life)),
            [100 * MS, 50 * MS, 25 * MS, 12_500_000]
        );
        recent.charge(now + 2 * half_life, 5 * MS);
        assert_eq!(recent.used(now + 2 * half_life), 30 * MS);
        assert_eq!(recent.used(now + 100 * half_life), 0);
        recent.charge(now, 10 * MS);
        assert_eq!(
            recent.used(now + 2 * half_life),
            40 * MS,
            "a clock that was read a little earlier takes nothing away"
        );
        recent.charge(now, u64::MAX);
        assert!(recent.used(now) > 1_000_000 * MS, "it does not wrap around");
    }

    #[test]
    fn who_is_busy_depends_on_those_that_wait() {
        assert_eq!(Recent::bound(std::iter::empty()), Recent::BUSY_NS);
        assert_eq!(Recent::bound([400 * MS, 800 * MS].into_iter()), Recent::BUSY_NS, "never more than alone");
        assert_eq!(Recent::bound([10 * MS, 30 * MS].into_iter()), 15 * MS);
        let cores = Cores::new(1, false);
        let (first, second, third) = (runner(&cores, &busy(100)), runner(&cores, &busy(80)), runner(&cores, &busy(30)));
        first.enter();
        let waiting = std::thread::spawn({
            let second = Arc::clone(&second);
            move || second.enter()
        });
        wait_for(|| second.is_waiting());
        third.enter();
        assert!(
            !third.lets_others_first.load(Ordering::Relaxed),
            "quiet: it has had less than half of what others have"
        );
        first.rest();
        waiting.join().unwrap();
        second.rest();
    }

    #[test]
    fn a_quiet_tenant_needs_no_core_and_a_busy_one_waits_for_it() {
        let cores = Cores::new(1, false);
        let first = runner(&cores, &busy(100));
        first.enter();
        let quiet = runner(&cores, &Arc::default());
        quiet.enter();
        assert!(first.has_core.load(Ordering::Relaxed) && !quiet.has_core.load(Ordering::Relaxed));

        let second = runner(&cores, &busy(100));
        let waits = std::thread::spawn({
            let second = Arc::clone(&second);
            move || second.enter()
        });
        wait_for(|| cores.waiting() == 1);
        first.rest();
        waits.join().unwrap();
        assert!(second.has_core.load(Ordering::Relaxed) && cores.waiting() == 0);
        drop(second);
        first.enter();
        assert!(first.has_core.load(Ordering::Relaxed), "the core of a thread that has ended is free");
    }

    #[test]
    fn the_tenant_that_has_used_the_least_is_next() {
        let cores = Cores::new(1, false);
        let holder = runner(&cores, &busy(100));
        holder.enter();
        let (order, seen) = std::sync::mpsc::channel();
        let waiting: Vec<_> = [300, 100, 200]
            .into_iter()
            .enumerate()
            .map(|(index, used_ms)| {
                let (runner, order) = (runner(&cores, &busy(used_ms)), order.clone());
                let waits = std::thread::spawn(move || {
                    runner.enter();
                    order.send(used_ms).unwrap();
                    runner.rest();
                });
                wait_for(|| cores.waiting() == index + 1);
                waits
            })
            .collect();
        holder.rest();
        waiting.into_iter().for_each(|waits| waits.join().unwrap());
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [100, 200, 300]);
    }

    #[test]
    fn a_turn_that_lasts_is_asked_once_and_takes_a_core() {
        let cores = Cores::new(1, false);
        let runner = runner(&cores, &Arc::default());
        runner.enter();
        assert!(runner.look() && !runner.look());
        runner.interrupted();
        assert!(runner.has_core.load(Ordering::Relaxed));
        assert!(!runner.look(), "nobody waits for its core");
        assert_eq!(runner.used(now_ns()), u64::try_from(QUANTUM.as_nanos()).unwrap());
        runner.leave(8 * MS);
        assert_eq!(runner.used(now_ns()), 8 * MS, "charged once");
    }

    #[test]
    fn an_interrupt_that_comes_too_late_asks_nothing_of_the_next_turn() {
        let cores = Cores::new(1, false);
        let runner = runner(&cores, &Arc::default());
        runner.enter();
        assert!(runner.look());
        runner.leave(6 * MS);
        runner.enter();
        runner.interrupted();
        assert!(!runner.has_core.load(Ordering::Relaxed));
        assert!(runner.look(), "the next turn can be asked in its turn");
    }

    #[test]
    fn after_a_quantum_a_core_goes_to_whoever_waits() {
        let cores = Cores::new(1, false);
        let first = runner(&cores, &busy(300));
        first.enter();
        let second = runner(&cores, &busy(100));
        let waits = std::thread::spawn({
            let second = Arc::clone(&second);
            move || second.enter()
        });
        wait_for(|| cores.waiting() == 1);
        wait_for(|| first.look());
        let again = std::thread::spawn({
            let first = Arc::clone(&first);
            move || first.interrupted()
        });
        waits.join().unwrap();
        wait_for(|| cores.waiting() == 1);
        second.rest();
        again.join().unwrap();
        assert!(first.has_core.load(Ordering::Relaxed));
    }

    #[test]
    fn whatever_the_watchdog_takes_and_when_everybody_gets_a_core_again() {
        const THREADS: usize = 6;
        const TURNS: usize = 400;
        let cores = Cores::new(2, false);
        let runners: Vec<_> = (0..THREADS).map(|_| runner(&cores, &busy(1_000_000))).collect();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let works: Vec<_> = runners
                .iter()
                .map(|runner| {
                    scope.spawn(|| {
                        for turn in 0..TURNS {
                            runner.enter();
                            if turn % 2 == 0 {
                                runner.yield_core();
                            }
                            runner.leave(MS);
                            if turn % 3 == 0 {
                                runner.rest();
                            }
                        }
                        runner.rest();
                    })
                })
                .collect();
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    runners.iter().for_each(|runner| runner.give_back());
                    std::thread::yield_now();
                }
            });
            works.into_iter().for_each(|works| works.join().unwrap());
            over.store(true, Ordering::Relaxed);
        });
        let state = cores.0.state.lock();
        assert_eq!((state.free, state.waiting.len()), (2, 0));
    }

    #[test]
    fn a_core_is_not_kept_by_a_turn_that_cannot_be_interrupted() {
        let cores = Cores::new(1, false);
        let stuck = runner(&cores, &busy(300));
        stuck.enter();
        let second = runner(&cores, &busy(100));
        let waits = std::thread::spawn(move || second.enter());
        wait_for(|| {
            stuck.look();
            waits.is_finished()
        });
        assert!(!stuck.has_core.load(Ordering::Relaxed));
        stuck.rest();
        assert_eq!(cores.0.state.lock().free, 1, "given back once, by the one that had it last");
    }
}
