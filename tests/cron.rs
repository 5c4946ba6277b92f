//! Scheduled events: fired by the clock in `holm dev` and `holm serve`, told of on the admin listener, kept over restarts.

mod support;

use std::time::Instant;
use std::time::SystemTime;

use serde_json::Value;
use serde_json::json;
use support::DEADLINE;
use support::process::Dev;
use support::process::Serve;
use support::project::Project;
use support::project::config;

const MINUTE: u64 = 60_000;

/// Says what it was called with; the trigger decides how it ends.
const SOURCE: &str = r#"
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export default {
  fetch: () => new Response("fine"),
  async scheduled(controller, env, ctx) {
    const { cron, scheduledTime } = controller;
    console.log(`event ${JSON.stringify({ cron, scheduledTime, name: env.NAME, keys: Object.keys(ctx).length })}`);
    controller.noRetry();
    await sleep(5);
    ctx.waitUntil(sleep(5).then(() => console.log(`waited for ${cron}`)));
    if (cron === "throws") throw new Error("no luck");
    if (cron === "rejects") ctx.waitUntil(Promise.reject(new Error("late")));
    if (cron === "never") await new Promise(() => {});
  },
};
"#;

fn project(crons: &[&str]) -> Project {
    let project = Project::worker(SOURCE);
    project.write("wrangler.jsonc", &triggers("cron", crons));
    project
}

fn triggers(name: &str, crons: &[&str]) -> String {
    config(name, &format!("\"vars\": {{ \"NAME\": \"{name}\" }}, \"triggers\": {{ \"crons\": {} }},", json!(crons)))
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64
}

fn crons(serve: &Serve) -> Vec<Value> {
    serve.admin().get("/crons").json()["workers"].as_array().unwrap().clone()
}

