//! Keys of every kind, their types, and how a mistake is shown.

use super::*;

#[test]
fn a_project_has_every_value_with_its_type() {
    let project = loaded(&minimal(
        r#"
        // Comments and trailing commas are fine.
        "account_id": "abc", "workers_dev": false, "keep_vars": true, "logpush": true,
        "limits": { "cpu_ms": 30000, "subrequests": 100 },
        "vars": { "TEXT": "x", "NUMBER": 1.5, "LIST": [1, { "a": null }], "FLAG": true, },
        "dev": { "ip": "0.0.0.0", "port": 8080, "local_protocol": "https", "host": "a.example", "inspector_port": 9230 },
        "build": { "command": "make", "cwd": "tools", "watch_dir": ["src", "lib"] },
        "observability": { "enabled": true, "head_sampling_rate": 0.5, "logs": { "invocation_logs": false } },
        "triggers": { "crons": ["0 9 * * MON"] },
        "kv_namespaces": [], "durable_objects": { "bindings": [] }, "queues": {}, "version_metadata": {},
        "routes": ["example.com/a*", { "pattern": "b.example/*", "zone_name": "b.example" },
                   { "pattern": "c.example", "custom_domain": true }, { "pattern": "d.example", "custom_domain": true, "enabled": false }]"#,
    ));
    assert_eq!(project.warnings, []);
    assert_eq!(project.name, "a");
    assert_eq!(project.limits, InvocationLimits { cpu_ms: Some(30_000), subrequests: Some(100) });
    let vars = project.vars.effective();
    assert_eq!(vars["LIST"], json!([1, { "a": null }]));
    assert_eq!(vars["NUMBER"], json!(1.5));
    assert_eq!(project.workers_dev, Some(false));
    assert_eq!(project.dev.port, Some(8080));
    assert_eq!(project.dev.local_protocol, Some(Protocol::Https));
    assert_eq!(project.build.cwd, project.directory.join("tools"));
    assert_eq!(project.build.watch, [project.directory.join("src"), project.directory.join("lib")]);
    assert_eq!(project.deployment.crons, [holm_cron::Trigger::parse("0 9 * * MON").unwrap()]);
    assert_eq!(project.deployment.account_id.as_deref(), Some("abc"));
    let observability = project.deployment.observability.unwrap();
    assert_eq!(observability.head_sampling_rate, Some(0.5));
    assert_eq!(observability.logs.unwrap().invocation_logs, Some(false));
    let patterns: Vec<String> = project.routes.iter().map(|route| route.pattern.to_string()).collect();
    assert_eq!(patterns, ["example.com/a*", "b.example/*", "c.example/*"]);
    assert!(project.routes[2].custom_domain);
}

#[test]
fn toml_says_the_same_as_json() {
    let project = loaded(&toml(
        "name = \"a\"\nmain = \"./src/index.ts\"\ncompatibility_date = \"2026-01-01\"\nroute = { pattern = \"a.example/*\", zone_id = \"z\" }\n\
         [vars]\nNUMBER = 1_000\n[vars.NESTED]\nlist = [1, 2]\n[limits]\ncpu_ms = 10\n[[rules]]\ntype = \"Text\"\nglobs = [\"**/*.md\"]\nfallthrough = true\n",
    ));
    assert_eq!(project.main, project.directory.join("src/index.ts"));
    assert_eq!(project.vars.effective()["NESTED"], json!({ "list": [1, 2] }));
    assert_eq!(project.vars.effective()["NUMBER"], json!(1000));
    assert_eq!(project.limits.cpu_ms, Some(10));
    assert_eq!(project.routes[0].zone_id.as_deref(), Some("z"));
    assert!(matches!(project.bundling.rules.find("./a.md"), Some(RuleMatch::Module(_))));
    assert_eq!(project.warnings, []);
}

#[test]
fn all_errors_come_at_once_with_their_places() {
    let scratch = jsonc(
        "{\n  \"name\": \"Hello World\",\n  \"main\": 7,\n  \"compatibility_date\": \"yesterday\",\n  \"minify\": \"true\",\n  \"limits\": { \"cpu_ms\": 0 },\n  \"routes\": \"a.example\"\n}",
    );
    assert_eq!(
        errors(&scratch),
        [
            "error 2:11 `name` cannot be \"Hello World\": a name has lower-case letters, digits, \"-\" and \"_\" only | choose a name like \"my-worker\"",
            "error 3:11 `main` must be a string, found a number | put it in quotes",
            "error 4:25 `compatibility_date` must be a date like 2026-01-31, found \"yesterday\" | write it as YYYY-MM-DD",
            "error 5:13 `minify` must be a boolean, found a string | remove the quotes: true",
            "error 6:25 `limits.cpu_ms` is 0, outside of 1 to 300000 ms | CPU time of one invocation; the default is 50",
            "error 7:13 `routes` must be an array, found a string | put it in brackets: [ … ]",
        ]
    );
}

#[test]
fn an_error_is_printed_with_its_line() {
    let scratch = minimal("  \"minify\": \"yes\"");
    let text = refused(&scratch).to_string().replace(&scratch.directory().display().to_string(), "project");
    assert_eq!(
        text,
        "error: `minify` must be a boolean, found a string\n  --> project/wrangler.jsonc:2:13\n   |   \"minify\": \"yes\"\n   |             ^^^^^\n   = help: give a boolean"
    );
}

