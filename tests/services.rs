//! Service bindings between the workers of a server: who can call whom, what each call costs, and that nobody waits for ever.

mod support;

use std::time::Instant;

use bytes::Bytes;
use support::DEADLINE;
use support::client::Answer;
use support::client::get;
use support::process::Serve;
use support::process::run;
use support::project::Project;
use support::project::config;
use support::raw::Raw;

const SERVER: &str = "[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n";

const GREETER: &str =
    "export default { fetch: (request) => new Response(`greeter: ${new URL(request.url).pathname}`) };";

/// Passes requests on to `env.OTHER`.
const CALLER: &str = "export default { async fetch(request, env) {
  try {
    return await env.OTHER.fetch(request);
  } catch (error) {
    return new Response(`caught: ${error.message}`, { status: 502 });
  }
} };";

/// A project called `name`, and its table in `holm.toml`.
fn add(project: &Project, name: &str, source: &str, services: &str, more: &str) -> String {
    let services = format!("\"services\": [{services}],");
    project.write(&format!("{name}/wrangler.jsonc"), &config(name, &services));
    project.write(&format!("{name}/index.js"), source);
    format!("[[worker]]\nproject = \"{name}\"\nhostnames = [\"{name}.example\"]\n{more}\n")
}

fn serve(project: &Project, limits: &str, workers: &[String]) -> Serve {
    project.write("holm.toml", &format!("{SERVER}[limits]\n{limits}\n{}", workers.concat()));
    Serve::start(&project.file("holm.toml"))
}

fn ask(serve: &Serve, worker: &str, path: &str) -> Answer {
    serve.http().get_at(&format!("{worker}.example"), path)
}

fn to(service: &str) -> String {
    format!("{{ \"binding\": \"OTHER\", \"service\": \"{service}\" }}")
}

// --- who can call whom

#[test]
fn workers_of_one_tenant_call_each_other() {
    let project = Project::empty();
    let workers = [
        add(&project, "caller", CALLER, &to("greeter"), "tenant = \"acme\""),
        add(&project, "greeter", GREETER, "", "tenant = \"acme\""),
    ];
    let serve = serve(&project, "", &workers);
    assert_eq!(ask(&serve, "caller", "/path").text(), "greeter: /path");
}

#[test]
fn a_service_that_does_not_exist_is_an_error_of_the_configuration_with_key_file_and_line() {
    let project = Project::empty();
    let worker = add(&project, "caller", CALLER, &to("nobody"), "");
    project.write("holm.toml", &format!("{SERVER}{worker}"));
    let ended = run(["serve".as_ref(), "--check".as_ref(), "--config".as_ref(), project.file("holm.toml").as_os_str()]);
    assert_eq!(ended.code, Some(78), "{}", ended.output);
    let expected =
        "`services[0].service` of the worker `caller` names `nobody`, which is no worker of its tenant, `caller`";
    assert!(ended.output.contains(expected), "{}", ended.output);
    assert!(regex::Regex::new(r"caller/wrangler\.jsonc:\d+:\d+").unwrap().is_match(&ended.output), "{}", ended.output);
}

#[test]
fn workers_of_other_tenants_cannot_be_named() {
    let project = Project::empty();
    let workers = [
        add(&project, "caller", CALLER, &to("greeter"), "tenant = \"acme\""),
        add(&project, "greeter", GREETER, "", "tenant = \"globex\""),
    ];
    project.write("holm.toml", &format!("{SERVER}{}", workers.concat()));
    let ended = Serve::refused(&project.file("holm.toml"));
    assert_eq!(ended.code, Some(78), "{}", ended.output);
    assert!(ended.output.contains("`greeter` is of the tenant `globex`"), "{}", ended.output);
}

#[test]
fn a_bundle_keeps_its_service_bindings() {
    let project = Project::empty();
    add(&project, "caller", CALLER, &to("greeter"), "");
    let greeter = add(&project, "greeter", GREETER, "", "tenant = \"acme\"");
    let built =
        run(["build".as_ref(), project.file("caller").as_os_str(), "-o".as_ref(), project.file("built").as_os_str()]);
    assert_eq!(built.code, Some(0), "{}", built.output);
    let caller = "[[worker]]\nbundle = \"built\"\nhostnames = [\"caller.example\"]\ntenant = \"acme\"\n".to_owned();
    let serve = serve(&project, "", &[caller, greeter]);
    assert_eq!(ask(&serve, "caller", "/built").text(), "greeter: /built");
}

