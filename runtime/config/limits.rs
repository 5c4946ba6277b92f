//! Every bound of the server and of its workers: unit, default, lowest and highest value, in one table.
//!
//! Invariant: each limit is finite and at least its minimum; "0 = unlimited" is not a value. Read by the server's
//! configuration, the project's `limits`, the host, the front and the APIs.

use crate::project::InvocationLimits;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Milliseconds,
    Seconds,
    Bytes,
    Mebibytes,
    Count,
}

/// Where a limit can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For the server as a whole: only in `[limits]`.
    Server,
    /// For each worker: in `[limits]`, and lower in `[worker.limits]`.
    Worker,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub key: &'static str,
    pub about: &'static str,
    pub unit: Unit,
    pub scope: Scope,
    pub default: u64,
    pub min: u64,
    pub max: u64,
}

macro_rules! limits {
    ($($key:ident: $about:literal, $unit:ident, $scope:ident, $default:literal, $min:literal..=$max:literal;)+) => {
        /// A value for every row of [`TABLE`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = $about] pub $key: u64,)+
        }

        /// The rows of `[limits]`, in the order of the documentation.
        pub const TABLE: &[Limit] = &[$(Limit {
            key: stringify!($key),
            about: $about,
            unit: Unit::$unit,
            scope: Scope::$scope,
            default: $default,
            min: $min,
            max: $max,
        },)+];

        impl Default for Limits {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        impl Limits {
            /// The value of the limit called `key`.
            #[must_use]
            pub fn get(&self, key: &str) -> Option<u64> {
                match key {
                    $(stringify!($key) => Some(self.$key),)+
                    _ => None,
                }
            }

            pub(crate) fn set(&mut self, key: &str, value: u64) {
                match key {
                    $(stringify!($key) => self.$key = value,)+
                    _ => {}
                }
            }
        }
    };
}

