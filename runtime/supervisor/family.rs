//! The children of a parent, and what becomes of each.
//!
//! A child loads the configuration, is given the sockets, serves, is replaced, drains and ends. Invariants: at most one child
//! per role is starting; the one before drains only when the next one serves; who is poisoned serves on until then.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;
use std::time::Instant;

use crate::back_off::BackOff;
use crate::child::ChildId;
use crate::child::Events;
use crate::child::Heard;
use crate::child::Process;
use crate::child::Program;
use crate::link;
use crate::link::BEAT;
use crate::link::millis;
use crate::message::Counts;
use crate::message::Culprit;
use crate::message::Farewell;
use crate::message::Hello;
use crate::message::Own;
use crate::message::PROTOCOL;
use crate::message::Reason;
use crate::message::Role;
use crate::message::Tenant;
use crate::message::ToChild;
use crate::message::ToParent;
use crate::strikes::Strikes;
use crate::strikes::Verdict;
use crate::supervise::Listeners;
use crate::supervise::Options;
use crate::supervise::Parent;
use crate::supervise::Witness as _;

/// Missing signs of life, at [`BEAT`], after which a child hangs.
const MISSED: u8 = 4;
/// How long a child may drain whose memory may be damaged, or that hangs.
const POISONED: Duration = Duration::from_secs(2);
/// Beyond its time to drain, before a child is killed.
const MARGIN: Duration = Duration::from_secs(1);
/// How long a child drains that has not said otherwise.
const DRAIN: Duration = Duration::from_secs(30);
/// Tenants with a child of their own. One more stays where it is: a machine has room for so many processes.
pub(crate) const APART: usize = 64;
/// The status of a server that had to cut requests off, or that could not be started.
const FAILURE: u8 = 1;

pub(crate) struct Family<P: Parent> {
    parent: P,
    program: Program,
    /// The program before an upgrade that has not come up yet.
    before_upgrade: Option<Program>,
    events: Events,
    children: BTreeMap<ChildId, Child<P::Witness>>,
    last_id: ChildId,
    /// Threads of one child that cannot be stopped, at which it is replaced.
    stuck_threads: usize,
    posts: HashMap<Role, Post>,
    /// Where the sockets are that children serve on.
    own: Own,
    strikes: Strikes,
    restarts: [u64; Reason::ALL.len()],
    next_beat: Instant,
    stage: FamilyStage,
}

enum FamilyStage {
    /// No child has served yet.
    Starting,
    Serving,
    /// With the worst status so far, and the end.
    Stopping {
        status: u8,
        until: Instant,
    },
    Over(u8),
}

/// What keeps a role filled.
#[derive(Default)]
struct Post {
    back_off: BackOff,
    restart_at: Option<Instant>,
}

struct Child<W> {
    process: Process,
    role: Role,
    stage: Stage,
    witness: W,
    /// Signs of life that did not come.
    missed: u8,
    /// Turns of it that cannot be ended.
    stuck: usize,
    /// What it gets to finish, from its configuration.
    drain: Duration,
    /// Its replacement is wanted; it may drain this long.
    poisoned: Option<Duration>,
    /// A process dies once, however many threads a tenant has brought down in it.
    struck: HashSet<Tenant>,
}

#[derive(Clone, Copy)]
enum Stage {
    Starting,
    Serving { since: Instant },
    Draining { until: Instant },
}

// === impl Family ===

impl<P: Parent> Family<P> {
    pub(crate) fn new(parent: P, program: Program, options: Options, events: Events) -> Self {
        let Options { strikes, stuck_threads } = options;
        Self {
            parent,
            program,
            before_upgrade: None,
            events,
            children: BTreeMap::new(),
            last_id: 0,
            stuck_threads,
            posts: HashMap::from([(Role::Serving, Post::default())]),
            own: Own::default(),
            strikes: Strikes::new(strikes),
            restarts: [0; Reason::ALL.len()],
            next_beat: Instant::now() + BEAT,
            stage: FamilyStage::Starting,
        }
    }

    pub(crate) fn start_first(&mut self) -> io::Result<()> {
        self.start(&Role::Serving)
    }