#[test]
fn a_message_has_at_most_32_mib() {
    const SENDER: &str = "export default { async fetch(request, env) {
  const size = await env.OTHER.size(new Uint8Array(31 << 20));
  const refused = await env.OTHER.size(new Uint8Array(33 << 20)).catch((error) => `${error.name}: ${error.message}`);
  return new Response(`${size} ${refused}`);
} };";
    const RECEIVER: &str = "import { WorkerEntrypoint } from 'cloudflare:workers';
export default class extends WorkerEntrypoint { size(bytes) { return bytes.length; } };";
    let project = Project::empty();
    let workers = [
        add(&project, "caller", SENDER, &to("receiver"), "tenant = \"acme\""),
        add(&project, "receiver", RECEIVER, "", "tenant = \"acme\""),
    ];
    let serve = serve(&project, "cpu_ms = 20_000\nmemory_mb = 512", &workers);
    let text = ask(&serve, "caller", "/").text();
    let limited = "32505856 DataCloneError: Serialized RPC arguments or return values are limited to 32MiB";
    assert!(text.starts_with(limited), "{text}");
}

#[test]
fn a_new_version_of_a_service_is_called_as_soon_as_it_is_in_force() {
    let project = Project::empty();
    let workers = [
        add(&project, "caller", CALLER, &to("greeter"), "tenant = \"acme\""),
        add(&project, "greeter", GREETER, "", "tenant = \"acme\""),
    ];
    let serve = serve(&project, "", &workers);
    assert_eq!(ask(&serve, "caller", "/").text(), "greeter: /");
    project.write("greeter/index.js", "export default { fetch: () => new Response('another') };");
    let until = Instant::now() + DEADLINE;
    while ask(&serve, "caller", "/").text() != "another" {
        assert!(Instant::now() < until, "{}", serve.output().text());
    }
}

// --- what a call costs

#[test]
fn a_call_is_an_invocation_with_a_record_and_subrequests_of_its_own() {
    let project = Project::empty();
    let callee = "import { WorkerEntrypoint } from 'cloudflare:workers';
export default class extends WorkerEntrypoint {
  fetch() { for (const end = performance.now(), n = { i: 0 }; n.i < 60_000_000; n.i++); return new Response('spun'); }
  spin() { for (let i = 0; i < 60_000_000; i++); return 'spun'; }
}";
    let caller = "export default { async fetch(request, env) {
  const { pathname } = new URL(request.url);
  if (pathname === '/limit') {
    const errors = [];
    for (let n = 0; n < 4; n++) await env.OTHER.fetch(request).then((r) => r.text()).catch((error) => errors.push(error.message));
    return Response.json(errors);
  }
  await (await env.OTHER.fetch('http://x/fetched')).text();
  return new Response(await env.OTHER.spin());
} };";
    let workers = [
        add(&project, "caller", caller, &to("callee"), "tenant = \"acme\"\nlimits = { subrequests = 3 }"),
        add(&project, "callee", callee, "", "tenant = \"acme\"\nlimits = { cpu_ms = 5000 }"),
    ];
    let serve = serve(&project, "cpu_ms = 5000", &workers);
    assert_eq!(ask(&serve, "caller", "/both").text(), "spun");
    let (own, fetched, spun) = (serve.invocation("/both"), serve.invocation("x/fetched"), serve.invocation("/spin"));
    let name = |record: &serde_json::Value| (record["worker"].clone(), record["outcome"].clone());
    assert_eq!(name(&own), ("caller".into(), "ok".into()), "{own}");
    assert_eq!(name(&fetched), ("callee".into(), "ok".into()), "{fetched}");
    assert_eq!(name(&spun), ("callee".into(), "ok".into()), "{spun}");
    assert_eq!((&own["subrequests"], &fetched["subrequests"]), (&2.into(), &0.into()), "{own} {fetched}");
    // Each is charged with its own time; what the callee does is nothing to the caller.
    let cpu = |record: &serde_json::Value| record["cpu_us"].as_u64().unwrap();
    assert!(cpu(&fetched) > 3 * cpu(&own) && cpu(&spun) > 3 * cpu(&own), "{own} {fetched} {spun}");
    // One id for all that a request has led to.
    assert_eq!((&own["request_id"], &own["request_id"]), (&fetched["request_id"], &spun["request_id"]));
    assert_eq!(ask(&serve, "caller", "/limit").text(), "[\"Too many subrequests.\"]");
}

