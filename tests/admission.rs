//! What is let in and what is sent away: places and queues of workers and tenants, and the starts, number and end of isolates.

mod support;

use std::time::Instant;

use support::DEADLINE;
use support::client::Answer;
use support::process::Serve;
use support::project::Project;
use support::project::config;
use support::raw::Raw;

const SERVER: &str = "[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n";

/// `/hold` never answers, `/count` counts the requests of one isolate; everything else is a greeting.
const SOURCE: &str = "let count = 0;
export default { async fetch(request) {
  const { pathname } = new URL(request.url);
  if (pathname === '/hold') await scheduler.wait(60_000);
  if (pathname === '/count') return new Response(String(++count));
  return new Response('hello');
} };\n";

/// Its global scope takes a second or so of CPU time.
const SLOW_START: &str = "const spin = () => { let n = 0; for (let i = 0; i < 2_000_000_000; i++) n ^= i; return n; };
const spun = spin();
export default { fetch: () => new Response(`started ${typeof spun}`) };\n";

/// A project of `directory`'s name, and its table in `holm.toml`.
fn add(project: &Project, name: &str, source: &str, more: &str) -> String {
    project.write(&format!("{name}/wrangler.jsonc"), &config(name, ""));
    project.write(&format!("{name}/index.js"), source);
    format!("[[worker]]\nproject = \"{name}\"\nhostnames = [\"{name}.example\"]\n{more}\n")
}

fn serve(project: &Project, limits: &str, workers: &[String]) -> Serve {
    project.write("holm.toml", &format!("{SERVER}[limits]\n{limits}\n{}", workers.concat()));
    Serve::start(&project.file("holm.toml"))
}

fn get(serve: &Serve, worker: &str, path: &str) -> Answer {
    serve.http().get_at(&format!("{worker}.example"), path)
}

/// A request that is on its way until this is dropped.
fn open(serve: &Serve, worker: &str, path: &str) -> Raw {
    let mut request = Raw::connect(serve.http().address);
    request.write(format!("GET {path} HTTP/1.1\r\nHost: {worker}.example\r\n\r\n"));
    request
}

fn wait_until(serve: &Serve, about: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < until, "{about}, but:\n{}", serve.admin().get("/metrics").text());
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

fn wait_for(serve: &Serve, sample: &str, value: f64) {
    wait_until(serve, &format!("{sample} is to be {value}"), || serve.metric(sample) == value);
}

fn is_overloaded(answer: &Answer) {
    assert_eq!((answer.status, answer.error(), answer.header("retry-after")), (503, "overloaded", "1"));
}

fn sheds(serve: &Serve, worker: &str, tenant: &str, reason: &str) -> f64 {
    serve.metric(&format!("holm_sheds_total{{worker=\"{worker}\",tenant=\"{tenant}\",reason=\"{reason}\"}}"))
}

fn evictions(serve: &Serve, worker: &str, tenant: &str, reason: &str) -> f64 {
    serve
        .metric(&format!("holm_isolate_evictions_total{{worker=\"{worker}\",tenant=\"{tenant}\",reason=\"{reason}\"}}"))
}

// --- places and queues

#[test]
fn what_a_workers_queue_does_not_hold_is_sent_away_and_other_workers_are_served() {
    let project = Project::empty();
    let workers =
        [add(&project, "a", SOURCE, "limits = { concurrency = 2, queue = 1 }"), add(&project, "b", SOURCE, "")];
    let serve = serve(&project, "", &workers);
    let held = [(); 2].map(|()| open(&serve, "a", "/hold"));
    wait_for(&serve, "holm_invocations_in_flight", 2.0);
    let mut queued = open(&serve, "a", "/");
    wait_for(&serve, "holm_worker_queue{worker=\"a\",tenant=\"a\"}", 1.0);

    is_overloaded(&get(&serve, "a", "/?away"));
    assert_eq!(sheds(&serve, "a", "a", "worker_queue"), 1.0);
    let record = serve.invocation("/?away");
    assert_eq!((record["invocation"].as_u64(), record["outcome"].as_str()), (Some(0), Some("overloaded")), "{record}");
    assert_eq!(get(&serve, "b", "/").text(), "hello");

    drop(held);
    assert!(queued.read_until("hello").starts_with("HTTP/1.1 200"));
    assert_eq!(get(&serve, "a", "/").text(), "hello");
}

