//! `holm serve`: many workers by host and path, their configuration while they are served, and the end.

mod support;

use bytes::Bytes;
use support::client::Request;
use support::client::get;
use support::process::Serve;
use support::process::run;
use support::project::Project;
use support::project::config;
use support::raw::Raw;

const SERVER: &str = "[server]\nhttp = \"127.0.0.1:0\"\n";

fn says(text: &str) -> String {
    format!("export default {{ fetch: (request, env) => Response.json(['{text}', env]) }};\n")
}

/// A worker called `name` in a directory of that name, which answers `["name", env]`.
fn add_worker(project: &Project, name: &str, more: &str) {
    project.write(&format!("{name}/wrangler.jsonc"), &config(name, more));
    project.write(&format!("{name}/index.js"), &says(name));
}

fn worker(name: &str, more: &str) -> String {
    format!("[[worker]]\nproject = \"{name}\"\n{more}\n")
}

/// A server of one worker at `a.example`, with this source.
fn single(source: &str, more: &str) -> (Project, Serve) {
    let project = Project::empty();
    add_worker(&project, "a", "");
    project.write("a/index.js", source);
    project.write("holm.toml", &format!("{SERVER}{}", worker("a", &format!("hostnames = [\"a.example\"]\n{more}"))));
    let server = Serve::start(&project.file("holm.toml"));
    (project, server)
}

fn at(host: &str, path: &str) -> Request {
    get(path).header("host", host).body(Bytes::new()).unwrap()
}

/// The name that the worker at this address says; "" if there is none.
fn said(server: &Serve, host: &str, path: &str) -> String {
    let answer = server.http().get_at(host, path);
    if answer.error() == "unknown_host" {
        assert_eq!(answer.status, 404);
        return String::new();
    }
    answer.json()[0].as_str().unwrap().to_owned()
}

#[test]
fn the_most_specific_route_wins() {
    let project = Project::empty();
    add_worker(&project, "site", "");
    add_worker(&project, "api", "\"routes\": [\"shop.example/api/*\", { \"pattern\": \"*.pages.example/*\" }],");
    add_worker(&project, "login", "");
    add_worker(&project, "wild", "");
    project.write(
        "holm.toml",
        &[
            SERVER,
            &worker("site", "hostnames = [\"shop.example\"]"),
            &worker("api", ""),
            &worker("login", "routes = [\"shop.example/api/login\"]"),
            &worker("wild", "routes = [\"*.example/*\"]"),
        ]
        .concat(),
    );
    let server = Serve::start(&project.file("holm.toml"));
    for (host, path, expected) in [
        ("shop.example", "/", "site"),
        ("SHOP.example:8080", "/any?query=1", "site"),
        ("shop.example", "/api/items", "api"),
        ("shop.example", "/api/login", "login"),
        ("shop.example", "/api/login/more", "api"),
        ("shop.example", "/apiary", "site"),
        ("a.pages.example", "/", "api"),
        ("other.example", "/api/login", "wild"),
        ("elsewhere.test", "/", ""),
        ("127.0.0.1", "/", ""),
    ] {
        assert_eq!(said(&server, host, path), expected, "{host}{path}");
    }
}

#[test]
fn an_error_tells_a_stranger_its_code_and_nothing_else() {
    let (_project, server) = single("export default { fetch() { throw new Error('secret'); } };", "");
    let answer = server.http().send(at("a.example", "/"));
    assert_eq!((answer.status, answer.error()), (500, "exception"));
    assert!(!answer.text().contains("secret"), "{}", answer.text());
    let id = answer.header("x-holm-request-id").to_owned();
    assert!(!id.is_empty() && answer.text().contains(&id));
    let record = server.invocation("/");
    assert_eq!((record["outcome"].as_str(), record["error"].as_str()), (Some("exception"), Some("Error: secret")));
    assert_eq!(server.http().send(at("nobody.example", "/")).header("x-holm-error"), "unknown_host");
}

