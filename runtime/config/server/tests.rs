//! What `holm.toml` gives and refuses, read from real files.

use super::*;
use crate::scratch::Scratch;

fn server(text: &str) -> Scratch {
    Scratch::with(
        "server",
        &[
            ("holm.toml", text),
            ("workers/hello/wrangler.jsonc", "{}"),
            ("workers/shop/wrangler.jsonc", "{}"),
            ("dist/built/holm.json", "{}"),
            ("certs/a.pem", ""),
            ("certs/a.key", ""),
        ],
    )
}

fn loaded(scratch: &Scratch) -> ServerConfig {
    load(&scratch.path("holm.toml")).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

/// "severity line:column message | help", without the directory.
fn lines(scratch: &Scratch, diagnostics: &[Diagnostic]) -> Vec<String> {
    let directory = format!("{}/", scratch.directory().display());
    let line = |found: &Diagnostic| {
        let help = found.help.as_deref().unwrap_or("no help");
        format!("{} {}:{} {} | {help}", found.severity, found.line, found.column, found.message)
    };
    diagnostics.iter().map(|found| line(found).replace(&directory, "")).collect()
}

fn errors(text: &str) -> Vec<String> {
    let scratch = server(text);
    let diagnostics = load(&scratch.path("holm.toml")).expect_err("errors");
    lines(&scratch, &diagnostics.0)
}

#[test]
fn a_server_has_every_value_with_its_type() {
    let scratch = server(
        r#"
[server]
http = "127.0.0.1:8080"
https = "[::1]:8443"
admin = "127.0.0.1:9090"
threads = 2
drain_seconds = 10
[limits]
cpu_ms = 100
memory_mb = 256
[[certificate]]
cert = "certs/a.pem"
key = "./certs/a.key"
[[worker]]
project = "workers/hello"
name = "hello"
env = "production"
hostnames = ["hello.example", "*.hello.example"]
routes = ["example.com/api/*"]
vars = { NAME = "value", NUMBER = 1 }
limits = { cpu_ms = 50 }
[[worker]]
bundle = "dist/built"
"#,
    );
    let config = loaded(&scratch);
    assert_eq!(config.listen.http, Some("127.0.0.1:8080".parse().unwrap()));
    assert_eq!(config.listen.https, Some("[::1]:8443".parse().unwrap()));
    assert_eq!(config.listen.admin, Some("127.0.0.1:9090".parse().unwrap()));
    assert_eq!((config.threads, config.drain), (Some(2), Duration::from_secs(10)));
    assert_eq!((config.limits.cpu_ms, config.limits.memory_mb, config.limits.queue), (100, 256, 1024));
    assert_eq!(config.certificates[0].key, scratch.path("certs/a.key"));
    let hello = &config.workers[0];
    let path = scratch.path("workers/hello");
    assert_eq!(hello.source, WorkerSource::Project { path, env: Some("production".into()) });
    assert_eq!(hello.limits, Limits { cpu_ms: 50, ..config.limits });
    let patterns: Vec<String> = hello.patterns().map(ToString::to_string).collect();
    assert_eq!(patterns, ["hello.example/*", "*.hello.example/*", "example.com/api/*"]);
    assert_eq!(hello.vars["NUMBER"], serde_json::json!(1));
    assert_eq!(config.workers[1].source.path(), scratch.path("dist/built"));
    assert_eq!(config.workers[1].limits, config.limits);
    assert_eq!(config.warnings, []);
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let config = loaded(&server("server.http = \"127.0.0.1:0\"\n"));
    assert_eq!(config.limits, Limits::default());
    assert_eq!((config.threads, config.drain), (None, Duration::from_secs(30)));
    assert_eq!(config.warnings[0].message, "there is no worker: every request gets a 404");
}

#[test]
fn what_is_told_and_written_down_is_off_unless_it_is_asked_for() {
    let config = loaded(&server("server.http = \"127.0.0.1:0\"\n"));
    assert_eq!((config.seeing, config.usage), (Seeing::default(), None));
    let scratch = server(
        "[server]\nhttp = \"127.0.0.1:0\"\nexpose_cpu = true\nlog_clients = true\n[usage]\npath = \"usage.jsonl\"\ninterval_seconds = 5\n[[worker]]\nproject = \"workers/hello\"\ntenant = \"acme\"\n",
    );
    let config = loaded(&scratch);
    assert_eq!(config.seeing, Seeing { expose_cpu: true, log_clients: true });
    let usage = Usage {
        path: scratch.path("usage.jsonl"),
        interval: Duration::from_secs(5),
        rotate_bytes: crate::limits::USAGE_ROTATE.default,
    };
    assert_eq!(config.usage, Some(usage));
    assert_eq!(config.workers[0].tenant.as_deref(), Some("acme"));
    assert_eq!(
        errors(
            "server.http = \"127.0.0.1:1\"\nusage = { interval_seconds = 0 }\n[[worker]]\nproject = \"workers/hello\"\ntenant = \"A B\"\n"
        ),
        [
            "error 2:9 `usage` has no `path` | add `path`",
            "error 2:30 `usage.interval_seconds` is 0, outside of 1 to 86400 s | how often the usage ledger is written; at most this much is lost with the machine; the default is 60",
            "error 5:10 `worker[0].tenant` cannot be \"A B\": a name has lower-case letters, digits, \"-\" and \"_\" only | choose a name like \"my-company\"",
        ]
    );
}

#[test]
fn an_unknown_key_is_an_error() {
    assert_eq!(
        errors(
            "sever = 1\n[server]\nhttp = \"127.0.0.1:1\"\nhtps = 1\n[limits]\ncpu = 1\n[[worker]]\nproject = \"workers/hello\"\nhostname = []\n"
        ),
        [
            "error 1:1 unknown key `sever` | did you mean `server`?",
            "error 4:1 unknown key `server.htps` | did you mean `https`?",
            "error 6:1 unknown key `limits.cpu` | did you mean `cpu_ms`?",
            "error 9:1 unknown key `worker[0].hostname` | did you mean `hostnames`?",
        ]
    );
}

#[test]
fn addresses_are_checked() {
    assert_eq!(
        errors("[server]\nhttp = \"127.0.0.1\"\nhttps = \"localhost:1\"\nadmin = \":9090\"\n"),
        [
            "error 2:8 `server.http` is no address with a port: \"127.0.0.1\" | add a port: \"127.0.0.1:8080\"",
            "error 3:9 `server.https` is no address with a port: \"localhost:1\" | write the address: \"127.0.0.1:1\"",
            "error 4:9 `server.admin` is no address with a port: \":9090\" | add an address: \"0.0.0.0:9090\" for every interface, \"127.0.0.1:9090\" for this machine",
        ]
    );
    assert_eq!(
        errors(
            "[server]\nhttp = \"0.0.0.0:80\"\nhttps = \"127.0.0.1:80\"\nadmin = \"192.168.0.1:9090\"\n[[certificate]]\ncert = \"certs/a.pem\"\nkey = \"certs/a.key\"\n"
        ),
        [
            "error 3:9 `server.https` (127.0.0.1:80) and `server.http` (0.0.0.0:80) are the same address | give each its own port",
            "error 4:9 `server.admin` is 192.168.0.1:9090, which other machines can reach | use a loopback address: \"127.0.0.1:9090\"",
        ]
    );
}

#[test]
fn a_server_must_listen_somewhere() {
    assert_eq!(
        errors("[server]\nadmin = \"127.0.0.1:1\"\n"),
        [
            "error 0:0 the server listens nowhere | add [server] with http = \"127.0.0.1:8080\", or https and a [[certificate]]"
        ]
    );
}

#[test]
fn https_needs_a_certificate_that_exists() {
    assert_eq!(
        errors("[server]\nhttps = \"127.0.0.1:1\"\n"),
        [
            "error 2:9 `server.https` needs a certificate, and there is none | add [[certificate]] with `cert` and `key`, both PEM files"
        ]
    );
    assert_eq!(
        errors("[server]\nhttps = \"127.0.0.1:1\"\n[[certificate]]\ncert = \"certs/gone.pem\"\n"),
        [
            "error 3:1 `certificate[0]` has no `key` | add `key`",
            "error 4:8 `certificate[0].cert` names no file: certs/gone.pem | name a PEM file; a relative path starts at this configuration's directory",
        ]
    );
    let twice = "[[certificate]]\ncert = \"certs/a.pem\"\nkey = \"certs/a.key\"\n";
    let found = errors(&format!("server.http = \"127.0.0.1:1\"\n{twice}{twice}"));
    assert_eq!(found, ["error 5:1 `certificate[1]` has the same `cert` as an earlier one | remove one of the two"]);
}

#[test]
fn limits_have_bounds_and_zero_is_not_unlimited() {
    assert_eq!(
        errors(
            "server = { http = \"127.0.0.1:1\", threads = 0 }\n[limits]\ncpu_ms = 0\nmemory_mb = 9999\nqueue = \"many\"\n"
        ),
        [
            "error 1:44 `server.threads` is 0, outside of 1 to 1024 | threads of the front runtime; one per core unless set; the default is 1",
            "error 3:10 `limits.cpu_ms` is 0, outside of 1 to 300000 ms | CPU time of one invocation; the default is 50",
            "error 4:13 `limits.memory_mb` is 9999, outside of 16 to 4096 MiB | memory of one isolate: heap, array buffers, WebAssembly, bodies held for it; the default is 128",
            "error 5:9 `limits.queue` must be an integer, found a string | give an integer",
        ]
    );
}

#[test]
fn a_worker_gets_at_most_what_the_server_grants() {
    assert_eq!(
        errors(
            "server.http = \"127.0.0.1:1\"\nlimits.cpu_ms = 40\n[[worker]]\nproject = \"workers/hello\"\nlimits = { cpu_ms = 41, isolates = 3, queue = 0 }\n"
        ),
        [
            "error 5:21 `worker[0].limits.cpu_ms` is 41, above the server's 40 ms | lower it, or raise `cpu_ms` in [limits]",
            "error 5:25 `isolates` is a limit of the server, not of one worker | move it to [limits]",
            "error 5:47 `worker[0].limits.queue` is 0, outside of 1 to 1048576 | invocations of one worker that wait for a place; the default is 1024",
        ]
    );
}

#[test]
fn a_route_may_have_a_cpu_budget_up_to_the_servers() {
    let scratch = server(
        "server.http = \"127.0.0.1:1\"\nlimits.cpu_ms = 100\n[[worker]]\nproject = \"workers/hello\"\nlimits.cpu_ms = 20\nroutes = [\"a.example/*\", { pattern = \"a.example/report\", limits = { cpu_ms = 100 } }, { pattern = \"b.example/*\" }]\n",
    );
    let routes = loaded(&scratch).workers[0].routes.clone();
    let budgets: Vec<_> = routes.iter().map(|route| (route.pattern.to_string(), route.cpu_ms)).collect();
    let expected = [("a.example/*", None), ("a.example/report", Some(100)), ("b.example/*", None)];
    assert_eq!(budgets, expected.map(|(pattern, cpu_ms)| (pattern.to_owned(), cpu_ms)));
}

#[test]
fn routes_with_a_budget_are_checked() {
    assert_eq!(
        errors(
            "server.http = \"127.0.0.1:1\"\n[[worker]]\nproject = \"workers/hello\"\nroutes = [\n  { limits = { cpu_ms = 10 } },\n  { pattern = \"a.example/*\", limits = { cpu_ms = 51 } },\n  { pattern = \"b.example/*\", limits = { cpu_ms = 0, queue = 1 } },\n  { pattern = \"c.example/*/x\", cpu_ms = 1 },\n  7,\n]\n"
        ),
        [
            "error 5:3 `worker[0].routes[0]` has no `pattern` | add `pattern = \"example.com/path/*\"`",
            "error 6:50 `worker[0].routes[1].limits.cpu_ms` is 51, above the server's 50 ms | lower it, or raise `cpu_ms` in [limits]",
            "error 7:50 `worker[0].routes[2].limits.cpu_ms` is 0, outside of 1 to 300000 ms | CPU time of one invocation; the default is 50",
            "error 7:53 unknown key `worker[0].routes[2].limits.queue` | remove it; the keys here are cpu_ms",
            "error 8:15 `worker[0].routes[3].pattern` cannot be \"c.example/*/x\": a path may have one wildcard, at its end | write \"/path*\"",
            "error 8:32 unknown key `worker[0].routes[3].cpu_ms` | remove it; the keys here are pattern, limits",
            "error 9:3 `worker[0].routes[4]` must be a string, found a number | put it in quotes",
        ]
    );
}

#[test]
fn a_worker_has_one_source_that_exists() {
    let head = "server.http = \"127.0.0.1:1\"\n";
    assert_eq!(
        errors(&format!(
            "{head}[[worker]]\nname = \"a\"\n[[worker]]\nname = \"b\"\nproject = \"workers/hello\"\nbundle = \"dist/built\"\n[[worker]]\nproject = \"gone\"\n[[worker]]\nbundle = \"workers/hello\"\nenv = \"x\"\n"
        )),
        [
            "error 2:1 `worker[0]` has no code: there is neither `project` nor `bundle` | add `project = \"…\"` (a wrangler project) or `bundle = \"…\"` (made by `holm build`)",
            "error 7:10 `worker[1]` has both `project` and `bundle` | keep one of the two",
            "error 9:11 `worker[2].project` does not exist: gone | name a directory with a wrangler configuration; a relative path starts at this configuration's directory",
            "error 11:10 `worker[3].bundle` is no bundle: there is no workers/hello/holm.json | name a directory that `holm build` wrote; a relative path starts at this configuration's directory",
            "error 12:7 `worker[3].env` has no effect: a bundle is built for one environment | remove it, and build the bundle with `holm build --env`",
        ]
    );
}

#[test]
fn names_hostnames_and_routes_are_there_once() {
    let head = "server.http = \"127.0.0.1:1\"\n";
    assert_eq!(
        errors(&format!(
            "{head}[[worker]]\nname = \"a\"\nproject = \"workers/hello\"\nhostnames = [\"a.example\", \"A.example\"]\n[[worker]]\nname = \"a\"\nproject = \"workers/shop\"\nroutes = [\"a.example/*\"]\n[[worker]]\nbundle = \"dist/built\"\n[[worker]]\nbundle = \"dist/built\"\n"
        )),
        [
            "error 2:1 `worker[0]` has \"a.example/*\" twice | keep it in one place",
            "error 6:1 `worker[1]` and `worker[0]` have the same name, \"a\" | give each worker its own `name`",
            "error 6:1 `worker[1]` and `worker[0]` both have \"a.example/*\" | keep it in one place",
            "error 12:1 `worker[3]` and `worker[2]` are the same worker | remove one of the two, or give one a `name`",
        ]
    );
}

#[test]
fn patterns_and_names_of_workers_are_checked() {
    let text = "server.http = \"127.0.0.1:1\"\n[[worker]]\nname = \"A\"\nproject = \"workers/hello\"\nhostnames = [\"https://a.example\", 1]\nroutes = [\"a.example/*/b\"]\nvars = { DAY = 2026-01-01 }\n";
    assert_eq!(
        errors(text),
        [
            "error 3:8 `worker[0].name` cannot be \"A\": a name has lower-case letters, digits, \"-\" and \"_\" only | choose a name like \"my-worker\"",
            "error 5:14 `worker[0].hostnames[0]` cannot be \"https://a.example\": a hostname has no scheme and no path | write \"a.example\" alone, or use a route",
            "error 5:35 `worker[0].hostnames[1]` must be a string, found a number | put it in quotes",
            "error 6:11 `worker[0].routes[0]` cannot be \"a.example/*/b\": a path may have one wildcard, at its end | write \"/path*\"",
            "error 7:16 `worker[0].vars.DAY` must be a string, found a date | put it in quotes: \"2026-01-01\"",
        ]
    );
}

#[test]
fn what_only_shows_in_loaded_workers_is_checked_with_their_places() {
    let scratch = server(
        "server.http = \"127.0.0.1:1\"\n[[worker]]\nproject = \"workers/hello\"\nhostnames = [\"a.example\"]\n[[worker]]\nproject = \"workers/shop\"\n[[worker]]\nbundle = \"dist/built\"\n",
    );
    let config = loaded(&scratch);
    let route: RoutePattern = "a.example/*".parse().unwrap();
    let own = vec![("hello".to_owned(), vec![]), ("hello".to_owned(), vec![route]), ("built".to_owned(), vec![])];
    let found = config.check_workers(&own);
    assert_eq!(
        lines(&scratch, &found),
        [
            "error 5:1 there are two workers called \"hello\" | give this one another `name`",
            "warning 7:1 \"built\" has no hostname and no route: no request reaches it | add `hostnames` or `routes`",
        ]
    );
    let own = vec![("hello".to_owned(), vec![]), ("shop".to_owned(), own[1].1.clone()), own[2].clone()];
    assert_eq!(
        lines(&scratch, &config.check_workers(&own))[0],
        "error 5:1 \"a.example/*\" leads to both \"hello\" and \"shop\" | remove it from one of the two"
    );
}

#[test]
fn egress_is_a_word_or_a_table_and_each_worker_has_lists() {
    let config = loaded(&server("server = { http = \"127.0.0.1:0\", egress = \"any\" }\n"));
    assert_eq!((config.egress, config.denied), (Egress::Any, Destinations::default()));
    let scratch = server(
        r#"
[server]
http = "127.0.0.1:0"
egress = { reach = "public-and-loopback", deny = ["203.0.113.0/24", "*.internal.example"] }
[[worker]]
project = "workers/hello"
egress = { allow = ["api.example.com", "*.example.org", "10.1.2.0/24"], deny = ["10.1.2.9"], ports = [443, 8443] }
[[worker]]
project = "workers/shop"
egress = { allow = [] }
"#,
    );
    let config = loaded(&scratch);
    assert_eq!(config.egress, Egress::PublicAndLoopback);
    assert!(config.denied.has_name("a.internal.example"));
    assert!(config.denied.has_address("203.0.113.9".parse().unwrap()));
    let hello = &config.workers[0].egress;
    let allow = hello.allow.as_ref().unwrap();
    assert!(allow.has_name("x.example.org") && allow.has_address("10.1.2.3".parse().unwrap()));
    assert!(hello.deny.has_address("10.1.2.9".parse().unwrap()));
    assert_eq!(hello.ports.as_deref(), Some(&[443, 8443][..]));
    assert_eq!(config.workers[1].egress.allow, Some(Destinations::default()));
}

#[test]
fn authorities_are_files_beside_the_configuration() {
    let scratch = server("server = { http = \"127.0.0.1:0\", egress = { ca = [\"own.pem\", \"missing.pem\"] } }\n");
    scratch.write("own.pem", "");
    let errors = load(&scratch.path("holm.toml")).unwrap_err().to_string();
    assert_eq!(errors.matches("names no file").count(), 1, "{errors}");
    assert!(errors.contains("`server.egress.ca[1]`"), "{errors}");
}

#[test]
fn what_is_no_destination_is_an_error_at_its_place() {
    assert_eq!(
        errors(
            r#"
[server]
http = "127.0.0.1:0"
egress = { reach = "privat", deny = ["*"], allow = [] }
[[worker]]
project = "workers/hello"
egress = { allow = ["https://a.example", "10.1.2.3/24", 1], ports = [25, 70000], reach = "any" }
[[worker]]
project = "workers/shop"
egress = "any"
"#
        ),
        [
            "error 4:20 `server.egress.reach` cannot be \"privat\" | use one of \"public\", \"public-and-loopback\", \"any\"",
            "error 4:38 `server.egress.deny[0]` cannot be \"*\": it means everything | leave `allow` out for all within reach, or write `allow = []` for nothing",
            "error 4:44 unknown key `server.egress.allow` | remove it; the keys here are reach, deny, ca",
            "error 7:21 `worker[0].egress.allow[0]` cannot be \"https://a.example\": it is a URL | write the host alone",
            "error 7:42 `worker[0].egress.allow[1]` cannot be \"10.1.2.3/24\": it has bits beyond its prefix | write \"10.1.2.0/24\"",
            "error 7:57 `worker[0].egress.allow[2]` must be a string, found a number | put it in quotes",
            "error 7:70 `worker[0].egress.ports[0]` is 25, a port of another protocol that fetch() never speaks to | remove it, or let the service listen on another port",
            "error 7:74 `worker[0].egress.ports[1]` is 70000, which is no port number | give 0 to 65535",
            "error 7:82 unknown key `worker[0].egress.reach` | remove it; the keys here are allow, deny, ports",
            "error 10:10 `worker[1].egress` must be a table, found a string | give it `allow`, `deny` or `ports`; how far all workers may reach is `[server] egress`",
        ]
    );
}

#[test]
fn a_worker_may_have_an_origin() {
    let worker = |origin: &str| {
        format!("server.http = \"127.0.0.1:1\"\n[[worker]]\nproject = \"workers/hello\"\norigin = {origin}\n")
    };
    let config = loaded(&server(&worker("\"http://127.0.0.1:3000\"")));
    assert_eq!(config.workers[0].origin.as_ref().map(Origin::as_str), Some("http://127.0.0.1:3000"));
    assert_eq!(
        errors(&worker("\"http://a.example/path\"")),
        [
            "error 4:10 `worker[0].origin` cannot be \"http://a.example/path\": it has a path; a request keeps its own | write a scheme, a host and a port: \"http://127.0.0.1:3000\""
        ]
    );
}