    /// The status, once everything has ended.
    pub(crate) fn exit_status(&self) -> Option<u8> {
        match self.stage {
            FamilyStage::Over(status) => Some(status),
            FamilyStage::Stopping { status, .. } if self.children.is_empty() => Some(status),
            _ => None,
        }
    }

    // --- starts

    fn start(&mut self, role: &Role) -> io::Result<()> {
        let witness = self.parent.witness()?;
        self.last_id += 1;
        let id = self.last_id;
        let process = Process::start(&self.program, id, self.events.clone())?;
        let hello = ToChild::Hello(Hello {
            protocol: PROTOCOL,
            parent: std::process::id(),
            role: role.clone(),
            private: self.apart().cloned().collect(),
            counts: self.counts(),
        });
        process.channel.send(&hello, &[witness.file()])?;
        tracing::debug!(child = process.pid, ?role, "child process started");
        let child = Child {
            process,
            role: role.clone(),
            stage: Stage::Starting,
            witness,
            missed: 0,
            stuck: 0,
            drain: DRAIN,
            poisoned: None,
            struck: HashSet::new(),
        };
        self.children.insert(id, child);
        Ok(())
    }

    fn start_or_retry(&mut self, role: &Role) {
        if let Err(error) = self.start(role) {
            tracing::error!(%error, "a child process cannot be started; trying again");
            self.schedule(role, Duration::ZERO);
        }
    }

    /// Starts one more child of this role when its time has come, unless one is on its way.
    fn schedule(&mut self, role: &Role, lived: Duration) {
        if self.starting(role).is_some() || !matches!(self.stage, FamilyStage::Serving) {
            return;
        }
        let post = self.posts.entry(role.clone()).or_default();
        if post.restart_at.is_none() {
            post.restart_at = Some(Instant::now() + post.back_off.after(lived));
        }
        self.start_due(Instant::now());
    }

    fn start_due(&mut self, now: Instant) {
        let is_due = |post: &Post| post.restart_at.is_some_and(|at| at <= now);
        let due: Vec<Role> = self.posts.iter().filter(|(_, post)| is_due(post)).map(|(role, _)| role.clone()).collect();
        for role in due {
            if let Some(post) = self.posts.get_mut(&role) {
                post.restart_at = None;
            }
            self.start_or_retry(&role);
        }
    }

    /// Replaces a child that runs.
    fn replace(&mut self, id: ChildId, reason: Reason) {
        let Some(child) = self.children.get(&id) else { return };
        let (Stage::Serving { since }, FamilyStage::Serving) = (child.stage, &self.stage) else { return };
        let role = child.role.clone();
        tracing::info!(child = child.process.pid, reason = reason.name(), "the process is replaced");
        self.count(reason);
        self.schedule(&role, since.elapsed());
    }

    // --- what is heard

    pub(crate) async fn on_heard(&mut self, id: ChildId, heard: Heard) {
        match heard {
            Heard::Said(message) => self.on_said(id, message).await,
            Heard::Ended(status) => self.on_ended(id, status),
        }
    }

    async fn on_said(&mut self, id: ChildId, message: ToParent) {
        let Some(child) = self.children.get_mut(&id) else { return };
        match message {
            ToParent::Beat => child.missed = 0,
            ToParent::Loaded { drain_ms } => {
                child.drain = Duration::from_millis(drain_ms);
                self.give_listeners(id).await;
            }
            ToParent::Serving => self.on_serving(id),
            ToParent::Recycle => self.on_recycle(id),
            ToParent::Disconnected { tenant } => {
                for private in self.serving_ids(|role| *role == Role::Private(tenant.clone())) {
                    self.connect(id, private);
                }
            }
            ToParent::Stuck(culprit) => {
                child.stuck += 1;
                let too_many = child.stuck >= self.stuck_threads;
                self.blame(id, &culprit);
                if too_many {
                    self.replace_poisoned(id, Reason::Stuck);
                }
            }
            ToParent::Crashed => self.on_crashed(id),
        }
    }