#[test]
fn variables_of_the_server_win_over_those_of_the_project() {
    let project = Project::empty();
    add_worker(&project, "a", "\"vars\": { \"ONE\": \"project\", \"TWO\": \"project\" },");
    project.write("a/.dev.vars", "ONE=for development only\nTHREE=for development only\n");
    project.write(
        "holm.toml",
        &format!("{SERVER}{}", worker("a", "hostnames = [\"a.example\"]\nvars = { ONE = \"server\", LIST = [1] }")),
    );
    let server = Serve::start(&project.file("holm.toml"));
    let env = &server.http().get_at("a.example", "/").json()[1];
    assert_eq!(*env, serde_json::json!({ "ONE": "server", "TWO": "project", "LIST": [1] }));
}

#[test]
fn a_built_bundle_is_served_without_its_project() {
    let project = Project::empty();
    add_worker(&project, "a", "\"vars\": { \"A\": 1 }, \"routes\": [\"a.example/*\"],");
    project.write("a/part.txt", "a text\n");
    project.write(
        "a/fail.ts",
        "type Text = string;\n\nexport function fail(text: Text): never {\n  throw new Error(text);\n}\n",
    );
    project.write(
        "a/index.js",
        "import text from './part.txt';\nimport { fail } from './fail';\nexport default { fetch: (request, env) => request.url.endsWith('/fail') ? fail('no') : Response.json([text, env]) };\n",
    );
    let output = project.file("dist/a");
    let built = run(["build".as_ref(), project.file("a").as_os_str(), "-o".as_ref(), output.as_os_str()]);
    assert_eq!(built.code, Some(0), "{}", built.output);
    std::fs::remove_dir_all(project.file("a")).unwrap();
    project.write("holm.toml", &format!("{SERVER}[[worker]]\nbundle = \"dist/a\"\n"));
    let server = Serve::start(&project.file("holm.toml"));
    assert_eq!(server.http().get_at("a.example", "/").json(), serde_json::json!(["a text\n", { "A": 1 }]));
    assert_eq!(server.http().get_at("a.example", "/fail").status, 500);
    let record = server.invocation("/fail");
    assert!(record["stack"].as_str().unwrap().contains("fail.ts:4:9"), "{record}");
}

#[test]
fn a_build_that_fails_writes_nothing() {
    let project = Project::worker("export default {");
    let output = project.file("dist");
    let built = run(["build".as_ref(), project.path().as_os_str(), "-o".as_ref(), output.as_os_str()]);
    assert_eq!(built.code, Some(78));
    assert!(built.output.contains("index.js:1:") && !output.exists(), "{}", built.output);
}

#[test]
fn all_errors_of_the_configuration_are_printed_before_anything_is_bound() {
    let project = Project::empty();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    project.write(
        "holm.toml",
        &format!(
            "[server]\nhttp = \"{}\"\nadmin = \"0.0.0.0:9090\"\nhtpps = \"x\"\n\n[limits]\ncpu_ms = 0\n\n[[worker]]\nproject = \"nowhere\"\nhostnames = [\"a b\"]\n",
            taken.local_addr().unwrap()
        ),
    );
    let ended = Serve::refused(&project.file("holm.toml"));
    // An address in use would be status 69: nothing was bound.
    assert_eq!(ended.code, Some(78), "{}", ended.output);
    for place in ["holm.toml:3:", "holm.toml:4:", "holm.toml:7:", "holm.toml:10:", "holm.toml:11:"] {
        assert!(ended.output.contains(place), "no error at {place} in:\n{}", ended.output);
    }
    assert!(ended.output.contains("did you mean `https`?"), "{}", ended.output);
}

#[test]
fn errors_of_all_workers_are_printed_too() {
    let project = Project::empty();
    for name in ["a", "b", "c"] {
        add_worker(&project, name, "");
    }
    project.write("a/index.js", "export default {");
    project.write("b/wrangler.jsonc", &config("b", "\"kv_namespaces\": [{ \"binding\": \"KV\" }],"));
    let workers: String =
        ["a", "b", "c"].map(|name| worker(name, &format!("hostnames = [\"{name}.example\"]"))).concat();
    project.write("holm.toml", &format!("{SERVER}{workers}"));
    let ended = Serve::refused(&project.file("holm.toml"));
    assert_eq!(ended.code, Some(78), "{}", ended.output);
    assert!(ended.output.contains("a/index.js:1:") && ended.output.contains("b/wrangler.jsonc:4:"), "{}", ended.output);
}

