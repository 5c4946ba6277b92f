//! The workers of a server and the patterns that lead to them. Immutable; a new one replaces it whole.

use std::sync::Arc;
use std::time::Duration;

use holm_config::route::RoutePattern;
use holm_config::route::RouteTable;

use crate::Worker;

/// One worker and where it is found.
pub struct Entry {
    pub worker: Arc<Worker>,
    /// Each with a CPU budget in place of the worker's, where it has one. Of two equal patterns the first counts.
    pub routes: Vec<(RoutePattern, Option<Duration>)>,
}

/// Where a route leads.
#[derive(Clone)]
pub struct Routed {
    pub worker: Arc<Worker>,
    /// The route's CPU budget, where it has one.
    pub cpu: Option<Duration>,
}

/// All workers of a server.
#[derive(Default)]
pub struct Catalog {
    workers: Vec<Arc<Worker>>,
    /// Their indices, in the order of tenant and name.
    by_name: Vec<u32>,
    routes: RouteTable<Routed>,
    /// Serves what no pattern matches.
    fallback: Option<Routed>,
}

// === impl Catalog ===

fn name_of(worker: &Worker) -> (&str, &str) {
    (worker.code().tenant.as_str(), worker.code().name.as_str())
}

fn by_name(workers: &[Arc<Worker>]) -> Vec<u32> {
    let mut indices: Vec<u32> = (0..).take(workers.len()).collect();
    indices.sort_by_key(|index| workers.get(*index as usize).map(|worker| name_of(worker)));
    indices
}

impl Catalog {
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        let workers: Vec<Arc<Worker>> = entries.iter().map(|entry| Arc::clone(&entry.worker)).collect();
        let by_name = by_name(&workers);
        let routes = entries
            .into_iter()
            .flat_map(|Entry { worker, routes }| {
                routes.into_iter().map(move |(pattern, cpu)| (pattern, Routed { worker: Arc::clone(&worker), cpu }))
            })
            .collect();
        Self { workers, by_name, routes, fallback: None }
    }

    /// For `dev`: one worker for every host, and others that it can call.
    #[must_use]
    pub fn of_dev(served: Option<Arc<Worker>>, others: Vec<Arc<Worker>>) -> Self {
        let fallback = served.clone().map(|worker| Routed { worker, cpu: None });
        let workers: Vec<Arc<Worker>> = served.into_iter().chain(others).collect();
        Self { by_name: by_name(&workers), workers, routes: RouteTable::default(), fallback }
    }

    /// The worker that a service binding of the tenant names.
    pub(crate) fn named(&self, tenant: &str, name: &str) -> Option<&Arc<Worker>> {
        let worker = |index: u32| self.workers.get(index as usize);
        let key = |index: &u32| worker(*index).map(|worker| name_of(worker));
        let at = self.by_name.binary_search_by_key(&Some((tenant, name)), key).ok()?;
        worker(*self.by_name.get(at)?)
    }

    pub(crate) fn find(&self, https: bool, host: &str, path: &str) -> Option<&Routed> {
        self.routes.find(https, host, path).or(self.fallback.as_ref())
    }

    #[must_use]
    pub fn workers(&self) -> &[Arc<Worker>] {
        &self.workers
    }
}
