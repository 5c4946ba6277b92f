//! What a case is: who attacks how, and which outcomes are accepted.

use crate::stage::Stage;

/// When a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// With every `cargo test`.
    Fast,
    /// With `HOLM_ATTACKS=full`: takes minutes, or the whole machine.
    Full,
}

/// What a case may do to the process that it runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blast {
    /// Nothing: same process, the victim notices nothing.
    Contained,
    /// The process is drained and replaced; the victim notices nothing.
    Recycled,
    /// The process dies; until it is replaced, requests in it are answered with `worker_crashed`.
    Aborted,
}

/// An outcome that is accepted for a request.
#[derive(Clone, Copy, Debug)]
pub enum Accept {
    /// The worker's own answer: its status, and a regular expression for all of its body.
    Answer(u16, &'static str),
    /// An answer of the worker whose body breaks off: its status.
    Cut(u16),
    /// Holm's answer: status and code.
    Error(u16, &'static str),
}

pub const CPU: Accept = Accept::Error(503, "cpu_exceeded");
pub const MEM: Accept = Accept::Error(503, "memory_exceeded");
pub const EXC: Accept = Accept::Error(500, "exception");
pub const WALL: Accept = Accept::Error(504, "wall_exceeded");
pub const HUNG: Accept = Accept::Error(500, "hung");
pub const START: Accept = Accept::Error(500, "startup_exceeded");
pub const NO_START: Accept = Accept::Error(500, "startup_failed");
pub const RESET: Accept = Accept::Error(503, "isolate_reset");
pub const CRASH: Accept = Accept::Error(503, "worker_crashed");

impl Accept {
    pub const fn may_break(&self) -> bool {
        matches!(self, Self::Cut(_))
    }
}

/// `200`, and a body that matches.
pub const fn ok(pattern: &'static str) -> Accept {
    Accept::Answer(200, pattern)
}

/// One request to the attacker's worker.
pub struct Step {
    pub path: &'static str,
    pub accept: Vec<Accept>,
}

/// What a worker is made of.
pub enum Source {
    /// The body of `async fetch(request, env, ctx)`, which `/alive` does not reach.
    Body(&'static str),
    /// A whole module; it answers `/alive` itself, unless it never starts.
    Module(&'static str),
}

/// The attacker's worker.
pub struct Worker {
    pub source: Source,
    /// `key = value` of `[worker.limits]`, separated by commas.
    pub limits: &'static str,
    /// Further keys of its `wrangler.jsonc`, each with a comma behind it; `$SELF` in them is the worker's name.
    pub settings: &'static str,
    /// Further files of its project.
    pub files: Vec<(&'static str, Vec<u8>)>,
    pub starts: bool,
}

/// A worker beside the attacker's, which the case needs to attack, or to attack with.
pub struct Companion {
    /// Comes behind the name of the case's worker: [`Stage::beside`].
    pub name: &'static str,
    pub whose: Whose,
    /// A whole module. It answers nobody's `/alive`.
    pub module: &'static str,
}

/// The tenant that a worker belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    TheAttackers,
    Anothers,
}

pub enum What {
    /// Requests, one after the other.
    Requests(Vec<Step>),
    /// What a function does with the worker; its `Err` says what was not as it should be.
    Scenario(fn(&Stage, &str) -> Result<(), String>),
    NotApplicable(&'static str),
    /// Another test program has it.
    Elsewhere(&'static str),
}

pub struct Case {
    pub id: &'static str,
    /// What distinguishes it from the other cases of this id.
    pub name: &'static str,
    pub tier: Tier,
    pub blast: Blast,
    pub worker: Option<Worker>,
    pub companions: Vec<Companion>,
    pub what: What,
    /// What Holm still lacks for it. It is skipped, with this reason, unless it is asked for (`--ignored`).
    pub waits_for: Option<&'static str>,
    /// Looked at when all is over.
    pub afterwards: Option<Check>,
}

/// Looks at what a case has left; it gets the host name of the case's worker.
pub type Check = fn(&Stage, &str) -> Result<(), String>;

/// A case whose worker has this body of `fetch`.
pub fn body(id: &'static str, name: &'static str, source: &'static str) -> Case {
    with(id, name, Source::Body(source))
}

/// A case whose worker is this module.
pub fn module(id: &'static str, name: &'static str, source: &'static str) -> Case {
    with(id, name, Source::Module(source))
}

fn with(id: &'static str, name: &'static str, source: Source) -> Case {
    let worker = Worker { source, limits: "", settings: "", files: Vec::new(), starts: true };
    let what = What::Requests(Vec::new());
    Case { worker: Some(worker), name, ..absent(id, what) }
}

/// A case without a worker that runs.
pub fn absent(id: &'static str, what: What) -> Case {
    let (tier, blast) = (Tier::Fast, Blast::Contained);
    Case { id, name: "", tier, blast, worker: None, companions: Vec::new(), what, waits_for: None, afterwards: None }
}

pub fn not_applicable(id: &'static str, reason: &'static str) -> Case {
    absent(id, What::NotApplicable(reason))
}

pub fn elsewhere(id: &'static str, place: &'static str) -> Case {
    absent(id, What::Elsewhere(place))
}

// === impl Case ===

impl Case {
    /// `GET /` and what it may come to.
    pub fn expect(self, accept: &[Accept]) -> Self {
        self.then("/", accept)
    }

    /// A further request.
    pub fn then(mut self, path: &'static str, accept: &[Accept]) -> Self {
        if let What::Requests(steps) = &mut self.what {
            steps.push(Step { path, accept: accept.to_vec() });
        }
        self
    }

    pub fn scenario(mut self, run: fn(&Stage, &str) -> Result<(), String>) -> Self {
        self.what = What::Scenario(run);
        self
    }

    pub fn limits(mut self, limits: &'static str) -> Self {
        self.worker_mut().limits = limits;
        self
    }

    pub fn settings(mut self, settings: &'static str) -> Self {
        self.worker_mut().settings = settings;
        self
    }

    pub fn file(mut self, path: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        self.worker_mut().files.push((path, bytes.into()));
        self
    }

    pub fn beside(mut self, name: &'static str, whose: Whose, module: &'static str) -> Self {
        self.companions.push(Companion { name, whose, module });
        self
    }

    /// Its global scope fails: there is nobody to be alive.
    pub fn never_starts(mut self) -> Self {
        self.worker_mut().starts = false;
        self
    }

    pub fn blast(mut self, blast: Blast) -> Self {
        self.blast = blast;
        self
    }

    pub fn full(mut self) -> Self {
        self.tier = Tier::Full;
        self
    }

    #[allow(dead_code, reason = "no case waits for anything now")]
    pub fn waits_for(mut self, what: &'static str) -> Self {
        self.waits_for = Some(what);
        self
    }

    pub fn afterwards(mut self, check: Check) -> Self {
        self.afterwards = Some(check);
        self
    }

    /// `CPU-01 an endless loop`.
    pub fn title(&self) -> String {
        if self.name.is_empty() { self.id.to_owned() } else { format!("{} {}", self.id, self.name) }
    }

    fn worker_mut(&mut self) -> &mut Worker {
        self.worker.as_mut().expect("a case with a worker")
    }
}
