//! `holm serve` while it runs: reloads, certificates, health, and the drain at its end.

mod support;

use std::time::Instant;

use bytes::Bytes;
use support::DEADLINE;
use support::client::Client;
use support::process::Serve;
use support::project::Project;
use support::project::config;
use support::raw::Raw;
use support::tls;
use support::tls::Protocol;

fn add_worker(project: &Project, name: &str, text: &str) {
    project.write(&format!("{name}/wrangler.jsonc"), &config(name, ""));
    project.write(
        &format!("{name}/index.js"),
        &format!("export default {{ fetch: (request) => new Response('{text} ' + request.url) }};\n"),
    );
}

fn worker(name: &str) -> String {
    format!("[[worker]]\nproject = \"{name}\"\nhostnames = [\"{name}.example\"]\n")
}

fn free_address() -> std::net::SocketAddr {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// `[server]`, always with the same port: an address only changes with a restart.
fn server(address: std::net::SocketAddr) -> String {
    format!("[server]\nhttp = \"{address}\"\n")
}

fn wait_until_said(client: Client, host: &str, expected: &str) {
    let until = Instant::now() + DEADLINE;
    loop {
        let said = client.get_at(host, "/").text();
        if said.starts_with(expected) {
            return;
        }
        assert!(Instant::now() < until, "{host} still says {said:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_change_of_the_configuration_is_put_in_force_while_serving() {
    let project = Project::empty();
    let address = free_address();
    add_worker(&project, "a", "one");
    add_worker(&project, "b", "two");
    project.write("holm.toml", &format!("{}{}", server(address), worker("a")));
    let serve = Serve::start(&project.file("holm.toml"));
    let client = serve.http();
    assert_eq!(client.get_at("b.example", "/").error(), "unknown_host");
    project.write("holm.toml", &format!("{}{}{}", server(address), worker("a"), worker("b")));
    wait_until_said(client, "b.example", "two");
    assert_eq!(client.get_at("a.example", "/").text(), "one http://a.example/");
    project.write("holm.toml", &format!("{}{}", server(address), worker("b")));
    serve.output().wait_for("(?s)reloaded.*reloaded");
    assert_eq!(client.get_at("a.example", "/").error(), "unknown_host");
}

#[test]
fn a_change_of_a_project_is_put_in_force_and_other_workers_keep_their_isolates() {
    let project = Project::empty();
    add_worker(&project, "a", "one");
    add_worker(&project, "b", "unused");
    project.write("b/index.js", "let count = 0;\nexport default { fetch: () => new Response(String(++count)) };\n");
    project.write("holm.toml", &format!("{}{}{}", server(free_address()), worker("a"), worker("b")));
    let serve = Serve::start(&project.file("holm.toml"));
    let client = serve.http();
    assert_eq!(client.get_at("b.example", "/").text(), "1");
    add_worker(&project, "a", "changed");
    wait_until_said(client, "a.example", "changed");
    assert_eq!(client.get_at("b.example", "/").text(), "2");
}

#[test]
fn sighup_reloads_and_a_configuration_with_errors_leaves_the_last_good_one_in_force() {
    let project = Project::empty();
    let address = free_address();
    add_worker(&project, "a", "one");
    let good = format!("{}{}", server(address), worker("a"));
    project.write("holm.toml", &good);
    let serve = Serve::start(&project.file("holm.toml"));
    serve.process.signal("HUP");
    serve.output().wait_for(r#""message":"reloaded".*SIGHUP|SIGHUP.*"message":"reloaded""#);

    let mark = serve.output().mark();
    project.write("holm.toml", &good.replace("project", "projcet"));
    serve.output().wait_since(mark, "the one before stays in force");
    assert!(serve.output().since(mark).contains("projcet"), "{}", serve.output().since(mark));
    assert_eq!(serve.http().get_at("a.example", "/").text(), "one http://a.example/");

    let mark = serve.output().mark();
    project.write("holm.toml", &good);
    serve.output().wait_since(mark, r#""reloaded""#);
    let mark = serve.output().mark();
    project.write("a/index.js", "export default {");
    serve.output().wait_since(mark, "the one before stays in force");
    assert_eq!(serve.http().get_at("a.example", "/").text(), "one http://a.example/");
}

#[test]
fn a_version_that_does_not_start_does_not_replace_one_that_does() {
    let project = Project::empty();
    add_worker(&project, "a", "one");
    add_worker(&project, "b", "unused");
    project.write("b/index.js", "export default {};\nthrow new Error('never started');");
    project.write("holm.toml", &format!("{}{}{}", server(free_address()), worker("a"), worker("b")));
    let serve = Serve::start(&project.file("holm.toml"));
    let client = serve.http();
    assert_eq!(client.get_at("b.example", "/").error(), "startup_failed");
    for broken in ["throw new Error('broken version');", "for (;;);", "await new Promise(() => {});"] {
        let mark = serve.output().mark();
        project.write("a/index.js", &format!("export default {{}};\n{broken}"));
        serve.output().wait_since(mark, "the new version does not start; the one before goes on serving");
        serve.output().wait_since(mark, r#""message":"reloaded""#);
        assert_eq!(client.get_at("a.example", "/").text(), "one http://a.example/");
    }
    assert!(serve.output().text().contains("broken version"), "the log says why");
    add_worker(&project, "a", "mended");
    wait_until_said(client, "a.example", "mended");
}

#[test]
fn certificates_are_chosen_by_server_name_over_both_protocols() {
    let project = Project::empty();
    add_worker(&project, "a", "a");
    add_worker(&project, "b", "b");
    let a = tls::certificate(&project, "a", &["a.example"]);
    let b = tls::certificate(&project, "b", &["b.example"]);
    project.write(
        "holm.toml",
        &format!(
            "[server]\nhttps = \"127.0.0.1:0\"\n[[certificate]]\ncert = \"a.pem\"\nkey = \"a.key\"\n[[certificate]]\ncert = \"b.pem\"\nkey = \"b.key\"\n{}{}",
            worker("a"),
            worker("b")
        ),
    );
    let serve = Serve::start(&project.file("holm.toml"));
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for (root, name) in [(&a, "a.example"), (&b, "b.example")] {
            let answer = tls::get(serve.https(), name, "/path", root, protocol).unwrap();
            assert_eq!(answer.text(), format!("{} https://{name}/path", &name[..1]), "{protocol:?}");
        }
        assert!(tls::get(serve.https(), "a.example", "/", &b, protocol).is_err());
    }
}

#[test]
fn a_certificate_that_is_renewed_is_used_without_a_restart() {
    let project = Project::empty();
    add_worker(&project, "a", "a");
    tls::certificate(&project, "a", &["a.example"]);
    project.write(
        "holm.toml",
        &format!(
            "[server]\nhttps = \"127.0.0.1:0\"\n[[certificate]]\ncert = \"a.pem\"\nkey = \"a.key\"\n{}",
            worker("a")
        ),
    );
    let serve = Serve::start(&project.file("holm.toml"));
    let renewed = tls::certificate(&project, "a", &["a.example"]);
    let until = Instant::now() + DEADLINE;
    while tls::get(serve.https(), "a.example", "/", &renewed, Protocol::Http1).is_err() {
        assert!(Instant::now() < until, "the old certificate is still used");
    }
}

#[test]
fn a_key_that_belongs_to_another_certificate_is_an_error_at_the_start() {
    let project = Project::empty();
    add_worker(&project, "a", "a");
    tls::certificate(&project, "a", &["a.example"]);
    tls::certificate(&project, "b", &["b.example"]);
    project.write(
        "holm.toml",
        &format!(
            "[server]\nhttps = \"127.0.0.1:0\"\n[[certificate]]\ncert = \"a.pem\"\nkey = \"b.key\"\n{}",
            worker("a")
        ),
    );
    let ended = Serve::refused(&project.file("holm.toml"));
    assert_eq!(ended.code, Some(78), "{}", ended.output);
    assert!(ended.output.contains("a.pem") && ended.output.contains("b.key"), "{}", ended.output);
}

#[test]
fn health_is_told_on_the_admin_listener_alone() {
    let project = Project::empty();
    let admin = free_address();
    add_worker(&project, "a", "a");
    project.write("holm.toml", &format!("[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"{admin}\"\n{}", worker("a")));
    let serve = Serve::start(&project.file("holm.toml"));
    let healthy = Client::new(admin).get("/healthz");
    assert_eq!((healthy.status, healthy.text().as_str()), (200, "ok\n"));
    assert_eq!(Client::new(admin).get("/elsewhere").status, 404);
    assert_eq!(Client::new(admin).get_at("evil.example", "/healthz").status, 403);
    assert_eq!(serve.http().get("/healthz").status, 404);
}

#[test]
fn sigterm_lets_requests_in_flight_finish_takes_no_new_ones_and_exits_with_success() {
    let project = Project::empty();
    let admin = free_address();
    add_worker(&project, "a", "");
    project.write(
        "a/index.js",
        "export default { async fetch(request, env, ctx) { console.log('begun'); ctx.waitUntil(scheduler.wait(20).then(() => console.log('after the answer'))); return new Response(await request.text()); } };",
    );
    project.write("holm.toml", &format!("[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"{admin}\"\n{}", worker("a")));
    let serve = Serve::start(&project.file("holm.toml"));
    let address = serve.http().address;
    let mut begun = Raw::connect(address);
    begun.write("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n");
    begun.chunk("first, ");
    serve.output().wait_for("begun");

    serve.process.signal("TERM");
    serve.output().wait_for("draining");
    let draining = Client::new(admin).get("/healthz");
    assert_eq!((draining.status, draining.text().as_str()), (503, "draining\n"));
    let refused =
        Client::new(address).try_send(http::Request::get("/").header("host", "a.example").body(Bytes::new()).unwrap());
    assert!(refused.is_err(), "{refused:?}");

    begun.chunk("second");
    begun.chunk("");
    assert!(begun.read_until("first, second").starts_with("HTTP/1.1 200"));
    let ended = serve.process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(ended.output.contains("after the answer") && ended.output.contains("drained"), "{}", ended.output);
}

#[test]
fn http_2_without_tls_is_spoken_too() {
    let project = Project::empty();
    add_worker(&project, "a", "a");
    project.write("holm.toml", &format!("[server]\nhttp = \"127.0.0.1:0\"\n{}", worker("a")));
    let serve = Serve::start(&project.file("holm.toml"));
    let answer = tls::get_plain_http2(serve.http().address, "a.example", "/path").unwrap();
    assert_eq!(answer.text(), "a http://a.example/path");
}
