//! What workers are bound to: services, with their RPC, and the caches of a tenant.

use crate::case::CPU;
use crate::case::Case;
use crate::case::EXC;
use crate::case::MEM;
use crate::case::RESET;
use crate::case::Whose;
use crate::case::body;
use crate::case::module;
use crate::case::ok;
use crate::stage::Stage;
use crate::stage::at;

/// A worker that is bound to itself, and to an entrypoint of its own.
const BOUND: &str = r#""services": [{ "binding": "SELF", "service": "$SELF" }, { "binding": "INNER", "service": "$SELF", "entrypoint": "Inner" }],"#;

pub fn cases() -> Vec<Case> {
    let mut cases = references();
    cases.extend(chains());
    cases.extend(caches());
    cases.extend(values());
    cases
}

/// What a script is handed to reach something with.
fn references() -> Vec<Case> {
    vec![
        module(
            "ISO-20",
            "bindings bent to reach another",
            r#"
            import { WorkerEntrypoint, RpcTarget } from "cloudflare:workers";
            import { connect } from "cloudflare:sockets";
            export class Inner extends WorkerEntrypoint {
              secret = "of the instance";
              who() { return `inner ${JSON.stringify(this.ctx.props ?? null)}`; }
              target() { return new (class extends RpcTarget { secret = "of the target"; name() { return "target"; } })(); }
            }
            const said = async (attempt) => { try { const value = await attempt(); return value instanceof Response ? await value.text() : String(value); } catch (error) { return error instanceof Error || error instanceof DOMException ? error.name : `threw ${String(error)}`; } };
            export default {
              async fetch(request, env, ctx) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                if (new URL(request.url).host !== env.HOST) return new Response("self");
                const { SELF, INNER } = env, url = "http://self.example/", props = { service: "victim", name: "victim", worker: "victim", tenant: "victim", binding: 0, id: 0, entrypoint: "Other", props: { admin: true } };
                const attempts = {
                  receiver: () => SELF.fetch.call({ __proto__: SELF }, url), nobody: () => SELF.fetch.call(undefined, url), child: () => Object.create(SELF).fetch(url), copy: () => ({ ...SELF }).fetch(url), proxy: () => new Proxy(SELF, {}).fetch(url), reflected: () => Reflect.get(SELF, "fetch", {})(url),
                  host: () => SELF.fetch("http://victim.example/", { headers: { host: "self.example", "x-holm-event": "{}", "x-holm-tenant": "victim" } }),
                  clone: () => structuredClone(SELF), cloneInner: () => structuredClone({ INNER }), constructed: () => new SELF.constructor("victim"), derived: () => new (class extends SELF.constructor { constructor() { super("victim"); } })(), called: () => SELF("victim"), applied: () => INNER({ props: { admin: true } }),
                  renamed: () => { Object.assign(SELF, props); return SELF.fetch(url); }, defined: () => { for (const key of Object.keys(props)) try { Object.defineProperty(SELF.constructor.prototype, key, { value: props[key], configurable: true }); } catch {} return SELF.fetch(url); },
                  props: () => INNER.who(), propsOfInner: () => { Object.assign(INNER, { props: { admin: true } }); return INNER.who(); }, receiverOfWho: () => INNER.who.call(SELF), prototype: () => { const inner = Object.create(INNER); return inner.who(); },
                  secret: () => INNER.secret, environment: () => INNER.env, context: () => INNER.ctx, construct: () => INNER.constructor("victim"), missing: () => INNER.nothing(), target: async () => (await INNER.target()).secret, methods: async () => (await INNER.target()).name(),
                  cache: () => new (caches.default.constructor)("victim"), storage: () => new caches.constructor(), match: () => caches.default.match.call({}, url), matched: () => caches.default.match.call(Object.create(caches.default), url), open: () => caches.open.call({ __proto__: caches }, "x"), cloned: () => structuredClone(caches.default), loan: async () => { const cache = await caches.open("victim"); Object.assign(cache, { name: "", tenant: "victim" }); return await cache.match(url) ?? "nothing"; },
                  socket: () => new (connect("192.0.2.1:9").constructor)(), pair: () => WebSocketPair.prototype.constructor(), send: () => new WebSocketPair()[0].send.call({}, "x"), accept: () => WebSocket.prototype.accept.call(Object.create(new WebSocketPair()[0])),
                };
                const told = {};
                for (const [name, attempt] of Object.entries(attempts)) told[name] = await said(attempt);
                return Response.json(told);
              },
            };
            "#,
        )
        .settings(BOUND)
        .limits("cpu_ms = 1_000")
        .scenario(|stage, host| {
            const OWN: &str = "self";
            const REFUSED: &str = "TypeError";
            let answer = stage.get(host, "/")?;
            if answer.status != 200 {
                return Err(format!("{answer:?}: {}", answer.text()));
            }
            let told: std::collections::BTreeMap<String, String> =
                serde_json::from_str(&answer.text()).map_err(|error| error.to_string())?;
            for (name, said) in &told {
                let accepted: &[&str] = match name.as_str() {
                    // Whatever it is called on: the service that the configuration says.
                    "receiver" | "nobody" | "child" | "copy" | "proxy" | "reflected" | "renamed" | "defined" | "host" => &[OWN, REFUSED],
                    "clone" | "cloneInner" => &["DataCloneError"],
                    // An object without a property, and without what it was.
                    "cloned" => &["DataCloneError", "[object Object]"],
                    "props" | "propsOfInner" | "receiverOfWho" | "prototype" => &["inner {}", REFUSED, "DataCloneError"],
                    "methods" => &["target"],
                    "loan" => &["nothing"],
                    _ => &[REFUSED, "Error"],
                };
                if !accepted.contains(&said.as_str()) {
                    return Err(format!("{name}: {said}, of {told:?}"));
                }
            }
            Ok(())
        }),
    ]
}

