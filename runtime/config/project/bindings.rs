//! The bindings a project declares, as plain data: one struct per kind, fields named as in the configuration file.
//!
//! Invariant: a binding that Holm does not support yet is here typed and checked, but makes loading fail, so that code
//! which reads a loaded [`Bindings`] sees only what is supported.

use serde_json::Value;

use crate::diagnostic::Location;

/// All bindings except `vars`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bindings {
    pub kv_namespaces: Vec<KvNamespace>,
    pub r2_buckets: Vec<R2Bucket>,
    pub d1_databases: Vec<D1Database>,
    pub durable_objects: Vec<DurableObject>,
    pub migrations: Vec<Migration>,
    pub queue_producers: Vec<QueueProducer>,
    pub queue_consumers: Vec<QueueConsumer>,
    pub services: Vec<Service>,
    pub tail_consumers: Vec<TailConsumer>,
    pub dispatch_namespaces: Vec<DispatchNamespace>,
    pub worker_loaders: Vec<String>,
    pub ratelimits: Vec<RateLimit>,
    /// The binding's name.
    pub version_metadata: Option<String>,
    pub required_secrets: Vec<String>,
    pub assets: Option<Assets>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct KvNamespace {
    pub binding: String,
    pub id: Option<String>,
    pub preview_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct R2Bucket {
    pub binding: String,
    pub bucket_name: Option<String>,
    pub preview_bucket_name: Option<String>,
    pub jurisdiction: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct D1Database {
    pub binding: String,
    pub database_name: Option<String>,
    pub database_id: Option<String>,
    pub preview_database_id: Option<String>,
    pub migrations_table: String,
    pub migrations_dir: String,
    pub migrations_pattern: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DurableObject {
    pub name: String,
    pub class_name: String,
    pub script_name: Option<String>,
    pub environment: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Migration {
    pub tag: String,
    pub new_classes: Vec<String>,
    pub new_sqlite_classes: Vec<String>,
    /// From, to.
    pub renamed_classes: Vec<(String, String)>,
    pub deleted_classes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct QueueProducer {
    pub binding: String,
    pub queue: Option<String>,
    /// Seconds.
    pub delivery_delay: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct QueueConsumer {
    pub queue: String,
    pub max_batch_size: Option<u64>,
    /// Seconds.
    pub max_batch_timeout: Option<u64>,
    pub max_retries: Option<u64>,
    pub dead_letter_queue: Option<String>,
    pub max_concurrency: Option<u64>,
    pub visibility_timeout_ms: Option<u64>,
    /// Seconds.
    pub retry_delay: Option<u64>,
}

/// Another worker of the same tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub binding: String,
    /// The worker's name, that of its environment included.
    pub service: String,
    /// The export that is called; the default one unless set.
    pub entrypoint: Option<String>,
    /// `ctx.props` of the called worker.
    pub props: Option<Value>,
    /// Where `service` stands.
    pub location: Location,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TailConsumer {
    pub service: String,
    pub environment: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DispatchNamespace {
    pub binding: String,
    pub namespace: Option<String>,
    pub outbound: Option<DispatchOutbound>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DispatchOutbound {
    pub service: String,
    pub environment: Option<String>,
    pub parameters: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RateLimit {
    pub name: String,
    pub namespace_id: String,
    pub limit: u64,
    /// Seconds: 10 or 60.
    pub period: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Assets {
    pub directory: Option<std::path::PathBuf>,
    pub binding: Option<String>,
    pub html_handling: HtmlHandling,
    pub not_found_handling: NotFoundHandling,
    pub run_worker_first: RunWorkerFirst,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HtmlHandling {
    #[default]
    AutoTrailingSlash,
    ForceTrailingSlash,
    DropTrailingSlash,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotFoundHandling {
    #[default]
    None,
    Page404,
    SinglePageApplication,
}

/// Which requests reach the worker before an asset is looked for.
#[derive(Clone, Debug, PartialEq)]
pub enum RunWorkerFirst {
    Never,
    Always,
    Paths(Vec<String>),
}
