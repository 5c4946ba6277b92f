//! The workers of a server and the patterns that lead to them. Immutable; a new one replaces it whole.

use std::sync::Arc;

use holm_config::route::RoutePattern;
use holm_config::route::RouteTable;

use crate::Worker;

/// One worker and where it is found.
pub struct Entry {
    pub worker: Arc<Worker>,
    pub patterns: Vec<RoutePattern>,
}

/// All workers of a server.
#[derive(Default)]
pub struct Catalog {
    workers: Vec<Arc<Worker>>,
    routes: RouteTable<Arc<Worker>>,
    /// Serves what no pattern matches.
    fallback: Option<Arc<Worker>>,
}

// === impl Catalog ===

impl Catalog {
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        let workers = entries.iter().map(|entry| Arc::clone(&entry.worker)).collect();
        let routes = entries
            .into_iter()
            .flat_map(|Entry { worker, patterns }| {
                patterns.into_iter().map(move |pattern| (pattern, Arc::clone(&worker)))
            })
            .collect();
        Self { workers, routes, fallback: None }
    }

    /// One worker for every host, as in `dev`.
    #[must_use]
    pub fn single(worker: Arc<Worker>) -> Self {
        Self { workers: vec![Arc::clone(&worker)], routes: RouteTable::default(), fallback: Some(worker) }
    }

    pub(crate) fn find(&self, https: bool, host: &str, path: &str) -> Option<&Arc<Worker>> {
        self.routes.find(https, host, path).or(self.fallback.as_ref())
    }

    #[must_use]
    pub fn workers(&self) -> &[Arc<Worker>] {
        &self.workers
    }
}