#[test]
fn a_client_that_leaves_the_queue_gives_its_place_to_another() {
    let project = Project::empty();
    let serve = serve(&project, "", &[add(&project, "a", SOURCE, "limits = { concurrency = 1, queue = 1 }")]);
    let _held = open(&serve, "a", "/hold");
    wait_for(&serve, "holm_invocations_in_flight", 1.0);
    let queue = "holm_worker_queue{worker=\"a\",tenant=\"a\"}";
    let queued = open(&serve, "a", "/");
    wait_for(&serve, queue, 1.0);
    drop(queued);
    wait_for(&serve, queue, 0.0);
    let _queued = open(&serve, "a", "/");
    wait_for(&serve, queue, 1.0);
    assert_eq!(sheds(&serve, "a", "a", "worker_queue"), 0.0);
}

#[test]
fn a_request_that_waits_for_a_place_for_too_long_is_sent_away() {
    let project = Project::empty();
    let workers = [
        add(&project, "a", SOURCE, "tenant = \"acme\""),
        add(&project, "b", SOURCE, "tenant = \"acme\"\nlimits = { wall_ms = 200 }"),
    ];
    let serve = serve(&project, "tenant_concurrency = 1", &workers);
    let _held = open(&serve, "a", "/hold");
    wait_for(&serve, "holm_invocations_in_flight", 1.0);
    is_overloaded(&get(&serve, "b", "/?late"));
    let record = serve.invocation("/?late");
    assert!(record["error"].as_str().unwrap().contains("became free in time"), "{record}");
    assert!(record["queued_us"].as_u64().unwrap() >= 200_000, "{record}");
}

#[test]
fn the_workers_of_one_tenant_share_its_places_and_its_queue() {
    let project = Project::empty();
    let workers = [
        add(&project, "a", SOURCE, "tenant = \"acme\""),
        add(&project, "b", SOURCE, "tenant = \"acme\""),
        add(&project, "other", SOURCE, ""),
    ];
    let serve = serve(&project, "tenant_concurrency = 2\ntenant_queue = 1", &workers);
    let held = [(); 2].map(|()| open(&serve, "a", "/hold"));
    wait_for(&serve, "holm_invocations_in_flight", 2.0);
    let mut queued = open(&serve, "b", "/");
    wait_for(&serve, "holm_tenant_queue{tenant=\"acme\"}", 1.0);

    is_overloaded(&get(&serve, "b", "/"));
    is_overloaded(&get(&serve, "a", "/"));
    assert_eq!((sheds(&serve, "a", "acme", "tenant_queue"), sheds(&serve, "b", "acme", "tenant_queue")), (1.0, 1.0));
    assert_eq!(get(&serve, "other", "/").text(), "hello");
    drop(held);
    assert!(queued.read_until("hello").starts_with("HTTP/1.1 200"));
}

// --- isolates of one worker

