//! What operators' own tools are led to: configurations, projects and reloads that are not what they should be. The number in
//! a test's name is that of the case. Whatever is put before them, `serve` and `dev` say what is wrong and go on with what they
//! had.

mod support;

use std::time::Instant;

use support::DEADLINE;
use support::client::Client;
use support::process::Dev;
use support::process::Ended;
use support::process::Serve;
use support::process::run;
use support::project::Project;
use support::project::config;

const SERVER: &str = "[server]\nhttp = \"127.0.0.1:0\"\n";

fn add_worker(project: &Project, name: &str, source: &str) {
    project.write(&format!("{name}/wrangler.jsonc"), &config(name, ""));
    project.write(&format!("{name}/index.js"), source);
}

fn worker(name: &str) -> String {
    format!("[[worker]]\nproject = \"{name}\"\nhostnames = [\"{name}.example\"]\n")
}

fn says(text: &str) -> String {
    format!("export default {{ fetch: () => new Response('{text}') }};\n")
}

fn wait_until_said(client: Client, host: &str, expected: &str) {
    let until = Instant::now() + DEADLINE;
    while client.get_at(host, "/").text() != expected {
        assert!(Instant::now() < until, "{host} still says {:?}", client.get_at(host, "/").text());
        std::thread::yield_now();
    }
}

/// Checks a configuration beside a project called `a`.
fn checked(text: &[u8]) -> Ended {
    let project = Project::empty();
    add_worker(&project, "a", &says("a"));
    std::fs::write(project.file("holm.toml"), text).unwrap();
    let file = project.file("holm.toml");
    run(["serve".as_ref(), "--check".as_ref(), "--config".as_ref(), file.as_os_str()])
}

#[test]
fn ops_20_a_configuration_is_refused_with_its_line_and_ends_no_process() {
    let worker = worker("a");
    let of = |text: String| text.into_bytes();
    let nested =
        |open: &str, close: &str| format!("{SERVER}x = {}{}\n{worker}", open.repeat(100_000), close.repeat(100_000));
    let refused: Vec<(&str, Vec<u8>)> = vec![
        ("two workers of one name", of(format!("{SERVER}{worker}{worker}"))),
        ("a key that is there twice", of(format!("{SERVER}http = \"127.0.0.1:1\"\n{worker}"))),
        ("a key that nobody knows", of(format!("{SERVER}htpt = 1\n{worker}"))),
        ("arrays in arrays", of(nested("[", "]"))),
        ("tables in tables", of(nested("{a=", "}"))),
        ("keys of keys", of(format!("{SERVER}{}a = 1\n{worker}", "a.".repeat(100_000)))),
        ("a table's name of names", of(format!("{SERVER}[{}a]\n{worker}", "a.".repeat(100_000)))),
        ("an array that never ends", of(format!("{SERVER}x = {}", "[".repeat(1_000_000)))),
        ("bytes that are no text", [SERVER.as_bytes(), b"x = \"\xff\xfe\"\n"].concat()),
        ("a NUL", of(format!("{SERVER}x = \"\0\"\n{worker}"))),
        ("a number beyond all", of(format!("{SERVER}[limits]\ncpu_ms = {}\n{worker}", "9".repeat(10_000)))),
        ("another type", of(format!("server = 5\n{worker}"))),
        ("half of a file", of(format!("{SERVER}[[worker]]\nproject = \"a"))),
    ];
    for (what, text) in refused {
        let ended = checked(&text);
        assert_eq!(ended.code, Some(78), "{what}: {:.2000}", ended.output);
        let place = if text.is_ascii() { "holm.toml:" } else { "holm.toml" };
        assert!(ended.output.contains(place), "{what} has no place: {:.2000}", ended.output);
        // What is wrong is shown, not the whole file.
        assert!(ended.output.len() < 64 << 10, "{what}: {} bytes of output", ended.output.len());
    }
    let accepted = [
        ("a byte order mark", format!("\u{feff}{SERVER}{worker}")),
        ("other line ends", format!("{SERVER}{worker}").replace('\n', "\r\n")),
    ];
    for (what, text) in accepted {
        let ended = checked(text.as_bytes());
        assert_eq!(ended.code, Some(0), "{what}: {}", ended.output);
    }
}

#[test]
fn ops_20_ten_thousand_routes_are_routes() {
    let project = Project::empty();
    add_worker(&project, "a", &says("a"));
    let hostnames: Vec<String> = (0..10_000).map(|number| format!("\"host-{number}.example\"")).collect();
    project
        .write("holm.toml", &format!("{SERVER}[[worker]]\nproject = \"a\"\nhostnames = [{}]\n", hostnames.join(", ")));
    let server = Serve::start(&project.file("holm.toml"));
    for number in [0, 5_000, 9_999] {
        assert_eq!(server.http().get_at(&format!("host-{number}.example"), "/").text(), "a");
    }
    assert_eq!(server.http().get_at("host-10000.example", "/").error(), "unknown_host");
}

