//! The bindings: one function per key, and a decoder for each kind of entry.

use super::decode_settings::Settings;
use super::{
    Assets, D1Database, DispatchNamespace, DispatchOutbound, DurableObject, HtmlHandling, KvNamespace, Migration,
    NotFoundHandling, QueueConsumer, QueueProducer, R2Bucket, RateLimit, RunWorkerFirst, Service, TailConsumer,
};
use crate::decode::{At, Decode, Fields, Report};
use crate::value::Value;

pub(super) fn kv_namespaces(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.bindings.kv_namespaces = Vec::decode(at, report).unwrap_or_default();
}

pub(super) fn r2_buckets(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.bindings.r2_buckets = Vec::decode(at, report).unwrap_or_default();
}

pub(super) fn d1_databases(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.bindings.d1_databases = Vec::decode(at, report).unwrap_or_default();
}

pub(super) fn migrations(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.bindings.migrations = Vec::decode(at, report).unwrap_or_default();
}

pub(super) fn services(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.bindings.services = Vec::decode(at, report).unwrap_or_default();
}

pub(super) fn tail_consumers(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.bindings.tail_consumers = Vec::decode(at, report).unwrap_or_default();
}

pub(super) fn dispatch_namespaces(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.bindings.dispatch_namespaces = Vec::decode(at, report).unwrap_or_default();
}

pub(super) fn ratelimits(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    settings.bindings.ratelimits = Vec::decode(at, report).unwrap_or_default();
}

pub(super) fn durable_objects(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(mut fields) = Fields::new(at, report) else {
        return;
    };
    settings.bindings.durable_objects = fields.optional("bindings", report).unwrap_or_default();
    fields.finish(report);
}

pub(super) fn queues(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(mut fields) = Fields::new(at, report) else {
        return;
    };
    settings.bindings.queue_producers = fields.optional("producers", report).unwrap_or_default();
    settings.bindings.queue_consumers = fields.optional("consumers", report).unwrap_or_default();
    fields.finish(report);
}

pub(super) fn secrets(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(mut fields) = Fields::new(at, report) else {
        return;
    };
    settings.required_secrets = fields.optional("required", report).unwrap_or_default();
    settings.bindings.required_secrets = settings.required_secrets.iter().map(|secret| secret.value.clone()).collect();
    fields.finish(report);
}

pub(super) fn worker_loaders(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    for item in at.items(report).unwrap_or_default() {
        settings.bindings.worker_loaders.extend(binding_alone(&item, report));
    }
}

pub(super) fn version_metadata(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    if !at.node.value.is_inert() {
        settings.bindings.version_metadata = binding_alone(at, report);
    }
}

/// The name in `{ binding }`.
fn binding_alone(at: &At<'_>, report: &mut Report<'_>) -> Option<String> {
    let mut fields = Fields::new(at, report)?;
    let binding = fields.required("binding", report);
    fields.finish(report);
    binding
}

pub(super) fn assets(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(mut fields) = Fields::new(at, report) else {
        return;
    };
    const HTML: [(&str, HtmlHandling); 4] = [
        ("auto-trailing-slash", HtmlHandling::AutoTrailingSlash),
        ("force-trailing-slash", HtmlHandling::ForceTrailingSlash),
        ("drop-trailing-slash", HtmlHandling::DropTrailingSlash),
        ("none", HtmlHandling::None),
    ];
    const NOT_FOUND: [(&str, NotFoundHandling); 3] = [
        ("none", NotFoundHandling::None),
        ("404-page", NotFoundHandling::Page404),
        ("single-page-application", NotFoundHandling::SinglePageApplication),
    ];
    let directory: Option<String> = fields.optional("directory", report);
    settings.bindings.assets = Some(Assets {
        directory: directory.map(|directory| settings.path(&directory)),
        binding: fields.optional("binding", report),
        html_handling: fields.at("html_handling").and_then(|at| at.one_of(&HTML, report)).unwrap_or_default(),
        not_found_handling: fields
            .at("not_found_handling")
            .and_then(|at| at.one_of(&NOT_FOUND, report))
            .unwrap_or_default(),
        run_worker_first: fields.optional("run_worker_first", report).unwrap_or(RunWorkerFirst::Never),
    });
    fields.finish(report);
}

impl Decode for RunWorkerFirst {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        match &at.node.value {
            Value::Bool(true) => Some(Self::Always),
            Value::Bool(false) => Some(Self::Never),
            Value::Array(_) => Vec::decode(at, report).map(Self::Paths),
            _ => {
                report.wrong_type(at, "a boolean or an array of strings");
                None
            }
        }
    }
}

/// Decodes an object whose fields are all named here: `required` ones first, then `optional` ones.
///
/// Every field is looked at before the first that is missing ends the decoding, so that all errors are found.
macro_rules! decode_object {
    ($name:ident { $($required:ident),* ; $($optional:ident $(= $default:expr)?),* ; allow $allowed:expr }) => {
        impl Decode for $name {
            fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
                let mut fields = Fields::new(at, report)?;
                $(let $required = fields.required(stringify!($required), report);)*
                $(let $optional = fields.optional(stringify!($optional), report)$(.unwrap_or_else(|| $default))?;)*
                fields.allow(&$allowed);
                fields.finish(report);
                Some(Self { $($required: $required?,)* $($optional,)* })
            }
        }
    };
}

