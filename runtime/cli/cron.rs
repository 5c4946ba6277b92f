//! Runs what the workers' triggers ask for, on time.
//!
//! One task per process that serves; a process that drains starts nothing more, and the one that takes over goes on from what
//! was run last, if a directory keeps that. A run is an event like any other: it goes through the worker's gates, to the
//! process of its own that a tenant may have, and into the log and the ledger.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use holm_cron::Due;
use holm_cron::History;
use holm_cron::Policy;
use holm_cron::Run;
use holm_cron::RunOutcome;
use holm_cron::Schedule;
use holm_cron::Trigger;
use holm_host::Worker;
use holm_isolate::Failure;
use holm_isolate::FetchRequest;
use holm_isolate::RequestId;
use holm_isolate::Scheduled;
use holm_isolate::Ticket;
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::deploy::HostWorkers;

/// The clock may be set, and the machine may sleep: it is looked at so often at least.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The triggers of a process. Cheap to clone.
#[derive(Clone)]
pub(super) struct Crons {
    shared: Arc<Shared>,
}

struct Shared {
    workers: HostWorkers,
    /// Where the histories are kept.
    state: Option<PathBuf>,
    scheduled: Mutex<Vec<Arc<Entry>>>,
    changed: Notify,
}

/// One worker with triggers.
struct Entry {
    worker: Mutex<Arc<Worker>>,
    triggers: Vec<Trigger>,
    policy: Policy,
    schedule: Mutex<Schedule>,
    history: Mutex<History>,
}

/// A worker's triggers, as they are configured.
pub(super) struct Configured {
    pub(super) worker: Arc<Worker>,
    pub(super) triggers: Vec<Trigger>,
    pub(super) policy: Policy,
}

/// A run that is due.
struct Firing {
    entry: Arc<Entry>,
    trigger: Trigger,
    scheduled: i64,
}

// === impl Crons ===

