//! The pages of the admin listener: `/metrics` in Prometheus' text format, `/workers` as JSON.
//!
//! Both are put together when they are asked for, from counters that others keep. Neither shows what a tenant wrote: names and
//! codes only.

use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use holm_front::CertStore;
use holm_front::Counters;
use holm_front::admin::Pages;
use holm_host::Host;
use holm_isolate::Census;
use holm_isolate::Phase;
use holm_isolate::Status;
use holm_isolate::Watchdog;
use holm_metrics::Elsewhere;
use holm_metrics::Kind;
use holm_metrics::Labelled;
use holm_metrics::Page;
use holm_metrics::Registry;
use holm_metrics::UsageLedger;
use holm_metrics::WorkerStats;
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::json;

use super::cron::Crons;
use super::log;
use super::private::Privates;

/// Everything that is shown of a server.
pub(super) struct Metrics {
    pub(super) registry: Arc<Registry>,
    pub(super) census: Census,
    pub(super) watchdog: Watchdog,
    pub(super) host: Host,
    pub(super) door: Arc<Counters>,
    pub(super) certificates: Option<Arc<CertStore>>,
    pub(super) ledger: Option<Arc<UsageLedger>>,
    pub(super) processes: Arc<Processes>,
    /// Whose numbers are kept in processes of their own.
    pub(super) privates: Privates,
    pub(super) elsewhere: Elsewhere,
    pub(super) crons: Crons,
    pub(super) started: SystemTime,
}

/// What is known of the processes that serve, told by whoever starts them.
#[derive(Debug, Default)]
pub(super) struct Processes {
    counts: Mutex<ProcessCounts>,
}

/// Counts since the server began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ProcessCounts {
    /// Children started in place of one that ended, by why it did.
    pub(super) restarts: Vec<(&'static str, u64)>,
    /// Strikes by tenant; only tenants that have some.
    pub(super) strikes: Vec<(String, u64)>,
    /// Tenants whose workers run in a process of their own.
    pub(super) apart: Vec<String>,
}

// === impl Processes ===

impl Processes {
    /// Replaces what is shown.
    pub(super) fn tell(&self, counts: ProcessCounts) {
        *self.counts.lock() = counts;
    }
}

// === impl Metrics ===

impl Pages for Metrics {
    fn metrics(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(async {
            for (tenant, counts) in self.privates.counts().await {
                self.elsewhere.tell(&tenant, counts);
            }
            self.page()
        })
    }

    fn crons(&self) -> Value {
        self.crons.page()
    }

    fn workers(&self) -> Value {
        let isolates = self.census.isolates();
        let catalog = self.host.catalog();
        let workers = catalog.workers().iter().map(|worker| {
            let code = worker.code();
            let stats = code.observer.stats();
            let own: Vec<&Arc<Status>> = isolates
                .iter()
                .filter(|isolate| isolate.worker().is_some_and(|other| std::ptr::eq(&raw const **other, code)))
                .collect();
            let error = stats.and_then(|stats| stats.last_error()).map(|error| {
                json!({
                    "code": error.code,
                    "request_id": error.request_id,
                    "at": seconds_since_epoch(error.at),
                })
            });
            json!({
                "name": code.name,
                "tenant": stats.map(|stats| stats.tenant.as_str()),
                "isolates": own.iter().map(|isolate| json!({
                    "state": isolate.phase().name(),
                    "in_flight": isolate.in_flight(),
                    "memory_bytes": isolate.memory_bytes(),
                })).collect::<Vec<_>>(),
                "in_flight": own.iter().map(|isolate| isolate.in_flight()).sum::<usize>(),
                "queue": worker.waiting(),
                "last_error": error,
                "limits": limits(code),
            })
        });
        Value::Array(workers.collect())
    }
}

fn limits(code: &holm_isolate::WorkerCode) -> Value {
    let limits = &code.limits;
    json!({
        "cpu_ms": ms(limits.cpu),
        "startup_cpu_ms": ms(limits.startup_cpu),
        "wall_ms": ms(limits.wall),
        "wait_until_ms": ms(limits.wait_until),
        "subrequests": limits.subrequests,
        "memory_mb": limits.memory >> 20,
    })
}

fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn seconds_since_epoch(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

impl Metrics {
    fn page(&self) -> String {
        let mut page = Page::default();
        self.process(&mut page);
        self.door(&mut page);
        self.isolates(&mut page);
        self.queues(&mut page);
        if self.ledger.is_none() {
            self.registry.forget_unused();
        }
        let workers = self.elsewhere.with(&self.registry);
        requests(&mut page, &workers);
        starts(&mut page, &workers);
        page.into_text()
    }

    fn process(&self, page: &mut Page) {
        page.family(Kind::Gauge, "holm_build_info", "The version that runs.")
            .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.single(
            Kind::Gauge,
            "holm_start_time_seconds",
            "When the process began, in seconds since the epoch.",
            seconds_since_epoch(self.started),
        );
        page.single(
            Kind::Counter,
            "holm_log_lines_dropped_total",
            "Log lines that nobody read in time.",
            log::DROPPED_LINES.get(),
        );
        page.family(Kind::Histogram, "holm_watchdog_lag_seconds", "How late the watchdog looked at a turn.")
            .histogram(&[], self.watchdog.lag());
        let counts = self.processes.counts.lock().clone();
        let mut family = page.family(
            Kind::Counter,
            "holm_process_restarts_total",
            "Processes started in place of one that ended, by why it did.",
        );
        for (reason, count) in &counts.restarts {
            family.sample(&[("reason", reason)], count);
        }
        let mut family = page.family(Kind::Counter, "holm_strikes_total", "Strikes of tenants that ended a process.");
        for (tenant, count) in &counts.strikes {
            family.sample(&[("tenant", tenant)], count);
        }
        let mut family =
            page.family(Kind::Gauge, "holm_tenant_apart", "Tenants whose workers run in a process of their own.");
        for tenant in &counts.apart {
            family.sample(&[("tenant", tenant)], 1);
        }
        if let Some(ledger) = &self.ledger {
            let health = ledger.health();
            page.single(Kind::Counter, "holm_usage_lines_total", "Lines of the usage ledger.", health.lines.get());
            page.single(
                Kind::Counter,
                "holm_usage_failures_total",
                "Failed tries to write the usage ledger.",
                health.failures.get(),
            );
            page.single(
                Kind::Gauge,
                "holm_usage_held_back",
                "1 while usage waits because the ledger cannot be written.",
                health.held_back.get(),
            );
        }
    }

    fn door(&self, page: &mut Page) {
        let door = &self.door;
        page.single(Kind::Gauge, "holm_connections_open", "Client connections open now.", door.open.get());
        page.single(
            Kind::Counter,
            "holm_connections_accepted_total",
            "Client connections let in.",
            door.accepted.get(),
        );
        labelled(
            page,
            "holm_connections_refused_total",
            "Client connections closed at once, by the bound.",
            "bound",
            &door.turned_away,
        );
        labelled(
            page,
            "holm_client_timeouts_total",
            "Waits for clients that were too long, by what for.",
            "wait",
            &door.timeouts,
        );
        labelled(
            page,
            "holm_requests_refused_total",
            "Requests answered without a worker, by code.",
            "code",
            &door.refusals,
        );
        page.single(
            Kind::Counter,
            "holm_connections_broken_total",
            "Client connections that ended by what was no HTTP.",
            door.broken.get(),
        );
        page.single(
            Kind::Counter,
            "holm_tls_handshake_failures_total",
            "TLS handshakes that failed.",
            door.tls_failures.get(),
        );
        page.single(
            Kind::Counter,
            "holm_connections_flooding_total",
            "HTTP/2 connections closed for frames without a purpose.",
            door.floods.get(),
        );
        page.single(
            Kind::Counter,
            "holm_accept_failures_total",
            "Failed tries to accept a connection: out of file descriptors, mostly.",
            door.accept_failures.get(),
        );
        if let Some(certificates) = &self.certificates {
            let now = seconds_since_epoch(SystemTime::now());
            let mut family = page.family(
                Kind::Gauge,
                "holm_tls_certificate_days_left",
                "Days until a certificate expires; below zero it has.",
            );
            for (name, not_after) in certificates.expiries() {
                let seconds = seconds_since_epoch(not_after) - now;
                family.sample(&[("certificate", &name)], format!("{:.2}", seconds / 86_400.0));
            }
        }
    }

    fn isolates(&self, page: &mut Page) {
        let isolates = self.census.isolates();
        let mut family = page.family(Kind::Gauge, "holm_isolates", "Isolates by state.");
        for phase in Phase::ALL {
            let count = isolates.iter().filter(|isolate| isolate.phase() == phase).count();
            family.sample(&[("state", phase.name())], count);
        }
        page.single(
            Kind::Gauge,
            "holm_isolate_memory_bytes",
            "Memory of all isolates, as of the last time each was idle.",
            isolates.iter().map(|isolate| isolate.memory_bytes()).sum::<u64>(),
        );
        page.single(
            Kind::Gauge,
            "holm_invocations_in_flight",
            "Invocations that have not ended.",
            isolates.iter().map(|isolate| isolate.in_flight()).sum::<usize>(),
        );
    }
}

impl Metrics {
    /// What waits, right now.
    fn queues(&self, page: &mut Page) {
        page.single(
            Kind::Gauge,
            "holm_isolates_waiting_for_core",
            "Isolates of busy tenants that wait for a core.",
            self.host.waiting_for_core(),
        );
        page.single(
            Kind::Gauge,
            "holm_isolate_starts_waiting",
            "Starts of isolates that wait for their turn.",
            self.host.waiting_starts(),
        );
        let mut family =
            page.family(Kind::Gauge, "holm_worker_queue", "Requests that wait for one of their worker's places.");
        for worker in self.host.catalog().workers() {
            if let Some(stats) = worker.code().observer.stats() {
                family.sample(&of(stats), worker.waiting());
            }
        }
        let mut family =
            page.family(Kind::Gauge, "holm_tenant_queue", "Requests that wait for one of their tenant's places.");
        for (tenant, waiting) in self.host.tenant_queues() {
            family.sample(&[("tenant", &tenant)], waiting);
        }
    }
}

fn labelled(page: &mut Page, name: &'static str, help: &str, label: &'static str, counters: &Labelled) {
    let mut family = page.family(Kind::Counter, name, help);
    for (value, count) in counters.iter() {
        family.sample(&[(label, value)], count);
    }
}

fn requests(page: &mut Page, workers: &[Arc<WorkerStats>]) {
    let mut family = page.family(Kind::Counter, "holm_requests_total", "Requests by worker and outcome.");
    for stats in workers {
        for (outcome, count) in stats.requests.iter().filter(|(_, count)| *count > 0) {
            family.sample(&[("worker", &stats.worker), ("tenant", &stats.tenant), ("outcome", outcome)], count);
        }
    }
    let mut family = page.family(Kind::Counter, "holm_cpu_seconds_total", "CPU time of invocations.");
    for stats in workers {
        family.seconds(&of(stats), stats.cpu_ns.get());
    }
    let mut family =
        page.family(Kind::Histogram, "holm_request_duration_seconds", "Wall time of invocations, from the first turn.");
    for stats in workers {
        family.histogram(&of(stats), &stats.wall);
    }
    let mut family =
        page.family(Kind::Histogram, "holm_queue_wait_seconds", "Time of requests from the door to the first turn.");
    for stats in workers {
        family.histogram(&of(stats), &stats.queue_wait);
    }
    counter(page, workers, "holm_subrequests_total", "Subrequests, redirects included.", |stats| {
        stats.subrequests.get()
    });
    counter(
        page,
        workers,
        "holm_passed_through_total",
        "Requests that a worker failed at and its origin answered.",
        |stats| stats.passed_through.get(),
    );
    counter(page, workers, "holm_request_body_bytes_total", "Bytes of bodies from clients.", |stats| {
        stats.bytes_in.get()
    });
    counter(page, workers, "holm_response_body_bytes_total", "Bytes of bodies to clients.", |stats| {
        stats.bytes_out.get()
    });
}

fn starts(page: &mut Page, workers: &[Arc<WorkerStats>]) {
    counter(page, workers, "holm_isolate_starts_total", "Isolates started.", |stats| stats.starts.get());
    counter(page, workers, "holm_isolate_start_failures_total", "Workers that failed to start.", |stats| {
        stats.start_failures.get()
    });
    counter(
        page,
        workers,
        "holm_isolate_growths_total",
        "Isolates started beside others of the worker, which did not keep up.",
        |stats| stats.growths.get(),
    );
    counter(
        page,
        workers,
        "holm_isolate_back_offs_total",
        "Requests answered with the failure of an earlier start.",
        |stats| stats.back_offs.get(),
    );
    by_reason(page, workers, "holm_isolate_evictions_total", "Idle isolates ended, by reason.", |stats| {
        &stats.evictions
    });
    by_reason(
        page,
        workers,
        "holm_sheds_total",
        "Requests sent away before an isolate was touched, by reason.",
        |stats| &stats.sheds,
    );
}

fn by_reason(
    page: &mut Page,
    workers: &[Arc<WorkerStats>],
    name: &'static str,
    help: &str,
    counters: impl Fn(&WorkerStats) -> &Labelled,
) {
    let mut family = page.family(Kind::Counter, name, help);
    for stats in workers {
        for (reason, count) in counters(stats).iter().filter(|(_, count)| *count > 0) {
            family.sample(&[("worker", &stats.worker), ("tenant", &stats.tenant), ("reason", reason)], count);
        }
    }
}

fn counter(
    page: &mut Page,
    workers: &[Arc<WorkerStats>],
    name: &'static str,
    help: &str,
    value: impl Fn(&WorkerStats) -> u64,
) {
    let mut family = page.family(Kind::Counter, name, help);
    for stats in workers {
        family.sample(&of(stats), value(stats));
    }
}

fn of(stats: &WorkerStats) -> [(&'static str, &str); 2] {
    [("worker", &stats.worker), ("tenant", &stats.tenant)]
}