limits! {
    cpu_ms: "CPU time of one invocation", Milliseconds, Worker, 50, 1..=300_000;
    startup_cpu_ms: "CPU time to evaluate a worker's modules", Milliseconds, Worker, 1_000, 1..=60_000;
    wall_ms: "wall-clock time until the answer's head", Milliseconds, Worker, 30_000, 1..=3_600_000;
    cron_cpu_ms: "CPU time of one scheduled event", Milliseconds, Worker, 30_000, 1..=900_000;
    cron_wall_ms: "wall-clock time of one scheduled event, with what it waits for", Milliseconds, Worker, 900_000, 1..=3_600_000;
    wait_until_ms: "wall-clock time for waitUntil() after the end of the answer", Milliseconds, Worker, 30_000, 1..=900_000;
    subrequests: "subrequests of one invocation, redirects included", Count, Worker, 50, 1..=10_000_000;
    open_connections: "subrequests of one invocation that wait for the head of their response at once; more are queued", Count, Worker, 6, 1..=1_000;
    fetch_connect_seconds: "time for a subrequest to look up a name and connect", Seconds, Worker, 10, 1..=60;
    fetch_head_seconds: "time for an upstream to begin its response", Seconds, Worker, 100, 1..=3_600;
    fetch_decoded_bytes: "body of one response of a subrequest, once it is decompressed", Bytes, Worker, 536_870_912, 1_024..=68_719_476_736;
    memory_mb: "memory of one isolate: heap, array buffers, WebAssembly, bodies held for it", Mebibytes, Worker, 128, 16..=4_096;
    concurrency: "invocations of one worker at once, until their answers begin", Count, Worker, 256, 1..=65_536;
    queue: "invocations of one worker that wait for a place", Count, Worker, 1_024, 1..=1_048_576;
    isolates_per_worker: "isolates of one worker at once: more than one only while it does not keep up, and not more than cores", Count, Worker, 4, 1..=256;
    request_body_bytes: "body of one request", Bytes, Worker, 104_857_600, 1..=5_368_709_120;
    log_bytes: "log output of one invocation; the rest is cut", Bytes, Worker, 262_144, 1_024..=16_777_216;
    script_bytes: "all modules of a worker", Bytes, Worker, 67_108_864, 1_024..=1_073_741_824;
    tenant_concurrency: "invocations of all workers of one tenant at once, until their answers begin", Count, Server, 512, 1..=65_536;
    tenant_queue: "invocations of one tenant that wait for a place", Count, Server, 2_048, 1..=1_048_576;
    tenant_isolates: "isolates of one tenant at once; beyond it the tenant's own idle ones end, least recently used first", Count, Server, 250, 1..=100_000;
    isolate_starts: "isolates that start at once; one tenant gets at most half of them", Count, Server, 4, 1..=256;
    isolate_start_queue: "starts of isolates that wait, in all and of one tenant", Count, Server, 1_024, 1..=65_536;
    isolates: "isolates alive at once; beyond it idle ones end, least recently used first", Count, Server, 500, 1..=100_000;
    isolates_memory_mb: "memory of all isolates together; beyond it idle ones end, least recently used first, and none starts", Mebibytes, Server, 16_384, 64..=1_048_576;
    kill_grace_ms: "wall-clock time a terminated turn has to end before its isolate is given up", Milliseconds, Server, 500, 10..=10_000;
    stuck_threads: "threads of one process that cannot be stopped, at which it is replaced", Count, Server, 4, 1..=1_000;
    strikes: "strikes of one tenant within the window, at which its workers get a process of their own", Count, Server, 3, 1..=1_000;
    strike_window_seconds: "how long a strike counts", Seconds, Server, 600, 1..=86_400;
    isolate_idle_seconds: "how long an isolate without invocations is kept", Seconds, Server, 300, 1..=86_400;
    spare_isolates: "isolates started ahead of need", Count, Server, 2, 0..=1_000;
    connections: "client connections open at once", Count, Server, 10_000, 1..=1_000_000;
    connections_per_address: "client connections open at once from one address (one /64 network for IPv6)", Count, Server, 1_024, 1..=1_000_000;
    streams: "requests open at once in one HTTP/2 connection", Count, Server, 100, 1..=10_000;
    tls_handshake_seconds: "time for a client's TLS handshake", Seconds, Server, 5, 1..=300;
    first_byte_seconds: "time from the connection to the first byte of a request", Seconds, Server, 10, 1..=300;
    connection_idle_seconds: "how long a connection without requests is kept", Seconds, Server, 60, 1..=3_600;
    request_head_seconds: "time for a client to send the head of a request", Seconds, Server, 10, 1..=300;
    request_body_idle_seconds: "how long a client may pause within a request's body", Seconds, Server, 30, 1..=3_600;
    response_write_idle_seconds: "how long a client may take no byte of a response", Seconds, Server, 30, 1..=3_600;
    url_bytes: "URL of one request", Bytes, Server, 16_384, 256..=1_048_576;
    request_header_bytes: "all headers of one request", Bytes, Server, 131_072, 1_024..=1_048_576;
    request_one_header_bytes: "one header of one request", Bytes, Server, 16_384, 256..=1_048_576;
    request_headers: "headers of one request; the crumbs of a cookie count as one", Count, Server, 100, 8..=4_096;
    cache_memory_mb: "responses that caches keep in memory, of all workers", Mebibytes, Server, 128, 1..=1_048_576;
    cache_disk_mb: "responses that caches keep on disk, where `[cache] directory` says so", Mebibytes, Server, 4_096, 1..=16_777_216;
    cache_body_bytes: "body of one cached response", Bytes, Server, 16_777_216, 1_024..=536_870_912;
    response_header_bytes: "all headers of one response", Bytes, Server, 131_072, 1_024..=1_048_576;
}

/// `[server] threads`.
pub const THREADS: Limit = Limit {
    key: "threads",
    about: "threads of the front runtime; one per core unless set",
    unit: Unit::Count,
    scope: Scope::Server,
    default: 1,
    min: 1,
    max: 1_024,
};

