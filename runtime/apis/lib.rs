//! The Rust side of the shims.
//!
//! One file or folder per API, named like its shim in `js-shims/`. Each op checks what it is given, asks the isolate's state
//! for what the owner may do, and never panics. The `extension!` list below *is* the API that shims can reach; which ops of
//! the deno crates they may use is the list in `js-shims/ALLOWED_OPS.txt`.

pub mod answer;
pub mod body;
pub mod cache;
pub mod clock;
pub mod compression;
pub mod console;
pub mod digest;
pub mod fetch;
pub mod html_rewriter;
pub mod node;
pub mod patches;
pub mod rehome;
pub mod request;
pub mod reserve;
pub mod seam;
pub mod service;
pub mod settings;
pub mod tcp;
pub mod timers;
pub mod websocket;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::Extension;
use deno_core::OpDecl;
use holm_isolate::State;

use crate::cache::interface::CacheStore;
use crate::fetch::outbound::Outbound;
use crate::service::ServiceBinding;
use crate::service::Services;
use crate::tcp::interface::Tcp;

/// What the APIs need of the world, for one worker ([`holm_isolate::WorkerParts`]).
#[derive(Clone)]
pub struct Outside {
    pub outbound: Arc<dyn Outbound>,
    pub cache: Arc<dyn CacheStore>,
    pub tcp: Arc<dyn Tcp>,
    pub services: Arc<dyn Services>,
    /// What `env` has of them.
    pub bindings: Arc<[ServiceBinding]>,
}