    async fn give_listeners(&mut self, id: ChildId) {
        if !matches!(self.stage, FamilyStage::Starting | FamilyStage::Serving) {
            return;
        }
        let Some(role) = self.children.get(&id).map(|child| child.role.clone()) else { return };
        let none = Listeners::default();
        let listeners = match role {
            Role::Private(_) => &none,
            Role::Serving => {
                for other in self.serving_ids(|other| matches!(other, Role::Private(_))) {
                    self.connect(id, other);
                }
                match self.parent.listeners().await {
                    Ok(listeners) => listeners,
                    Err(refusal) if matches!(self.stage, FamilyStage::Starting) => {
                        eprintln!("{}", refusal.text);
                        self.stage = FamilyStage::Over(refusal.status);
                        return;
                    }
                    Err(refusal) => {
                        tracing::error!("{}", refusal.text);
                        if let Some(child) = self.children.get(&id) {
                            child.process.kill();
                        }
                        return;
                    }
                }
            }
        };
        if role == Role::Serving {
            let own = listeners.own();
            if own != self.own {
                self.own = own;
                for child in self.children.values() {
                    child.tell(&ToChild::Own(self.own.clone()), &[]);
                }
            }
        }
        let Some(child) = self.children.get(&id) else { return };
        child.tell(&ToChild::Own(self.own.clone()), &[]);
        let sockets = [&listeners.http, &listeners.https, &listeners.admin];
        let message = ToChild::Listen {
            http: listeners.http.is_some(),
            https: listeners.https.is_some(),
            admin: listeners.admin.is_some(),
        };
        let files: Vec<BorrowedFd<'_>> = sockets.into_iter().flatten().map(TcpListener::as_fd).collect();
        child.tell(&message, &files);
    }

    fn on_serving(&mut self, id: ChildId) {
        let Some(child) = self.children.get_mut(&id) else { return };
        child.stage = Stage::Serving { since: Instant::now() };
        child.missed = 0;
        let role = child.role.clone();
        match &self.stage {
            FamilyStage::Starting => self.stage = FamilyStage::Serving,
            FamilyStage::Serving => {}
            FamilyStage::Stopping { .. } | FamilyStage::Over(_) => {
                self.drain(id, Duration::ZERO);
                return;
            }
        }
        match &role {
            Role::Serving => self.before_upgrade = None,
            Role::Private(_) => {
                for other in self.serving_ids(|other| *other == Role::Serving) {
                    self.connect(other, id);
                }
            }
        }
        for before in self.serving_ids(|other| *other == role) {
            if before != id {
                let grace = self.children.get(&before).map(|child| child.poisoned.unwrap_or(child.drain));
                self.drain(before, grace.unwrap_or(DRAIN));
            }
        }
    }

    fn on_crashed(&mut self, id: ChildId) {
        let Some(child) = self.children.get_mut(&id) else { return };
        let crashed = child.witness.testimony().crashed;
        let suspect = crashed.iter().any(|culprit| culprit.trouble.is_suspect());
        let grace = if suspect { POISONED } else { child.drain };
        child.poisoned = Some(child.poisoned.map_or(grace, |before| before.min(grace)));
        for culprit in &crashed {
            self.blame(id, culprit);
        }
        self.replace_poisoned(id, Reason::Crashed);
    }

    /// Replaces a child that has to go, unless that is under way. Until the next one serves, this one does.
    fn replace_poisoned(&mut self, id: ChildId, reason: Reason) {
        let Some(child) = self.children.get_mut(&id) else { return };
        child.poisoned.get_or_insert(child.drain);
        let role = child.role.clone();
        if self.starting(&role).is_none() && self.posts.get(&role).is_none_or(|post| post.restart_at.is_none()) {
            self.replace(id, reason);
        }
    }

    /// A child asks for a replacement: its configuration has changed in a way that only a new process takes up. One that has
    /// begun to start may have read it too early.
    fn on_recycle(&mut self, id: ChildId) {
        let Some(role) = self.children.get(&id).map(|child| child.role.clone()) else { return };
        match self.starting(&role) {
            Some(starting) => starting.tell(&ToChild::Reload, &[]),
            None => self.replace(id, Reason::Asked),
        }
    }