#[test]
fn a_worker_cannot_be_granted_more_than_the_server_grants() {
    let project = Project::empty();
    add_worker(&project, "a", "");
    let above = worker("a", "hostnames = [\"a.example\"]\nlimits = { cpu_ms = 500 }");
    project.write("holm.toml", &format!("{SERVER}[limits]\ncpu_ms = 100\n{above}"));
    let ended = Serve::refused(&project.file("holm.toml"));
    assert_eq!(ended.code, Some(78), "{}", ended.output);
    assert!(
        ended.output.contains("500, above the server's 100 ms") && ended.output.contains("holm.toml:8:"),
        "{}",
        ended.output
    );
}

#[test]
fn an_address_in_use_is_a_clear_error() {
    let project = Project::empty();
    add_worker(&project, "a", "");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let listener = std::net::TcpListener::bind(taken).unwrap();
    project
        .write("holm.toml", &format!("[server]\nhttp = \"{taken}\"\n{}", worker("a", "hostnames = [\"a.example\"]")));
    let ended = Serve::refused(&project.file("holm.toml"));
    drop(listener);
    assert_eq!(ended.code, Some(69), "{}", ended.output);
    assert!(ended.output.contains(&taken.to_string()) && ended.output.contains("[server] http"), "{}", ended.output);
}

#[test]
fn a_configuration_can_be_checked_without_serving() {
    let project = Project::empty();
    add_worker(&project, "a", "");
    project.write("holm.toml", &format!("{SERVER}{}", worker("a", "hostnames = [\"a.example\"]")));
    let file = project.file("holm.toml");
    let ended = run(["serve".as_ref(), "--check".as_ref(), "--config".as_ref(), file.as_os_str()]);
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(
        ended.output.contains("1 workers, no errors") || ended.output.contains("1 worker, no errors"),
        "{}",
        ended.output
    );
}

#[test]
fn a_queue_that_is_full_answers_503_and_when_to_try_again() {
    let source = "export default { async fetch(request) { console.log('begun'); await request.text(); return new Response('done'); } };";
    let (_project, server) = single(source, "limits = { concurrency = 1, queue = 1 }");
    let client = server.http();
    let mut begun = Raw::connect(client.address);
    begun.write("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    begun.chunk("half");
    server.output().wait_for("begun");

    // One of the two waits for its turn; the other finds the queue full.
    let (sender, answers) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let sender = sender.clone();
        std::thread::spawn(move || sender.send(client.get_at("a.example", "/")).is_ok());
    }
    let refused = answers.recv_timeout(support::DEADLINE).unwrap();
    assert_eq!((refused.status, refused.error()), (503, "overloaded"));
    assert_eq!(refused.header("retry-after"), "1");

    begun.chunk("");
    assert!(begun.read_to_end().contains("done"));
    assert_eq!(answers.recv_timeout(support::DEADLINE).unwrap().text(), "done");
}

#[test]
fn the_least_recently_used_isolate_makes_room() {
    let project = Project::empty();
    for name in ["a", "b"] {
        add_worker(&project, name, "");
        project.write(
            &format!("{name}/index.js"),
            "let count = 0;\nexport default { fetch: () => new Response(String(++count)) };\n",
        );
    }
    let workers: String = ["a", "b"].map(|name| worker(name, &format!("hostnames = [\"{name}.example\"]"))).concat();
    project.write("holm.toml", &format!("{SERVER}[limits]\nisolates = 1\n{workers}"));
    let server = Serve::start(&project.file("holm.toml"));
    let count = |host: &str| server.http().get_at(host, "/").text();
    assert_eq!([count("a.example"), count("a.example")], ["1", "2"]);
    assert_eq!(count("b.example"), "1");
    assert_eq!(count("a.example"), "1", "the isolate of `a` was to make room for that of `b`");
}

#[test]
fn the_machine_itself_is_out_of_reach_of_fetch() {
    let upstream = support::upstream::Upstream::start();
    let source = format!(
        "export default {{ fetch: () => fetch('{}/text').then((response) => response.text(), String).then((text) => new Response(text)) }};",
        upstream.url()
    );
    let (_project, server) = single(&source, "");
    assert_eq!(server.http().get_at("a.example", "/").text(), "TypeError: fetch failed: destination not allowed");
}