fn wait_for<T>(about: &str, mut found: impl FnMut() -> Option<T>) -> T {
    // A trigger that fires each minute may have just done so.
    let until = Instant::now() + DEADLINE + std::time::Duration::from_secs(60);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < until, "{about}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn dev_runs_a_scheduled_event_when_it_is_asked_to_and_says_how_it_ended() {
    let project = project(&[]);
    let dev = Dev::start(project.path(), &[]);
    let run = |path: &str| {
        let answer = dev.client().get(path);
        (answer.status, answer.text())
    };
    let ok = (200, "ok".to_owned());
    assert_eq!(run("/cdn-cgi/local/scheduled?cron=0+9+*+*+1&time=1700000000000"), ok);
    dev.output().wait_for(r#"^event \{"cron":"0 9 \* \* 1","scheduledTime":1700000000000,"name":"cron","keys":0\}$"#);
    dev.output().wait_for(r"^waited for 0 9 \* \* 1$");
    dev.output().wait_for(r"^CRON 0 9 \* \* 1 ok \d");
    for path in ["/__scheduled", "/cdn-cgi/handler/scheduled", "/cdn-cgi/mf/scheduled?cron=a"] {
        assert_eq!(run(path), ok, "{path}");
    }
    for (cron, outcome) in [("throws", "exception"), ("rejects", "exception"), ("never", "hung")] {
        assert_eq!(run(&format!("/cdn-cgi/local/scheduled?cron={cron}")), (500, outcome.to_owned()), "{cron}");
    }
    dev.output().wait_for("^Error: no luck$");
    assert_eq!(run("/scheduled"), (200, "fine".to_owned()));
}

#[test]
fn a_service_worker_listens_for_scheduled_events() {
    let project = Project::worker(
        r#"
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
addEventListener("scheduled", (event) => {
  const { cron, scheduledTime, type, isTrusted } = event;
  console.log(`event ${JSON.stringify({ cron, scheduledTime, type, isTrusted, name: NAME, is: event.constructor.name === "ScheduledEvent" })}`);
  event.noRetry();
  event.waitUntil(sleep(5).then(() => console.log(`waited for ${cron}`)));
  if (cron === "throws") throw new Error("no luck");
  if (cron === "rejects") event.waitUntil(Promise.reject(new Error("late")));
});
"#,
    );
    project.write("wrangler.jsonc", &triggers("cron", &[]));
    let dev = Dev::start(project.path(), &[]);
    let run = |cron: &str| {
        let answer = dev.client().get(&format!("/cdn-cgi/local/scheduled?cron={cron}&time=1700000000000"));
        (answer.status, answer.text())
    };
    assert_eq!(run("0+9+*+*+1"), (200, "ok".to_owned()));
    dev.output().wait_for(
        r#"^event \{"cron":"0 9 \* \* 1","scheduledTime":1700000000000,"type":"scheduled","isTrusted":true,"name":"cron","is":true\}$"#,
    );
    dev.output().wait_for(r"^waited for 0 9 \* \* 1$");
    for cron in ["throws", "rejects"] {
        assert_eq!(run(cron), (500, "exception".to_owned()), "{cron}");
    }
    dev.output().wait_for("^Error: no luck$");
    // It has no listener of requests.
    assert_eq!(dev.client().get("/").status, 500);
}

#[test]
fn a_worker_without_a_handler_says_so() {
    let project = Project::worker("export default { fetch: () => new Response('fine') };");
    let dev = Dev::start(project.path(), &[]);
    assert_eq!(dev.client().get("/__scheduled").status, 500);
    dev.output().wait_for(r"Handler does not export a scheduled\(\) function\.");
}

#[test]
fn triggers_fire_in_dev_and_follow_a_save() {
    let project = project(&["* * * * *"]);
    let dev = Dev::start(project.path(), &[]);
    let began = now();
    // Unless the minute turned just now, it does so within a minute.
    wait_for("the trigger has fired", || dev.output().text().contains("event {").then_some(()));
    let event: Value = serde_json::from_str(&dev.output().wait_for(r"^event (\{.*\})$")).unwrap();
    dev.output().wait_for(r"^waited for \* \* \* \* \*$");
    let scheduled = event["scheduledTime"].as_u64().unwrap();
    assert_eq!(scheduled % MINUTE, 0);
    assert!(scheduled + MINUTE >= began && scheduled <= now(), "{event}");
    project.write("wrangler.jsonc", &triggers("cron", &["61 * * * *"]));
    dev.output().wait_for("is no cron expression");
}

#[test]
fn a_server_fires_triggers_counts_them_and_keeps_what_has_run() {
    let project = Project::empty();
    project.write("a/wrangler.jsonc", &triggers("a", &["* * * * *", "CRON_TZ=Asia/Tokyo 0 9 1 1 *"]));
    project.write("a/index.js", SOURCE);
    // The last run of another process, some minutes ago.
    let last = now() / MINUTE * MINUTE - 3 * MINUTE;
    project.write("state/a+a.json", &json!({ "runs": [], "last": { "* * * * *": last } }).to_string());
    project.write(
        "holm.toml",
        "[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[cron]\nstate = \"state\"\nmissed = \"run-once\"\n\
         [[worker]]\nproject = \"a\"\nhostnames = [\"a.example\"]\n",
    );
    let serve = Serve::start(&project.file("holm.toml"));
    let runs = wait_for("what was missed is run once", || {
        let runs = crons(&serve)[0]["runs"].as_array().unwrap().clone();
        runs.iter().any(|run| run["state"] == "ended").then_some(runs)
    });
    let worker = &crons(&serve)[0];
    assert_eq!((&worker["name"], &worker["tenant"]), (&json!("a"), &json!("a")));
    assert_eq!(worker["policy"], json!({ "missed": "run-once", "overlap": "skip" }));
    // 09:00 in Tokyo is midnight in UTC.
    let yearly = worker["triggers"][1]["next"].as_u64().unwrap();
    assert_eq!(yearly % (24 * 60 * MINUTE), 0);
    let ended = runs.iter().find(|run| run["state"] == "ended").unwrap();
    assert_eq!((&ended["outcome"], &ended["cron"]), (&json!("ok"), &json!("* * * * *")));
    assert!(runs.iter().filter(|run| run["state"] == "skipped" && run["why"] == "missed").count() >= 2, "{runs:?}");
    let record = wait_for("the run's line", || serve.records().into_iter().find(|record| record["method"] == "CRON"));
    assert_eq!((&record["url"], &record["outcome"]), (&json!("* * * * *"), &json!("ok")));
    assert!(serve.metric("holm_requests_total{worker=\"a\",tenant=\"a\",outcome=\"ok\"}") >= 1.0);

    // The process that takes over knows what has run, and runs none of it again.
    let mark = serve.output().mark();
    serve.process.signal("USR2");
    serve.output().wait_since(mark, "the replaced process has ended");
    let scheduled = |runs: &[Value]| runs.iter().map(|run| run["scheduled"].as_u64().unwrap()).collect::<Vec<_>>();
    let after = crons(&serve)[0]["runs"].as_array().unwrap().clone();
    let mut times = scheduled(&after);
    assert!(scheduled(&runs).iter().all(|time| times.contains(time)), "{after:?}");
    let count = times.len();
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), count, "{after:?}");
}

#[test]
fn what_is_wrong_with_cron_is_an_error_before_anything_is_bound() {
    let project = Project::empty();
    project.write("a/wrangler.jsonc", &triggers("a", &["* * * *"]));
    project.write("a/index.js", SOURCE);
    let toml = |more: &str| {
        format!("[server]\nhttp = \"127.0.0.1:0\"\n{more}\n[[worker]]\nproject = \"a\"\nhostnames = [\"a.example\"]\n")
    };
    project.write("holm.toml", &toml(""));
    let refused = Serve::refused(&project.file("holm.toml"));
    assert_eq!(refused.code, Some(78));
    assert!(
        refused.output.contains("is no cron expression") && refused.output.contains("has 4 fields"),
        "{}",
        refused.output
    );
    project.write("holm.toml", &toml("[cron]\nmissed = \"later\""));
    let refused = Serve::refused(&project.file("holm.toml"));
    assert_eq!(refused.code, Some(78));
    assert!(refused.output.contains("run-once"), "{}", refused.output);
}
