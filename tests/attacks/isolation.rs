//! Tampering, and requests that reach for what is another's.

use crate::case::CPU;
use crate::case::Case;
use crate::case::EXC;
use crate::case::MEM;
use crate::case::body;
use crate::case::elsewhere;
use crate::case::module;
use crate::case::ok;
use crate::stage::Stage;
use crate::support::raw::Raw;

pub fn cases() -> Vec<Case> {
    let mut cases = tampering();
    cases.extend(code());
    cases.extend(reach());
    cases.extend(ends());
    cases
}

/// Runs each path of a worker that answers `ok`, or what is wrong.
fn all_ok(stage: &Stage, host: &str, paths: &[&str]) -> Result<(), String> {
    for path in paths {
        let answer = stage.get(host, path)?;
        if (answer.status, answer.text().as_str()) != (200, "ok") {
            return Err(format!("{path}: {} {} {:.2000}", answer.status, answer.error(), answer.text()));
        }
    }
    Ok(())
}

fn tampering() -> Vec<Case> {
    vec![
        module(
            "ISO-01",
            "prototypes polluted by the request before",
            r#"
            const names = { Function: ["call", "apply", "bind", "toString"], Promise: ["then", "catch", "finally"], Map: ["get", "set", "has", "delete"], Set: ["add", "has"], WeakMap: ["get", "set"],
              Array: ["push", "map", "forEach", "slice", "splice", "join", "indexOf", "includes"], String: ["split", "slice", "toLowerCase", "indexOf", "startsWith", "replace", "trim", "charCodeAt"], RegExp: ["exec", "test"] };
            export default {
              fetch(request, env) {
                const { url } = request;
                if (url === `http://${env.HOST}/alive`) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                if (url === `http://${env.HOST}/pollute`) {
                  const types = Object.entries(names);
                  const throwing = () => { throw new Error("polluted"); };
                  Object.defineProperty(RegExp.prototype, "flags", { get: throwing, configurable: true });
                  for (const key of ["match", "replace", "search", "split", "matchAll"]) RegExp.prototype[Symbol[key]] = throwing;
                  for (const key of ["stringify", "parse"]) JSON[key] = throwing;
                  for (const key of ["status", "statusText", "headers", "cf", "encodeBody", "webSocket", "method", "body", "get", "set", "value", "0"]) Object.prototype[key] = 201;
                  for (let i = 0; i < types.length; i++) for (let j = 0; j < types[i][1].length; j++) globalThis[types[i][0]].prototype[types[i][1][j]] = throwing;
                  Object.keys = Object.entries = Object.defineProperty = Reflect.apply = throwing;
                  Array.prototype[Symbol.iterator] = throwing;
                  return new Response("ok", { __proto__: null, status: 200 });
                }
                return new Response("ok", { headers: { a: "b" } });
              },
            };
            "#,
        )
        .scenario(|stage, host| {
            all_ok(stage, host, &["/pollute"])?;
            let answer = stage.get(host, "/after")?;
            let exact = answer.status == 200 && answer.text() == "ok" && answer.header("a") == "b";
            let mut names: Vec<&str> = answer.headers.keys().map(http::HeaderName::as_str).collect();
            names.retain(|name| !["date", "content-length", "content-type", "a", "connection", "server"].contains(name) && !name.starts_with("x-holm"));
            if exact && names.is_empty() { Ok(()) } else { Err(format!("{answer:?}: {}", answer.text())) }
        }),
        module(
            "ISO-02",
            "globals replaced by the request before",
            r#"
            const { Response: R, Headers: H, fetch: f, URL: U, ReadableStream: S, TextEncoder: E, Request: Q } = globalThis;
            class Fake { status = 200; headers = new H(); body = null; text() { return "fake"; } }
            export default {
              async fetch(request, env) {
                const { pathname } = new U(request.url);
                if (pathname === "/alive") return new R("alive", { headers: { "x-secret": env.SECRET } });
                if (pathname === "/replace") {
                  for (const name of Object.getOwnPropertyNames(globalThis)) {
                    const { configurable, writable } = Object.getOwnPropertyDescriptor(globalThis, name);
                    if ((configurable || writable) && !["Object", "globalThis", "Array"].includes(name)) try { globalThis[name] = Fake; } catch {}
                  }
                  return new R("ok");
                }
                if (pathname === "/fake") return new Response("x");
                if (pathname === "/forged") return Object.create(R.prototype);
                const body = new S({ start(c) { c.enqueue(new E().encode("o")); c.enqueue(new E().encode("k")); c.close(); } });
                const again = await new R(await (await new Q("http://x/", { method: "POST", body: "ok" })).text()).text();
                return again === "ok" ? new R(body, { headers: new H({ a: "b" }) }) : new R(again);
              },
            };
            "#,
        )
        .scenario(|stage, host| {
            all_ok(stage, host, &["/replace", "/after"])?;
            for path in ["/fake", "/forged"] {
                let answer = stage.get(host, path)?;
                if answer.error() != "exception" {
                    return Err(format!("{path}: {answer:?}"));
                }
            }
            all_ok(stage, host, &["/after"])
        }),
        module(
            "ISO-04",
            "every object thenable",
            r#"
            const stolen = [];
            function steal(resolve) { stolen.push(this); resolve(); }
            export default {
              async fetch(request, env) {
                const { pathname } = new URL(request.url);
                if (pathname === "/alive") return new Response("alive", { headers: { "x-secret": env.SECRET } });
                const key = await crypto.subtle.importKey("raw", new Uint8Array(16), "AES-GCM", true, ["encrypt"]);
                Object.prototype.then = steal;
                const waits = [];
                const response = fetch(env.UPSTREAM + "/text");
                waits.push(response, response.then((r) => r?.text()), fetch(env.UPSTREAM + "/bytes/100000"), request.arrayBuffer(), request.clone().text().catch(() => {}));
                waits.push(crypto.subtle.digest("SHA-1", new Uint8Array(1)), crypto.subtle.exportKey("raw", key), scheduler.wait(1), new Response("x").blob(), new Response("a=1", { headers: { "content-type": "application/x-www-form-urlencoded" } }).formData());
                const reader = new Response("x").body.getReader();
                waits.push(reader.read(), reader.closed);
                const { readable, writable } = new TransformStream();
                waits.push(writable.getWriter().ready, readable.getReader().read());
                let left = waits.length;
                for (const wait of waits) wait.finally(() => left--).catch(() => {});
                for (let i = 0; i < 50 && left > 1; i++) await scheduler.wait(2);
                delete Object.prototype.then;
                const wrong = stolen.filter((value) => Array.isArray(value) || Object.getPrototypeOf(value) === null
                  || (Object.getPrototypeOf(value) === Object.prototype && !("done" in value)));
                return new Response(wrong.length === 0 ? "ok" : `stolen: ${wrong.map((value) => JSON.stringify(value) ?? String(value))}`);
              },
            };
            "#,
        )
        .expect(&[ok("^ok$")]),
        module(
            "ISO-04",
            "every object thenable while a stream is sent",
            r#"
            function steal(resolve) { resolve(); }
            export default {
              fetch(request, env) {
                delete Object.prototype.then;
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                const parts = ["o", "k"];
                const body = new ReadableStream({ pull(c) { const part = parts.shift(); if (part === undefined) c.close(); else c.enqueue(new TextEncoder().encode(part)); } });
                const response = new Response(body);
                if (request.url.endsWith("/polluted")) Object.prototype.then = steal;
                return response;
              },
            };
            "#,
        )
        .then("/clean", &[ok("^ok$")])
        .then("/polluted", &[ok("^ok$")]),
        module(
            "ISO-05",
            "setters for what the platform writes",
            r#"
            const called = [];
            function watch(target, name, key) {
              Object.defineProperty(target, key, { __proto__: null, configurable: true, get() { return undefined; }, set() { called.push(name); } });
            }
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                for (const key of ["message", "name", "stack", "cause", "code"]) watch(Error.prototype, `Error.prototype.${key}`, key);
                for (const key of ["value", "done", "status", "headers", "bytes", "type", "length", "owner", "kind", "data", "stream", "callback"]) watch(Object.prototype, `Object.prototype.${key}`, key);
                for (const type of [Array, Uint8Array.__proto__, ArrayBuffer, Map, Set, RegExp]) Object.defineProperty(type, Symbol.species, { __proto__: null, get() { called.push(`${type.name}[species]`); return type; }, configurable: true });
                for (const type of [Response, Request, Headers, Blob, AbortSignal, Uint8Array, Error]) Object.defineProperty(type, Symbol.hasInstance, { __proto__: null, value() { called.push(`${type.name}[hasInstance]`); return false; }, configurable: true });
                const response = new Response("body", { headers: [["a", "b"]] }).clone();
                const copy = structuredClone(new RangeError("x"));
                const blob = structuredClone(new Blob(["x"]));
                try { new Headers({ "\n": "x" }); } catch {}
                try { atob("%"); } catch {}
                const form = await new Response("a=1", { headers: { "content-type": "application/x-www-form-urlencoded" } }).formData();
                const text = await response.text() + await blob.text() + form.get("a") + [...new Headers({ c: "d" })];
                const buffer = await new Response("abc").arrayBuffer();
                const { value } = await new Response("abc").body.getReader().read();
                const right = text === "bodyx1c,d" && copy instanceof Object && buffer.byteLength === 3 && value.length === 3;
                const own = called.filter((name) => name !== "Array[species]" );
                return new Response(right && own.length === 0 ? "ok" : `${text} ${[...new Set(own)]}`);
              },
            };
            "#,
        )
        .expect(&[ok("^ok$")]),
        module(
            "ISO-31",
            "plumbing names frozen and deleted",
            r#"
            const names = ["__lastResponse", "__requestComplete", "__holm", "__bootstrap", "__infra", "Deno", "core", "ops", "primordials", "internals", "__env", "__ctx", "__request", "__fetch", "__handler", "__dispatch", "__events",
              "addEventListener", "dispatchEvent", "onerror", "queueMicrotask", "performance", "console", "crypto", "_response", "$response", "__holm_owner", "holm", "event", "FetchEvent", "ExtendableEvent"];
            for (let i = 0; names.length < 200; i++) names.push(`__${"abcdefghij"[i % 10]}${i}`);
            for (const name of names) {
              try { delete globalThis[name]; } catch {}
              try { Object.defineProperty(globalThis, name, { get() { throw new Error("plumbing"); }, set() { throw new Error("plumbing"); }, configurable: false }); } catch {}
            }
            Object.freeze(globalThis);
            for (const key of Reflect.ownKeys(globalThis)) { try { const d = Object.getOwnPropertyDescriptor(globalThis, key); if (d.value?.prototype && typeof d.value === "function") Object.freeze(d.value.prototype); } catch {} }
            export default {
              async fetch(request, env, ctx) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                ctx.waitUntil(scheduler.wait(1));
                await new Promise((resolve) => setTimeout(resolve, 1));
                const text = await (await fetch(env.UPSTREAM + "/text")).text();
                return new Response(text === "hello upstream\n" ? "ok" : text);
              },
            };
            "#,
        )
        .expect(&[ok("^ok$")])
        .then("/again", &[ok("^ok$")]),
    ]
}

