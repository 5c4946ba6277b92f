//! Every key of a wrangler configuration: how far it is supported, whether environments inherit it, how it is decoded.
//!
//! Invariant: a key that asks for something Holm cannot do is an error, never left out in silence. To support a key,
//! change its status here and write its decoder.
//!
//! Source: `config/environment.ts` and `config/config.ts` of wrangler.

use super::decode_settings::Settings;
use super::{compatibility, decode_bindings as bindings, decode_routes as routes, decode_settings as settings};
use crate::decode::{At, Report};
use crate::value::Value;

/// One row of the table.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) scope: Scope,
    pub(super) status: Status,
    pub(super) decode: Decoder,
}

/// Checks a value and keeps it in the settings.
pub(super) type Decoder = fn(&At<'_>, &mut Settings, &mut Report<'_>);

/// How a key behaves with environments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Only at the top level.
    TopLevel,
    Inheritable,
    NotInheritable,
}

/// How far a key is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// In force.
    Implemented,
    /// Checked and kept; it concerns where a worker is deployed and leaves its behavior as it is.
    ParsedOnly,
    /// An error unless it is empty. Says what is missing.
    NotYet(&'static str),
    /// A warning unless it is empty. Says why the worker behaves the same without it.
    Ignored(&'static str),
}

use Scope::{Inheritable, NotInheritable, TopLevel};
use Status::{Ignored, Implemented, NotYet, ParsedOnly};

const fn key(name: &'static str, scope: Scope, status: Status, decode: Decoder) -> Key {
    Key { name, scope, status, decode }
}

/// A value of which only the status matters.
fn any(_: &At<'_>, _: &mut Settings, _: &mut Report<'_>) {}

#[rustfmt::skip]
pub(super) static KEYS: &[Key] = &[
    key("$schema", TopLevel, Implemented, settings::schema),
    key("dev", TopLevel, Implemented, settings::dev),
    key("alias", TopLevel, Implemented, settings::alias),
    key("keep_vars", TopLevel, ParsedOnly, settings::keep_vars),
    key("site", TopLevel, NotYet("Workers Sites are not available"), any),
    key("wasm_modules", TopLevel, Implemented, settings::wasm_modules),
    key("text_blobs", TopLevel, Implemented, settings::text_blobs),
    key("data_blobs", TopLevel, Implemented, settings::data_blobs),
    key("addresses", TopLevel, NotYet("there is no email routing"), any),
    key("pages_build_output_dir", TopLevel, NotYet("Pages projects are not supported"), any),
    key("send_metrics", TopLevel, Ignored("Holm sends no metrics"), any),
    key("dependencies_instrumentation", TopLevel, Ignored("Holm reports no dependencies"), any),
    key("legacy_env", TopLevel, Ignored("every environment is a worker of its own"), any),

    key("name", Inheritable, Implemented, settings::name),
    key("main", Inheritable, Implemented, settings::main),
    key("compatibility_date", Inheritable, Implemented, compatibility::date),
    key("compatibility_flags", Inheritable, Implemented, compatibility::flags),
    key("limits", Inheritable, Implemented, settings::limits),
    key("routes", Inheritable, Implemented, routes::routes),
    key("route", Inheritable, Implemented, routes::route),
    key("workers_dev", Inheritable, Implemented, settings::workers_dev),
    key("rules", Inheritable, Implemented, settings::rules),
    key("build", Inheritable, Implemented, settings::build),
    key("no_bundle", Inheritable, Implemented, settings::no_bundle),
    key("minify", Inheritable, Implemented, settings::minify),
    key("keep_names", Inheritable, Implemented, settings::keep_names),
    key("find_additional_modules", Inheritable, Implemented, settings::find_additional_modules),
    key("preserve_file_names", Inheritable, Implemented, settings::preserve_file_names),
    key("base_dir", Inheritable, Implemented, settings::base_dir),
    key("tsconfig", Inheritable, Implemented, settings::tsconfig),
    key("jsx_factory", Inheritable, Implemented, settings::jsx_factory),
    key("jsx_fragment", Inheritable, Implemented, settings::jsx_fragment),
    key("upload_source_maps", Inheritable, Implemented, settings::upload_source_maps),
    key("account_id", Inheritable, ParsedOnly, settings::account_id),
    key("observability", Inheritable, ParsedOnly, settings::observability),
    key("logpush", Inheritable, ParsedOnly, settings::logpush),
    key("placement", Inheritable, Ignored("a worker runs where its server is"), settings::placement),
    key("triggers", Inheritable, Implemented, settings::triggers),
    key("migrations", Inheritable, NotYet("Durable Objects are not available"), bindings::migrations),
    key("exports", Inheritable, NotYet("Durable Objects are not available"), any),
    key("assets", Inheritable, NotYet("static assets are not available"), bindings::assets),
    key("cache", Inheritable, NotYet("the cache in front of workers is not available"), any),
    key("access", Inheritable, NotYet("the simulation of Access is not available"), any),
    key("python_modules", Inheritable, NotYet("Python workers are not supported"), any),
    key("node_compat", Inheritable, NotYet("wrangler has removed it; use the compatibility flag `nodejs_compat`"), any),
    key("preview_urls", Inheritable, Ignored("Holm has no preview URLs"), any),
    key("previews", Inheritable, Ignored("Holm has no preview deployments"), any),
    key("compliance_region", Inheritable, Ignored("a worker runs where its server is"), any),
    key("first_party_worker", Inheritable, Ignored("it is internal to Cloudflare"), any),
    key("logfwdr", Inheritable, Ignored("it is internal to Cloudflare"), any),
    key("usage_model", Inheritable, Ignored("it is a matter of billing"), any),

    key("vars", NotInheritable, Implemented, settings::vars),
    key("define", NotInheritable, Implemented, settings::define),
    key("secrets", NotInheritable, Implemented, bindings::secrets),
    key("kv_namespaces", NotInheritable, NotYet("KV is not available"), bindings::kv_namespaces),
    key("r2_buckets", NotInheritable, NotYet("R2 is not available"), bindings::r2_buckets),
    key("d1_databases", NotInheritable, NotYet("D1 is not available"), bindings::d1_databases),
    key("durable_objects", NotInheritable, NotYet("Durable Objects are not available"), bindings::durable_objects),
    key("queues", NotInheritable, NotYet("Queues are not available"), bindings::queues),
    key("services", NotInheritable, Implemented, bindings::services),
    key("tail_consumers", NotInheritable, NotYet("tail workers are not available"), bindings::tail_consumers),
    key("dispatch_namespaces", NotInheritable, NotYet("dispatch namespaces are not available"), bindings::dispatch_namespaces),
    key("worker_loaders", NotInheritable, NotYet("dynamic workers are not available"), bindings::worker_loaders),
    key("ratelimits", NotInheritable, NotYet("rate limits are not available"), bindings::ratelimits),
    key("version_metadata", NotInheritable, NotYet("versions are not available"), bindings::version_metadata),
    key("workflows", NotInheritable, NotYet("Workflows are not available"), any),
    key("streaming_tail_consumers", NotInheritable, NotYet("tail workers are not available"), any),
    key("analytics_engine_datasets", NotInheritable, NotYet("Analytics Engine is not available"), any),
    key("hyperdrive", NotInheritable, NotYet("Hyperdrive is not available"), any),
    key("mtls_certificates", NotInheritable, NotYet("client certificates are not available"), any),
    key("secrets_store_secrets", NotInheritable, NotYet("the secrets store is not available"), any),
    key("send_email", NotInheritable, NotYet("email is not available"), any),
    key("vectorize", NotInheritable, NotYet("Vectorize is not available"), any),
    key("connect", NotInheritable, NotYet("inbound TCP is not available"), any),
    key("ai", NotInheritable, NotYet("Workers AI is not available"), any),
    key("ai_search", NotInheritable, NotYet("AI Search is not available"), any),
    key("ai_search_namespaces", NotInheritable, NotYet("AI Search is not available"), any),
    key("agent_memory", NotInheritable, NotYet("agent memory is not available"), any),
    key("artifacts", NotInheritable, NotYet("artifacts are not available"), any),
    key("browser", NotInheritable, NotYet("browser rendering is not available"), any),
    key("cloudchamber", NotInheritable, NotYet("containers are not available"), any),
    key("containers", NotInheritable, NotYet("containers are not available"), any),
    key("flagship", NotInheritable, NotYet("Flagship is not available"), any),
    key("images", NotInheritable, NotYet("Images is not available"), any),
    key("media", NotInheritable, NotYet("media transformations are not available"), any),
    key("pipelines", NotInheritable, NotYet("Pipelines are not available"), any),
    key("stream", NotInheritable, NotYet("Stream is not available"), any),
    key("unsafe_hello_world", NotInheritable, NotYet("it is internal to Cloudflare"), any),
    key("vpc_networks", NotInheritable, NotYet("VPC networks are not available"), any),
    key("vpc_services", NotInheritable, NotYet("VPC services are not available"), any),
    key("websearch", NotInheritable, NotYet("web search is not available"), any),
    key("unsafe", NotInheritable, Ignored("its bindings and metadata reach the worker on Cloudflare only"), any),
];

pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

// === impl Key ===

impl Key {
    /// Decodes the value in force, and says what its status means for the author.
    pub(super) fn apply(&self, at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
        (self.decode)(at, settings, report);
        if at.node.value.is_inert() {
            return;
        }
        match self.status {
            Implemented | ParsedOnly => {}
            NotYet(missing) => {
                let at = narrowest(at);
                report.error_at_key(
                    &at,
                    format!("`{}` is not supported yet: {missing}", at.key),
                    format!("remove `{}`, or run this worker where it is supported", at.key),
                );
            }
            Ignored(reason) => report.warn_at_key(
                at,
                format!("`{}` has no effect: {reason}", at.key),
                "remove it to silence this warning",
            ),
        }
    }
}

/// The list under the key that is not empty, where there is exactly one such: `triggers.crons`, not `triggers`.
fn narrowest<'a>(at: &At<'a>) -> At<'a> {
    let Value::Table(table) = &at.node.value else {
        return at.clone();
    };
    let mut asking = table.entries.iter().filter(|entry| !entry.node.value.is_inert());
    match (asking.next(), asking.next()) {
        (Some(entry), None) if matches!(entry.node.value, Value::Array(_)) => at.child(entry),
        _ => at.clone(),
    }
}
