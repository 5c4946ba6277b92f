//! What user code can reach: every global, by a golden list, and nothing of the engine's insides, by a crawl.
//!
//! `HOLM_BLESS=1 cargo test --release --workspace --test globals` writes the list anew.

mod support;

use std::path::Path;

use support::process::Dev;
use support::project::Project;

const NAMES: &str = r#"
const names = [];
for (let target = globalThis; target !== null; target = Object.getPrototypeOf(target)) {
  const level = target === globalThis ? "" : `${target.constructor?.name}.prototype `;
  if (target === Object.prototype) break;
  for (const key of Reflect.ownKeys(target)) {
    const { get, value, enumerable } = Object.getOwnPropertyDescriptor(target, key);
    const type = get === undefined ? typeof value : `${typeof globalThis[key]} (getter)`;
    names.push(`${level}${String(key)}: ${type}${enumerable ? ", enumerable" : ""}`);
  }
}

export default {
  fetch: () => new Response(names.sort().join("\n") + "\n"),
};
"#;

/// Breadth first over own properties, prototypes and what getters answer.
const CRAWL: &str = r#"
const suspicious = (key) => /^(op_|deno|ext:|__|core$|internals?$|primordials$|bootstrap|holm)/i.test(key) || /^Deno\b/.test(key);
// In the language since its beginning.
const accepted = new Set([
  "__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__",
  // Registered symbols, which anyone can make: how an object is printed, and that it cannot be cloned.
  "Deno.privateCustomInspect", "Deno.core.hostObject",
]);

function crawl(roots) {
  const seen = new Set();
  const found = [];
  const queue = roots.map(([path, value]) => [path, value, 0]);
  const visit = (path, value, depth) => {
    if ((typeof value === "object" && value !== null) || typeof value === "function") queue.push([path, value, depth]);
  };
  for (let at = 0; at < queue.length; at++) {
    const [path, value, depth] = queue[at];
    if (seen.has(value) || depth > 8) continue;
    seen.add(value);
    if (typeof value === "function" && suspicious(value.name) && !accepted.has(value.name)) found.push(`${path} is the function ${value.name}`);
    visit(`${path}.[[Prototype]]`, Object.getPrototypeOf(value), depth + 1);
    for (const key of Reflect.ownKeys(value)) {
      const name = typeof key === "symbol" ? key.description ?? "" : key;
      const here = `${path}.${String(key)}`;
      if (suspicious(name) && !accepted.has(name)) found.push(here);
      const descriptor = Object.getOwnPropertyDescriptor(value, key);
      visit(`get ${here}`, descriptor.get, depth + 1);
      visit(`set ${here}`, descriptor.set, depth + 1);
      try {
        visit(here, value[key], depth + 1);
      } catch {
        // A getter that wants another receiver.
      }
    }
  }
  return { found, seen: seen.size };
}

export default {
  async fetch(request, env, ctx) {
    const key = await crypto.subtle.importKey("raw", new Uint8Array(16), "AES-GCM", false, ["encrypt"]);
    const { readable, writable } = new TransformStream();
    const errors = [];
    for (const fail of [() => new Headers().get(), () => structuredClone(() => {}), () => atob("ä"), () => new URL("x")]) {
      try {
        fail();
      } catch (error) {
        errors.push(error);
      }
    }
    const roots = {
      globalThis, request, env, ctx, key, readable, writable, errors,
      body: new Response("x").body,
      reader: new Response("x").body.getReader(),
      byob: new Response("x").body.getReader({ mode: "byob" }),
      iterator: new Headers({ a: "1" }).entries(),
      params: new URLSearchParams("a=1").entries(),
      form: new FormData().entries(),
      promise: crypto.subtle.digest("SHA-256", new Uint8Array(1)),
      response: new Response("x"),
      signal: request.signal,
      blob: new Blob(["x"]),
      channel: new MessageChannel(),
      event: new Event("x"),
      pattern: new URLPattern({ pathname: "/" }).exec("http://a/"),
      meta: import.meta,
      generator: (async function* () {})(),
    };
    return Response.json(crawl(Object.entries(roots)));
  },
};
"#;

#[test]
fn the_globals_are_those_of_the_golden_list() {
    let project = Project::worker(NAMES);
    let dev = Dev::start(project.path(), &[]);
    let globals = dev.client().get("/").text();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/globals.txt");
    if std::env::var_os("HOLM_BLESS").is_some() {
        std::fs::write(&golden, &globals).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    let only_in = |one: &str, other: &str| -> Vec<String> {
        one.lines().filter(|line| !other.lines().any(|known| known == *line)).map(str::to_owned).collect()
    };
    let (new, gone) = (only_in(&globals, &expected), only_in(&expected, &globals));
    assert!(new.is_empty() && gone.is_empty(), "new: {new:#?}\ngone: {gone:#?}\nHOLM_BLESS=1 accepts the change");
}

#[test]
fn nothing_of_the_engine_can_be_reached_from_what_user_code_gets() {
    let project = Project::worker(CRAWL);
    // The crawl takes more CPU time than a request has by default.
    let directory = Project::with(&[(
        "holm.toml",
        &format!(
            "[server]\nhttp = \"127.0.0.1:0\"\n[limits]\ncpu_ms = 20_000\n[[worker]]\nproject = \"{}\"\nhostnames = [\"a.example\"]\n",
            project.path().display()
        ),
    )]);
    let server = support::process::Serve::start(&directory.file("holm.toml"));
    let crawled = server.http().get_at("a.example", "/");
    assert_eq!(crawled.status, 200, "{}\n{}", crawled.text(), server.output().text());
    let crawled = crawled.json();
    assert!(crawled["seen"].as_u64().unwrap() > 1_000, "the crawl went nowhere: {crawled}");
    assert_eq!(crawled["found"], serde_json::json!([]), "{crawled:#}");
}
