//! Bindings: checked, and refused as long as they are not supported.

use super::*;
use crate::decode::Report;
use crate::project::decode_settings::Settings;
use crate::project::keys::{KEYS, Scope, Status};
use crate::value::Source;

/// The bindings of a configuration, whatever their status.
fn decoded(text: &str) -> (Bindings, Vec<String>) {
    let source = Source { path: "wrangler.jsonc".into(), text: text.to_owned() };
    let root = source.parse().unwrap();
    let mut report = Report::new(&source, Severity::Warning);
    let mut settings = Settings::new("/project".into(), date!(2026 - 09 - 01));
    let entries = crate::decode::At::root(&root).entries(&mut report).unwrap();
    for (name, at) in entries {
        let key = KEYS.iter().find(|key| key.name == name).unwrap();
        (key.decode)(&at, &mut settings, &mut report);
    }
    let found = report.diagnostics.iter().map(|found| format!("{}:{} {}", found.line, found.column, found.message));
    (settings.bindings, found.collect())
}

#[test]
fn a_binding_that_is_not_supported_is_an_error_with_its_place() {
    let scratch = minimal(
        "  \"kv_namespaces\": [{ \"binding\": \"KV\", \"id\": \"1\" }],\n  \"queues\": { \"consumers\": [{ \"queue\": \"q\" }] },\n  \"ai\": { \"binding\": \"AI\" }",
    );
    assert_eq!(
        errors(&scratch),
        [
            "error 2:3 `kv_namespaces` is not supported yet: KV is not available | remove `kv_namespaces`, or run this worker where it is supported",
            "error 3:15 `queues.consumers` is not supported yet: Queues are not available | remove `queues.consumers`, or run this worker where it is supported",
            "error 4:3 `ai` is not supported yet: Workers AI is not available | remove `ai`, or run this worker where it is supported",
        ]
    );
}

#[test]
fn a_trigger_that_is_no_cron_expression_is_an_error_with_its_place() {
    let scratch =
        minimal("  \"triggers\": { \"crons\": [\"*/5 * * * *\", \"* * * * * *\", 5, \"CRON_TZ=Mars 0 0 * * *\"] }");
    let found = errors(&scratch);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].starts_with("error 2:42 `triggers.crons[1]` is no cron expression: \"* * * * * *\""),
        "{}",
        found[0]
    );
    assert!(found[2].contains("\"Mars\" is no time zone"), "{}", found[2]);
}

#[test]
fn every_key_that_is_not_supported_is_refused_when_it_asks_for_something() {
    for key in KEYS.iter().filter(|key| matches!(key.status, Status::NotYet(_))) {
        for value in ["[{ \"binding\": \"B\" }]", "{ \"binding\": \"B\" }", "true", "\"x\""] {
            let found = errors(&minimal(&format!("\"{}\": {value}", key.name)));
            assert!(
                found.iter().any(|error| error.contains("is not supported yet")),
                "{} {value}: {found:?}",
                key.name
            );
        }
        for value in ["[]", "{}"] {
            let scratch = minimal(&format!("\"{}\": {value}", key.name));
            let refused = load(scratch.directory(), &options()).err();
            let unsupported = refused.is_some_and(|found| found.to_string().contains("not supported"));
            assert!(!unsupported, "{} {value}", key.name);
        }
    }
}

#[test]
fn the_table_has_each_key_once() {
    let mut names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(KEYS.iter().any(|key| key.scope == Scope::TopLevel));
}

#[test]
fn stores_and_queues_have_their_fields() {
    let (bindings, found) = decoded(
        r#"{
        "kv_namespaces": [{ "binding": "KV", "id": "1", "preview_id": "2", "remote": true }],
        "r2_buckets": [{ "binding": "R2", "bucket_name": "b" }],
        "d1_databases": [{ "binding": "DB", "database_name": "d", "database_id": "i" }],
        "queues": { "producers": [{ "binding": "Q", "queue": "q", "delivery_delay": 5 }],
                    "consumers": [{ "queue": "q", "type": "worker", "max_batch_size": 10, "max_concurrency": null }] }
        }"#,
    );
    assert_eq!(found, [""; 0]);
    assert_eq!(bindings.kv_namespaces[0].preview_id.as_deref(), Some("2"));
    assert_eq!(bindings.d1_databases[0].migrations_table, "d1_migrations");
    assert_eq!(bindings.r2_buckets[0].bucket_name.as_deref(), Some("b"));
    assert_eq!(bindings.queue_producers[0].delivery_delay, Some(5));
    assert_eq!(bindings.queue_consumers[0].max_batch_size, Some(10));
    assert_eq!(bindings.queue_consumers[0].max_concurrency, None);
}

#[test]
fn workers_and_objects_have_their_fields() {
    let (bindings, found) = decoded(
        r#"{
        "durable_objects": { "bindings": [{ "name": "ROOM", "class_name": "Room" }] },
        "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Room"], "renamed_classes": [{ "from": "A", "to": "B" }] }],
        "services": [{ "binding": "AUTH", "service": "auth", "entrypoint": "Auth", "props": { "a": 1 } }],
        "tail_consumers": [{ "service": "tail" }],
        "dispatch_namespaces": [{ "binding": "D", "namespace": "n", "outbound": { "service": "o", "parameters": ["p"] } }],
        "worker_loaders": [{ "binding": "LOADER" }],
        "ratelimits": [{ "name": "R", "namespace_id": "1", "simple": { "limit": 100, "period": 60 } }],
        "version_metadata": { "binding": "VERSION" },
        "assets": { "directory": "./public", "not_found_handling": "404-page", "run_worker_first": ["/api/*"] }
        }"#,
    );
    assert_eq!(found, [""; 0]);
    assert_eq!(bindings.durable_objects[0].class_name, "Room");
    assert_eq!(bindings.migrations[0].renamed_classes, [("A".to_owned(), "B".to_owned())]);
    assert_eq!(bindings.services[0].props, Some(json!({ "a": 1 })));
    assert_eq!(bindings.dispatch_namespaces[0].outbound.as_ref().unwrap().parameters, ["p"]);
    assert_eq!(bindings.worker_loaders, ["LOADER"]);
    assert_eq!((bindings.ratelimits[0].limit, bindings.ratelimits[0].period), (100, 60));
    assert_eq!(bindings.version_metadata.as_deref(), Some("VERSION"));
    let assets = bindings.assets.unwrap();
    assert_eq!(assets.directory, Some(PathBuf::from("/project/public")));
    assert_eq!(assets.not_found_handling, NotFoundHandling::Page404);
    assert_eq!(assets.run_worker_first, RunWorkerFirst::Paths(vec!["/api/*".into()]));
}

#[test]
fn fields_of_bindings_are_checked() {
    let (_, found) = decoded(
        "{ \"kv_namespaces\": [{ \"id\": 1 }, { \"binding\": \"B\", \"idd\": \"x\" }],\n\"ratelimits\": [{ \"name\": \"R\", \"namespace_id\": \"1\", \"simple\": { \"limit\": -1, \"period\": 30 } }] }",
    );
    assert_eq!(
        found,
        [
            "1:21 `kv_namespaces[0]` has no `binding`",
            "1:29 `kv_namespaces[0].id` must be a string, found a number",
            "1:52 unknown key `kv_namespaces[1].idd`",
            "2:73 `ratelimits[0].simple.limit` cannot be negative",
            "2:87 `ratelimits[0].simple.period` must be 10 or 60 seconds",
        ]
    );
}