/// Code that is not in the bundle.
fn code() -> Vec<Case> {
    vec![
        body(
            "ISO-07",
            "call sites of the platform's own frames",
            r#"
            const seen = [];
            Error.prepareStackTrace = (error, frames) => {
              for (const frame of frames) seen.push(typeof frame.getThis?.(), typeof frame.getFunction?.(), String(frame.getFileName?.()), String(frame.getScriptNameOrSourceURL?.()), String(frame.getEvalOrigin?.()), String(frame));
              return "";
            };
            const stacks = [];
            const look = (error) => { stacks.push(String(error.stack)); };
            try { new Headers({ get a() { throw new Error("in a getter"); } }); } catch (error) { look(error); }
            try { new Blob({ [Symbol.iterator]() { throw new Error("in an iterator"); } }); } catch (error) { look(error); }
            try { new URL(""); } catch (error) { look(error); }
            try { structuredClone(() => {}); } catch (error) { look(error); }
            const inner = new ReadableStream({ pull() { look(new Error("in a stream")); throw new Error("pulled"); } }).getReader().read();
            await inner.catch(look);
            await fetch("x:").catch(look);
            await new Promise((resolve) => setTimeout(() => { look(new Error("in a timer")); resolve(); }, 1));
            look(new Error("in the handler"));
            delete Error.prepareStackTrace;
            try { new Headers({ get a() { throw new Error("in a getter"); } }); } catch (error) { look(error); }
            try { new Blob({ [Symbol.iterator]() { throw new Error("in an iterator"); } }); } catch (error) { look(error); }
            await new ReadableStream({ pull() { throw new Error("pulled"); } }).getReader().read().catch(look);
            const all = [...seen, ...stacks].join("\n");
            const bad = all.split("\n").filter((line) => /ext:|deno|node:|\/root|\/home|\/work|\.rs\b|^function$/.test(line));
            return new Response(bad.length === 0 && stacks.length > 8 ? "ok" : bad.join("\n"));
            "#,
        )
        .limits("cpu_ms = 500")
        .expect(&[ok("^ok$")]),
        body(
            "ISO-08",
            "imports of what is not in the bundle",
            r#"
            const wrong = [];
            const attempts = ["ext:core/ops", "ext:core/mod.js", "ext:holm/entry.js", "ext:deno_web/00_url.js", "node:fs", "fs", "file:///etc/passwd", "/etc/passwd", "../../../../../../etc/passwd",
              "data:text/javascript,1", "blob:null/1", "https://example.com/y.js", "http://127.0.0.1/y.js", "../other/x.js", "./%2e%2e/x.js", "npm:x", "jsr:@x/y", "deno:x", "cloudflare:nothing", "./wrangler.jsonc", "./index.js?x", "\0", "", "__proto__", "constructor"];
            for (const name of attempts) {
              for (const [how, load] of [["import", () => import(name)], ["bytes", () => import(name, { with: { type: "bytes" } })], ["text", () => import(name, { with: { type: "text" } })], ["json", () => import(name, { with: { type: "json" } })]]) {
                try { await load(); wrong.push(`${how} ${name} came`); } catch (error) {
                  if (!(error instanceof TypeError || error instanceof Error) || /\/root|\/work|\/home|\/tmp/.test(String(error))) wrong.push(`${how} ${name}: ${error}`);
                }
              }
            }
            return new Response(wrong.length === 0 ? "ok" : wrong.join("\n"));
            "#,
        )
        .limits("cpu_ms = 500")
        .expect(&[ok("^ok$")]),
        body(
            "ISO-08",
            "imports in a phase",
            r#"
            const wrong = [];
            for (const name of ["ext:core/ops", "node:fs", "./nothing.wasm"]) for (const load of [() => import.source(name), () => import.defer(name)]) {
              try { await load(); wrong.push(name); } catch (error) { if (!(error instanceof Error)) wrong.push(String(error)); }
            }
            return new Response(wrong.length === 0 ? "ok" : wrong.join("\n"));
            "#,
        )
        .limits("cpu_ms = 500")
        .expect(&[ok("^ok$")]),
        body(
            "ISO-10",
            "code from strings",
            r#"
            globalThis.ran = 0;
            const attempts = {
              eval: () => eval("ran = 1"), indirect: () => (0, eval)("ran = 1"), Function: () => new Function("ran = 1")(), empty: () => new Function(), call: () => Function("ran = 1")(),
              async: () => (async () => {}).constructor("ran = 1")(), generator: () => (function* () {}).constructor("ran = 1")().next(), asyncGenerator: () => (async function* () {}).constructor("ran = 1")().next(),
              reflected: () => Reflect.construct(Function, ["ran = 1"])(), subclass: () => new (class extends Function { constructor() { super("ran = 1"); } })()(),
            };
            const wrong = [];
            for (const [name, attempt] of Object.entries(attempts)) try { attempt(); wrong.push(name); } catch (error) { if (!(error instanceof EvalError)) wrong.push(`${name}: ${error}`); }
            for (const timer of [setTimeout, setInterval]) try { timer("ran = 1"); wrong.push(timer.name); } catch (error) { if (!(error instanceof TypeError)) wrong.push(`${timer.name}: ${error}`); }
            try { new Function("%DebugPrint(1)"); } catch {}
            await scheduler.wait(1);
            return new Response(wrong.length === 0 && ran === 0 ? "ok" : `${ran} ${wrong}`);
            "#,
        )
        .expect(&[ok("^ok$")]),
        module(
            "ISO-10",
            "code from strings at start-up, after which it is off",
            r#"
            let atStart;
            try { atStart = new Function("return 6 * 7")() + eval("1"); } catch (error) { atStart = error.name; }
            const late = () => new Function("return 1")();
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                try { late(); return new Response("it ran"); } catch (error) { return new Response(`${atStart} ${error.name}`); }
              },
            };
            "#,
        )
        .expect(&[ok("^43 EvalError$")]),
        module(
            "ISO-10",
            "code from strings at start-up, switched off",
            r#"
            let atStart;
            try { atStart = new Function("return 6 * 7")(); } catch (error) { atStart = error.name; }
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                return new Response(String(atStart));
              },
            };
            "#,
        )
        .settings(r#""compatibility_flags": ["disallow_eval_during_startup"],"#)
        .expect(&[ok("^EvalError$")]),
        body(
            "ISO-11",
            "WebAssembly from bytes",
            r#"
            const bytes = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
            const response = () => new Response(bytes, { headers: { "content-type": "application/wasm" } });
            const wrong = [];
            const attempts = { Module: () => new WebAssembly.Module(bytes), compile: () => WebAssembly.compile(bytes), instantiate: () => WebAssembly.instantiate(bytes), compileStreaming: () => WebAssembly.compileStreaming(response()), instantiateStreaming: () => WebAssembly.instantiateStreaming(response()),
              reflected: () => Reflect.construct(WebAssembly.Module, [bytes]), fromPrototype: () => new WebAssembly.Module.prototype.constructor(bytes) };
            for (const [name, attempt] of Object.entries(attempts)) try { await attempt(); wrong.push(name); } catch (error) { if (!(error instanceof WebAssembly.CompileError)) wrong.push(`${name}: ${error}`); }
            return new Response(wrong.length === 0 ? "ok" : wrong.join());
            "#,
        )
        .expect(&[ok("^ok$")]),
        module(
            "ISO-11",
            "WebAssembly from bytes at start-up, after which it is off",
            r#"
            const bytes = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
            const made = [];
            for (const make of [() => new WebAssembly.Module(bytes), () => WebAssembly.compile(bytes), async () => (await WebAssembly.instantiate(bytes)).instance]) {
              try { made.push((await make()).constructor.name); } catch (error) { made.push(error.name); }
            }
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                try { new WebAssembly.Module(bytes); return new Response("it came"); } catch (error) { return new Response(`${made} ${error.name}`); }
              },
            };
            "#,
        )
        .expect(&[ok("^Module,Module,Instance CompileError$")]),
        module(
            "ISO-11",
            "WebAssembly from bytes at start-up, switched off",
            r#"
            let atStart;
            try { atStart = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])); } catch (error) { atStart = error.name; }
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                return new Response(String(atStart));
              },
            };
            "#,
        )
        .settings(r#""compatibility_flags": ["disallow_eval_during_startup"],"#)
        .expect(&[ok("^CompileError$")]),
        module(
            "ISO-11",
            "WebAssembly from the bundle",
            r#"
            import module from "./a.wasm";
            const { exports } = new WebAssembly.Instance(module);
            export default {
              fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                return new Response(String(exports.f()));
              },
            };
            "#,
        )
        .settings(r#""find_additional_modules": true, "rules": [{ "type": "CompiledWasm", "globs": ["**/*.wasm"] }],"#)
        .file("a.wasm", *b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x06\x01\x04\0\x41\x07\x0b")
        .expect(&[ok("^7$")]),
    ]
}