deno_core::extension!(
    holm,
    deps = [deno_webidl, deno_web, deno_crypto],
    ops = [
        answer::op_fail,
        answer::op_pass_through,
        answer::op_report,
        answer::op_respond,
        answer::op_wait_until_begin,
        answer::op_wait_until_end,
        body::op_body_abort,
        body::op_body_cancel,
        body::op_body_check,
        body::op_body_clone,
        body::op_body_close,
        body::op_body_collect,
        body::op_body_kind,
        body::op_body_length,
        body::op_body_open,
        body::op_body_read,
        body::op_body_take,
        body::op_body_take_text,
        body::op_body_write,
        cache::op_cache_delete,
        cache::op_cache_match,
        cache::op_cache_put,
        clock::op_clock_now,
        clock::op_clock_origin,
        compression::op_compression_finish,
        compression::op_compression_new,
        compression::op_compression_write,
        console::op_log,
        digest::op_digest,
        digest::op_digest_finish,
        digest::op_digest_new,
        digest::op_digest_update,
        fetch::op_fetch,
        fetch::op_fetch_data,
        fetch::op_operation_cancel,
        html_rewriter::op_html_answers,
        html_rewriter::op_html_attribute,
        html_rewriter::op_html_attributes,
        html_rewriter::op_html_check_selector,
        html_rewriter::op_html_close,
        html_rewriter::op_html_doctype,
        html_rewriter::op_html_flush,
        html_rewriter::op_html_give,
        html_rewriter::op_html_give_content,
        html_rewriter::op_html_has_attribute,
        html_rewriter::op_html_last_in_text_node,
        html_rewriter::op_html_namespace,
        html_rewriter::op_html_on_end_tag,
        html_rewriter::op_html_open,
        html_rewriter::op_html_place,
        html_rewriter::op_html_place_stream,
        html_rewriter::op_html_read,
        html_rewriter::op_html_remove,
        html_rewriter::op_html_remove_attribute,
        html_rewriter::op_html_removed,
        html_rewriter::op_html_run,
        html_rewriter::op_html_set_attribute,
        html_rewriter::op_html_set_text,
        html_rewriter::op_html_text,
        node::bundle::op_node_bundle_names,
        node::bundle::op_node_bundle_read,
        node::crypto::cipher::op_node_cipher,
        node::crypto::cipher::op_node_cipher_aad,
        node::crypto::cipher::op_node_cipher_finish,
        node::crypto::cipher::op_node_cipher_info,
        node::crypto::cipher::op_node_cipher_padding,
        node::crypto::cipher::op_node_cipher_tag,
        node::crypto::cipher::op_node_cipher_update,
        node::crypto::derive::op_node_hkdf,
        node::crypto::derive::op_node_pbkdf2,
        node::crypto::derive::op_node_scrypt,
        node::crypto::derive::op_node_timing_safe_equal,
        node::crypto::digest::op_node_digest_copy,
        node::crypto::digest::op_node_digest_finish,
        node::crypto::digest::op_node_digest_update,
        node::crypto::digest::op_node_hash,
        node::crypto::digest::op_node_hmac,
        node::crypto::key::op_node_key_agree,
        node::crypto::key::op_node_key_generate,
        node::crypto::key::op_node_key_numbers,
        node::crypto::key::op_node_key_of_numbers,
        node::crypto::key::op_node_key_of_bytes,
        node::crypto::key::op_node_key_public,
        node::crypto::key::op_node_key_read,
        node::crypto::key::op_node_key_write,
        node::crypto::sign::op_node_rsa_oaep,
        node::crypto::sign::op_node_sign,
        node::crypto::sign::op_node_verify,
        node::dns::op_node_lookup,
        node::inspect::op_node_constructor_name,
        node::inspect::op_node_preview_entries,
        node::op_node_script,
        node::op_node_watch_end,
        node::text::op_node_compare,
        node::text::op_node_decode,
        node::text::op_node_encode_into,
        node::text::op_node_index_of,
        node::text::op_node_is_valid,
        node::text::op_node_utf8_length,
        node::zlib::op_node_crc32,
        node::zlib::op_node_zlib_close,
        node::zlib::op_node_zlib_level,
        node::zlib::op_node_zlib_new,
        node::zlib::op_node_zlib_write,
        rehome::op_rehome_begin,
        rehome::op_rehome_settle,
        rehome::op_rehome_started,
        request::op_request_cf,
        request::op_request_headers,
        request::op_request_method,
        request::op_request_url,
        request::op_signal_watch,
        reserve::op_reserve,
        service::op_called_entrypoint,
        service::op_called_props,
        service::op_service_call,
        service::op_service_names,
        service::op_session_read,
        service::op_session_waits,
        settings::op_env,
        settings::op_settings,
        tcp::op_tcp_close,
        tcp::op_tcp_connect,
        tcp::op_tcp_finish,
        tcp::op_tcp_interrupt,
        tcp::op_tcp_read,
        tcp::op_tcp_start_tls,
        tcp::op_tcp_write,
        timers::op_timer_cancel,
        timers::op_timer_start,
        websocket::op_respond_socket,
        websocket::op_socket_accept,
        websocket::op_socket_close,
        websocket::op_socket_over,
        websocket::op_socket_pair,
        websocket::op_socket_receive,
        websocket::op_socket_send,
    ],
    esm_entry_point = "ext:holm/entry.js",
    esm = [
        dir "../../js-shims",
        "blob.js",
        "body.js",
        "built_in_modules.js",
        "bytes.js",
        "clock.js",
        "console.js",
        "context.js",
        "crypto.js",
        "crypto_policy.js",
        "engine.js",
        "entry.js",
        "environment.js",
        "events.js",
        "fetch.js",
        "formdata.js",
        "global_property.js",
        "globals.js",
        "headers.js",
        "identity_streams.js",
        "message_channel.js",
        "node.js",
        "node_timers.js",
        "options.js",
        "owner.js",
        "pairs.js",
        "request.js",
        "reservations.js",
        "response.js",
        "timers.js",
        "wasm.js",
    ],
);

/// Shims that an isolate loads when it first needs them, sorted by their specifiers. They are no part of the snapshot: a worker
/// that does without pays nothing. The engine takes their texts as they are, which have to be ASCII for that.
pub static LAZY_SHIMS: &[(&str, &str)] = &[
    ("ext:holm/cache.js", include_str!("../../js-shims/cache.js")),
    ("ext:holm/digest_stream.js", include_str!("../../js-shims/digest_stream.js")),
    ("ext:holm/entrypoints.js", include_str!("../../js-shims/entrypoints.js")),
    ("ext:holm/eventsource.js", include_str!("../../js-shims/eventsource.js")),
    ("ext:holm/html_rewriter.js", include_str!("../../js-shims/html_rewriter.js")),
    ("ext:holm/node_natives.js", include_str!("../../js-shims/node_natives.js")),
    ("ext:holm/rpc_session.js", include_str!("../../js-shims/rpc_session.js")),
    ("ext:holm/rpc_stubs.js", include_str!("../../js-shims/rpc_stubs.js")),
    ("ext:holm/rpc_values.js", include_str!("../../js-shims/rpc_values.js")),
    ("ext:holm/service_binding.js", include_str!("../../js-shims/service_binding.js")),
    ("ext:holm/service_worker.js", include_str!("../../js-shims/service_worker.js")),
    ("ext:holm/sockets_module.js", include_str!("../../js-shims/sockets_module.js")),
    ("ext:holm/tracing.js", include_str!("../../js-shims/tracing.js")),
    ("ext:holm/websocket.js", include_str!("../../js-shims/websocket.js")),
    ("ext:holm/workers_module.js", include_str!("../../js-shims/workers_module.js")),
];