/// `[server] drain_seconds`.
pub const DRAIN_SECONDS: Limit = Limit {
    key: "drain_seconds",
    about: "how long a stopping server waits for invocations in flight",
    unit: Unit::Seconds,
    scope: Scope::Server,
    default: 30,
    min: 1,
    max: 3_600,
};

/// `[usage] interval_seconds`.
pub const USAGE_INTERVAL: Limit = Limit {
    key: "interval_seconds",
    about: "how often the usage ledger is written; at most this much is lost with the machine",
    unit: Unit::Seconds,
    scope: Scope::Server,
    default: 60,
    min: 1,
    max: 86_400,
};

/// `[usage] rotate_bytes`.
pub const USAGE_ROTATE: Limit = Limit {
    key: "rotate_bytes",
    about: "size at which the usage ledger is renamed and a new one begun",
    unit: Unit::Bytes,
    scope: Scope::Server,
    default: 268_435_456,
    min: 4_096,
    max: 1_099_511_627_776,
};

/// A project asked for more than the server grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lowered {
    pub key: &'static str,
    pub asked: u64,
    pub granted: u64,
}

// === impl Limits ===

impl Limits {
    /// The row called `key`.
    #[must_use]
    pub fn row(key: &str) -> Option<&'static Limit> {
        TABLE.iter().find(|limit| limit.key == key)
    }

    /// Whether a limit of the server as a whole differs.
    #[must_use]
    pub fn differ_for_server(&self, other: &Self) -> bool {
        let mut of_server = TABLE.iter().filter(|limit| limit.scope == Scope::Server);
        of_server.any(|limit| self.get(limit.key) != other.get(limit.key))
    }

    /// These limits with what a project asks for in their place, as far as they allow it, and where they did not.
    #[must_use]
    pub fn for_project(mut self, asked: &InvocationLimits) -> (Self, Vec<Lowered>) {
        let mut lowered = Vec::new();
        for (key, asked, granted) in
            [("cpu_ms", asked.cpu_ms, &mut self.cpu_ms), ("subrequests", asked.subrequests, &mut self.subrequests)]
        {
            match asked {
                Some(asked) if asked > *granted => lowered.push(Lowered { key, asked, granted: *granted }),
                Some(asked) => *granted = asked,
                None => {}
            }
        }
        (self, lowered)
    }
}

// === impl Unit ===

impl Unit {
    /// What follows a number of this unit: ` ms`, or nothing for a count.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Milliseconds => " ms",
            Self::Seconds => " s",
            Self::Bytes => " bytes",
            Self::Mebibytes => " MiB",
            Self::Count => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_within_its_bounds() {
        for limit in TABLE {
            assert!((limit.min..=limit.max).contains(&limit.default), "{}", limit.key);
            assert_eq!(Limits::default().get(limit.key), Some(limit.default));
        }
    }

    #[test]
    fn a_value_can_be_set_by_key() {
        let mut limits = Limits::default();
        limits.set("queue", 7);
        assert_eq!(limits.queue, 7);
        assert_eq!(limits.get("no such limit"), None);
    }

    #[test]
    fn limits_of_workers_are_none_of_the_server() {
        let limits = Limits::default();
        assert!(!limits.differ_for_server(&Limits { cpu_ms: 7, queue: 7, ..limits }));
        assert!(limits.differ_for_server(&Limits { isolate_starts: 7, ..limits }));
    }

    #[test]
    fn a_project_gets_at_most_what_the_server_grants() {
        let asked = InvocationLimits { cpu_ms: Some(30_000), subrequests: Some(10) };
        let (limits, lowered) = Limits::default().for_project(&asked);
        assert_eq!((limits.cpu_ms, limits.subrequests), (50, 10));
        assert_eq!(lowered, [Lowered { key: "cpu_ms", asked: 30_000, granted: 50 }]);
    }
}