/// What could connect isolates, tenants or requests.
fn reach() -> Vec<Case> {
    vec![
        body(
            "ISO-13",
            "channels between isolates",
            r#"
            const names = ["BroadcastChannel", "SharedWorker", "Worker", "localStorage", "sessionStorage", "indexedDB", "SharedArrayBuffer", "Deno", "process", "require", "gc", "importScripts"];
            const there = names.filter((name) => globalThis[name] !== undefined);
            if (navigator.locks !== undefined) there.push("navigator.locks");
            if (navigator.storage !== undefined) there.push("navigator.storage");
            return new Response(there.length === 0 ? "ok" : there.join());
            "#,
        )
        .expect(&[ok("^ok$")]),
        module(
            "ISO-14",
            "what belongs to another request",
            r#"
            const kept = {};
            const text = (error) => `${error?.name}: ${error?.message}`;
            const uses = {
              request: () => kept.request.text(), "request clone": () => kept.request.clone().text(), "body reader": () => kept.reader.read(), response: () => kept.response.text(), "response clone": () => kept.response.clone().text(), cancel: () => kept.cancelled.body.cancel(), "response body": () => kept.streaming.body.getReader().read(),
              fetch: () => fetch(kept.request), headers: () => kept.fresh.headers.get("x-a"), url: () => kept.fresh.url, cf: () => kept.fresh.cf,
            };
            export default {
              async fetch(request, env, ctx) {
                const { pathname } = new URL(request.url);
                if (pathname === "/alive") return new Response("alive", { headers: { "x-secret": env.SECRET } });
                if (pathname === "/keep") {
                  Object.assign(kept, { request, ctx, fresh: new Request(request.url) });
                  kept.reader = (await fetch(env.UPSTREAM + "/hold-body")).body.getReader();
                  kept.response = await fetch(env.UPSTREAM + "/text");
                  kept.streaming = await fetch(env.UPSTREAM + "/text");
                  kept.cancelled = await fetch(env.UPSTREAM + "/text");
                  const { readable } = new TransformStream();
                  console.log("kept all of it");
                  setInterval(() => {}, 10);
                  return new Response(readable);
                }
                const told = {};
                for (const [name, use] of Object.entries(uses)) try { told[name] = `came: ${String(await use()).slice(0, 40)}`; } catch (error) { told[name] = text(error); }
                return Response.json(told);
              },
            };
            "#,
        )
        .scenario(|stage, host| {
            let mark = stage.mark();
            let mut first = Raw::connect(stage.client().address);
            first.write(format!("POST /keep HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n"));
            first.chunk("private");
            stage.wait_log(mark, "kept all of it")?;
            let told = stage.get(host, "/use")?.json();
            let refused = ["request", "request clone", "body reader", "response", "response clone", "response body", "fetch", "cancel"];
            let numbers = regex::Regex::new(r"request (\d+)\D+request (\d+)").unwrap();
            for name in refused {
                let text = told[name].as_str().unwrap_or_default();
                if !text.contains("on behalf of a different request") {
                    return Err(format!("{name} → {text}"));
                }
                if numbers.captures(text).is_none_or(|found| found[1] == found[2]) {
                    return Err(format!("{name} does not name both requests: {text}"));
                }
            }
            Ok(())
        }),
        module(
            "ISO-17",
            "tokens of a hundred requests at once",
            r#"
            let shared = [];
            export default {
              async fetch(request, env) {
                const { pathname } = new URL(request.url);
                if (pathname === "/alive") return new Response("alive", { headers: { "x-secret": env.SECRET } });
                const token = request.headers.get("x-token");
                const seen = [];
                for (let i = 0; i < 5; i++) {
                  await scheduler.wait(i);
                  seen.push(request.headers.get("x-token"));
                  await new Promise((resolve) => { shared.push(resolve); if (shared.length > 5) { for (const go of shared) go(); shared = []; } setTimeout(() => { for (const go of shared) go(); shared = []; }, 5); });
                  seen.push(request.headers.get("x-token"), await new Response(token).text());
                  await crypto.subtle.digest("SHA-256", new Uint8Array(8));
                }
                return new Response(seen.every((one) => one === token) ? token : `${token} saw ${seen}`);
              },
            };
            "#,
        )
        .limits("cpu_ms = 1_000")
        .scenario(|stage, host| {
            let threads: Vec<_> = (0..100)
                .map(|number| {
                    let (client, host) = (stage.client(), host.to_owned());
                    std::thread::spawn(move || {
                        let mut request = crate::stage::at(&host, "/");
                        request.headers_mut().insert("x-token", format!("token-{number}").parse().unwrap());
                        (number, client.try_send(request))
                    })
                })
                .collect();
            for thread in threads {
                let (number, answer) = thread.join().unwrap();
                let text = answer?.text();
                if text != format!("token-{number}") {
                    return Err(text);
                }
            }
            Ok(())
        }),
        body(
            "ISO-19",
            "memory that was another's",
            r#"
            const dirty = (bytes) => { for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return true; return false; };
            const wrong = [];
            for (let i = 0; i < 16; i++) {
              if (dirty(new Uint8Array(1e6))) wrong.push("ArrayBuffer");
              if (dirty(new Uint8Array(new ArrayBuffer(1e5, { maxByteLength: 2e5 })))) wrong.push("resizable");
            }
            const tail = new Uint8Array(1e5);
            new TextEncoder().encodeInto("x", tail);
            if (dirty(tail.subarray(1))) wrong.push("encodeInto");
            if (dirty(Uint8Array.from({ length: 1e5 }, () => 0))) wrong.push("from");
            const small = new Uint8Array(await new Response("abc").arrayBuffer());
            if (small.buffer.byteLength !== 3) wrong.push("a body's buffer is larger than the body");
            const read = (await new Response("abc").body.getReader({ mode: "byob" }).read(new Uint8Array(1e4))).value;
            if (dirty(new Uint8Array(read.buffer).subarray(3))) wrong.push("byob");
            if (new TextEncoder().encode("abc").buffer.byteLength > 64 && dirty(new Uint8Array(new TextEncoder().encode("abc").buffer).subarray(3))) wrong.push("encode");
            const chunks = [];
            for await (const chunk of new Response("x".repeat(1000)).body.pipeThrough(new CompressionStream("gzip"))) chunks.push(chunk);
            if (chunks.some((chunk) => chunk.buffer.byteLength > chunk.byteLength && dirty(new Uint8Array(chunk.buffer, chunk.byteOffset + chunk.byteLength)))) wrong.push("compression");
            return new Response(wrong.length === 0 ? "ok" : [...new Set(wrong)].join());
            "#,
        )
        .limits("cpu_ms = 5_000")
        .expect(&[ok("^ok$"), CPU, MEM]),
        elsewhere("ISO-23", "tests/http_attacks.rs (inbound) and tests/egress.rs (outbound)"),
        body(
            "ISO-25",
            "garbage collection observed, with an old date",
            "return new Response(`${typeof WeakRef} ${typeof FinalizationRegistry}`);",
        )
        .settings(r#""compatibility_flags": ["disable_weak_ref"],"#)
        .expect(&[ok("^undefined undefined$")]),
        body("ISO-25", "garbage collection observed", "return new Response(`${typeof WeakRef} ${typeof FinalizationRegistry}`);")
            .expect(&[ok("^function function$")]),
        module(
            "ISO-26",
            "what the host hands out, changed by the request before",
            r#"
            const bad = [];
            export default {
              async fetch(request, env, ctx) {
                const { pathname } = new URL(request.url);
                if (pathname === "/alive") return new Response("alive", { headers: { "x-secret": env.SECRET } });
                if (pathname === "/change") {
                  for (const [name, object] of Object.entries({ cf: request.cf, ctx, props: ctx.props, flags: Cloudflare.compatibilityFlags, navigator })) {
                    for (const key of ["changed", "httpProtocol", "waitUntil", "userAgent"]) try { object[key] = "changed"; } catch {}
                  }
                  try { request.headers.set("x", "y"); } catch {}
                  return new Response("ok");
                }
                if (request.cf.changed !== undefined || request.cf.httpProtocol === "changed") bad.push("cf");
                if (ctx.changed !== undefined || ctx.waitUntil === "changed" || ctx.props.changed !== undefined) bad.push("ctx");
                if (Cloudflare.compatibilityFlags.changed !== undefined) bad.push("flags");
                if (request.headers.get("x") !== null) bad.push("headers");
                if (navigator.userAgent !== "Cloudflare-Workers") bad.push("navigator");
                return new Response(bad.length === 0 ? "ok" : bad.join());
              },
            };
            "#,
        )
        .scenario(|stage, host| all_ok(stage, host, &["/look", "/change", "/look"])),
        body(
            "OPS-07",
            "secrets thrown, logged and rejected",
            r#"
            console.log(env);
            console.error(new Error("logged", { cause: env.SECRET }));
            ctx.waitUntil(Promise.reject(new Error(env.SECRET)));
            Promise.reject(env);
            throw new Error(env.SECRET, { cause: env });
            "#,
        )
        .scenario(|stage, host| {
            let mark = stage.mark();
            // Whoever is told of an error is looked at for secrets, its own ones too.
            let answer = stage.get(host, "/")?;
            let id = answer.header("x-holm-request-id");
            if answer.error() != "exception" || id.is_empty() || answer.json()["request_id"] != id {
                return Err(format!("{answer:?}: {}", answer.text()));
            }
            let name = host.trim_end_matches(".example");
            stage.wait_log(mark, &format!(r#"^.*"worker":"{name}".*CANARY_{name}_.*$"#)).map(drop)
        }),
    ]
}

/// How requests end.
fn ends() -> Vec<Case> {
    let thrown = [
        ("null", "throw null;"),
        ("undefined", "throw undefined;"),
        ("a symbol", "throw Symbol('x');"),
        ("a BigInt", "throw 1n;"),
        ("a proxy", "throw new Proxy({}, new Proxy({}, { get() { throw 1; } }));"),
        ("a proxy of an error", "throw new Proxy(new Error('x'), { get() { throw new Error('y'); } });"),
        ("a rejection of null", "return Promise.reject(null);"),
        ("an object without a prototype", "throw Object.create(null);"),
        ("an error whose name throws", "throw new (class extends Error { get name() { throw 1; } })();"),
        (
            "an error whose message throws",
            "throw new (class extends Error { get message() { throw 1; } toString() { throw 2; } })();",
        ),
        ("an error with a stack of another type", "const e = new Error('x'); e.stack = 5; throw e;"),
        ("an error with a long stack", "const e = new Error('x'); e.stack = 'x\\n'.repeat(1e6); throw e;"),
        ("a revoked proxy", "const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); throw proxy;"),
        ("a string with secrets", "throw new Error(env.SECRET);"),
        ("a cause with secrets", "throw new Error('x', { cause: env });"),
        ("a function", "throw () => {};"),
        ("a thenable that throws", "return { get then() { throw null; } };"),
        ("a thenable that rejects twice", "return { then(a, b) { b(null); b(1); throw 2; } };"),
        ("no response", "return 5;"),
    ];
    let mut cases: Vec<Case> =
        thrown.into_iter().map(|(name, source)| body("ISO-28", name, source).expect(&[EXC])).collect();
    cases.extend([
        body("ISO-28", "aggregate errors and errors of errors", "throw new AggregateError([null, new Error('x'), { get stack() { throw 1; } }], 'x');")
            .expect(&[EXC]),
        body("ISO-29", "a rejection after the answer", "ctx.waitUntil(Promise.reject(1)); Promise.reject(2); return new Response('answered');")
            .scenario(|stage, host| {
                let mark = stage.mark();
                let others: Vec<_> = (0..5)
                    .map(|_| {
                        let (client, host) = (stage.client(), host.to_owned());
                        std::thread::spawn(move || client.try_send(crate::stage::at(&host, "/alive")))
                    })
                    .collect();
                let answer = stage.get(host, "/")?;
                if (answer.status, answer.text().as_str()) != (200, "answered") {
                    return Err(format!("{answer:?}"));
                }
                for other in others {
                    let answer = other.join().unwrap()?;
                    if answer.status != 200 {
                        return Err(format!("beside it: {answer:?}"));
                    }
                }
                stage.wait_log(mark, r"Uncaught.*2")?;
                Ok(())
            }),
        body(
            "ISO-16",
            "a client that leaves",
            r#"
            request.signal.addEventListener("abort", () => console.log("the signal aborted"));
            if (request.url.endsWith("/stale")) {
              globalThis.go();
              await sleep(20);
              return new Response(globalThis.told);
            }
            new Promise((resolve) => { globalThis.go = resolve; }).then(() => fetch(env.UPSTREAM + "/text")).then(() => { globalThis.told = "it came"; }, (error) => { globalThis.told = error.message; });
            console.log("begun and waiting");
            ctx.waitUntil(sleep(200).then(() => console.log("went on to its end")));
            await sleep(10_000);
            return new Response("x");
            "#,
        )
        .settings(r#""compatibility_flags": ["enable_request_signal"],"#)
        .scenario(|stage, host| {
            let mark = stage.mark();
            let mut client = Raw::connect(stage.client().address);
            client.write(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            stage.wait_log(mark, "begun and waiting")?;
            drop(client);
            stage.wait_log(mark, "the signal aborted")?;
            stage.wait_log(mark, "went on to its end")?;
            stage.wait_log(mark, &format!(r#"^.*"outcome":"client_gone".*{host}.*$"#))?;
            let text = stage.get(host, "/stale")?.text();
            if text.contains("different request") || text.contains("already ended") { Ok(()) } else { Err(text) }
        }),
        body(
            "ISO-16",
            "what a request leaves behind",
            r#"
            if (request.url.endsWith("/hits")) return new Response(String(globalThis.fired ?? 0));
            globalThis.fired = 0;
            setInterval(() => globalThis.fired++, 1);
            setTimeout(() => globalThis.fired++, 20);
            fetch(env.UPSTREAM + "/hold").then(() => globalThis.fired++, () => globalThis.fired++);
            const { readable, writable } = new TransformStream();
            readable.getReader().read().then(() => globalThis.fired++);
            const channel = new MessageChannel();
            channel.port2.onmessage = () => globalThis.fired++;
            channel.port1.postMessage(1);
            AbortSignal.timeout(5).onabort = () => globalThis.fired++;
            return new Response("left");
            "#,
        )
        .scenario(|stage, host| {
            stage.get(host, "/")?;
            // The upstream sees the connection go.
            stage.upstream.log.try_wait(Default::default(), "/hold gone").ok_or("the fetch goes on after its request")?;
            let first = stage.get(host, "/hits")?.text();
            std::thread::sleep(std::time::Duration::from_millis(60));
            let second = stage.get(host, "/hits")?.text();
            if first == second { Ok(()) } else { Err(format!("timers go on: {first}, then {second}")) }
        }),
        body(
            "ISO-32",
            "log lines that look like others",
            r#"
            console.log('\x1b]0;x\x07\n{"timestamp":"x","level":"ERROR","worker":"victim","message":"forged"}\r\n{"worker":"victim"}\u2028x');
            console.error("\u009b31m", "\0", "\ud800");
            const cyclic = {}; cyclic.self = cyclic;
            console.log(cyclic, new Proxy({}, { get() { throw 1; }, ownKeys() { throw 2; }, getOwnPropertyDescriptor() { throw 3; } }));
            for (const show of [() => ({ get a() { throw 1; } }), () => ({ [Symbol.for("nodejs.util.inspect.custom")]() { throw 1; }, [Symbol.for("Deno.customInspect")]() { throw 1; } }), () => new Proxy(function () {}, { getPrototypeOf() { throw 1; } }), () => ({ toString() { throw 1; } })]) {
              try { console.log(show()); } catch (error) { return new Response(`console.log threw ${error}`); }
            }
            try { console.log("%s %d %i %o %c", { toString() { throw 1; } }, Symbol("x"), 1n, cyclic, "color: red"); } catch (error) { return new Response(`a format threw ${error}`); }
            console.log("x".repeat(1e6)); console.log(new Array(1e5).fill({ a: 1 })); console.log(new Uint8Array(1e6));
            console.table(Array.from({ length: 1e3 }, (_, i) => ({ i })));
            let deep = {}; for (let i = 0; i < 1e4; i++) deep = { deep }; console.log(deep);
            console.log("the last line");
            return new Response("ok");
            "#,
        )
        .limits("cpu_ms = 5_000")
        .scenario(|stage, host| {
            let mark = stage.mark();
            all_ok(stage, host, &["/"])?;
            stage.wait_log(mark, r#""outcome":"ok".*iso-32"#)?;
            let log = stage.log_since(mark);
            let name = host.trim_end_matches(".example");
            for line in log.lines() {
                let Ok(record) = serde_json::from_str::<serde_json::Value>(line) else {
                    return Err(format!("a line of the log is no record: {line:.300}"));
                };
                if record["worker"] == crate::canary::VICTIM && line.contains("forged") {
                    return Err(format!("a forged line: {line:.300}"));
                }
                if line.bytes().any(|byte| byte < 0x20) {
                    return Err(format!("a control character: {line:.300}"));
                }
                if record["worker"] == name && line.len() > 400 << 10 {
                    return Err(format!("a line of {} bytes", line.len()));
                }
            }
            Ok(())
        }),
    ]);
    cases
}