#[test]
fn ops_20_a_project_of_nested_settings_is_refused_with_its_line() {
    let project = Project::empty();
    add_worker(&project, "a", &says("a"));
    project.write("holm.toml", &format!("{SERVER}{}", worker("a")));
    let vars = |text: &str| format!("{{ \"name\": \"a\", \"main\": \"index.js\", \"vars\": {text} }}");
    let deep = vars(&format!("{{ \"V\": {}{} }}", "[".repeat(100_000), "]".repeat(100_000)));
    for (what, text) in [
        ("arrays in arrays", deep),
        ("objects in objects", "{\"a\":".repeat(100_000)),
        ("an array that never ends", vars(&"[".repeat(1_000_000))),
        ("a text that never ends", vars(&format!("\"{}", "\\u0000".repeat(100_000)))),
    ] {
        project.write("a/wrangler.jsonc", &text);
        let ended = Serve::refused(&project.file("holm.toml"));
        assert_eq!(ended.code, Some(78), "{what}: {:.2000}", ended.output);
        assert!(ended.output.contains("wrangler.jsonc:"), "{what} has no place: {:.2000}", ended.output);
        assert!(ended.output.len() < 64 << 10, "{what}: {} bytes of output", ended.output.len());
    }
}

#[test]
fn ops_05_a_pattern_leads_to_one_worker() {
    let project = Project::empty();
    for name in ["victim", "evil"] {
        add_worker(&project, name, &says(name));
    }
    let with = |patterns: &str| {
        let evil = format!("[[worker]]\nproject = \"evil\"\nroutes = [{patterns}]\n");
        project.write("holm.toml", &format!("{SERVER}{}{evil}", worker("victim")));
    };
    for patterns in ["\"victim.example/*\"", "\"VICTIM.example/*\"", "\"victim.example./*\""] {
        with(patterns);
        let ended = Serve::refused(&project.file("holm.toml"));
        assert_eq!(ended.code, Some(78), "{patterns}: {}", ended.output);
        assert!(ended.output.contains("holm.toml:"), "{patterns}: {}", ended.output);
    }
    // Less specific ones take nothing away.
    with("\"*/*\", \"*.example/*\"");
    let server = Serve::start(&project.file("holm.toml"));
    for host in ["victim.example", "VICTIM.example", "victim.example.", "victim.example:80"] {
        assert_eq!(server.http().get_at(host, "/").text(), "victim", "{host}");
    }
    assert_eq!(server.http().get_at("other.example", "/").text(), "evil");
}

#[test]
fn ops_02_a_built_bundle_is_what_was_built() {
    let project = Project::empty();
    add_worker(&project, "a", &says("built"));
    let (source, output) = (project.file("a"), project.file("dist"));
    let built = run(["build".as_ref(), source.as_os_str(), "-o".as_ref(), output.as_os_str()]);
    assert_eq!(built.code, Some(0), "{}", built.output);
    project.write("holm.toml", &format!("{SERVER}[[worker]]\nbundle = \"dist\"\nhostnames = [\"a.example\"]\n"));
    let server = Serve::start(&project.file("holm.toml"));
    assert_eq!(server.http().get_at("a.example", "/").text(), "built");

    // A link to what is no part of it, in the place of a module: while it is served, and at the next start.
    let module = project.file("dist/modules/index.js");
    project.write("secret", &says("secret"));
    std::fs::remove_file(&module).unwrap();
    std::os::unix::fs::symlink(project.file("secret"), &module).unwrap();
    let mark = server.output().mark();
    server.process.signal("HUP");
    server.output().wait_since(mark, "the one before stays in force");
    assert_eq!(server.http().get_at("a.example", "/").text(), "built");
    let ended = Serve::refused(&project.file("holm.toml"));
    assert_eq!(ended.code, Some(78), "{}", ended.output);
    assert!(ended.output.contains("leaves the bundle"), "{}", ended.output);

    // What nobody ever finishes to write, or to read.
    std::fs::remove_file(&module).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&module).status().unwrap();
    assert!(made.success());
    let ended = Serve::refused(&project.file("holm.toml"));
    assert_eq!(ended.code, Some(78), "{}", ended.output);
}

