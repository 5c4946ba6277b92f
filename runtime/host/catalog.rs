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
    routes: RouteTable<Routed>,
    /// Serves what no pattern matches.
    fallback: Option<Routed>,
}

// === impl Catalog ===

impl Catalog {
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        let workers = entries.iter().map(|entry| Arc::clone(&entry.worker)).collect();
        let routes = entries
            .into_iter()
            .flat_map(|Entry { worker, routes }| {
                routes.into_iter().map(move |(pattern, cpu)| (pattern, Routed { worker: Arc::clone(&worker), cpu }))
            })
            .collect();
        Self { workers, routes, fallback: None }
    }

    /// One worker for every host, as in `dev`.
    #[must_use]
    pub fn single(worker: Arc<Worker>) -> Self {
        Self {
            workers: vec![Arc::clone(&worker)],
            routes: RouteTable::default(),
            fallback: Some(Routed { worker, cpu: None }),
        }
    }

    pub(crate) fn find(&self, https: bool, host: &str, path: &str) -> Option<&Routed> {
        self.routes.find(https, host, path).or(self.fallback.as_ref())
    }

    #[must_use]
    pub fn workers(&self) -> &[Arc<Worker>] {
        &self.workers
    }
}