impl Crons {
    /// # Errors
    /// When the directory cannot be made.
    pub(super) fn new(workers: HostWorkers, state: Option<PathBuf>) -> std::io::Result<Self> {
        let Some(directory) = state else { return Ok(Self::in_memory(workers)) };
        std::fs::create_dir_all(&directory)?;
        let shared = Shared { workers, state: Some(directory), scheduled: Mutex::default(), changed: Notify::new() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Nothing is kept beyond the process.
    pub(super) fn in_memory(workers: HostWorkers) -> Self {
        let shared = Shared { workers, state: None, scheduled: Mutex::default(), changed: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Puts these in force. Triggers that stay go on as they were, with the new version of their worker.
    pub(super) fn set(&self, configured: Vec<Configured>) {
        let mut scheduled = self.shared.scheduled.lock();
        let before = std::mem::take(&mut *scheduled);
        let kept = |new: &Configured| {
            before.iter().find(|old| {
                let (old_worker, new_worker) = (old.worker.lock(), new.worker.code());
                (&old_worker.code().tenant, &old_worker.code().name) == (&new_worker.tenant, &new_worker.name)
                    && old.triggers == new.triggers
                    && old.policy == new.policy
            })
        };
        *scheduled = configured
            .into_iter()
            .filter(|new| !new.triggers.is_empty())
            .map(|new| match kept(&new) {
                Some(old) => {
                    *old.worker.lock() = new.worker;
                    Arc::clone(old)
                }
                None => Arc::new(self.entry(new)),
            })
            .collect();
        drop(scheduled);
        self.shared.changed.notify_one();
    }

    fn entry(&self, configured: Configured) -> Entry {
        let Configured { worker, triggers, policy } = configured;
        let code = worker.code();
        let mut history = match &self.shared.state {
            Some(directory) => open(&file_of(directory, &code.tenant, &code.name)),
            None => History::default(),
        };
        history.keep(&triggers);
        let schedule = Schedule::new(triggers.clone(), policy, now_ms(), |trigger| history.last(trigger));
        Entry {
            worker: Mutex::new(worker),
            triggers,
            policy,
            schedule: Mutex::new(schedule),
            history: Mutex::new(history),
        }
    }

    /// Fires what is due until `stop`, then waits for what runs.
    pub(super) async fn run(self, stop: impl Future<Output = ()>) {
        let mut running = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            for firing in self.due() {
                running.spawn(self.clone().fire(firing));
            }
            let wait = self.until_next().min(LOOK_AGAIN);
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = tokio::time::sleep(wait) => {}
                () = self.shared.changed.notified() => {}
                Some(_) = running.join_next() => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    fn until_next(&self) -> Duration {
        let entries = self.shared.scheduled.lock();
        let next = entries.iter().filter_map(|entry| entry.schedule.lock().next()).min();
        next.map_or(LOOK_AGAIN, |next| Duration::from_millis(u64::try_from(next - now_ms()).unwrap_or(0)))
    }

    fn due(&self) -> Vec<Firing> {
        let now = now_ms();
        let entries = self.shared.scheduled.lock().clone();
        let mut firings = Vec::new();
        for entry in entries {
            let due = entry.schedule.lock().due(now);
            let mut left_out = Vec::new();
            for due in due {
                match due {
                    Due::Run { trigger, scheduled } => {
                        firings.push(Firing { entry: Arc::clone(&entry), trigger, scheduled });
                    }
                    Due::Skipped { trigger, scheduled, why } => {
                        let (worker, cron) = (entry.name(), trigger.as_str());
                        tracing::warn!(worker, cron, scheduled_ms = scheduled, ?why, "a scheduled event was left out");
                        let outcome = RunOutcome::Skipped { why };
                        left_out.push(Run { cron: cron.to_owned(), scheduled, began: now, outcome });
                    }
                }
            }
            if !left_out.is_empty() {
                entry.keep(|history| history.add(left_out));
            }
        }
        firings
    }

    async fn fire(self, firing: Firing) {
        let mut next = Some(firing);
        while let Some(Firing { entry, trigger, scheduled }) = next {
            let cron = trigger.as_str();
            let run = Run { cron: cron.to_owned(), scheduled, began: now_ms(), outcome: RunOutcome::Running };
            entry.keep(|history| history.add([run]));
            let began = Instant::now();
            let worker = Arc::clone(&entry.worker.lock());
            let ended = scheduled_event(&self.shared.workers, &worker, cron, scheduled).await;
            let wall = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let outcome = match ended {
                Ok(()) => RunOutcome::Ended { outcome: "ok".to_owned(), wall, error: None },
                Err(Failure { outcome, message, .. }) => {
                    RunOutcome::Ended { outcome: outcome.code().to_owned(), wall, error: Some(message) }
                }
            };
            entry.keep(|history| history.end(cron, scheduled, outcome));
            let owed = entry.schedule.lock().ended(&trigger);
            next = match owed {
                Some(Due::Run { trigger, scheduled }) => Some(Firing { entry, trigger, scheduled }),
                Some(Due::Skipped { .. }) | None => None,
            };
        }
    }

    /// What the admin listener shows.
    pub(super) fn page(&self) -> Value {
        let entries = self.shared.scheduled.lock().clone();
        let workers = entries.iter().map(|entry| {
            let worker = Arc::clone(&entry.worker.lock());
            let triggers: Vec<Value> = entry
                .schedule
                .lock()
                .upcoming()
                .map(|(trigger, next)| json!({ "cron": trigger.as_str(), "next": next }))
                .collect();
            let runs: Vec<Value> = entry.history.lock().runs().map(|run| json!(run)).collect();
            json!({
                "name": worker.code().name,
                "tenant": worker.code().tenant,
                "policy": entry.policy,
                "triggers": triggers,
                "runs": runs,
            })
        });
        json!({ "workers": workers.collect::<Vec<_>>() })
    }
}

/// Runs one scheduled event of a worker to its end.
///
/// # Errors
/// The failure of the handler, of what it waited for, or of a limit.
pub(super) async fn scheduled_event(
    workers: &HostWorkers,
    worker: &Arc<Worker>,
    cron: &str,
    time: i64,
) -> Result<(), Failure> {
    let stats = worker.code().observer.stats().map(Arc::clone);
    let ticket = Ticket::new(RequestId::next(), None, stats);
    let event = Scheduled { cron: cron.to_owned(), time };
    workers.run(worker, FetchRequest::scheduled(event, ticket)).await.map(drop)
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The names are made of letters, digits, `-`, `_` and `.`, so no two workers have one file.
fn file_of(directory: &Path, tenant: &str, worker: &str) -> PathBuf {
    directory.join(format!("{tenant}+{worker}.json"))
}

fn open(file: &Path) -> History {
    History::open(file).unwrap_or_else(|error| {
        tracing::error!(file = %file.display(), %error, "the history of scheduled events cannot be read; it begins anew in memory");
        History::default()
    })
}

// === impl Entry ===

impl Entry {
    fn name(&self) -> String {
        self.worker.lock().code().name.clone()
    }

    /// Changes the history. Its file may be written, and another process may have it locked: the runtime's thread is not held.
    fn keep(&self, change: impl FnOnce(&mut History) -> std::io::Result<()>) {
        let written = tokio::task::block_in_place(|| change(&mut self.history.lock()));
        if let Err(error) = written {
            tracing::error!(worker = self.name(), %error, "the history of scheduled events cannot be written");
        }
    }
}
