//! What a script replaces of the language and of the platform, one object at a time and all at once: the platform goes on for
//! the requests after it. `polluter/index.js` is the worker.

use serde_json::Value;

use crate::case::Case;
use crate::case::module;
use crate::stage::Stage;

const WORKER: &str = include_str!("polluter/index.js");

pub fn cases() -> Vec<Case> {
    let case = |name, run| {
        module("ISO-01", name, WORKER)
            .limits("cpu_ms = 5_000, startup_cpu_ms = 5_000, subrequests = 1_000, wall_ms = 20_000")
            .scenario(run)
    };
    vec![
        case("one object after the other replaced", |stage, host| one_by_one(stage, host, "")),
        case("one object after the other with getters", |stage, host| one_by_one(stage, host, "&accessors")).full(),
        case("everything replaced", |stage, host| all_at_once(stage, host, &["all", "all&accessors", "options"])),
    ]
}

fn list(stage: &Stage, host: &str, path: &str) -> Result<Vec<String>, String> {
    let answer = stage.get(host, path)?;
    match answer.status {
        200 => Ok(answer
            .json()
            .as_array()
            .into_iter()
            .flatten()
            .map(|name: &Value| name.as_str().unwrap_or_default().to_owned())
            .collect()),
        _ => Err(format!("{path}: {answer:?} {}", answer.text())),
    }
}

fn told(stage: &Stage, host: &str, path: &str) -> Result<String, String> {
    let answer = stage.get(host, path)?;
    let exact = answer.status == 201 && answer.header("x-answer") == "exact";
    Ok(if exact { answer.text() } else { format!("{} {} {:.200}", answer.status, answer.error(), answer.text()) })
}

fn one_by_one(stage: &Stage, host: &str, mode: &str) -> Result<(), String> {
    let targets = list(stage, host, "/targets")?;
    assert!(targets.len() > 250, "the search for intrinsics found only {}", targets.len());
    let what: Vec<(String, String)> =
        targets.iter().enumerate().map(|(index, name)| (format!("{index}{mode}"), name.clone())).collect();
    check(stage, host, &what)
}

fn all_at_once(stage: &Stage, host: &str, modes: &[&str]) -> Result<(), String> {
    check(stage, host, &modes.iter().map(|mode| ((*mode).to_owned(), (*mode).to_owned())).collect::<Vec<_>>())
}

/// What a check said, and which replacements were called meanwhile.
type Told = Vec<(String, String, String)>;

fn run(stage: &Stage, host: &str) -> Result<Told, String> {
    let text = told(stage, host, "/run")?;
    let line = |line: &str| {
        let mut parts = line.splitn(3, '\u{1}').map(str::to_owned);
        Some((parts.next()?, parts.next()?, parts.next()?))
    };
    let lines: Told = text.split('\u{2}').filter_map(line).collect();
    if lines.is_empty() { Err(text) } else { Ok(lines) }
}

/// Pollutes, runs all checks, puts back, for each of `what`.
fn check(stage: &Stage, host: &str, what: &[(String, String)]) -> Result<(), String> {
    let expected = run(stage, host)?;
    if let Some((name, told, _)) =
        expected.iter().find(|(_, told, called)| told.starts_with("failed") || !called.is_empty())
    {
        return Err(format!("{name}, without any pollution: {told}"));
    }
    let mut wrong = Vec::new();
    for (query, name) in what {
        let polluted = told(stage, host, &format!("/pollute?{query}"))?;
        if polluted != "polluted" {
            wrong.push(format!("{name}: {polluted}"));
        }
        match run(stage, host) {
            Ok(lines) => {
                for ((check, now, called), (_, before, _)) in lines.iter().zip(&expected) {
                    if now != before && !accepted(name, check) {
                        wrong.push(format!("{name}, {check}: {now:.400} (called: {called:.200})"));
                    }
                }
            }
            Err(text) => wrong.push(format!("{name}: {text:.400}")),
        }
        told(stage, host, "/restore")?;
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Where the language itself, or a script below the shims, looks up what a script can replace; the harm stays in the
/// isolate.
fn accepted(name: &str, check: &str) -> bool {
    // A value that a promise is resolved with is asked for `then`; these streams resolve promises with promises.
    const THENABLES: [&str; 4] = ["transform", "identity", "compression", "fetchstream"];
    // deno_web's dispatch asks the event for its type, by the public getter.
    const EVENTS: [&str; 3] = ["event", "abort", "message"];
    match name {
        "globalThis.Promise.prototype" => THENABLES.contains(&check),
        "globalThis.Event.prototype" => EVENTS.contains(&check),
        // deno_web's compression stands on the public transform stream.
        "globalThis.TransformStream.prototype" | "globalThis.TransformStreamDefaultController.prototype" => {
            check == "compression"
        }
        // The standard's structured clone asks an error for its name.
        "globalThis.RangeError.prototype" => check == "cloneerror",
        // deno_web's compression gives its transform stream a plain object; deno_crypto writes a key's algorithm into one.
        "options" => check == "compression" || check == "keys",
        "all" | "all&accessors" => THENABLES.contains(&check) || EVENTS.contains(&check) || check == "cloneerror",
        _ => false,
    }
}