/// Workers that call workers.
fn chains() -> Vec<Case> {
    vec![
        body(
            "ISO-22",
            "a worker that calls itself",
            r#"
            const depth = Number(new URL(request.url).searchParams.get("depth"));
            let answer;
            try { answer = await (await env.SELF.fetch(`http://x/?depth=${depth + 1}`)).text(); } catch (error) { answer = `${depth} ${error.message}`; }
            return new Response(answer);
            "#,
        )
        .settings(BOUND)
        .limits("cpu_ms = 1_000")
        .expect(&[ok("^16 Subrequest depth limit exceeded")]),
        module(
            "ISO-22",
            "a worker that calls itself over RPC and services in turn",
            r#"
            import { WorkerEntrypoint } from "cloudflare:workers";
            const tried = async (depth, next) => { try { return await next(depth + 1); } catch (error) { return `${depth} ${error.message}`; } };
            export class Inner extends WorkerEntrypoint {
              next(depth) { return tried(depth, async (depth) => (await this.env.SELF.fetch(`http://x/?depth=${depth}`)).text()); }
            }
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                const depth = Number(new URL(request.url).searchParams.get("depth"));
                return new Response(await tried(depth, (depth) => env.INNER.next(depth)));
              },
            };
            "#,
        )
        .settings(BOUND)
        .limits("cpu_ms = 1_000")
        .expect(&[ok("^16 Subrequest depth limit exceeded")]),
        // However it branches, one request leads to 32 invocations; each has its own subrequests.
        body(
            "ISO-22",
            "calls that branch",
            r#"
            const calls = [0, 1, 2].map(() => env.SELF.fetch("http://x/").then(async (response) => Number(await response.text()), () => 0));
            return new Response(String(1 + (await Promise.all(calls)).reduce((sum, count) => sum + count)));
            "#,
        )
        .settings(BOUND)
        .limits("cpu_ms = 1_000, subrequests = 50")
        .expect(&[ok("^32$")]),
        body(
            "ISO-22",
            "calls of what was called that nobody awaits",
            r#"
            if (new URL(request.url).hostname !== "x") globalThis.begun = 0;
            globalThis.begun++;
            for (let i = 0; i < 60; i++) ctx.waitUntil(env.SELF.fetch("http://x/").then((response) => response.text(), () => {}));
            await sleep(200);
            return new Response(globalThis.begun <= 32 ? "ok" : String(globalThis.begun));
            "#,
        )
        .settings(BOUND)
        .limits("cpu_ms = 1_000, subrequests = 100")
        .expect(&[ok("^ok$")]),
    ]
}