#[test]
fn a_worker_whose_thread_is_the_bottleneck_gets_more_isolates_and_gives_them_back() {
    if std::thread::available_parallelism().unwrap().get() == 1 {
        return;
    }
    let project = Project::empty();
    let source = "export default { fetch() { let n = 0; for (let i = 0; i < 30_000_000; i++) n += i & 1; return new Response(String(n)); } };";
    let worker = add(&project, "a", source, "limits = { isolates_per_worker = 2 }");
    let serve = serve(&project, "cpu_ms = 10_000\nisolate_idle_seconds = 2", &[worker]);
    let serving = "holm_isolates{state=\"serving\"}";
    let until = Instant::now() + DEADLINE;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while serve.metric(serving) < 2.0 && Instant::now() < until {
                    assert_eq!(get(&serve, "a", "/").text(), "15000000");
                }
            });
        }
    });
    assert_eq!(serve.metric(serving), 2.0, "{}", serve.admin().get("/metrics").text());
    assert_eq!(serve.metric("holm_isolate_growths_total{worker=\"a\",tenant=\"a\"}"), 1.0);

    wait_for(&serve, serving, 0.0);
    assert_eq!(evictions(&serve, "a", "a", "superfluous"), 1.0);
    assert_eq!(evictions(&serve, "a", "a", "idle"), 1.0);
}

#[test]
fn a_worker_whose_invocations_sleep_has_one_isolate_however_many_they_are() {
    let project = Project::empty();
    let source = "let count = 0; export default { async fetch() { const number = ++count; await scheduler.wait(100); return new Response(String(number)); } };";
    let serve = serve(&project, "", &[add(&project, "a", source, "")]);
    let mut numbers: Vec<u32> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..32)
            .map(|_| {
                scope.spawn(|| (0..4).map(|_| get(&serve, "a", "/").text().parse().unwrap()).collect::<Vec<u32>>())
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=128).collect::<Vec<_>>(), "all in one isolate");
    assert_eq!(serve.metric("holm_isolate_growths_total{worker=\"a\",tenant=\"a\"}"), 0.0);
}

#[test]
fn a_worker_has_no_more_isolates_than_its_limit() {
    let project = Project::empty();
    let source = "let count = 0; export default { fetch() { let n = 0; for (let i = 0; i < 8_000_000; i++) n += i & 1; return new Response(String(++count)); } };";
    let worker = add(&project, "a", source, "limits = { isolates_per_worker = 1 }");
    let serve = serve(&project, "cpu_ms = 10_000", &[worker]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..16).for_each(|_| assert_eq!(get(&serve, "a", "/").status, 200)));
        }
    });
    assert_eq!(get(&serve, "a", "/").text(), "129");
}

// --- starts of isolates

#[test]
fn starts_are_rationed_and_what_their_queue_does_not_hold_is_sent_away() {
    let project = Project::empty();
    let slow = |name| add(&project, name, SLOW_START, "");
    let workers = [slow("a"), slow("b"), slow("c"), add(&project, "warm", SOURCE, "")];
    let serve = serve(&project, "startup_cpu_ms = 60_000\nisolate_starts = 1\nisolate_start_queue = 1", &workers);
    assert_eq!(get(&serve, "warm", "/").text(), "hello");

    let mut first = open(&serve, "a", "/");
    wait_for(&serve, "holm_isolates{state=\"serving\"}", 2.0);
    let mut second = open(&serve, "b", "/");
    wait_for(&serve, "holm_isolate_starts_waiting", 1.0);
    is_overloaded(&get(&serve, "c", "/"));
    assert_eq!(sheds(&serve, "c", "c", "isolate_starts"), 1.0);
    assert_eq!(get(&serve, "warm", "/").text(), "hello");

    for request in [&mut first, &mut second] {
        assert!(request.read_until("started number").starts_with("HTTP/1.1 200"));
    }
    assert_eq!(get(&serve, "c", "/").text(), "started number");
}

