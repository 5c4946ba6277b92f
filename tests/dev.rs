//! `holm dev`: what its author sees of a save, of an error, and of each request.

mod support;

use std::time::Instant;

use support::DEADLINE;
use support::client::Client;
use support::client::get;
use support::client::post;
use support::process::Dev;
use support::project::Project;
use support::project::config;
use support::raw::Raw;

fn says(text: &str) -> String {
    format!("export default {{ fetch: () => new Response(\"{text}\") }};\n")
}

/// Asks until the answer is `expected`.
fn wait_for_answer(client: Client, expected: &str) {
    let until = Instant::now() + DEADLINE;
    loop {
        let answer = client.get("/").text();
        if answer == expected {
            return;
        }
        assert!(Instant::now() < until, "still {answer:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_save_is_live() {
    let project = Project::worker(&says("one"));
    let dev = Dev::start(project.path(), &[]);
    assert_eq!(dev.client().get("/").text(), "one");
    project.write("index.js", &says("two"));
    wait_for_answer(dev.client(), "two");
    project.write("index.js", &says("three"));
    wait_for_answer(dev.client(), "three");
}

#[test]
fn a_save_of_an_imported_file_is_live_and_so_is_one_written_in_place() {
    let project =
        Project::worker("import { text } from './lib/text.js';\nexport default { fetch: () => new Response(text) };\n");
    project.write("lib/text.js", "export const text = 'one';\n");
    let dev = Dev::start(project.path(), &[]);
    assert_eq!(dev.client().get("/").text(), "one");
    std::fs::write(project.file("lib/text.js"), "export const text = 'two';\n").unwrap();
    wait_for_answer(dev.client(), "two");
}

#[test]
fn changes_of_the_configuration_and_of_env_files_are_live() {
    let project = Project::worker("export default { fetch: (request, env) => new Response(`${env.A} ${env.B}`) };\n");
    let dev = Dev::start(project.path(), &[]);
    assert_eq!(dev.client().get("/").text(), "undefined undefined");
    project.write("wrangler.jsonc", &config("worker", "\"vars\": { \"A\": \"configured\" },"));
    wait_for_answer(dev.client(), "configured undefined");
    project.write(".dev.vars", "B=secret\n");
    wait_for_answer(dev.client(), "configured secret");
    project.remove(".dev.vars");
    wait_for_answer(dev.client(), "configured undefined");
}

#[test]
fn a_syntax_error_is_shown_and_the_version_before_goes_on_serving() {
    let project = Project::worker(
        "export default { fetch: () => new Response('<h1>one</h1>', { headers: { 'content-type': 'text/html' } }) };\n",
    );
    let dev = Dev::start(project.path(), &[]);
    project.write("index.js", "export default {\n  fetch() {\n    return new Response('<h1>two</h1>';\n  },\n};\n");
    let shown = dev.output().wait_for(
        r"(?s)(error.*index\.js:3:\d+.*return new Response\('<h1>two</h1>';.*The version before goes on serving)",
    );
    assert!(shown.contains('^'), "no excerpt with carets: {shown}");

    let page = dev.client().browse("/");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("x-holm-build"), "failed");
    assert!(page.text().starts_with("<h1>one</h1>"), "{}", page.text());
    assert!(page.text().contains("index.js:3:") && page.text().contains("&lt;h1&gt;two"), "{}", page.text());

    project.write("index.js", &says("two"));
    wait_for_answer(dev.client(), "two");
    assert_eq!(dev.client().get("/").header("x-holm-build"), "");
}

#[test]
fn a_version_that_throws_while_it_starts_does_not_replace_one_that_works() {
    let project = Project::worker(&says("one"));
    let dev = Dev::start(project.path(), &[]);
    project.write("index.js", "const broken = undefined.x;\nexport default { fetch: () => new Response(broken) };\n");
    dev.output().wait_for(r"(?s)does not start.*TypeError.*index\.js:1");
    assert_eq!(dev.client().get("/").text(), "one");
}

#[test]
fn a_broken_configuration_does_not_stop_the_server_either() {
    let project = Project::worker(&says("one"));
    let dev = Dev::start(project.path(), &[]);
    project.write("wrangler.jsonc", "{ \"name\": }");
    dev.output().wait_for(r"(?s)not valid JSON.*wrangler\.jsonc:1:");
    assert_eq!(dev.client().get("/").text(), "one");
    project.write("wrangler.jsonc", &config("worker", ""));
    project.write("index.js", &says("two"));
    wait_for_answer(dev.client(), "two");
}

#[test]
fn a_first_version_that_does_not_build_has_an_error_page_until_it_does() {
    let project = Project::worker("export default {");
    let dev = Dev::start(project.path(), &[]);
    dev.output().wait_for("Waiting for a change");
    let page = dev.client().browse("/");
    assert_eq!((page.status, page.error()), (500, "startup_failed"));
    assert!(page.text().contains("index.js:1:"), "{}", page.text());
    project.write("index.js", &says("mended"));
    wait_for_answer(dev.client(), "mended");
}

#[test]
fn requests_by_the_name_of_another_site_are_refused() {
    let project = Project::worker(&says("one"));
    project.write(
        "wrangler.jsonc",
        &config("dev", r#""dev": { "host": "Front.test" }, "routes": ["shop.test/*", "*.wild.test/*"],"#),
    );
    let dev = Dev::start(project.path(), &["--allow-host", "Tunnel.test"]);
    let by = |host: &str| dev.client().get_at(host, "/");
    for host in [
        "localhost",
        "LOCALHOST:8787",
        "a.localhost",
        "127.0.0.1",
        "[::1]:1",
        "192.168.1.2",
        "front.test",
        "tunnel.test.",
        "shop.test",
        "a.wild.test",
    ] {
        assert_eq!((by(host).status, by(host).text().as_str()), (200, "one"), "{host}");
    }
    for host in ["evil.test", "sub.shop.test", "localhost.evil.test", "127.0.0.1.evil.test", "eviltunnel.test"] {
        let answer = by(host);
        assert_eq!((answer.status, answer.error()), (403, "host_not_allowed"), "{host}");
        dev.output().wait_for(&format!("{host} was refused.*--allow-host {host}$"));
    }
    project.write("wrangler.jsonc", &config("dev", r#""routes": ["moved.test/*"],"#));
    let until = Instant::now() + DEADLINE;
    while by("moved.test").status != 200 {
        assert!(Instant::now() < until, "{}", dev.output().text());
        std::thread::yield_now();
    }
    assert_eq!(by("shop.test").status, 403);
}

#[test]
fn without_watching_a_save_changes_nothing() {
    let project = Project::worker(&says("one"));
    let dev = Dev::start(project.path(), &["--no-watch"]);
    project.write("index.js", &says("two"));
    assert_eq!(dev.client().get("/").text(), "one");
    assert!(!dev.output().text().contains("Watching"), "{}", dev.output().text());
}

#[test]
fn a_request_in_flight_finishes_on_the_version_it_began_with() {
    let waits = "export default { async fetch(request) { const { pathname } = new URL(request.url); if (pathname === '/wait') { console.log('waiting'); await request.text(); } return new Response('VERSION'); } };\n";
    let project = Project::worker(&waits.replace("VERSION", "one"));
    let dev = Dev::start(project.path(), &[]);
    let mut begun = Raw::connect(dev.address);
    begun.write("POST /wait HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    begun.chunk("the first half");
    dev.output().wait_for("^waiting$");
    project.write("index.js", &waits.replace("VERSION", "two"));
    wait_for_answer(dev.client(), "two");
    begun.chunk("the second half");
    begun.chunk("");
    let answer = begun.read_to_end();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("one"), "{answer}");
}

#[test]
fn each_request_is_one_line_with_its_times() {
    let project = Project::worker(
        "export default { fetch: (request) => new Response('', { status: request.method === 'POST' ? 201 : 404 }) };",
    );
    let dev = Dev::start(project.path(), &[]);
    dev.client().get("/path?query=1");
    dev.output().wait_for(r"^GET /path\?query=1 404 \d+\.\d ms, CPU \d+\.\d\d ms$");
    dev.client().send(post("/", "x"));
    dev.output().wait_for(r"^POST / 201 \d+\.\d ms, CPU \d+\.\d\d ms$");
}

#[test]
fn an_exception_is_shown_with_the_stack_of_the_typescript_source() {
    let project = Project::with(&[
        ("wrangler.jsonc", &config("worker", "").replace("index.js", "src/index.ts")),
        (
            "src/index.ts",
            "import { fail } from './fail';\n\ninterface Unused {\n  a: string;\n}\n\nexport default {\n  async fetch(request: Request): Promise<Response> {\n    return fail(request.url as string);\n  },\n};\n",
        ),
        (
            "src/fail.ts",
            "type Text = string;\n\nexport function fail(text: Text): never {\n  const message: Text = `no ${text.length}`;\n  throw new Error(message);\n}\n",
        ),
    ]);
    let dev = Dev::start(project.path(), &[]);
    let answer = dev.client().get("/");
    assert_eq!((answer.status, answer.error()), (500, "exception"));
    dev.output()
        .wait_for(r"(?s)^GET / exception.*Error: no \d+\n +at fail \(src/fail\.ts:5:9\)\n +at .*src/index\.ts:9:12");
    let stack = answer.json()["stack"].as_str().unwrap().to_owned();
    assert!(stack.contains("src/fail.ts:5:9"), "{stack}");
}

#[test]
fn a_port_that_is_in_use_is_a_clear_error() {
    let project = Project::worker(&says("one"));
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let path = project.path().to_str().unwrap();
    let ended = support::process::run(["dev", path, "--port", &port]);
    assert_eq!(ended.code, Some(69), "{}", ended.output);
    assert!(ended.output.contains(&port) && ended.output.contains("another program listens there"), "{}", ended.output);
    assert!(ended.output.contains("--port"), "{}", ended.output);
}

#[test]
fn an_address_that_is_none_is_a_clear_error() {
    let project = Project::worker(&says("one"));
    let ended = support::process::run(["dev", project.path().to_str().unwrap(), "--port", "0", "--host", "nowhere"]);
    assert_eq!(ended.code, Some(78));
    assert!(ended.output.contains("`nowhere`") && ended.output.contains("--host"), "{}", ended.output);
}

#[test]
fn options_select_environment_variables_and_log() {
    let project = Project::worker(
        "export default { fetch(request, env) { console.debug('a debug line'); console.warn('a warn line'); return Response.json([env.STAGE, env.GIVEN]); } };",
    );
    project.write(
        "wrangler.jsonc",
        &config("worker", "\"env\": { \"staging\": { \"vars\": { \"STAGE\": \"staging\" } } },"),
    );
    let dev = Dev::start(project.path(), &["--env", "staging", "--var", "GIVEN:a:b", "--log-level", "warn"]);
    assert_eq!(dev.client().get("/").json(), serde_json::json!(["staging", "a:b"]));
    dev.output().wait_for("^a warn line$");
    dev.output().wait_for("^GET / 200");
    assert!(!dev.output().text().contains("a debug line"), "{}", dev.output().text());

    let wrong = support::process::run(["dev", project.path().to_str().unwrap(), "--var", "NO_VALUE"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.output.contains("NAME:VALUE"), "{}", wrong.output);
}

#[test]
fn a_script_alone_is_a_worker() {
    let project = Project::with(&[(
        "alone.ts",
        "const text: string = 'alone';\nexport default { fetch: () => new Response(text) };\n",
    )]);
    let dev = Dev::start(&project.file("alone.ts"), &[]);
    assert_eq!(dev.client().get("/").text(), "alone");
}

#[test]
fn the_port_of_the_project_is_used_unless_one_is_given() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let project = Project::worker(&says("one"));
    project.write("wrangler.jsonc", &config("worker", &format!("\"dev\": {{ \"port\": {} }},", free.port())));
    let dev = Dev::start(project.path(), &[]);
    assert_ne!(dev.address.port(), free.port());
    assert!(dev.address.ip().is_loopback());
}

#[test]
fn sigterm_ends_it_with_success() {
    let project = Project::worker(&says("one"));
    let dev = Dev::start(project.path(), &[]);
    assert_eq!(dev.client().send(get("/").body(bytes::Bytes::new()).unwrap()).text(), "one");
    dev.process.signal("TERM");
    let ended = dev.process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}