#[test]
fn ops_04_an_import_reaches_what_is_in_the_bundle_and_nothing_else() {
    const SECRET: &str = "secret-of-the-victim";
    let project = Project::empty();
    add_worker(
        &project,
        "victim",
        &format!("export default {{ fetch: () => new Response('well'), secret: '{SECRET}' }};\n"),
    );
    project.write("holm.toml", &format!("{SERVER}{}{}", worker("victim"), worker("evil")));
    project.write("evil/wrangler.jsonc", &config("evil", "\"no_bundle\": true,"));
    let absolute = project.file("victim/index.js").display().to_string();
    let far = [
        "../victim/index.js",
        &absolute,
        &format!("file://{absolute}"),
        "./%2e%2e/victim/index.js",
        "./part/../../victim/index.js",
        "../victim/index.js?query",
        "./PART.js",
        "./part.js?query",
        "victim",
        "node:fs",
        "ext:core/ops",
        "ext:holm/entry.js",
        "data:text/javascript,export default 1",
        "https://example.com/x.js",
    ];
    project.write("evil/part.js", "export default 'part';\n");
    let evil = |name: &str| {
        let import = format!("import * as got from {name:?};\n");
        project.write(
            "evil/index.js",
            &format!("{import}export default {{ fetch: () => Response.json(got.default) }};\n"),
        );
    };
    for name in far {
        evil(name);
        let server = Serve::start(&project.file("holm.toml"));
        let answer = server.http().get_at("evil.example", "/");
        assert_eq!(answer.error(), "startup_failed", "{name}: {}", answer.text());
        assert!(!answer.text().contains(SECRET) && !server.output().text().contains(SECRET), "{name}");
        assert_eq!(server.http().get_at("victim.example", "/").text(), "well", "{name}");
    }
    evil("./part.js");
    assert_eq!(Serve::start(&project.file("holm.toml")).http().get_at("evil.example", "/").text(), "\"part\"");
}

#[test]
fn ops_04_a_chain_of_imports_without_end_costs_nobody_the_process() {
    let project = Project::empty();
    add_worker(&project, "victim", &says("well"));
    project.write("holm.toml", &format!("{SERVER}{}{}", worker("victim"), worker("evil")));
    project.write("evil/wrangler.jsonc", &config("evil", "\"no_bundle\": true,"));
    const LINKS: usize = 5_000;
    for link in 0..LINKS {
        let next = if link + 1 == LINKS { String::new() } else { format!("import './link{}.js';\n", link + 1) };
        std::fs::write(project.file(&format!("evil/link{link}.js")), next).unwrap();
    }
    project.write("evil/index.js", &format!("import './link0.js';\n{}", says("linked")));
    let server = Serve::start(&project.file("holm.toml"));
    let answer = server.http().get_at("evil.example", "/");
    let told = ["startup_failed", "startup_exceeded", "memory_exceeded"].contains(&answer.error());
    assert!(told || answer.text() == "linked", "{answer:?}: {}", answer.text());
    assert_eq!(server.http().get_at("victim.example", "/").text(), "well");
}

#[test]
fn ops_14_what_is_saved_while_dev_watches_does_not_end_it() {
    let project = Project::worker(&says("one"));
    // A directory that contains itself.
    std::fs::create_dir(project.file("loop")).unwrap();
    std::os::unix::fs::symlink(project.path(), project.file("loop/again")).unwrap();
    std::os::unix::fs::symlink("nowhere", project.file("dangling.js")).unwrap();
    let dev = Dev::start(project.path(), &[]);
    let client = dev.client();
    let said = |expected: &str| wait_until_said(client, "localhost", expected);
    said("one");
    // A file that comes and goes while it is read.
    for round in 0..20 {
        project.write("index.js", &format!("import './part.js';\n{}", says("two")));
        project.write("part.js", &format!("export default {round};\n"));
        project.remove("part.js");
    }
    // The last good version serves on, whichever that is.
    assert!(["one", "two"].contains(&client.get_at("localhost", "/").text().as_str()));
    project.write("index.js", "export default { fetch(: string) };\n");
    dev.output().wait_for("(?s)error.*index\\.js");
    assert!(["one", "two"].contains(&client.get_at("localhost", "/").text().as_str()));
    project.remove("index.js");
    project.write("index.js", &says("three"));
    said("three");
}

#[test]
fn ops_19_a_version_that_is_put_back_is_the_version_that_it_was() {
    let project = Project::empty();
    let address = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    // The same names with other meanings, so that nothing compiled of one may serve the other.
    let first =
        "const answer = () => 'first'; export default { fetch: () => new Response(answer() + typeof other) };\n";
    let second =
        "const other = () => 'second'; export default { fetch: () => new Response(other() + typeof answer) };\n";
    add_worker(&project, "a", first);
    add_worker(&project, "victim", &says("well"));
    project.write("holm.toml", &format!("[server]\nhttp = \"{address}\"\n{}{}", worker("a"), worker("victim")));
    let server = Serve::start(&project.file("holm.toml"));
    for _ in 0..3 {
        wait_until_said(server.http(), "a.example", "firstundefined");
        project.write("a/index.js", second);
        wait_until_said(server.http(), "a.example", "secondundefined");
        project.write("a/index.js", first);
        assert_eq!(server.http().get_at("victim.example", "/").text(), "well");
    }
    wait_until_said(server.http(), "a.example", "firstundefined");
}