#[test]
fn the_starts_of_a_tenant_of_many_workers_leave_room_for_those_of_another() {
    let project = Project::empty();
    let slow = |name| add(&project, name, SLOW_START, "tenant = \"acme\"");
    let workers = [slow("a"), slow("b"), slow("c"), add(&project, "other", SOURCE, "")];
    let serve = serve(&project, "startup_cpu_ms = 60_000\nisolate_starts = 2", &workers);
    let mut starting = ["a", "b", "c"].map(|name| open(&serve, name, "/"));
    wait_for(&serve, "holm_isolate_starts_waiting", 2.0);
    assert_eq!(get(&serve, "other", "/").text(), "hello");
    assert!(serve.metric("holm_isolate_starts_waiting") >= 1.0, "the tenant's own still wait");
    for request in &mut starting {
        assert!(request.read_until("started number").starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn a_worker_that_fails_at_start_is_not_started_for_every_request() {
    let project = Project::empty();
    let serve = serve(&project, "", &[add(&project, "a", "throw new Error('not today');\nexport default {};", "")]);
    for _ in 0..50 {
        let answer = get(&serve, "a", "/");
        assert_eq!((answer.status, answer.error()), (500, "startup_failed"));
    }
    let of = "{worker=\"a\",tenant=\"a\"}";
    let failures = serve.metric(&format!("holm_isolate_start_failures_total{of}"));
    assert_eq!(failures + serve.metric(&format!("holm_isolate_back_offs_total{of}")), 50.0);
    // A pause of half a second at first, doubled each time: ten failures would take four minutes.
    assert!(failures < 10.0, "{failures}");

    project.write("a/index.js", SOURCE);
    wait_until(&serve, "a new version starts at once", || get(&serve, "a", "/").status == 200);
}

// --- cores

#[test]
fn busy_tenants_take_turns_on_the_cores_and_a_quiet_one_waits_for_none_of_them() {
    let project = Project::empty();
    let source = "export default { fetch(request) {
  if (new URL(request.url).pathname === '/quiet') return new Response('hello');
  let n = 0;
  for (let i = 0; i < 400_000_000; i++) n += i & 1;
  return new Response(String(n));
} };";
    let hogs = 4 + 4 * std::thread::available_parallelism().unwrap().get();
    let mut workers: Vec<_> = (0..hogs).map(|hog| add(&project, &format!("hog-{hog}"), source, "")).collect();
    workers.push(add(&project, "quiet", source, ""));
    let serve = serve(&project, "cpu_ms = 60_000", &workers);
    let cpu_us = |url: &str| serve.invocation(url)["cpu_us"].as_u64().unwrap();
    assert_eq!(get(&serve, "hog-0", "/?alone").text(), "200000000");
    assert_eq!(get(&serve, "quiet", "/quiet").text(), "hello");

    let waiting = "holm_isolates_waiting_for_core";
    let mut running: Vec<_> = (0..hogs).map(|hog| open(&serve, &format!("hog-{hog}"), &format!("/?{hog}."))).collect();
    wait_until(&serve, "more are busy than there are cores", || serve.metric(waiting) >= 2.0);
    assert_eq!(get(&serve, "quiet", "/quiet").text(), "hello");
    assert!(serve.metric(waiting) >= 1.0, "the quiet one has waited for all of the others");
    for request in &mut running {
        assert!(request.read_until("200000000").starts_with("HTTP/1.1 200"));
    }
    wait_for(&serve, waiting, 0.0);
    // What a turn waits for its next core is not charged; it is at least five times what it works.
    let charged: u64 = (0..hogs).map(|hog| cpu_us(&format!("/?{hog}."))).sum();
    assert!(charged < 3 * hogs as u64 * cpu_us("/?alone"), "{charged}");
}

// --- the end of isolates

#[test]
fn an_isolate_that_is_idle_for_too_long_ends() {
    let project = Project::empty();
    let workers = [add(&project, "a", SOURCE, ""), add(&project, "busy", SOURCE, "")];
    let serve = serve(&project, "isolate_idle_seconds = 1", &workers);
    assert_eq!(get(&serve, "a", "/count").text(), "1");
    assert_eq!(get(&serve, "busy", "/count").text(), "1");
    let _held = open(&serve, "busy", "/hold");
    wait_until(&serve, "a ends", || evictions(&serve, "a", "a", "idle") == 1.0);
    assert_eq!(get(&serve, "a", "/count").text(), "1");
    assert_eq!(get(&serve, "busy", "/count").text(), "2");
}

#[test]
fn isolates_that_hold_too_much_together_end_the_least_recently_used_first() {
    let project = Project::empty();
    let source = "let kept; let count = 0;
export default { fetch() { kept ??= new Uint8Array(25 << 20).fill(1); return new Response(String(++count)); } };";
    let names = ["a", "b", "c"];
    let workers = names.map(|name| add(&project, name, source, ""));
    let serve = serve(&project, "isolates_memory_mb = 64\ncpu_ms = 1_000", &workers);
    // Two of them fit beside each other, three do not.
    for name in names {
        assert_eq!(get(&serve, name, "/").text(), "1");
    }
    wait_until(&serve, "a ends", || evictions(&serve, "a", "a", "memory") == 1.0);
    assert_eq!(get(&serve, "c", "/").text(), "2", "the latest stays");
    wait_until(&serve, "they fit", || serve.metric("holm_isolate_memory_bytes") <= f64::from(64 << 20));
    assert_eq!(get(&serve, "a", "/").text(), "1");
}

#[test]
fn a_tenant_of_many_workers_ends_its_own_isolates_and_not_those_of_others() {
    let project = Project::empty();
    let workers = [
        add(&project, "a", SOURCE, "tenant = \"acme\""),
        add(&project, "b", SOURCE, "tenant = \"acme\""),
        add(&project, "other", SOURCE, ""),
    ];
    let serve = serve(&project, "tenant_isolates = 1", &workers);
    assert_eq!(get(&serve, "other", "/count").text(), "1");
    for _ in 0..3 {
        assert_eq!(get(&serve, "a", "/count").text(), "1");
        assert_eq!(get(&serve, "b", "/count").text(), "1");
    }
    assert_eq!(evictions(&serve, "a", "acme", "tenant_isolates"), 3.0);
    let _held = open(&serve, "b", "/hold");
    wait_for(&serve, "holm_invocations_in_flight", 1.0);
    is_overloaded(&get(&serve, "a", "/"));
    assert_eq!(sheds(&serve, "a", "acme", "tenant_isolates"), 1.0);
    assert_eq!(get(&serve, "other", "/count").text(), "2");
}

// --- budgets of routes

#[test]
fn a_route_may_have_a_cpu_budget_of_its_own() {
    let project = Project::empty();
    let source = "export default { fetch(request) {
  const turns = Number(new URL(request.url).searchParams.get('turns'));
  let n = 0;
  for (let i = 0; i < turns; i++) n += i & 1;
  return new Response(String(n));
} };";
    let routes = "limits = { cpu_ms = 100 }
routes = [
  { pattern = \"a.example/heavy/*\", limits = { cpu_ms = 20_000 } },
  { pattern = \"a.example/light/*\", limits = { cpu_ms = 5 } },
  \"a.example/plain/*\",
]";
    let serve = serve(&project, "cpu_ms = 20_000", &[add(&project, "a", source, routes)]);
    let budget_of = |path: &str| {
        let answer = get(&serve, "a", &format!("{path}?turns=1000000000000"));
        assert_eq!((answer.status, answer.error()), (503, "cpu_exceeded"), "{path}");
        serve.invocation(&format!("{path}?turns=1000000000000"))["error"].as_str().unwrap().to_owned()
    };
    assert!(budget_of("/light/x").contains("budget of 5 ms"));
    assert!(budget_of("/plain/x").contains("budget of 100 ms"));
    assert!(budget_of("/other").contains("budget of 100 ms"));
    // More than a tenth of a second on any machine there is.
    assert_eq!(get(&serve, "a", "/heavy/x?turns=500000000").text(), "250000000");
    assert_eq!(get(&serve, "a", "/plain/x?turns=500000000").error(), "cpu_exceeded");
}
