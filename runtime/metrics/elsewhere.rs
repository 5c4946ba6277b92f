//! The numbers of workers that run in other processes, for the page of this one.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Deserialize;
use serde::Serialize;

use crate::Registry;
use crate::WorkerStats;

/// What a process tells of its workers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RemoteCounts {
    /// Another number for each process.
    pub process: u32,
    pub workers: Vec<WorkerCounts>,
}

/// All counters of a worker, in the order that [`WorkerStats`] has them in. Both sides are of one build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerCounts {
    pub tenant: String,
    pub worker: String,
    pub counts: Vec<u64>,
}

/// What other processes have told, by the tenant that each is for.
///
/// Invariant: the numbers only go up, also where one process has taken the place of another.
#[derive(Debug, Default)]
pub struct Elsewhere {
    tenants: Mutex<BTreeMap<String, Tenant>>,
}

#[derive(Debug, Default)]
struct Tenant {
    /// Of the process that tells now.
    latest: RemoteCounts,
    /// By worker, of those before it.
    before: BTreeMap<String, Vec<u64>>,
}

// === impl RemoteCounts ===

impl RemoteCounts {
    /// By the process that calls.
    #[must_use]
    pub fn of(registry: &Registry) -> Self {
        Self { process: std::process::id(), workers: registry.all().iter().map(|stats| stats.counts()).collect() }
    }
}

// === impl Elsewhere ===

impl Elsewhere {
    /// The process of `tenant` has told this; of other tenants it has nothing to tell.
    pub fn tell(&self, tenant: &str, mut told: RemoteCounts) {
        told.workers.retain(|counts| counts.tenant == tenant);
        let mut tenants = self.tenants.lock();
        let known = tenants.entry(tenant.to_owned()).or_default();
        let last = std::mem::replace(&mut known.latest, told);
        if last.process != known.latest.process {
            for WorkerCounts { worker, counts, .. } in last.workers {
                add(known.before.entry(worker).or_default(), &counts);
            }
        }
    }

    /// The numbers of all workers: those of this process, and what came from others.
    #[must_use]
    pub fn with(&self, own: &Registry) -> Vec<Arc<WorkerStats>> {
        let mut all: BTreeMap<(String, String), Arc<WorkerStats>> =
            own.all().into_iter().map(|stats| ((stats.tenant.clone(), stats.worker.clone()), stats)).collect();
        for (tenant, known) in &*self.tenants.lock() {
            let latest = known.latest.workers.iter().map(|counts| (&counts.worker, &counts.counts));
            for (worker, counts) in known.before.iter().chain(latest) {
                let stats =
                    all.entry((tenant.clone(), worker.clone())).or_insert_with(|| Arc::new(own.blank(tenant, worker)));
                // The page's own copy: the numbers of this process are billed from.
                let sum = own.blank(tenant, worker);
                sum.add(&stats.counts().counts);
                sum.add(counts);
                *stats = Arc::new(sum);
            }
        }
        all.into_values().collect()
    }
}

fn add(sum: &mut Vec<u64>, counts: &[u64]) {
    sum.resize(sum.len().max(counts.len()), 0);
    for (sum, count) in sum.iter_mut().zip(counts) {
        *sum = sum.saturating_add(*count);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn told(process: u32, requests: u64) -> RemoteCounts {
        let there = Registry::new(&["ok"]);
        let stats = there.worker("t", "w");
        for _ in 0..requests {
            stats.requests.increment(0);
            stats.wall.observe(Duration::from_millis(2));
        }
        there.worker("other", "w").requests.increment(0);
        RemoteCounts { process, ..RemoteCounts::of(&there) }
    }

    fn shown(elsewhere: &Elsewhere, own: &Registry) -> Vec<(String, u64, u64)> {
        let all = elsewhere.with(own);
        all.iter().map(|stats| (stats.tenant.clone(), stats.requests.total(), stats.wall.count())).collect()
    }

    #[test]
    fn numbers_add_up_over_processes_and_never_go_down() {
        let (elsewhere, own) = (Elsewhere::default(), Registry::new(&["ok"]));
        own.worker("t", "w").requests.increment(0);
        assert_eq!(shown(&elsewhere, &own), [("t".to_owned(), 1, 0)]);
        for (told, requests) in [(told(1, 2), 3), (told(1, 5), 6), (told(2, 1), 7), (told(2, 1), 7), (told(3, 0), 7)] {
            elsewhere.tell("t", told);
            assert_eq!(shown(&elsewhere, &own), [("t".to_owned(), requests, requests - 1)]);
        }
        // What is billed here is what happened here.
        assert_eq!(own.worker("t", "w").requests.total(), 1);
    }

    #[test]
    fn a_worker_that_is_not_here_is_shown_with_its_histograms() {
        let (elsewhere, own) = (Elsewhere::default(), Registry::new(&["ok"]));
        elsewhere.tell("t", told(1, 3));
        let all = elsewhere.with(&own);
        assert_eq!((all.len(), all[0].wall.count(), all[0].wall.sum_ns()), (1, 3, 6_000_000));
    }
}