/// Asks for the URL of the request in the default cache and in those that others may have opened.
const READER: &str = r#"
    export default {
      async fetch(request) {
        const { pathname } = new URL(request.url);
        const fresh = { headers: { "cache-control": "max-age=600" } };
        if (pathname === "/keep") { await caches.default.put("http://shared.example/kept", new Response("the other's", fresh)); return new Response("kept"); }
        if (pathname === "/kept") return await caches.default.match("http://shared.example/kept") ?? new Response("nothing");
        const all = [caches.default, await caches.open("default"), await caches.open("shared")];
        for (const cache of all) { const found = await cache.match(request.url); if (found) return found; }
        return new Response("nothing");
      },
    };
"#;

fn caches() -> Vec<Case> {
    vec![
        module(
            "BND-05",
            "a cache poisoned under another's URL",
            r#"
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                const poison = () => new Response("poison", { headers: { "cache-control": "max-age=600", "set-cookie": "a=b", "content-type": "text/html" } });
                const { pathname } = new URL(request.url);
                const hosts = ["victim.example", `${env.HOST.replace(".example", "")}-other.example`];
                let found = 0;
                for (const host of hosts) for (const scheme of ["http", "https"]) for (const path of ["/", "/kept", pathname]) {
                  for (const cache of [caches.default, await caches.open("default"), await caches.open("shared")]) {
                    const url = `${scheme}://${host}${path}`;
                    if (pathname === "/delete") { if (await cache.delete(url)) found++; } else await cache.put(new Request(url, { headers: { host, "cf-worker": "victim" } }), poison());
                  }
                }
                if (pathname === "/delete") await caches.default.delete("http://shared.example/kept");
                return new Response("ok");
              },
            };
            "#,
        )
        .beside("other", Whose::Anothers, READER)
        .limits("cpu_ms = 1_000, subrequests = 200")
        .scenario(|stage, host| {
            let other = Stage::beside(host, "other");
            let is = |host: &str, path: &str, expected: &str| -> Result<(), String> {
                let answer = stage.get(host, path)?;
                let same = (answer.status, answer.text().as_str()) == (200, expected);
                if same { Ok(()) } else { Err(format!("{host}{path}: {answer:?} {}", answer.text())) }
            };
            is(&other, "/keep", "kept")?;
            is(host, "/poison", "ok")?;
            // The door has no cache; the other's worker finds nothing that it has not put there itself.
            is("victim.example", "/", "well")?;
            is(&other, "/", "nothing")?;
            is(&other, "/poison", "nothing")?;
            is(&other, "/kept", "the other's")?;
            is(host, "/delete", "ok")?;
            is(&other, "/kept", "the other's")
        }),
        module(
            "BND-02",
            "names of caches and URLs that are nearly the same",
            r#"
            const names = ["default", "a", "A", "a:b", "a/b", "a\u0000b", "a\u0000http://x/", "\u00e9", "e\u0301", "__proto__", "constructor", "then", "a".repeat(1024), " a", "a ", "..", "../../victim", "."];
            const urls = ["http://x/", "https://x/", "http://x/a//b", "http://x/a/b", "http://x/%61//b", "http://x/?a", "http://x/?", "http://x/%2e%2e/%2e%2e/victim", "http://x/a%00b", "http://x/%C3%A9", "http://x/e%CC%81", "http://x/con", "http://x/INDEX", "http://x/index", "http://x:8080/", `http://x/${"a".repeat(8_000)}`];
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                const opened = [];
                for (const name of names) opened.push(await caches.open(name));
                const all = opened.flatMap((cache, i) => urls.map((url, j) => [cache, url, `${i} ${j}`]));
                if (request.url.endsWith("/put")) for (const [cache, url, body] of all) await cache.put(url, new Response(body, { headers: { "cache-control": "max-age=600" } }));
                const wrong = [];
                for (const [cache, url, body] of all) { const text = await (await cache.match(url))?.text(); if (text !== body) wrong.push(`${url.slice(0, 60)}: ${text} for ${body}`); }
                return new Response(wrong.length === 0 ? "ok" : wrong.join("\n"));
              },
            };
            "#,
        )
        .limits("cpu_ms = 5_000, subrequests = 1_000, wall_ms = 30_000")
        .then("/put", &[ok("^ok$")])
        .then("/match", &[ok("^ok$")])
        .afterwards(|stage, _| only_hashed_names(stage)),
        module(
            "BND-07",
            "keys that are paths",
            r#"
            const keys = ["http://x/../../victim/x", "http://x/..\\..\\victim", "http://../x", "http://x/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "http://x/.git/config", "file:///etc/passwd", "cached/../x", "http://x/a\u0000b", `http://x/${"a/".repeat(4_000)}`, "http://x/\ud800", "http://x/nul::$DATA"];
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                const wrong = [];
                for (const name of ["../..", "/etc/passwd", "..\\..", "\ud800", "a".repeat(1e6), "", "\u0000"]) for (const [i, key] of keys.entries()) {
                  try {
                    const cache = await caches.open(name);
                    await cache.put(key, new Response(`${i}`, { headers: { "cache-control": "max-age=600", "x-path": "../../x" } }));
                    const text = await (await cache.match(key))?.text();
                    if (text !== `${i}`) wrong.push(`${name.slice(0, 20)} ${key.slice(0, 60)}: ${text}`);
                  } catch (error) { if (!(error instanceof TypeError)) wrong.push(`${key.slice(0, 60)}: ${error}`); }
                }
                return new Response(wrong.length === 0 ? "ok" : wrong.join("\n"));
              },
            };
            "#,
        )
        .limits("cpu_ms = 5_000, subrequests = 1_000")
        .expect(&[ok("^ok$")])
        .afterwards(|stage, _| only_hashed_names(stage)),
        module(
            "BND-13",
            "a cache filled by one tenant",
            r#"
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                const fresh = { headers: { "cache-control": "max-age=600" } };
                // More than all caches of the server keep in memory.
                for (let i = 0; i < 20; i++) await caches.default.put(`http://x/${i}`, new Response(new Uint8Array(12 << 20), fresh));
                await caches.default.put("http://x/last", new Response("ok", fresh));
                return await caches.default.match("http://x/last") ?? new Response("the last one is gone");
              },
            };
            "#,
        )
        .beside("other", Whose::Anothers, READER)
        .limits("cpu_ms = 10_000, subrequests = 1_000, wall_ms = 30_000")
        .scenario(|stage, host| {
            let other = Stage::beside(host, "other");
            stage.get(&other, "/keep")?;
            let filled = stage.get(host, "/fill")?;
            if filled.text() != "ok" {
                return Err(format!("{filled:?}: {}", filled.text()));
            }
            let kept = stage.get(&other, "/kept")?.text();
            if kept == "the other's" { Ok(()) } else { Err(kept) }
        }),
        body(
            "MEM-19",
            "cached bodies retained",
            r#"
            await caches.default.put("http://x/large", new Response(new Uint8Array(10e6).fill(1), { headers: { "cache-control": "max-age=600" } }));
            const kept = [];
            for (let i = 0; i < 100; i++) kept.push(await (await caches.default.match("http://x/large")).arrayBuffer());
            return new Response("kept");
            "#,
        )
        .limits("cpu_ms = 10_000, subrequests = 1_000, wall_ms = 15_000")
        .expect(&[MEM, EXC]),
        body(
            "MEM-19",
            "cached responses retained unread",
            r#"
            await caches.default.put("http://x/unread", new Response(new Uint8Array(10e6).fill(1), { headers: { "cache-control": "max-age=600" } }));
            const kept = [];
            for (let i = 0; i < 100; i++) kept.push(await caches.default.match("http://x/unread"));
            return new Response(`kept ${kept.length}`);
            "#,
        )
        .limits("cpu_ms = 10_000, subrequests = 1_000, wall_ms = 15_000")
        // All of them are the one body that the cache has.
        .expect(&[ok("^kept 100$"), MEM, EXC])
        .afterwards(|stage, _| {
            let resident = crate::processes::resident_mib(stage.pid());
            if resident < 1_500 { Ok(()) } else { Err(format!("{resident} MiB")) }
        }),
        module(
            "TIM-08",
            "how long it takes not to find what another tenant has",
            r#"
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                const { pathname } = new URL(request.url);
                const found = await caches.default.match(`http://shared.example${pathname}`);
                return new Response(found === undefined ? "nothing" : "found");
              },
            };
            "#,
        )
        .beside("other", Whose::Anothers, READER)
        .scenario(|stage, host| {
            stage.get(&Stage::beside(host, "other"), "/keep")?;
            let ask = |path: &str| -> Result<std::time::Duration, String> {
                let began = std::time::Instant::now();
                let answer = stage.get(host, path)?;
                let took = began.elapsed();
                if answer.text() == "nothing" { Ok(took) } else { Err(format!("{path}: {answer:?} {}", answer.text())) }
            };
            // A difference that is there shows in each round; one that is chance does not.
            let mut last = 0.0;
            for _ in 0..5 {
                let (mut cached, mut absent) = (Vec::new(), Vec::new());
                for _ in 0..200 {
                    cached.push(ask("/kept")?);
                    absent.push(ask("/none")?);
                }
                last = distance(&mut cached, &mut absent);
                // Kolmogorov and Smirnov's bound for two samples of 200 at p = 0.01.
                if last < 1.63 * (2.0_f64 / 200.0).sqrt() {
                    return Ok(());
                }
            }
            Err(format!("the distributions differ by {last:.2} in five rounds"))
        }),
    ]
}