#[test]
fn a_misspelt_key_is_a_warning_that_says_what_is_meant() {
    let scratch = minimal("\"compatability_flags\": [], \"kv_namespace\": [], \"zzz\": 1, \"dev\": { \"prot\": 1 }");
    assert_eq!(
        warnings(&scratch),
        [
            "warning 2:1 unknown key `compatability_flags` | did you mean `compatibility_flags`?",
            "warning 2:28 unknown key `kv_namespace` | did you mean `kv_namespaces`?",
            "warning 2:48 unknown key `zzz` | remove it, or check its spelling",
            "warning 2:67 unknown key `dev.prot` | did you mean `port`?",
        ]
    );
}

#[test]
fn a_key_that_changes_nothing_is_a_warning() {
    let scratch = minimal("\"$schema\": \"x\", \"send_metrics\": true, \"placement\": { \"mode\": \"smart\" }");
    assert_eq!(
        warnings(&scratch),
        [
            "warning 2:17 `send_metrics` has no effect: Holm sends no metrics | remove it to silence this warning",
            "warning 2:39 `placement` has no effect: a worker runs where its server is | remove it to silence this warning",
        ]
    );
}

#[test]
fn broken_syntax_is_shown_where_it_is() {
    let scratch = jsonc("{\n  \"name\": \"a\"\n  \"main\": \"b\"\n}");
    let found = errors(&scratch);
    assert!(found[0].starts_with("error 2:14 not valid JSON: Expected comma"), "{found:?}");
    let scratch = toml("name = \"a\"\nmain = \n[vars\nA = 1\n");
    let found = errors(&scratch);
    assert!(found.len() >= 2 && found[0].starts_with("error 2:"), "{found:?}");
    let scratch = jsonc("{ \"name\": \"a\",\n \"name\": \"b\" }");
    assert_eq!(errors(&scratch), ["error 2:2 the key `name` is given twice in one object | keep one of the two"]);
    assert_eq!(
        errors(&jsonc("[]")),
        ["error 1:1 a configuration must be an object | start the file with { and end it with }"]
    );
    assert_eq!(
        errors(&jsonc("// nothing")),
        ["error 1:1 the file is empty | a configuration is an object: { \"name\": \"…\", \"main\": \"…\" }"]
    );
}

#[test]
fn a_column_counts_characters() {
    let scratch = minimal("\"vars\": { \"ä\": \"öö\" }, \"minify\": 1");
    assert_eq!(errors(&scratch), ["error 2:34 `minify` must be a boolean, found a number | give a boolean"]);
}

#[test]
fn an_unquoted_toml_date_is_told_to_be_quoted() {
    let scratch = toml("name = \"a\"\nmain = \"src/index.ts\"\ncompatibility_date = 2026-01-01\n");
    assert_eq!(
        errors(&scratch),
        ["error 3:22 `compatibility_date` must be a string, found a date | put it in quotes: \"2026-01-01\""]
    );
}

#[test]
fn routes_are_refused_with_the_reason() {
    let scratch = minimal(
        "\"routes\": [\"a.*.example/*\",\n 5,\n { \"pattern\": \"*.a.example\", \"custom_domain\": true },\n { \"pattern\": \"a.example/x\", \"custom_domain\": true },\n { \"zone_id\": \"a\", \"zone_name\": \"b\", \"pattern\": \"a.example\" },\n {}]",
    );
    assert_eq!(
        errors(&scratch),
        [
            "error 2:12 `routes[0]` is no route pattern: a host may have one wildcard, at its start | write \"*.example.com\" or \"*example.com\"",
            "error 3:2 `routes[1]` must be a string or an object, found a number | give a string or an object",
            "error 4:15 \"*.a.example\" cannot be a custom domain: it has a wildcard | name one host, or remove `custom_domain` to have a route",
            "error 5:15 `routes[3].pattern` is no route pattern: a hostname has no scheme and no path | write \"a.example\" alone, or use a route",
            "error 6:2 `routes[4]` has both `zone_id` and `zone_name` | keep one of the two",
            "error 7:2 `routes[5]` has no `pattern` | add `pattern`",
        ]
    );
    let both = minimal("\"route\": \"a.example\", \"routes\": []");
    assert_eq!(errors(&both), ["error 2:23 both `route` and `routes` are set | move the route into `routes`"]);
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    let scratch = minimal(
        "\"limits\": { \"cpu_ms\": 300001, \"subrequests\": 1.5 }, \"dev\": { \"port\": 70000 }, \"observability\": { \"head_sampling_rate\": 2 }",
    );
    assert_eq!(
        errors(&scratch),
        [
            "error 2:23 `limits.cpu_ms` is 300001, outside of 1 to 300000 ms | CPU time of one invocation; the default is 50",
            "error 2:46 `limits.subrequests` must be an integer, found a number | give an integer",
            "error 2:70 `dev.port` is 70000, which is no port number | give 0 to 65535",
            "error 2:120 `observability.head_sampling_rate` is 2, outside of 0 to 1 | 1 keeps everything, 0.1 one in ten",
        ]
    );
}