const _: () = {
    let mut index = 0;
    while index < LAZY_SHIMS.len() {
        assert!(LAZY_SHIMS[index].1.is_ascii(), "a lazy shim is ASCII, also in its comments");
        index += 1;
    }
};

/// The ops of the deno crates that the shims may reach, one a line.
const ALLOWED_OPS: &str = include_str!("../../js-shims/ALLOWED_OPS.txt");
/// Built-in ops of deno_core that no shim needs and no script may reach, whatever else goes wrong.
const REFUSED_CORE_OPS: &[&str] = &[
    "op_panic",
    "op_print",
    "op_eval_context",
    "op_compile_function",
    "op_resources",
    "op_read",
    "op_read_all",
    "op_write",
    "op_write_all",
    "op_read_sync",
    "op_write_sync",
    "op_close",
    "op_try_close",
    "op_shutdown",
    "op_import_sync",
    "op_import_sync_with_source",
    "op_set_promise_hooks",
    "op_set_format_exception_callback",
    "op_leak_tracing_enable",
    "op_memory_usage",
];

/// The extensions of the snapshot, in the order that a runtime has to repeat.
#[must_use]
pub fn extensions_for_snapshot() -> Vec<Extension> {
    let mut extensions = vec![
        deno_webidl::deno_webidl::lazy_init(),
        deno_web::deno_web::lazy_init(),
        deno_crypto::deno_crypto::lazy_init(),
        holm::init(),
    ];
    for extension in &mut extensions {
        extension.lazy_loaded_js_files = patches::patched(&extension.lazy_loaded_js_files);
    }
    restricted(extensions)
}

/// The extensions of one isolate. Stores of the deno crates are made anew, so that isolates share nothing.
#[must_use]
pub fn extensions(state: Rc<State>) -> Vec<Extension> {
    let blobs = Arc::new(deno_web::BlobStore::default());
    let channel = deno_web::InMemoryBroadcastChannel::default();
    let mut own = holm::init();
    own.op_state_fn = Some(Box::new(move |op_state| op_state.put(state)));
    restricted(vec![
        deno_webidl::deno_webidl::init(),
        deno_web::deno_web::init(blobs, None, false, channel),
        deno_crypto::deno_crypto::init(None),
        own,
    ])
}

/// Takes off every op of the deno crates that is not on the list, and disables what is refused of the core.
fn restricted(mut extensions: Vec<Extension>) -> Vec<Extension> {
    for extension in &mut extensions {
        if extension.name == "holm" {
            extension.middleware_fn = Some(Box::new(refuse));
        } else {
            let allowed: Vec<OpDecl> = extension
                .ops
                .iter()
                .filter(|op| ALLOWED_OPS.lines().any(|line| line.trim() == op.name))
                .copied()
                .collect();
            extension.ops = Cow::Owned(allowed);
            let classes: Vec<_> =
                extension.objects.iter().filter(|class| !refuses_class((class.type_name)())).copied().collect();
            extension.objects = Cow::Owned(classes);
        }
    }
    extensions
}

/// Classes of the deno crates that no worker sees: they would only make every isolate larger.
fn refuses_class(type_name: &str) -> bool {
    ["::css_stylesheet::", "::geometry::", "::image_data::"].iter().any(|module| type_name.contains(module))
}

fn refuse(op: OpDecl) -> OpDecl {
    if REFUSED_CORE_OPS.contains(&op.name) { op.disable() } else { op }
}