/// How far the distributions of two samples of one size are apart, from 0 to 1.
fn distance(one: &mut [std::time::Duration], other: &mut [std::time::Duration]) -> f64 {
    one.sort_unstable();
    other.sort_unstable();
    let share = |sample: &[std::time::Duration], time| {
        sample.partition_point(|took| *took <= time) as f64 / sample.len() as f64
    };
    one.iter().chain(other.iter()).map(|time| (share(one, *time) - share(other, *time)).abs()).fold(0.0, f64::max)
}

/// The caches' files have names of their own, and are all that was written.
fn only_hashed_names(stage: &Stage) -> Result<(), String> {
    let name = regex::Regex::new(r"/holm\.toml$|/cached/[0-9a-f]{40}-[0-9a-f]{40}$|/cached/\d+-\d+\.tmp$").unwrap();
    let strange: Vec<_> = stage.files().into_iter().filter(|path| !name.is_match(&path.to_string_lossy())).collect();
    let cached = stage.files().len() > 1;
    if strange.is_empty() && cached { Ok(()) } else { Err(format!("files: {strange:?}")) }
}

/// What goes through a binding.
fn values() -> Vec<Case> {
    /// An entrypoint that takes and gives anything.
    const INNER: &str = r#"
        import { WorkerEntrypoint, RpcTarget } from "cloudflare:workers";
        export class Inner extends WorkerEntrypoint {
          echo(value) { return value; }
          count(...values) { return values.length; }
          async call(callback) { return await callback(); }
          async drain(stream) { let n = 0; for await (const chunk of stream) n += chunk.length; return n; }
          spin() { for (;;); }
        }
    "#;
    let with_inner = |rest: &str| -> &'static str {
        let module = format!(
            r#"{INNER}
            export default {{
              async fetch(request, env, ctx) {{
                if (request.url.endsWith("/alive")) return new Response("alive", {{ headers: {{ "x-secret": env.SECRET }} }});
                const {{ INNER }} = env, sleep = (ms) => scheduler.wait(ms);
                const tell = async (attempts) => {{
                  const wrong = [];
                  for (const [name, [attempt, expected]] of Object.entries(attempts)) {{
                    let said;
                    try {{ const value = await attempt(); said = String(value); }} catch (error) {{ said = error instanceof Error || error instanceof DOMException ? error.name : `threw ${{String(error)}}`; }}
                    if (!expected.includes(said)) wrong.push(`${{name}}: ${{said}}`);
                  }}
                  return new Response(wrong.length === 0 ? "ok" : wrong.join("\n"));
                }};
                {rest}
              }},
            }};"#
        );
        Box::leak(module.into_boxed_str())
    };
    let path_of = |members: &str| -> &'static str {
        with_inner(&format!(
            r#"
            let path = INNER.echo(1), service = INNER;
            for (let i = 0; i < {members}; i++) {{ path = path.a; service = service.a; }}
            const said = [];
            for (const attempt of [() => path, () => path(), () => service, () => service()]) try {{ said.push(String(await attempt())); }} catch (error) {{ said.push(error instanceof Error); }}
            return new Response(said.every((one) => one === true) ? "ok" : said.join());
            "#
        ))
    };
    let bound = |case: Case| case.settings(BOUND);
    vec![
        bound(module(
            "BND-25",
            "values that no call should carry",
            with_inner(
                r#"
                const cyclic = { a: {} }; cyclic.a.b = cyclic;
                let deep = {}; for (let i = 0; i < 1e5; i++) deep = { deep };
                const throwing = (error) => ({ get a() { throw error; } });
                class Own { x = 1; }
                const never = () => new ReadableStream({ pull() { return new Promise(() => {}); } });
                return await tell({
                  symbol: [() => INNER.echo(Symbol("x")), ["DataCloneError"]], own: [() => INNER.echo(new Own()), ["DataCloneError"]], weak: [() => INNER.echo({ a: new WeakMap() }), ["DataCloneError"]], promise: [() => INNER.echo(Promise.resolve(1)), ["1", "DataCloneError"]],
                  cyclic: [async () => { const got = await INNER.echo(cyclic); return got.a.b === got; }, ["true"]], deep: [async () => typeof await INNER.echo(deep), ["object", "RangeError", "DataCloneError"]], wide: [async () => (await INNER.echo(new Array(1e5).fill(1))).length, ["100000"]],
                  getter: [() => INNER.echo(throwing(new RangeError("x"))), ["RangeError"]], nothing: [() => INNER.echo(throwing(null)), ["threw null", "DataCloneError"]], proxy: [() => INNER.echo(new Proxy({}, { ownKeys() { throw new SyntaxError(); } })), ["SyntaxError", "DataCloneError"]], revoked: [() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return INNER.echo(proxy); }, ["TypeError", "DataCloneError"]],
                  thenable: [() => Promise.race([INNER.echo({ then() { throw 1; } }), sleep(50).then(() => "waits")]), ["waits"]], prototype: [async () => { const got = await INNER.echo(JSON.parse('{"__proto__": {"polluted": 1}}')); return got.polluted ?? ({}).polluted ?? "clean"; }, ["clean", "1"]], pollution: [() => String(({}).polluted), ["undefined"]],
                  function: [async () => await (await INNER.echo(() => 7))(), ["7"]], throws: [() => INNER.call(() => { throw new URIError("x"); }), ["URIError"]], never: [() => Promise.race([INNER.call(() => new Promise(() => {})), sleep(50).then(() => "waits")]), ["waits"]], recursive: [() => INNER.call(() => INNER.call(() => INNER.count(1, 2))), ["2"]],
                  stream: [() => INNER.drain(new Blob(["abc"]).stream()), ["3"]], failing: [() => INNER.drain(new ReadableStream({ pull() { throw new EvalError("x"); } })), ["EvalError", "Error"]], locked: [() => { const stream = new Blob(["x"]).stream(); stream.getReader(); return INNER.drain(stream); }, ["TypeError", "DataCloneError"]], stuck: [() => Promise.race([INNER.drain(never()), sleep(50).then(() => "waits")]), ["waits"]],
                  many: [() => INNER.count(...new Array(1e4).fill(0)), ["10000"]], large: [() => INNER.count(new Uint8Array(33 << 20)), ["DataCloneError"]], detached: [() => { const b = new ArrayBuffer(8); structuredClone(b, { transfer: [b] }); return INNER.count(b); }, ["1", "DataCloneError", "TypeError"]],
                  name: [() => INNER["\ud800"](), ["TypeError"]], empty: [() => INNER[""](), ["TypeError"]], longName: [() => INNER["a".repeat(1e6)](), ["TypeError", "Error", "RangeError"]], prototypes: [() => INNER.__proto__.hasOwnProperty("x"), ["false", "TypeError"]], then: [() => typeof INNER.then, ["undefined"]],
                });
                "#,
            )
        ))
        .limits("cpu_ms = 10_000, wall_ms = 15_000, subrequests = 200")
        .expect(&[ok("^ok$")]),
        bound(module("BND-25", "a getter that never ends, in what is sent", with_inner("await INNER.echo({ get a() { for (;;); } });")))
            .expect(&[CPU]),
        // The callee has a budget of its own; the caller is told what became of it, unless both share the isolate that ends.
        bound(module(
            "BND-25",
            "a callee that never ends",
            with_inner("try { await INNER.spin(); } catch (error) { return new Response(`caught ${error.message}`); }"),
        ))
        .expect(&[ok("^caught .*CPU"), RESET, CPU]),
        bound(module(
            "BND-25",
            "a hundred megabytes in one call",
            with_inner("await INNER.echo(new Array(100).fill(0).map(() => new Uint8Array(1e6)));"),
        ))
        .limits("cpu_ms = 10_000, wall_ms = 15_000")
        .expect(&[EXC, MEM]),
        bound(module(
            "BND-25",
            "calls without end whose answers nobody takes",
            with_inner("const kept = []; for (;;) { kept.push(INNER.echo(new Uint8Array(1e6)).catch(() => {})); if (kept.length % 8 === 0) await scheduler.wait(1); if (kept.length > 5_000) return new Response('ok'); }"),
        ))
        .limits("cpu_ms = 10_000, wall_ms = 15_000")
        // Nobody catches the call that is one too many.
        .expect(&[EXC, MEM, CPU]),
        // Each member makes a path that is longer by one.
        bound(module("NAT-16", "a path of a hundred thousand members", path_of("1e5"))).expect(&[CPU]),
        bound(module("NAT-16", "a path of a thousand members", path_of("1e3"))).limits("cpu_ms = 1_000").expect(&[ok("^ok$")]),
        module(
            "BND-26",
            "variables that change while requests run",
            r#"
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                const { FIRST } = env;
                for (let i = 0; i < 10; i++) {
                  await scheduler.wait(2);
                  if (env.FIRST !== FIRST || env.SECOND !== FIRST) return new Response(`mixed: ${FIRST} ${env.FIRST} ${env.SECOND}`);
                }
                return new Response(FIRST);
              },
            };
            "#,
        )
        .settings(r#""vars": { "FIRST": "old", "SECOND": "old" },"#)
        .limits("cpu_ms = 1_000")
        .scenario(changing_variables),
    ]
}

fn changing_variables(stage: &Stage, host: &str) -> Result<(), String> {
    let (client, name) = (stage.client(), host.trim_end_matches(".example"));
    let asking: Vec<_> = (0..10)
        .map(|_| {
            let host = host.to_owned();
            std::thread::spawn(move || -> Result<(), String> {
                let until = std::time::Instant::now() + crate::support::DEADLINE;
                let mut seen = "old".to_owned();
                for _ in 0.. {
                    let answer = client.try_send(at(&host, "/"))?;
                    let text = answer.text();
                    // From old to new, once.
                    let right = answer.status == 200 && (text == "new" || (text == "old" && seen == "old"));
                    if !right {
                        return Err(format!("after {seen}: {answer:?} {text}"));
                    }
                    if seen == "new" {
                        return Ok(());
                    }
                    seen = text;
                    if std::time::Instant::now() > until {
                        break;
                    }
                }
                Err("the new variables did not come".to_owned())
            })
        })
        .collect();
    let settings = r#""no_bundle": true, "vars": { "FIRST": "new", "SECOND": "new" },"#;
    stage.write(host, "wrangler.jsonc", &crate::support::project::config(name, settings));
    asking.into_iter().try_for_each(|thread| thread.join().unwrap())
}
