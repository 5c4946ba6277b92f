//! What came of each id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use crate::case::Case;
use crate::case::Tier;
use crate::case::What;

/// Shared by the tests and the last lines of the output.
#[derive(Clone)]
pub struct Summary {
    cases: &'static [Case],
    full: bool,
    results: Arc<Mutex<BTreeMap<usize, bool>>>,
}

// === impl Summary ===

impl Summary {
    pub fn new(cases: &'static [Case], full: bool) -> Self {
        Self { cases, full, results: Arc::default() }
    }

    pub fn note(&self, index: usize, passed: bool) {
        self.results.lock().unwrap().insert(index, passed);
    }

    /// Counts ids, not cases: an id has passed if all cases that it has in this tier have, and none waits.
    pub fn print(&self) {
        let results = self.results.lock().unwrap();
        if results.is_empty() {
            return;
        }
        let mut passed = Vec::new();
        let mut failed = Vec::new();
        let mut partly = Vec::new();
        let mut waiting = Vec::new();
        let mut elsewhere = Vec::new();
        let mut not_applicable = Vec::new();
        let mut ids: Vec<&str> = self.cases.iter().map(|case| case.id).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let of_id = || self.cases.iter().enumerate().filter(|(_, case)| case.id == id);
            let ran: Vec<bool> = of_id().filter_map(|(index, _)| results.get(&index).copied()).collect();
            if ran.contains(&false) {
                failed.push(id);
            } else if of_id().any(|(index, case)| case.waits_for.is_some() && !results.contains_key(&index)) {
                waiting.push(id);
            } else if !ran.is_empty() {
                passed.push(id);
            } else if of_id().all(|(_, case)| matches!(case.what, What::NotApplicable(_))) {
                not_applicable.push(id);
            } else if of_id().any(|(_, case)| matches!(case.what, What::Elsewhere(_))) {
                elsewhere.push(id);
            }
            if !self.full && of_id().any(|(_, case)| case.tier == Tier::Full) {
                partly.push(id);
            }
        }
        println!("attack ids:");
        for (what, ids) in [
            ("passed", passed),
            ("failed", failed),
            ("waiting, at least in part, for what Holm lacks", waiting),
            ("in other test programs", elsewhere),
            ("not applicable yet", not_applicable),
            ("with more in the full tier", partly),
        ] {
            println!("  {:3} {what}: {}", ids.len(), ids.join(" "));
        }
    }
}
