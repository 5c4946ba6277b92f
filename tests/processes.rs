//! The parent of a server and its children: what becomes of requests when a process, a thread or the parent itself goes down.

mod support;

use bytes::Bytes;
use serde_json::Value;
use support::client::Answer;
use support::client::Client;
use support::client::get;
use support::client::post;
use support::load::Load;
use support::load::Tally;
use support::output::Mark;
use support::process::Serve;
use support::process::busy_thread;
use support::process::kill;
use support::process::kill_thread;
use support::process::threads;
use support::process::unprivileged;
use support::project::Project;
use support::project::config;

/// `evil.example` does what its path says; `good.example` is its neighbour.
const EVIL: &str = "
const never = 2 ** 53 - 1;
export default {
  async fetch(request) {
    switch (new URL(request.url).pathname) {
      case '/spin': Array.prototype.includes.call({ length: never }, 1); break;
      case '/split': return new Response(String('x'.repeat(2e8).split('').length));
      case '/half': return new Response(String('x'.repeat(1.3e8).split('').length));
      case '/loop': console.log('looping'); for (;;);
      case '/wait': console.log('waiting'); await scheduler.wait(15000); return new Response('waited');
      case '/echo': return new Response(request.body, { headers: { 'x-method': request.method } });
      case '/throw': throw new Error('no');
    }
    return new Response('evil');
  },
};
";

const GOOD: &str = "export default { fetch: () => new Response('good') };";

fn server(settings: &str, limits: &str) -> (Project, Serve) {
    let project = Project::empty();
    for (name, source) in [("evil", EVIL), ("good", GOOD)] {
        project.write(&format!("{name}/wrangler.jsonc"), &config(name, ""));
        project.write(&format!("{name}/index.js"), source);
    }
    let workers =
        ["evil", "good"].map(|name| format!("[[worker]]\nproject = \"{name}\"\nhostnames = [\"{name}.example\"]\n"));
    project.write(
        "holm.toml",
        &format!("[server]\nhttp = \"127.0.0.1:0\"\n{settings}\n[limits]\n{limits}\n{}", workers.concat()),
    );
    let serve = Serve::start(&project.file("holm.toml"));
    (project, serve)
}

/// Short graces, so that a test needs not wait for them.
const HASTY: &str = "kill_grace_ms = 100\nstuck_threads = 1";
/// What cannot be interrupted is given up late, so that the engine gets as far as it can.
const PATIENT: &str = "kill_grace_ms = 10000\nmemory_mb = 16";

fn evil(client: Client, path: &str) -> Answer {
    client.get_at("evil.example", path)
}

/// Clients whose connection may come between a process's last look at its socket's backlog and the close of the socket. The
/// system resets it; only a parent that keeps the socket helps.
const CLOSED_ON: usize = 3;

fn good_load(serve: &Serve) -> Load {
    let load = Load::start(serve.http().address, "good.example", "/");
    load.wait_for_good(20);
    load
}

fn nothing_failed(tally: Tally) {
    assert!(tally.good > 0 && tally == Tally { good: tally.good, ..Tally::default() }, "{tally:?}");
}

/// Records with this message.
fn said(serve: &Serve, message: &str) -> Vec<Value> {
    serve.records().into_iter().filter(|record| record["message"] == message).collect()
}

/// Waits until a process that was replaced has ended.
fn wait_for_replacement(serve: &Serve, mark: Mark) {
    serve.output().wait_since(mark, "the replaced process has ended");
}