decode_object!(KvNamespace { binding; id, preview_id; allow ["remote"] });
decode_object!(R2Bucket { binding; bucket_name, preview_bucket_name, jurisdiction; allow ["remote", "local_dev"] });
decode_object!(D1Database {
    binding;
    database_name, database_id, preview_database_id,
    migrations_table = "d1_migrations".to_owned(), migrations_dir = "./migrations".to_owned(), migrations_pattern;
    allow ["remote"]
});
decode_object!(DurableObject { name, class_name; script_name, environment; allow [] });
decode_object!(QueueProducer { binding; queue, delivery_delay; allow ["remote"] });
decode_object!(TailConsumer { service; environment; allow [] });
decode_object!(DispatchNamespace { binding; namespace, outbound; allow ["remote"] });
decode_object!(DispatchOutbound { service; environment, parameters = Vec::new(); allow [] });

impl Decode for Service {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let mut fields = Fields::new(at, report)?;
        let (binding, service): (Option<String>, Option<String>) =
            (fields.required("binding", report), fields.required("service", report));
        let location = fields.at("service").map_or_else(|| report.location(at), |at| report.location(&at));
        let props: Option<serde_json::Value> = fields.optional("props", report);
        if let Some(props) = &props
            && !props.is_object()
            && let Some(at) = fields.at("props")
        {
            report.wrong_type(&at, "an object");
        }
        let environment: Option<String> = fields.optional("environment", report);
        let entrypoint = fields.optional("entrypoint", report);
        if let Some(at) = fields.at("remote").filter(|at| !at.node.value.is_inert()) {
            let message = format!("`{}` is not supported: a binding leads to a worker of this server", at.key);
            report.error_at_key(&at, message, "remove it");
        }
        fields.finish(report);
        let service = match environment {
            Some(environment) => format!("{}-{environment}", service?),
            None => service?,
        };
        Some(Self { binding: binding?, service, entrypoint, props, location })
    }
}

impl Decode for Migration {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let mut fields = Fields::new(at, report)?;
        let tag = fields.required("tag", report);
        let renamed: Option<Vec<Renamed>> = fields.optional("renamed_classes", report);
        let migration = Self {
            tag: String::new(),
            new_classes: fields.optional("new_classes", report).unwrap_or_default(),
            new_sqlite_classes: fields.optional("new_sqlite_classes", report).unwrap_or_default(),
            renamed_classes: renamed.unwrap_or_default().into_iter().map(|class| (class.from, class.to)).collect(),
            deleted_classes: fields.optional("deleted_classes", report).unwrap_or_default(),
        };
        fields.finish(report);
        Some(Self { tag: tag?, ..migration })
    }
}

struct Renamed {
    from: String,
    to: String,
}

decode_object!(Renamed { from, to; ; allow [] });

impl Decode for QueueConsumer {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let mut fields = Fields::new(at, report)?;
        if let Some(at) = fields.at("type") {
            at.one_of(&[("worker", ())], report);
        }
        let queue = fields.required("queue", report);
        // `null` says the same as leaving it out.
        let max_concurrency = fields
            .at("max_concurrency")
            .filter(|at| !matches!(at.node.value, Value::Null))
            .and_then(|at| u64::decode(&at, report));
        let consumer = Self {
            queue: String::new(),
            max_batch_size: fields.optional("max_batch_size", report),
            max_batch_timeout: fields.optional("max_batch_timeout", report),
            max_retries: fields.optional("max_retries", report),
            dead_letter_queue: fields.optional("dead_letter_queue", report),
            max_concurrency,
            visibility_timeout_ms: fields.optional("visibility_timeout_ms", report),
            retry_delay: fields.optional("retry_delay", report),
        };
        fields.finish(report);
        Some(Self { queue: queue?, ..consumer })
    }
}

impl Decode for RateLimit {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let mut fields = Fields::new(at, report)?;
        let name = fields.required("name", report);
        let namespace_id = fields.required("namespace_id", report);
        let simple: Option<SimpleLimit> = fields.required("simple", report);
        fields.finish(report);
        let SimpleLimit { limit, period } = simple?;
        Some(Self { name: name?, namespace_id: namespace_id?, limit, period })
    }
}

struct SimpleLimit {
    limit: u64,
    period: u64,
}

impl Decode for SimpleLimit {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let mut fields = Fields::new(at, report)?;
        let limit = fields.required("limit", report);
        let period = fields.required("period", report);
        if let Some(at) = fields.at("period").filter(|_| period.is_some_and(|period| !matches!(period, 10 | 60))) {
            report.error(&at, format!("`{}` must be 10 or 60 seconds", at.key), "choose one of the two");
        }
        fields.finish(report);
        Some(Self { limit: limit?, period: period? })
    }
}