#[test]
fn a_callee_that_fails_fails_alone() {
    let project = Project::empty();
    let callee = "import { WorkerEntrypoint } from 'cloudflare:workers';
const hoard = [];
export default class extends WorkerEntrypoint {
  async fetch(request) {
    switch (new URL(request.url).pathname) {
      case '/throws': throw new Error('its own fault');
      case '/loops': for (;;);
      case '/grows': for (;;) hoard.push(new Array(100_000).fill(1));
      case '/hangs': return new Promise(() => {});
      case '/breaks': return new Response(new ReadableStream({ start(c) { c.enqueue(new Uint8Array(10)); setTimeout(() => c.error(new Error('broken')), 1); } }));
      default: return new Response('fine');
    }
  }
}";
    let caller = "export default { async fetch(request, env) {
  const seen = [];
  for (const path of ['throws', 'loops', 'grows', 'hangs', 'breaks', 'fine']) {
    seen.push(await env.OTHER.fetch(`http://x/${path}`).then((r) => r.text()).catch((error) => error.message));
  }
  return Response.json(seen);
} };";
    let workers = [
        add(&project, "caller", caller, &to("callee"), "tenant = \"acme\""),
        add(&project, "callee", callee, "", "tenant = \"acme\"\nlimits = { memory_mb = 64 }"),
    ];
    let serve = serve(&project, "cpu_ms = 5000", &workers);
    let seen = ask(&serve, "caller", "/").json();
    let seen: Vec<&str> = seen.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(seen[0], "its own fault");
    assert!(seen[1].contains("(cpu_exceeded)"), "{seen:?}");
    assert!(seen[2].contains("(memory_exceeded)"), "{seen:?}");
    assert!(seen[3].contains("(hung)"), "{seen:?}");
    assert!(!seen[4].is_empty() && seen[5] == "fine", "{seen:?}");
    let outcomes =
        ["/throws", "/loops", "/grows", "/hangs", "/breaks"].map(|path| serve.invocation(path)["outcome"].clone());
    assert_eq!(outcomes, ["exception", "cpu_exceeded", "memory_exceeded", "hung", "exception"]);
}

// --- nobody waits for ever

#[test]
fn workers_that_call_each_other_do_not_wait_for_places_that_their_callers_hold() {
    let project = Project::empty();
    let recursive = "export default { async fetch(request, env) {
  const n = Number(new URL(request.url).searchParams.get('n'));
  return n === 0 ? new Response('the end') : env.OTHER.fetch(`http://x/?n=${n - 1}`);
} };";
    let workers = [
        add(&project, "ping", recursive, &to("pong"), "tenant = \"acme\"\nlimits = { concurrency = 1, queue = 1000 }"),
        add(&project, "pong", recursive, &to("ping"), "tenant = \"acme\"\nlimits = { concurrency = 1, queue = 1000 }"),
        add(&project, "own", recursive, &to("own"), "tenant = \"acme\"\nlimits = { concurrency = 1, queue = 1000 }"),
    ];
    let serve = serve(&project, "tenant_concurrency = 1\ntenant_queue = 1000", &workers);
    let answers = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..30)
            .map(|index| {
                scope.spawn({
                    let serve = &serve;
                    move || ask(serve, ["ping", "own"][index % 2], "/?n=16").text()
                })
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(answers, vec!["the end"; 30]);
}

#[test]
fn a_service_without_room_is_an_exception_of_the_caller() {
    let project = Project::empty();
    let workers = [
        add(&project, "caller", CALLER, &to("greeter"), "tenant = \"acme\""),
        add(&project, "greeter", GREETER, "", "tenant = \"acme\""),
    ];
    let serve = serve(&project, "tenant_isolates = 1", &workers);
    let answer = ask(&serve, "caller", "/");
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("(overloaded)") && answer.text().contains("tenant_isolates"), "{}", answer.text());
}

#[test]
fn a_client_that_leaves_ends_the_whole_chain() {
    let project = Project::empty();
    let callee = "export default { fetch(request) {
  request.signal.addEventListener('abort', () => console.log('the callee hears of it'));
  let n = 0;
  return new Response(new ReadableStream({ async pull(c) { await scheduler.wait(5); c.enqueue(new TextEncoder().encode(`line ${n++}\\n`)); } }));
} };";
    let workers = [
        add(&project, "caller", CALLER, &to("middle"), "tenant = \"acme\""),
        add(&project, "middle", CALLER, &to("callee"), "tenant = \"acme\""),
        add(&project, "callee", callee, "", "tenant = \"acme\""),
    ];
    let serve = serve(&project, "", &workers);
    let mut client = Raw::connect(serve.http().address);
    client.write("GET /endless HTTP/1.1\r\nHost: caller.example\r\n\r\n");
    client.read_until("line 5");
    drop(client);
    serve.output().wait_for("the callee hears of it");
    let until = Instant::now() + DEADLINE;
    while serve.metric("holm_invocations_in_flight") > 0.0 {
        assert!(Instant::now() < until, "{}", serve.output().text());
    }
}

