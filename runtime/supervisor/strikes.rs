//! Who brought a process down, and how often.

use std::collections::HashMap;
use std::time::Duration;
use std::time::Instant;

use crate::message::Tenant;

/// Tenants whose strikes are told to others, those with most of them first.
pub(crate) const TOLD: usize = 100;

/// When a tenant has struck often enough for a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrikePolicy {
    /// So many strikes within the window. At least 1.
    pub limit: usize,
    pub window: Duration,
}

/// The strikes of all tenants. Bounded by the number of tenants.
#[derive(Debug)]
pub(crate) struct Strikes {
    policy: StrikePolicy,
    /// Within the window.
    recent: HashMap<Tenant, Vec<Instant>>,
    /// Since the parent started.
    totals: HashMap<Tenant, u64>,
}

/// What a strike leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The strikes within the window so far.
    Tolerated(usize),
    /// The tenant gets a process of its own.
    Apart(usize),
}

// === impl Strikes ===

impl Strikes {
    pub(crate) fn new(policy: StrikePolicy) -> Self {
        Self { policy, recent: HashMap::new(), totals: HashMap::new() }
    }

    /// Adds a strike.
    pub(crate) fn add(&mut self, tenant: &Tenant, now: Instant) -> Verdict {
        let StrikePolicy { limit, window } = self.policy;
        *self.totals.entry(tenant.clone()).or_default() += 1;
        self.recent.retain(|_, strikes| {
            strikes.retain(|at| now.duration_since(*at) < window);
            !strikes.is_empty()
        });
        let strikes = self.recent.entry(tenant.clone()).or_default();
        strikes.push(now);
        // More than the limit tell nothing more.
        if strikes.len() > limit {
            strikes.remove(0);
        }
        if strikes.len() >= limit { Verdict::Apart(strikes.len()) } else { Verdict::Tolerated(strikes.len()) }
    }

    /// The tenants with most strikes since the parent started.
    pub(crate) fn totals(&self) -> Vec<(Tenant, u64)> {
        let mut totals: Vec<_> = self.totals.iter().map(|(tenant, strikes)| (tenant.clone(), *strikes)).collect();
        totals.sort_by(|(one, few), (other, many)| many.cmp(few).then_with(|| one.cmp(other)));
        totals.truncate(TOLD);
        totals
    }
}

// === impl Verdict ===

impl Verdict {
    pub(crate) const fn strikes(self) -> usize {
        match self {
            Self::Tolerated(strikes) | Self::Apart(strikes) => strikes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(600);

    fn tenant(name: &str) -> Tenant {
        Tenant(name.to_owned())
    }

    #[test]
    fn only_the_strikes_of_one_tenant_within_the_window_count_together() {
        let (a, b) = (tenant("a"), tenant("b"));
        let mut strikes = Strikes::new(StrikePolicy { limit: 3, window: WINDOW });
        let start = Instant::now();
        assert_eq!(strikes.add(&a, start), Verdict::Tolerated(1));
        assert_eq!(strikes.add(&b, start), Verdict::Tolerated(1));
        assert_eq!(strikes.add(&a, start + WINDOW / 2), Verdict::Tolerated(2));
        assert_eq!(strikes.add(&a, start + WINDOW), Verdict::Tolerated(2));
        assert_eq!(strikes.add(&a, start + WINDOW), Verdict::Apart(3));
        assert_eq!(strikes.add(&a, start + WINDOW), Verdict::Apart(3));
        assert_eq!(strikes.totals(), [(a, 5), (b, 1)]);
    }

    #[test]
    fn as_many_are_told_as_a_message_holds() {
        let mut strikes = Strikes::new(StrikePolicy { limit: 3, window: WINDOW });
        for number in 0..TOLD + 10 {
            strikes.add(&tenant(&format!("t{number}")), Instant::now());
        }
        strikes.add(&tenant("t7"), Instant::now());
        let told = strikes.totals();
        assert_eq!((told.len(), &told[0]), (TOLD, &(tenant("t7"), 2)));
    }
}