#[test]
fn a_child_that_is_killed_is_replaced_and_no_connection_is_refused() {
    let (_project, serve) = server("", "");
    let first = serve.child();
    let load = good_load(&serve);
    let mark = serve.output().mark();
    kill(first, "KILL");
    serve.output().wait_since(mark, r#""message":"serving""#);
    load.wait_for_good(20);
    let tally = load.stop();
    assert!(tally.refused == 0 && tally.other == 0, "{tally:?}");
    // Each of the clients may have had one request inside the process.
    assert!(tally.broken <= 3, "{tally:?}");
    assert_ne!(serve.child(), first);
    assert_eq!(said(&serve, "the process died; it is replaced")[0]["signal"], 9);
}

#[test]
fn a_request_inside_a_killed_child_breaks_and_the_next_one_is_answered() {
    let (_project, serve) = server("", "");
    let client = serve.http();
    let waiting = std::thread::spawn(move || client.try_send(at("evil.example", "/wait")));
    serve.output().wait_for("waiting");
    kill(serve.child(), "KILL");
    assert!(waiting.join().unwrap().is_err());
    // It connects to the parent's socket, and is answered as soon as the replacement serves.
    assert_eq!(evil(client, "/").text(), "evil");
    // Nobody was inside JavaScript: nobody is to blame.
    assert!(said(&serve, "blamed").is_empty());
}

#[test]
fn a_turn_that_ignores_its_termination_is_answered_and_the_neighbours_notice_nothing() {
    let (_project, serve) = server("", HASTY);
    let first = serve.child();
    let load = good_load(&serve);
    let mark = serve.output().mark();
    let answer = evil(serve.http(), "/spin");
    assert_eq!((answer.status, answer.error()), (503, "cpu_exceeded"));
    // Its worker runs on, in a new isolate, and then in a new process.
    assert_eq!(evil(serve.http(), "/").text(), "evil");
    wait_for_replacement(&serve, mark);
    load.wait_for_good(20);
    assert_eq!(evil(serve.http(), "/").text(), "evil");
    nothing_failed(load.stop());
    assert_ne!(serve.child(), first);
    let blamed = &said(&serve, "blamed")[0];
    assert_eq!(
        (&blamed["worker"], &blamed["trouble"], &blamed["strikes"]),
        (&"evil".into(), &"stuck".into(), &1.into())
    );
}

#[test]
fn many_turns_that_ignore_their_termination_are_one_replacement_and_one_strike() {
    let (_project, serve) = server("", HASTY);
    let mark = serve.output().mark();
    let client = serve.http();
    let spinning: Vec<_> = (0..16).map(|_| std::thread::spawn(move || evil(client, "/spin"))).collect();
    for spinning in spinning {
        let answer = spinning.join().unwrap();
        assert_eq!(answer.status, 503);
        assert!(["cpu_exceeded", "isolate_reset"].contains(&answer.error()), "{}", answer.error());
        if answer.error() == "isolate_reset" {
            assert_eq!(answer.header("retry-after"), "1");
        }
    }
    wait_for_replacement(&serve, mark);
    assert_eq!(said(&serve, "the process is replaced").len(), 1);
    assert_eq!(said(&serve, "blamed").len(), 1);
    assert_eq!(said(&serve, "serving").len(), 2);
}

#[test]
fn a_long_sort_ends_by_itself_and_is_no_reason_to_replace_anything() {
    let (project, serve) = server("", "");
    let before = serve.child();
    project.write(
        "evil/index.js",
        "export default { fetch() { const a = new Float64Array(3e6).map(Math.random); a.sort(); for (;;); } };",
    );
    serve.output().wait_for("reloaded");
    assert_eq!(evil(serve.http(), "/").error(), "cpu_exceeded");
    assert_eq!(evil(serve.http(), "/").error(), "cpu_exceeded");
    assert_eq!(serve.child(), before);
    assert!(said(&serve, "blamed").is_empty());
}

#[test]
fn a_builtin_that_fills_the_memory_takes_no_neighbour_with_it() {
    let (_project, serve) = server("", PATIENT);
    let load = good_load(&serve);
    let answer = evil(serve.http(), "/half");
    // A machine that is slow to give a gigabyte takes longer than the grace.
    assert!(["memory_exceeded", "cpu_exceeded"].contains(&answer.error()), "{}", answer.error());
    assert_eq!(answer.status, 503);
    assert_eq!(evil(serve.http(), "/").text(), "evil");
    load.wait_for_good(20);
    let tally = load.stop();
    assert!(tally.good > 0 && tally.broken <= CLOSED_ON && tally.other == 0 && tally.refused == 0, "{tally:?}");
    // The engine may have had room for it, until the turn was ended; or none, and then its process was replaced.
    for blamed in said(&serve, "blamed") {
        assert_eq!((&blamed["worker"], &blamed["trouble"]), (&"evil".into(), &"out_of_memory".into()));
    }
}

#[test]
fn a_check_of_the_engine_that_fails_takes_no_neighbour_with_it() {
    let (_project, serve) = server("admin = \"127.0.0.1:0\"", "kill_grace_ms = 10000");
    let load = good_load(&serve);
    let mark = serve.output().mark();
    let answer = evil(serve.http(), "/split");
    assert_eq!((answer.status, answer.error(), answer.header("retry-after")), (503, "worker_crashed", "1"));
    assert_eq!(evil(serve.http(), "/").text(), "evil");
    wait_for_replacement(&serve, mark);
    load.wait_for_good(20);
    nothing_failed(load.stop());
    let blamed = &said(&serve, "blamed")[0];
    assert_eq!(
        (&blamed["worker"], &blamed["tenant"], &blamed["trouble"], &blamed["strikes"]),
        (&"evil".into(), &"evil".into(), &"check_failed".into(), &1.into())
    );
    assert_eq!(serve.metric(r#"holm_process_restarts_total{reason="crashed"}"#), 1.0);
    assert_eq!(serve.metric(r#"holm_strikes_total{tenant="evil"}"#), 1.0);
}

#[test]
fn a_request_whose_isolate_was_given_up_is_counted_and_has_its_line() {
    let (_project, serve) = server("admin = \"127.0.0.1:0\"", "kill_grace_ms = 100");
    let first = serve.child();
    assert_eq!(evil(serve.http(), "/spin").error(), "cpu_exceeded");
    let line = serve.invocation("/spin");
    assert_eq!((&line["outcome"], &line["worker"]), (&"cpu_exceeded".into(), &"evil".into()));
    let counted = r#"holm_requests_total{worker="evil",tenant="evil",outcome="cpu_exceeded"}"#;
    assert_eq!(serve.metric(counted), 1.0);
    assert_eq!(serve.metric(r#"holm_isolates{state="given_up"}"#), 1.0);
    // One thread alone is no reason to replace the process.
    serve.output().wait_for("a thread cannot be stopped");
    serve.output().wait_for(r#""message":"blamed""#);
    assert_eq!(evil(serve.http(), "/").text(), "evil");
    assert_eq!(serve.child(), first);
}

#[test]
fn a_fault_in_an_isolate_stops_its_thread_and_not_the_process() {
    let (_project, serve) = server("", "cpu_ms = 60000");
    let client = serve.http();
    let looping = std::thread::spawn(move || evil(client, "/loop"));
    let thread = busy_thread(serve.child(), "isolate");
    let load = good_load(&serve);
    let mark = serve.output().mark();
    kill_thread(serve.child(), thread, "SEGV");
    let answer = looping.join().unwrap();
    assert_eq!((answer.status, answer.error(), answer.header("retry-after")), (503, "worker_crashed", "1"));
    wait_for_replacement(&serve, mark);
    load.wait_for_good(20);
    nothing_failed(load.stop());
    assert_eq!(evil(client, "/").text(), "evil");
    let blamed = &said(&serve, "blamed")[0];
    assert_eq!((&blamed["worker"], &blamed["trouble"]), (&"evil".into(), &"faulted".into()));
}

#[test]
fn a_helper_thread_of_the_engine_that_stops_costs_no_request() {
    let (_project, serve) = server("", "");
    assert_eq!(evil(serve.http(), "/").text(), "evil");
    let load = good_load(&serve);
    let mark = serve.output().mark();
    let helper = threads(serve.child(), "V8 DefaultWorke")[0];
    // A check that fails ends in this signal.
    kill_thread(serve.child(), helper, "TRAP");
    serve.output().wait_for("a helper thread of the engine crashed");
    wait_for_replacement(&serve, mark);
    load.wait_for_good(20);
    nothing_failed(load.stop());
    assert!(said(&serve, "blamed").is_empty());
}

#[test]
fn a_process_that_faults_leaves_no_core_and_no_bytes_of_a_tenant() {
    let (project, serve) = server("", "");
    assert_eq!(evil(serve.http(), "/").text(), "evil");
    let child = serve.child();
    let limits = std::fs::read_to_string(format!("/proc/{child}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    // The thread that ends the process with it.
    kill_thread(child, child, "SEGV");
    wait_until_answered(serve.http(), "evil");
    assert_ne!(serve.child(), child);
    let names = |path: &std::path::Path| -> Vec<String> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let places = [project.path().to_owned(), std::env::current_dir().unwrap()];
    let cores: Vec<_> = places.iter().flat_map(|place| names(place)).filter(|name| name.starts_with("core")).collect();
    assert_eq!(cores, Vec::<String>::new());
}

#[test]
fn a_process_that_gets_no_more_threads_sheds_and_recovers() {
    let project = Project::empty();
    let mut text = "[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n".to_owned();
    let names: Vec<String> = (0..20).map(|number| format!("worker{number}")).collect();
    for name in &names {
        project.write(&format!("{name}/wrangler.jsonc"), &config(name, ""));
        project
            .write(&format!("{name}/index.js"), &format!("export default {{ fetch: () => new Response('{name}') }};"));
        text += &format!("[[worker]]\nproject = \"{name}\"\nhostnames = [\"{name}.example\"]\n");
    }
    project.write("holm.toml", &text);
    let (serve, _scratch) = Serve::start_unprivileged(&project);
    let client = serve.http();
    let child = serve.child();
    let ask = |name: &str| client.get_at(&format!("{name}.example"), "/");
    let limit = |threads: &str| {
        let arguments = ["--pid", &child.to_string(), &format!("--nproc={threads}:")];
        assert!(unprivileged("prlimit").args(arguments).status().unwrap().success());
    };
    let limits = std::fs::read_to_string(format!("/proc/{child}/limits")).unwrap();
    let processes = limits.lines().find_map(|line| line.strip_prefix("Max processes")).unwrap();
    let most = processes.split_whitespace().nth(1).unwrap().to_owned();
    assert_eq!(ask("worker0").text(), "worker0");
    // The user has more already.
    limit("1");
    let answers: Vec<Answer> = names[1..].iter().map(|name| ask(name)).collect();
    let (served, shed): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(!shed.is_empty(), "{} of them were served", served.len());
    for answer in shed {
        assert_eq!((answer.status, answer.error()), (503, "overloaded"), "{}", answer.text());
        assert!(!answer.header("retry-after").is_empty());
    }
    let page = serve.admin().get("/metrics").text();
    assert!(page.lines().any(|line| line.starts_with("holm_sheds_total") && line.contains("threads")), "{page}");
    // What has its threads goes on.
    assert_eq!(ask("worker0").text(), "worker0");
    limit(&most);
    for name in &names {
        wait_until_answered(client, name);
    }
    assert_eq!(serve.child(), child);
    assert!(!serve.output().text().contains("panicked"), "{}", serve.output().text());
}

#[test]
fn a_process_that_dies_blames_the_only_one_that_was_inside_javascript() {
    let (_project, serve) = server("", "cpu_ms = 60000");
    let client = serve.http();
    let looping = std::thread::spawn(move || client.try_send(at("evil.example", "/loop")));
    serve.output().wait_for("looping");
    kill(serve.child(), "KILL");
    assert!(looping.join().unwrap().is_err());
    let blamed = serve.output().wait_for(r#"^(.*"message":"blamed".*)$"#);
    let blamed: Value = serde_json::from_str(&blamed).unwrap();
    assert_eq!(
        (&blamed["worker"], &blamed["trouble"], &blamed["invocation"]),
        (&"evil".into(), &"in_turn".into(), &1.into())
    );
}

#[test]
fn after_three_strikes_a_worker_runs_in_a_process_of_its_own() {
    let (_project, serve) = server("admin = \"127.0.0.1:0\"", "kill_grace_ms = 20\nstuck_threads = 1");
    let client = serve.http();
    let load = good_load(&serve);
    for _ in 0..3 {
        let mark = serve.output().mark();
        assert_eq!(evil(client, "/spin").error(), "cpu_exceeded");
        wait_for_replacement(&serve, mark);
    }
    let apart = serve.output().wait_for(r#"^(.*"message":"running a tenant's workers apart".*)$"#);
    let apart: Value = serde_json::from_str(&apart).unwrap();
    assert_eq!(apart["tenant"], "evil");
    wait_until_answered(client, "evil");
    let serving = serve.child();

    // Requests and answers go both ways, whatever they are.
    let body = Bytes::from(vec![b'x'; 3 << 20]);
    let echo = http::Request::put("/echo").header("host", "evil.example").body(body.clone()).unwrap();
    let echoed = client.send(echo);
    assert_eq!((echoed.status, echoed.header("x-method"), echoed.body == body), (200, "PUT", true));
    assert_eq!(evil(client, "/throw").error(), "exception");
    assert_eq!(client.send(post_at("evil.example", "/echo", "text")).text(), "text");

    // It is counted with the others, and counting goes on when its process is another one.
    let counted = || serve.metric(r#"holm_requests_total{worker="evil",tenant="evil",outcome="ok"}"#);
    let before = counted();
    assert!(before >= 3.0, "{before}");
    assert_eq!(evil(client, "/").text(), "evil");
    assert_eq!(counted(), before + 1.0);
    assert!(serve.metric(r#"holm_cpu_seconds_total{worker="evil",tenant="evil"}"#) > 0.0);
    assert_eq!(serve.metric(r#"holm_requests_total{worker="evil",tenant="evil",outcome="exception"}"#), 1.0);

    // It brings down nothing but its own process.
    let private = u32::try_from(apart["pid"].as_u64().unwrap()).unwrap();
    let mark = serve.output().mark();
    kill(private, "KILL");
    let answer = evil(client, "/");
    assert!(answer.text() == "evil" || (answer.error(), answer.header("retry-after")) == ("worker_crashed", "1"));
    serve.output().wait_since(mark, "running a tenant's workers apart");
    wait_until_answered(client, "evil");
    assert!(counted() > before, "the counts of the process that died are kept");
    let mark = serve.output().mark();
    assert_eq!(evil(client, "/spin").error(), "cpu_exceeded");
    wait_for_replacement(&serve, mark);
    wait_until_answered(client, "evil");
    assert_eq!(serve.child(), serving);
    nothing_failed(load.stop());
}

#[test]
fn a_recycle_under_load_fails_no_request() {
    let (_project, serve) = server("admin = \"127.0.0.1:0\"", "");
    let load = good_load(&serve);
    let health = Load::start(serve.admin().address, "localhost", "/healthz");
    for _ in 0..3 {
        let before = serve.child();
        let mark = serve.output().mark();
        serve.process.signal("USR2");
        wait_for_replacement(&serve, mark);
        load.wait_for_good(50);
        assert_ne!(serve.child(), before);
    }
    nothing_failed(load.stop());
    nothing_failed(health.stop());
    assert_eq!(serve.metric(r#"holm_process_restarts_total{reason="upgrade"}"#), 3.0);
}

#[test]
fn a_child_that_is_asked_to_end_is_replaced_first() {
    let (_project, serve) = server("", "");
    let load = good_load(&serve);
    let mark = serve.output().mark();
    kill(serve.child(), "TERM");
    wait_for_replacement(&serve, mark);
    load.wait_for_good(20);
    nothing_failed(load.stop());
}

#[test]
fn a_child_that_hangs_is_replaced() {
    let (_project, serve) = server("", "");
    let hung = serve.child();
    kill(hung, "STOP");
    serve.output().wait_for("gives no sign of life");
    wait_until_answered(serve.http(), "good");
    wait_for_replacement(&serve, Mark::default());
    assert_ne!(serve.child(), hung);
}

#[test]
fn sigterm_under_load_fails_no_request_and_exits_with_success() {
    let (_project, serve) = server("", "");
    let load = good_load(&serve);
    serve.process.signal("TERM");
    let ended = serve.process.wait();
    let tally = load.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(tally.good > 0 && tally.other == 0 && tally.broken == 0, "{tally:?}");
}

#[test]
fn a_request_that_outlasts_the_drain_is_cut_off_and_the_status_says_so() {
    let (_project, serve) = server("drain_seconds = 1", "");
    let client = serve.http();
    let waiting = std::thread::spawn(move || client.try_send(at("evil.example", "/wait")));
    serve.output().wait_for("waiting");
    serve.process.signal("TERM");
    let ended = serve.process.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(waiting.join().unwrap().is_err());
}

#[test]
fn a_second_signal_hastens_the_end() {
    let (_project, serve) = server("drain_seconds = 600", "");
    let client = serve.http();
    let waiting = std::thread::spawn(move || client.try_send(at("evil.example", "/wait")));
    serve.output().wait_for("waiting");
    serve.process.signal("TERM");
    serve.output().wait_for("draining");
    serve.process.signal("INT");
    let ended = serve.process.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(waiting.join().unwrap().is_err());
}

#[test]
fn no_process_outlives_a_parent_that_is_killed() {
    let (_project, serve) = server("", "");
    serve.process.signal("KILL");
    // The output ends when the last process that holds it has ended.
    let ended = serve.process.wait();
    assert_eq!(ended.code, None, "{}", ended.output);
}

#[test]
fn a_second_server_at_the_same_address_is_refused_and_the_first_goes_on() {
    let (project, serve) = server("", "");
    let address = serve.http().address;
    let second =
        std::fs::read_to_string(project.file("holm.toml")).unwrap().replace("127.0.0.1:0", &address.to_string());
    project.write("second.toml", &second);
    let ended = Serve::refused(&project.file("second.toml"));
    assert_eq!(ended.code, Some(69), "{}", ended.output);
    assert_eq!(serve.http().get_at("good.example", "/").text(), "good");
}

#[test]
fn a_configuration_that_became_wrong_does_not_end_the_parent_and_is_tried_again() {
    let (project, serve) = server("", "");
    let good = std::fs::read_to_string(project.file("holm.toml")).unwrap();
    project.write("holm.toml", "[server");
    serve.output().wait_for("the one before stays in force");
    let before = serve.child();
    // The one that serves is good: a replacement that does not start changes nothing.
    serve.process.signal("USR2");
    serve.output().wait_for("a process did not start");
    assert_eq!(serve.http().get_at("good.example", "/").text(), "good");
    assert_eq!(serve.child(), before);
    kill(before, "KILL");
    // It is tried more and more slowly: at once, and after 100, 200 and 400 ms.
    let mut mark = serve.output().mark();
    let started = std::time::Instant::now();
    for _ in 0..4 {
        serve.output().wait_since(mark, "a process did not start");
        mark = serve.output().mark();
    }
    assert!(started.elapsed() >= std::time::Duration::from_millis(700), "{:?}", started.elapsed());
    let mark = serve.output().mark();
    project.write("holm.toml", &good);
    serve.output().wait_since(mark, r#""message":"serving""#);
    assert_eq!(serve.http().get_at("good.example", "/").text(), "good");
}

#[test]
fn a_change_that_a_running_process_cannot_make_is_made_by_a_new_one() {
    let (project, serve) = server("", "");
    let first = serve.child();
    let load = good_load(&serve);
    let before = std::fs::read_to_string(project.file("holm.toml")).unwrap();
    let mark = serve.output().mark();
    project.write("holm.toml", &before.replace("[limits]", "[limits]\nurl_bytes = 300"));
    wait_for_replacement(&serve, mark);
    load.wait_for_good(20);
    nothing_failed(load.stop());
    assert_ne!(serve.child(), first);
    let long = format!("/{}", "x".repeat(400));
    assert_eq!(serve.http().get_at("good.example", &long).status, 414);

    // Another address: served there, and at the old one no more.
    let old = serve.http();
    let mark = serve.output().mark();
    project.write("holm.toml", &before.replace("127.0.0.1:0", "127.0.0.2:0"));
    wait_for_replacement(&serve, mark);
    let listening = said(&serve, "listening").pop().unwrap();
    let new = Client::new(listening["address"].as_str().unwrap().parse().unwrap());
    assert_ne!(new.address.ip(), old.address.ip());
    assert_eq!(new.get_at("good.example", "/").text(), "good");
    assert!(old.try_send(at("good.example", "/")).is_err());
}

#[test]
fn an_address_that_cannot_be_taken_leaves_the_ones_before_in_force() {
    let (project, serve) = server("", "");
    let first = serve.child();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = std::fs::read_to_string(project.file("holm.toml")).unwrap();
    project.write("holm.toml", &config.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string()));
    serve.output().wait_for("another program listens there");
    serve.output().wait_for("a process did not start");
    assert_eq!(serve.http().get_at("good.example", "/").text(), "good");
    assert_eq!(serve.child(), first);
}

#[test]
fn the_usage_ledger_is_whole_after_processes_came_and_went() {
    let (project, serve) = server("[usage]\npath = \"usage.jsonl\"\ninterval_seconds = 1", "");
    let load = good_load(&serve);
    for _ in 0..4 {
        let mark = serve.output().mark();
        serve.process.signal("USR2");
        wait_for_replacement(&serve, mark);
        load.wait_for_good(50);
    }
    let tally = load.stop();
    serve.process.signal("TERM");
    let ended = serve.process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    let text = std::fs::read_to_string(project.file("usage.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let requests: u64 = lines.iter().map(|line| line["requests"].as_u64().unwrap()).sum();
    assert_eq!(requests, tally.good as u64);
    let boots: std::collections::HashSet<_> = lines.iter().map(|line| line["boot"].to_string()).collect();
    assert_eq!(boots.len(), 5);
    nothing_failed(tally);
}

#[test]
fn a_single_process_serves_without_a_parent_and_ends_when_it_cannot_go_on() {
    let (project, _serve) = server("", "kill_grace_ms = 10000");
    let serve = Serve::start_single(&project.file("holm.toml"));
    assert_eq!(serve.child(), serve.process.id());
    serve.process.signal("HUP");
    serve.output().wait_for(r#""message":"reloaded""#);
    let load = good_load(&serve);
    assert_eq!(evil(serve.http(), "/split").error(), "worker_crashed");
    let ended = serve.process.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    let tally = load.stop();
    assert!(tally.good > 0 && tally.broken <= CLOSED_ON && tally.other == 0, "{tally:?}");
}

#[test]
fn a_single_process_finishes_at_sigterm() {
    let (project, _serve) = server("", "");
    let serve = Serve::start_single(&project.file("holm.toml"));
    let load = good_load(&serve);
    serve.process.signal("TERM");
    let ended = serve.process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    let tally = load.stop();
    assert!(tally.broken <= CLOSED_ON && tally.other == 0, "{tally:?}");
}

fn at(host: &str, path: &str) -> support::client::Request {
    get(path).header("host", host).body(Bytes::new()).unwrap()
}

fn post_at(host: &str, path: &str, body: &'static str) -> support::client::Request {
    let mut request = post(path, body);
    request.headers_mut().insert("host", host.parse().unwrap());
    request
}

fn wait_until_answered(client: Client, name: &str) {
    let until = std::time::Instant::now() + support::DEADLINE;
    while !client.try_send(at(&format!("{name}.example"), "/")).is_ok_and(|answer| answer.text() == name) {
        assert!(std::time::Instant::now() < until, "{name} is not answered");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