    fn starting(&self, role: &Role) -> Option<&Child<P::Witness>> {
        self.children.values().find(|child| child.role == *role && matches!(child.stage, Stage::Starting))
    }

    fn on_ended(&mut self, id: ChildId, status: ExitStatus) {
        let Some(child) = self.children.remove(&id) else { return };
        let pid = child.process.pid;
        let (code, killed_by) = (status.code(), status.signal());
        match (&mut self.stage, child.stage) {
            (FamilyStage::Over(_), _) => {}
            (FamilyStage::Stopping { status: worst, .. }, stage) => {
                let drained = code == Some(0) || matches!(stage, Stage::Starting);
                if !drained {
                    tracing::error!(child = pid, code, signal = killed_by, "a process did not drain in time");
                    *worst = FAILURE;
                }
                self.drain_private_when_alone();
            }
            (FamilyStage::Starting, _) => {
                // It has printed what is wrong, unless it was killed.
                if let Some(signal) = killed_by {
                    eprintln!("error: the serving process was killed by signal {signal} while it started");
                }
                let status = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILURE);
                self.stage = FamilyStage::Over(status);
            }
            (FamilyStage::Serving, Stage::Starting) => {
                tracing::error!(child = pid, code, signal = killed_by, "a process did not start; trying again");
                if child.role == Role::Serving
                    && let Some(before) = self.before_upgrade.take()
                {
                    tracing::error!("the new program does not start; going back to the one before");
                    self.program = before;
                }
                // While another one serves well, it goes on.
                let role = &child.role;
                let well = |other: &Child<P::Witness>| {
                    other.role == *role && matches!(other.stage, Stage::Serving { .. }) && other.poisoned.is_none()
                };
                if !self.children.values().any(well) {
                    self.schedule(role, Duration::ZERO);
                }
            }
            (FamilyStage::Serving, Stage::Serving { since }) => {
                tracing::error!(child = pid, code, signal = killed_by, "the process died; it is replaced");
                self.blame_the_dead(&child);
                self.count(Reason::Died);
                self.schedule(&child.role, since.elapsed());
            }
            (FamilyStage::Serving, Stage::Draining { .. }) => {
                tracing::info!(child = pid, code, signal = killed_by, "the replaced process has ended");
            }
        }
    }

    // --- blame

    /// Names who brought a child down, and strikes the tenant once per child.
    fn blame(&mut self, id: ChildId, culprit: &Culprit) {
        let Some(child) = self.children.get_mut(&id) else { return };
        let pid = child.process.pid;
        if !child.role.may_run(&culprit.tenant) {
            tracing::error!(child = pid, tenant = %culprit.tenant, "a child blames a tenant whose workers it does not run");
            return;
        }
        let first = child.struck.insert(culprit.tenant.clone());
        self.strike(pid, culprit, first);
    }

    fn strike(&mut self, pid: u32, culprit: &Culprit, counts: bool) {
        let Culprit { worker, tenant, invocation, trouble } = culprit;
        if !counts {
            tracing::warn!(child = pid, worker, %tenant, invocation, trouble = trouble.name(), "blamed again");
            return;
        }
        let verdict = self.strikes.add(tenant, Instant::now());
        let strikes = verdict.strikes();
        tracing::error!(child = pid, worker, %tenant, invocation, trouble = trouble.name(), strikes, "blamed");
        if let Verdict::Apart(_) = verdict {
            self.seclude(tenant);
        }
        self.tell_counts();
    }

    /// A child that left no culprit (it was killed) blames an invocation only if there was no other.
    fn blame_the_dead(&mut self, child: &Child<P::Witness>) {
        let pid = child.process.pid;
        let testimony = child.witness.testimony();
        let may_run = |culprit: &&Culprit| child.role.may_run(&culprit.tenant);
        for culprit in testimony.crashed.iter().filter(may_run) {
            self.strike(pid, culprit, !child.struck.contains(&culprit.tenant));
        }
        if !testimony.crashed.is_empty() {
            return;
        }
        match &*testimony.in_turn {
            [only] if may_run(&only) => self.strike(pid, only, !child.struck.contains(&only.tenant)),
            several => {
                for Culprit { worker, tenant, invocation, .. } in several {
                    tracing::warn!(child = pid, worker, %tenant, invocation, "was inside JavaScript");
                }
            }
        }
    }

    /// From now on the tenant's workers run in a child of its own.
    fn seclude(&mut self, tenant: &Tenant) {
        let role = Role::Private(tenant.clone());
        if self.posts.contains_key(&role) {
            return;
        }
        if self.apart().count() >= APART {
            tracing::error!(%tenant, "too many tenants have a process of their own; this one gets none");
            return;
        }
        tracing::error!(%tenant, "gets a process of its own");
        self.posts.insert(role.clone(), Post::default());
        for child in self.children.values().filter(|child| child.role == Role::Serving) {
            child.tell(&ToChild::Seclude { tenant: tenant.clone() }, &[]);
        }
        self.schedule(&role, Duration::ZERO);
    }

    /// The tenants that have a child of their own.
    fn apart(&self) -> impl Iterator<Item = &Tenant> {
        self.posts.keys().filter_map(|role| match role {
            Role::Private(tenant) => Some(tenant),
            Role::Serving => None,
        })
    }

    /// Connects a child that serves with one that runs a tenant's workers.
    fn connect(&self, serving: ChildId, private: ChildId) {
        let (Some(serving), Some(private)) = (self.children.get(&serving), self.children.get(&private)) else { return };
        let Role::Private(tenant) = &private.role else { return };
        match link::connection() {
            Ok((one, other)) => {
                let message = ToChild::Connect { tenant: tenant.clone() };
                private.tell(&message, &[other.as_fd()]);
                serving.tell(&message, &[one.as_fd()]);
            }
            Err(error) => tracing::error!(%error, "two processes cannot be connected"),
        }
    }

    // --- ends

    /// Lets everything finish and ends. Again: within `haste`.
    pub(crate) fn stop(&mut self, haste: Duration) {
        let now = Instant::now();
        match &mut self.stage {
            FamilyStage::Over(_) => {}
            FamilyStage::Stopping { until, .. } => {
                *until = (*until).min(now + haste + MARGIN);
                for id in self.children.keys().copied().collect::<Vec<_>>() {
                    self.drain(id, haste);
                }
            }
            FamilyStage::Starting => self.stage = FamilyStage::Over(0),
            FamilyStage::Serving => {
                let longest = self.children.values().map(|child| child.drain).max().unwrap_or_default();
                self.stage = FamilyStage::Stopping { status: 0, until: now + longest + MARGIN };
                self.parent.close();
                for post in self.posts.values_mut() {
                    post.restart_at = None;
                }
                for child in self.children.values().filter(|child| matches!(child.stage, Stage::Starting)) {
                    child.process.kill();
                }
                for id in self.serving_ids(|role| *role == Role::Serving) {
                    let grace = self.children.get(&id).map_or(DRAIN, |child| child.drain);
                    self.drain(id, grace);
                }
                self.drain_private_when_alone();
            }
        }
    }

    /// Private children end when nobody is left who sends them requests.
    fn drain_private_when_alone(&mut self) {
        if self.children.values().any(|child| child.role == Role::Serving) {
            return;
        }
        for id in self.serving_ids(|role| *role != Role::Serving) {
            let grace = self.children.get(&id).map_or(DRAIN, |child| child.drain);
            self.drain(id, grace);
        }
    }

    fn drain(&mut self, id: ChildId, grace: Duration) {
        let Some(child) = self.children.get_mut(&id) else { return };
        let until = Instant::now() + grace + MARGIN;
        let until = match child.stage {
            Stage::Draining { until: before } => before.min(until),
            Stage::Starting | Stage::Serving { .. } => until,
        };
        child.stage = Stage::Draining { until };
        let farewell = match self.stage {
            FamilyStage::Serving => Farewell::Replaced,
            _ => Farewell::Stopped,
        };
        child.tell(&ToChild::Drain { grace_ms: millis(grace), farewell }, &[]);
    }

    pub(crate) fn reload(&self) {
        for child in self.children.values() {
            child.tell(&ToChild::Reload, &[]);
        }
    }

    /// Replaces every child with one of the program that stands in its place now.
    pub(crate) fn upgrade(&mut self) {
        match self.program.renewed() {
            Ok(program) => {
                let before = std::mem::replace(&mut self.program, program);
                self.before_upgrade.get_or_insert(before);
            }
            Err(error) => {
                tracing::error!(%error, "the program cannot be opened; the processes are replaced with the same");
            }
        }
        for id in self.serving_ids(|_| true) {
            self.replace(id, Reason::Upgrade);
        }
    }

    // --- time

    pub(crate) fn next_due(&self) -> Instant {
        let restarts = self.posts.values().filter_map(|post| post.restart_at);
        let drains = self.children.values().filter_map(|child| match child.stage {
            Stage::Draining { until } => Some(until),
            Stage::Starting | Stage::Serving { .. } => None,
        });
        let stop = match self.stage {
            FamilyStage::Stopping { until, .. } => Some(until),
            _ => None,
        };
        restarts.chain(drains).chain(stop).fold(self.next_beat, Instant::min)
    }

    pub(crate) fn on_time(&mut self, now: Instant) {
        self.start_due(now);
        if let FamilyStage::Stopping { status, until } = &mut self.stage
            && *until <= now
        {
            tracing::error!("the time to drain is over; requests are cut off");
            *status = FAILURE;
            *until = now + MARGIN;
            self.children.values().for_each(|child| child.process.kill());
        }
        for child in self.children.values_mut() {
            if let Stage::Draining { until } = &mut child.stage
                && *until <= now
            {
                child.process.kill();
                *until = now + MARGIN;
            }
        }
        if self.next_beat <= now {
            // From now, not from when it was due: a parent that stood still counts no beats that it did not wait for.
            self.next_beat = now + BEAT;
            self.miss_beats();
        }
    }

    /// Notices who has not said for a while that it lives.
    fn miss_beats(&mut self) {
        let mut hung = Vec::new();
        for (id, child) in &mut self.children {
            if matches!(child.stage, Stage::Serving { .. }) {
                child.missed = child.missed.saturating_add(1);
                if child.missed > MISSED && child.poisoned.is_none() {
                    child.poisoned = Some(POISONED);
                    hung.push(*id);
                }
            }
        }
        for id in hung {
            let pid = self.children.get(&id).map(|child| child.process.pid);
            tracing::error!(child = pid, "the process gives no sign of life");
            self.replace(id, Reason::Hung);
        }
    }

    // --- small things

    fn serving_ids(&self, role: impl Fn(&Role) -> bool) -> Vec<ChildId> {
        let serving = |child: &Child<P::Witness>| matches!(child.stage, Stage::Serving { .. }) && role(&child.role);
        self.children.iter().filter(|(_, child)| serving(child)).map(|(id, _)| *id).collect()
    }

    fn count(&mut self, reason: Reason) {
        if let Some(restarts) = self.restarts.get_mut(reason as usize) {
            *restarts += 1;
        }
        self.tell_counts();
    }

    fn counts(&self) -> Counts {
        Counts { restarts: self.restarts, strikes: self.strikes.totals(), apart: self.apart().cloned().collect() }
    }

    fn tell_counts(&self) {
        let counts = ToChild::Counts(self.counts());
        for child in self.children.values().filter(|child| child.role == Role::Serving) {
            child.tell(&counts, &[]);
        }
    }
}

// === impl Child ===

impl<W> Child<W> {
    fn tell(&self, message: &ToChild, files: &[BorrowedFd<'_>]) {
        if let Err(error) = self.process.channel.send(message, files) {
            // One that has ended is about to be noticed; one whose buffer is full does not read.
            tracing::debug!(child = self.process.pid, %error, "a child process cannot be told");
            if error.kind() == io::ErrorKind::WouldBlock {
                tracing::error!(child = self.process.pid, "the process takes no messages; it is ended");
                self.process.kill();
            }
        }
    }
}
