//! What each compatibility flag does in Holm. A flag that is not listed here is a switch: Holm has both of its behaviours.
//!
//! The platform's flags are there for workers that depend on what was a mistake. Where nobody is known to, Holm has the
//! behaviour of today alone, and says so when a worker asks for the other one by the flag's name.

/// What becomes of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// On and off are different.
    Switch,
    /// As if it were on, whatever the date. Says what that is.
    Always(&'static str),
    /// As if it were off, whatever the date. Says what is missing.
    Never(&'static str),
    /// It changes something that Holm does not have.
    NotApplicable(&'static str),
}

use Effect::{Always, Never, NotApplicable};

/// What the flag `name` does.
#[must_use]
pub fn effect(name: &str) -> Effect {
    EFFECTS.iter().find(|(flag, _)| *flag == name).map_or(Effect::Switch, |(_, effect)| *effect)
}

const FORMS: &str = "files in forms are `File` objects";
const STREAMS: &str = "streams are those of the standard";
const URLS: &str = "URLs are those of the standard";
const R2: &str = "there is no R2";
const QUEUES: &str = "there are no queues";
const OBJECTS: &str = "there are no Durable Objects";
const PYTHON: &str = "there are no Python workers";
const WORKFLOWS: &str = "there are no Workflows";
const TAIL: &str = "there are no tail workers";
const PLATFORM: &str = "it is about the platform's own network";

#[rustfmt::skip]
pub(super) static EFFECTS: &[(&str, Effect)] = &[
    ("formdata_parser_supports_files", Always(FORMS)),
    ("streams_byob_reader_detaches_buffer", Always(STREAMS)),
    ("durable_object_fetch_requires_full_url", NotApplicable(OBJECTS)),
    ("fetch_refuses_unknown_protocols", Always("other protocols than http, https and data are refused")),
    ("workers_api_getters_setters_on_prototype", Always("properties of APIs are on the prototypes")),
    ("no_cots_on_external_fetch", NotApplicable(PLATFORM)),
    ("minimal_subrequests", Always("nothing is added to subrequests")),
    ("dont_substitute_null_on_type_error", Always("a wrong type is a TypeError")),
    ("r2_list_honor_include", NotApplicable(R2)),
    ("capture_async_api_throws", Always("APIs that answer promises do not throw")),
    ("export_commonjs_default", Always("`module.exports` is the default export of a CommonJS module")),
    ("url_standard", Always(URLS)),
    ("streams_enable_constructors", Always(STREAMS)),
    ("transformstream_enable_standard_constructor", Always(STREAMS)),
    ("dynamic_dispatch_tunnel_exceptions", NotApplicable("there is no dynamic dispatch")),
    ("response_redirect_url_standard", Always(URLS)),
    ("urlsearchparams_delete_has_value_arg", Always(URLS)),
    ("strict_compression_checks", Always("data after the end of a compressed stream is an error")),
    ("strict_crypto_checks", Always("arguments of Web Crypto are checked as the standard says")),
    ("no_cf_botmanagement_default", Always("`request.cf` has no scores of bots")),
    ("web_socket_compression", Never("WebSocket messages are not compressed")),
    ("vectorize_query_metadata_optional", NotApplicable("there is no Vectorize")),
    ("crypto_preserve_public_exponent", Always("public exponents are bytes")),
    ("no_global_importscripts", Always("there is no `importScripts`")),
    ("queues_json_messages", NotApplicable(QUEUES)),
    ("fetcher_no_get_put_delete", Always("a service has `fetch` and what its entrypoint offers over RPC")),
    ("unwrap_custom_thenables", Always("promises resolve to what a thenable resolves to")),
    ("brotli_content_encoding", Always("subrequests accept Brotli")),
    ("internal_stream_byob_return_view", Always(STREAMS)),
    ("blob_standard_mime_type", Always("the type of a body's Blob is that of the standard")),
    ("fetch_standard_url", Always(URLS)),
    ("allow_custom_ports", Always("subrequests go to the port of their URL")),
    ("internal_writable_stream_abort_clears_queue", Always(STREAMS)),
    ("set_tostring_tag", Always("classes of APIs have a `Symbol.toStringTag`")),
    ("handle_cross_request_promise_resolution", Always("continuations run for the request that they belong to")),
    ("cache_option_enabled", Always("`cache` is an option of requests")),
    ("disable_top_level_await_in_require", Always("`require` of a module with a top-level await does not wait")),
    ("fixup-transform-stream-backpressure", Always(STREAMS)),
    ("unique_ctx_per_invocation", Always("each request has a `ctx` of its own")),
    ("assets_navigation_prefers_asset_serving", NotApplicable("there are no static assets")),
    ("request_cf_overrides_cache_rules", NotApplicable(PLATFORM)),
    ("cache_api_compat_flags", NotApplicable(PLATFORM)),
    ("cache_api_request_cf_overrides_cache_rules", NotApplicable(PLATFORM)),
    ("urlpattern_standard", Always("`URLPattern` is that of the standard")),
    ("bind_asynclocalstorage_snapshot_to_request", Always("an async context belongs to its request")),
    ("set_event_target_this", Always("`this` of a listener is the target")),
    ("set_forwardable_email_full_headers", NotApplicable("there is no email")),
    ("python_workers_force_new_vendor_path", NotApplicable(PYTHON)),
    ("python_no_global_handlers", NotApplicable(PYTHON)),
    ("strip_authorization_on_cross_origin_redirect", Always("`authorization` does not follow a redirect to another origin")),
    ("enable_validate_workflow_entrypoint", NotApplicable(WORKFLOWS)),
    ("enable_fast_jsg_struct", NotApplicable("it is about the platform's own engine")),
    ("require_returns_default_export", Never("`require` of an ES module answers its namespace")),
    ("fetch_iterable_type_support", Always("an async iterable can be a body")),
    ("fetch_iterable_type_support_override_adjustment", Always("a string object is text, although it can be iterated")),
    ("delete_all_deletes_alarm", NotApplicable(OBJECTS)),
    ("text_decoder_replace_surrogates", Always("`TextDecoder` is that of the standard")),
    ("text_decoder_cjk_decoder", Always("`TextDecoder` is that of the standard")),
    ("unhandled_rejection_after_microtask_checkpoint", Always("rejections are told of after the microtasks")),
    ("websocket_close_reason_byte_limit", Always("a reason has at most 123 bytes")),
    ("queue_expose_error_codes", NotApplicable(QUEUES)),
    ("encoder_stream_spec_compliant_backpressure", Always(STREAMS)),
    ("writable_stream_spec_compliant_writer", Always(STREAMS)),
    ("containers_pid_namespace", NotApplicable("there are no containers")),
    ("workflows_preserve_non_retryable_error_message", NotApplicable(WORKFLOWS)),
    ("python_process_pth_files", NotApplicable(PYTHON)),
    ("workflows_enable_fast_engine_creation", NotApplicable(WORKFLOWS)),
    ("enable_request_signal", Always("`request.signal` is aborted when the client leaves")),
    ("request_signal_passthrough", Never("the signal of a request does not end its subrequests")),
    ("global_fetch_strictly_public", Always("`fetch` leaves the server, also for its own hosts")),
    ("new_module_registry", Never("`import.meta.url` and `import.meta.resolve` are not there")),
    ("queue_consumer_no_wait_for_wait_until", NotApplicable(QUEUES)),
    ("pedantic_wpt", Never("where the platform deviates from the standards on purpose, so does Holm")),
    ("python_workers", NotApplicable(PYTHON)),
    ("nonclass_entrypoint_reuses_ctx_across_invocations", Never("each request has a `ctx` of its own")),
    ("streams_nodejs_v24_compat", Always(STREAMS)),
    ("enable_workers_observability_tracing", Never("there are no traces")),
    ("experimental", Never("experimental flags are accepted one by one")),
    ("precise_timers", Never("the clock stands still while JavaScript runs")),
    ("enable_web_file_system", Never("there is no Web file system")),
    ("service_binding_extra_handlers", Never("a service has `fetch` and RPC")),
    ("durable_object_get_existing", NotApplicable(OBJECTS)),
    ("memory_cache_delete", NotApplicable("there is no memory cache")),
    ("auto_grpc_convert", Never("gRPC is not converted")),
    ("typescript_strip_types", NotApplicable("the bundler takes types off")),
    ("unsafe_module", Never("there is no `workerd:unsafe`")),
    ("enable_abortsignal_rpc", Never("an `AbortSignal` cannot be passed over RPC")),
    ("streaming_tail_worker", NotApplicable(TAIL)),
    ("tail_worker_user_spans", NotApplicable(TAIL)),
    ("python_workflows", NotApplicable(PYTHON)),
    ("python_workers_20250116", NotApplicable(PYTHON)),
];