#[test]
fn what_is_in_flight_can_call_services_while_the_server_drains() {
    let project = Project::empty();
    let slow = "export default { async fetch(request, env) {
  console.log('the caller waits');
  await scheduler.wait(300);
  return env.OTHER.fetch(request);
} };";
    let workers = [
        add(&project, "caller", slow, &to("greeter"), "tenant = \"acme\""),
        add(&project, "greeter", GREETER, "", "tenant = \"acme\""),
    ];
    let serve = serve(&project, "", &workers);
    let request = get("/late").header("host", "caller.example").body(Bytes::new()).unwrap();
    let client = serve.http();
    let answer = std::thread::scope(|scope| {
        let answer = scope.spawn(move || client.send(request));
        serve.output().wait_for("the caller waits");
        serve.process.signal("TERM");
        answer.join().unwrap()
    });
    assert_eq!(answer.text(), "greeter: /late");
}

// --- sessions beside each other

const TALKATIVE: &str = "import { RpcTarget, WorkerEntrypoint } from 'cloudflare:workers';
class Account extends RpcTarget {
  #sum = 0;
  #tell;
  constructor(tell) { super(); this.#tell = tell.dup(); }
  async add(n) { this.#sum += n; await this.#tell(this.#sum); return this.#sum; }
  [Symbol.dispose]() { this.#tell[Symbol.dispose](); }
}
export default class extends WorkerEntrypoint {
  open(tell) { return new Account(tell); }
  repeat(text, times) {
    return new ReadableStream({ type: 'bytes', pull(c) { if (times-- > 0) c.enqueue(new TextEncoder().encode(text)); else c.close(); } });
  }
  async forever() { await scheduler.wait(60_000); }
}";

#[test]
fn many_sessions_at_once_do_not_mix_and_leave_nothing_behind() {
    let project = Project::empty();
    let caller = "export default { async fetch(request, env) {
  const own = Number(new URL(request.url).searchParams.get('own'));
  const told = [];
  using account = await env.OTHER.open((sum) => { told.push(sum); });
  for (let n = 0; n < 5; n++) await account.add(own);
  const text = await new Response(await env.OTHER.repeat(`${own};`, 20)).text();
  return Response.json({ told, text: text === `${own};`.repeat(20) });
} };";
    let workers = [
        add(&project, "caller", caller, &to("talkative"), "tenant = \"acme\""),
        add(&project, "talkative", TALKATIVE, "", "tenant = \"acme\""),
    ];
    let serve = serve(&project, "cpu_ms = 5000", &workers);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let serve = &serve;
            scope.spawn(move || {
                for round in 0..10 {
                    let own = client * 100 + round + 1;
                    let answer = ask(serve, "caller", &format!("/?own={own}")).json();
                    let told: Vec<_> = (1..=5).map(|n| n * own).collect();
                    assert_eq!(answer, serde_json::json!({ "told": told, "text": true }));
                }
            });
        }
    });
    let until = Instant::now() + DEADLINE;
    while serve.metric("holm_invocations_in_flight") > 0.0 {
        assert!(Instant::now() < until, "{}", serve.admin().get("/metrics").text());
    }
}

#[test]
fn a_caller_that_is_ended_ends_what_it_has_called() {
    let project = Project::empty();
    let caller = "export default { async fetch(request, env) {
  const call = env.OTHER.forever();
  const account = await env.OTHER.open(() => {});
  for (;;) await account.add(1).then(() => { for (let i = 0; i < 10_000_000; i++); });
} };";
    let workers = [
        add(&project, "caller", caller, &to("talkative"), "tenant = \"acme\"\nlimits = { cpu_ms = 200 }"),
        add(&project, "talkative", TALKATIVE, "", "tenant = \"acme\""),
    ];
    let serve = serve(&project, "cpu_ms = 5000", &workers);
    let answer = ask(&serve, "caller", "/");
    assert_eq!((answer.status, answer.error()), (503, "cpu_exceeded"));
    assert_eq!(serve.invocation("/forever")["outcome"], "client_gone");
    let until = Instant::now() + DEADLINE;
    while serve.metric("holm_invocations_in_flight") > 0.0 {
        assert!(Instant::now() < until, "{}", serve.admin().get("/metrics").text());
    }
}
