//! What the workers of one tenant may take together, so that a tenant of many workers is no more than a tenant.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Weak;

use holm_isolate::Recent;
use parking_lot::Mutex;

use crate::Admission;
use crate::gate::Gate;
use crate::gate::Gates;
use crate::seats::Seats;

/// One tenant, as long as one of its workers or isolates lives.
pub(crate) struct Tenant {
    pub(crate) name: String,
    /// Invocations at once, up to the heads of their answers.
    pub(crate) places: Gates,
    /// Starts of isolates at once: never all that the server allows, unless that is one.
    pub(crate) starts: Gate,
    pub(crate) isolates: Arc<Seats>,
    /// What its isolates use of the CPU.
    pub(crate) recent: Arc<Recent>,
}

/// The tenants of a host, by name.
pub(crate) struct Tenants {
    admission: Admission,
    known: Mutex<HashMap<String, Weak<Tenant>>>,
}

// === impl Tenants ===

impl Tenants {
    pub(crate) fn new(admission: Admission) -> Self {
        Self { admission, known: Mutex::default() }
    }

    /// The same one for every worker that has it, also of another version.
    pub(crate) fn get(&self, name: &str) -> Arc<Tenant> {
        let mut known = self.known.lock();
        if let Some(tenant) = known.get(name).and_then(Weak::upgrade) {
            return tenant;
        }
        known.retain(|_, tenant| tenant.strong_count() > 0);
        let bounds = self.admission;
        let tenant = Arc::new(Tenant {
            name: name.to_owned(),
            places: Gates::new(bounds.tenant_concurrency, bounds.tenant_queue),
            starts: Gate::new(bounds.starts / 2, bounds.start_queue),
            isolates: Seats::new(bounds.tenant_isolates),
            recent: Arc::default(),
        });
        known.insert(name.to_owned(), Arc::downgrade(&tenant));
        tenant
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Tenant>> {
        let mut tenants: Vec<_> = self.known.lock().values().filter_map(Weak::upgrade).collect();
        tenants.sort_by(|one, other| one.name.cmp(&other.name));
        tenants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMISSION: Admission =
        Admission { tenant_concurrency: 1, tenant_queue: 1, tenant_isolates: 2, starts: 4, start_queue: 1 };

    #[test]
    fn a_tenant_is_the_same_for_all_its_workers_and_forgotten_with_the_last_of_them() {
        let tenants = Tenants::new(ADMISSION);
        let (one, other) = (tenants.get("acme"), tenants.get("globex"));
        assert!(Arc::ptr_eq(&one, &tenants.get("acme")) && !Arc::ptr_eq(&one, &other));
        drop(one);
        assert_eq!(tenants.all().iter().map(|tenant| tenant.name.as_str()).collect::<Vec<_>>(), ["globex"]);
        drop(other);
        tenants.get("initech");
        assert_eq!(tenants.known.lock().len(), 1);
    }

    #[test]
    fn a_tenant_has_so_many_seats_for_isolates() {
        let tenant = Tenants::new(ADMISSION).get("acme");
        let taken = [(); 2].map(|()| tenant.isolates.take().unwrap());
        assert!(tenant.isolates.take().is_none());
        drop(taken);
        assert!(tenant.isolates.take().is_some());
    }
}
