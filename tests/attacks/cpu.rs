//! CPU time and liveness.

use std::time::Duration;

use crate::case::Blast;
use crate::case::CPU;
use crate::case::CRASH;
use crate::case::Case;
use crate::case::EXC;
use crate::case::HUNG;
use crate::case::MEM;
use crate::case::NO_START;
use crate::case::RESET;
use crate::case::START;
use crate::case::WALL;
use crate::case::body;
use crate::case::elsewhere;
use crate::case::module;
use crate::case::not_applicable;
use crate::case::ok;
use crate::processes;
use crate::stage::Stage;
use crate::stage::at;
use crate::support::raw::Raw;

pub fn cases() -> Vec<Case> {
    let mut cases = loops();
    cases.extend(host_calls());
    cases.extend(engine());
    cases.extend(startup());
    cases.extend(depth());
    cases.extend(beside());
    cases
}

fn loops() -> Vec<Case> {
    vec![
        body("CPU-01", "an endless loop", "for (;;);").expect(&[CPU]),
        // Where the compiler makes a loop of its own, or unrolls one of the script's.
        body("CPU-01", "an endless loop around the compiler's own", "for (;;) new Array(100);").expect(&[CPU]),
        body("CPU-01", "an endless loop around short ones", "const a = []; for (;;) for (let i = 0; i < 8; i++) a[i] = i;")
            .expect(&[CPU]),
        body("CPU-01", "an endless loop around copies", "const a = [1, 2, 3]; let b; for (;;) b = [...a, ...a].fill(0).slice();")
            .expect(&[CPU]),
        body(
            "CPU-02",
            "a loop that catches and fetches finally",
            "for (;;) { try { for (;;); } catch {} finally { fetch(env.UPSTREAM + '/status/202'); continue; } }",
        )
        .expect(&[CPU])
        .afterwards(|stage, _| match stage.upstream.log.text().contains("/status/202") {
            true => Err("code after the termination reached the upstream".to_owned()),
            false => Ok(()),
        }),
        body("CPU-04", "a flood of microtasks", "(function f() { Promise.resolve().then(f); })(); return new Response('x');")
            .expect(&[CPU]),
        body(
            "CPU-05",
            "a loop in the background",
            "ctx.waitUntil((async () => { await sleep(5); for (;;); })()); return new Response('ok');",
        )
        .scenario(|stage, host| {
            let mark = stage.mark();
            let answer = stage.get(host, "/")?;
            if (answer.status, answer.text().as_str()) != (200, "ok") {
                return Err(format!("{answer:?}"));
            }
            stage.wait_log(mark, &format!(r#"^.*"outcome":"cpu_exceeded".*{host}.*$"#))?;
            Ok(())
        }),
        body("CPU-07", "an endless generator spread", "[...(function* () { for (;;) yield 1; })()];").expect(&[CPU, MEM]),
        body(
            "CPU-07",
            "an endless iteration",
            "const inf = { [Symbol.iterator]: () => ({ next: () => ({ done: false }) }) }; for (const x of inf);",
        )
        .expect(&[CPU, MEM]),
        body("CPU-08", "an array of a billion", "Array.from({ length: 1e9 }, (_, i) => i);").expect(&[CPU, MEM]),
        body(
            "CPU-49",
            "an interval that never ends",
            "setInterval(() => { for (;;); }, 0); await sleep(1e4); return new Response('x');",
        )
        .expect(&[CPU])
        .afterwards(|stage, _| stage.comes_to_rest()),
        body(
            "CPU-49",
            "a chain of waitUntil",
            "const again = async () => { ctx.waitUntil(sleep(0).then(again)); burn(1e6); }; await again(); return new Response('ok');",
        )
        .expect(&[ok("^ok$"), CPU])
        .afterwards(|stage, _| stage.comes_to_rest()),
        body(
            "CPU-47",
            "exceptions that race the kill",
            r#"
            burn(Number(request.headers.get("x-rounds")));
            const trap = { get() { for (;;); }, configurable: true };
            const error = new Error("thrown");
            const kind = request.headers.get("x-kind");
            if (kind === "prepare") Error.prepareStackTrace = () => { for (;;); };
            else for (const name of kind === "stack" ? ["stack"] : ["cause", "errors", "message", "name"]) Object.defineProperty(error, name, trap);
            throw error;
            "#,
        )
        .scenario(|stage, host| racing_exceptions(stage, host, 18)),
        body(
            "CPU-47",
            "a thousand exceptions that race the kill",
            r#"
            burn(Number(request.headers.get("x-rounds")));
            const error = new Error("thrown");
            for (const name of ["stack", "cause", "errors"]) Object.defineProperty(error, name, { get() { for (;;); } });
            throw error;
            "#,
        )
        .scenario(|stage, host| racing_exceptions(stage, host, 1_000))
        .full(),
    ]
}

/// Burns about the budget, then throws: the termination comes before, during and after the exception's formatting.
fn racing_exceptions(stage: &Stage, host: &str, count: u64) -> Result<(), String> {
    for number in 0..count {
        let kind = ["stack", "cause", "prepare"][number as usize % 3];
        // Rounds of about a nanosecond each: 30 to 70 ms.
        let rounds = 30_000_000 + number.wrapping_mul(7_919) % 40 * 1_000_000;
        let mut request = at(host, "/");
        request.headers_mut().insert("x-rounds", rounds.to_string().parse().unwrap());
        request.headers_mut().insert("x-kind", kind.parse().unwrap());
        let answer = stage.send(request)?;
        if !["exception", "cpu_exceeded"].contains(&answer.error()) {
            return Err(format!("{number} {kind}: {answer:?}"));
        }
    }
    stage.comes_to_rest()
}

/// Where the platform itself calls back into the script.
fn host_calls() -> Vec<Case> {
    vec![
        body("CPU-10", "a dictionary that loops when read", "return new Response('', new Proxy({}, { get() { for (;;); } }));")
            .expect(&[CPU]),
        body("CPU-11", "a URL that loops when converted", "await fetch({ toString() { for (;;); } });").expect(&[CPU]),
        body(
            "CPU-11",
            "a header that loops when converted",
            "new Headers().set('x', { [Symbol.toPrimitive]() { for (;;); } });",
        )
        .expect(&[CPU]),
        body("CPU-11", "a value that loops as JSON", "JSON.stringify({ toJSON() { for (;;); } });").expect(&[CPU]),
        body("CPU-11", "a message that loops when logged", "console.log({ get [Symbol.toStringTag]() { for (;;); } }); for (;;);")
            .expect(&[CPU]),
        body(
            "CPU-13",
            "a stream that loops when pulled",
            "return new Response(new ReadableStream({ pull() { for (;;); } }, { highWaterMark: 0 }));",
        )
        .expect(&[crate::case::Accept::Cut(200), CPU])
        .afterwards(|stage, host| {
            stage.wait_log(Default::default(), &format!(r#"^.*"outcome":"cpu_exceeded".*{host}.*$"#)).map(|_| ())
        }),
        body(
            "CPU-14",
            "a loop when the client leaves",
            "request.signal.onabort = () => { for (;;); }; console.log('waiting for the end'); await sleep(9e3); return new Response('x');",
        )
        .settings(r#""compatibility_flags": ["enable_request_signal"],"#)
        .scenario(|stage, host| {
            let mark = stage.mark();
            let mut client = Raw::connect(stage.client().address);
            client.write(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            stage.wait_log(mark, "waiting for the end")?;
            drop(client);
            stage.wait_log(mark, &format!(r#"^.*"outcome":"(cpu_exceeded|client_gone)".*{host}.*$"#))?;
            stage.comes_to_rest()
        }),
        body("CPU-37", "a flood of log lines", "for (let i = 0; i < 1e6; i++) console.log('x'.repeat(1e4));").scenario(
            |stage, host| {
                let mark = stage.mark();
                let answer = stage.get(host, "/")?;
                if answer.error() != "cpu_exceeded" {
                    return Err(format!("{answer:?}"));
                }
                stage.wait_log(mark, "log limit reached|truncated")?;
                let written = stage.log_since(mark).lines().filter(|line| line.contains("xxxxxxxx")).map(str::len).sum::<usize>();
                if written > 300 << 10 { Err(format!("{written} bytes were logged")) } else { Ok(()) }
            },
        ),
        body(
            "CPU-34",
            "six hundred key derivations at once",
            r#"
            const key = await crypto.subtle.importKey("raw", new Uint8Array(16), "PBKDF2", false, ["deriveBits"]);
            const derive = () => crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: new Uint8Array(16), iterations: 100_000 }, key, 256);
            const settled = await Promise.allSettled(Array.from({ length: 600 }, derive));
            return Response.json(settled.filter((one) => one.status === "fulfilled").length);
            "#,
        )
        .scenario(|stage, host| {
            let before = processes::threads(stage.pid());
            let asked = std::thread::spawn({
                let (client, host) = (stage.client(), host.to_owned());
                move || client.try_send(at(&host, "/"))
            });
            let mut most = 0;
            while !asked.is_finished() {
                most = most.max(processes::threads(stage.pid()));
                std::thread::sleep(Duration::from_millis(5));
            }
            let answer = asked.join().unwrap()?;
            // Isolates of other cases come and go meanwhile.
            if most > before + 32 {
                return Err(format!("{most} threads, {before} before"));
            }
            match answer.error() {
                "" | "cpu_exceeded" | "wall_exceeded" => stage.comes_to_rest(),
                _ => Err(format!("{answer:?}")),
            }
        }),
        not_applicable("CPU-35", "SQL: there is no such binding"),
    ]
}

/// What the engine runs in C++.
fn engine() -> Vec<Case> {
    const UNKILLABLE: &str = "Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1);";
    vec![
        body("CPU-16", "a regex of nested counts", "new RegExp('(?:a{1,1000}){1,1000}').exec('a'.repeat(1e5)); return new Response('ok');")
            .expect(&[ok("^ok$"), CPU, EXC, MEM]),
        body("CPU-16", "a regex of groups without end", "new RegExp('('.repeat(1e5));").expect(&[EXC, CPU]),
        body("CPU-16", "a regex that backtracks", "for (;;) /(?=(a+)+b)/y.exec('a'.repeat(40));").expect(&[CPU]),
        body("CPU-16", "a regex that is backtracked through", "/(a+)+b/.test('a'.repeat(60));").expect(&[CPU]),
        body("CPU-17", "a power of BigInts", "const n = 3n ** (2n ** 24n); return new Response(String(n % 10n));")
            .expect(&[ok("^[0-9]$"), CPU, EXC]),
        body("CPU-17", "a BigInt of many digits", "const n = BigInt('9'.repeat(1e7)); return new Response(String(n % 10n));")
            .expect(&[CPU]),
        body("CPU-17", "a BigInt as text", "return new Response(String((3n ** 10000000n).toString().length));").expect(&[CPU]),
        body("CPU-19", "a sort of numbers", "for (;;) new Float64Array(2e6).map(Math.random).sort();").expect(&[CPU]),
        body("CPU-20", "a search that cannot be interrupted", UNKILLABLE)
            .expect(&[CPU, CRASH])
            .blast(Blast::Recycled),
        body("CPU-22", "a fill that cannot be interrupted", "Array.prototype.fill.call({ length: 2 ** 53 - 1 }, 0);")
            .expect(&[MEM, CPU, CRASH])
            .blast(Blast::Aborted),
        body("CPU-23", "sixteen searches that cannot be interrupted", UNKILLABLE).blast(Blast::Recycled).scenario(|stage, host| {
            let threads: Vec<_> = (0..16)
                .map(|_| {
                    let (client, host) = (stage.client(), host.to_owned());
                    std::thread::spawn(move || client.try_send(at(&host, "/")))
                })
                .collect();
            for thread in threads {
                let answer = thread.join().unwrap()?;
                if answer.status != 503 {
                    return Err(format!("{answer:?}"));
                }
            }
            Ok(())
        }),
        body(
            "CPU-26",
            "waiting on shared memory",
            "try { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); } catch (error) { return new Response(error.name); }",
        )
        .expect(&[ok("^(ReferenceError|TypeError)$")]),
        body(
            "CPU-26",
            "waiting on shared memory of WebAssembly",
            r#"
            try {
              const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
              Atomics.wait(new Int32Array(buffer), 0, 0);
            } catch (error) { return new Response(error.name); }
            "#,
        )
        .expect(&[ok("^(ReferenceError|TypeError|RangeError|CompileError)$")]),
        body("CPU-31", "objects that nobody keeps", "for (let i = 0; i < 1e8; i++) ({ i });  return new Response('done');")
            .expect(&[CPU, ok("^done$")]),
        body(
            "CPU-31",
            "garbage that takes the collector's time",
            "let kept = []; for (;;) { kept.push(new Array(100).fill({})); if (kept.length > 5e3) kept = []; }",
        )
        .expect(&[CPU])
        .afterwards(|stage, _| stage.comes_to_rest()),
        body(
            "CPU-32",
            "a finalizer that loops",
            r#"
            if (typeof FinalizationRegistry === "undefined") return new Response("absent");
            for (let i = 0; i < 100; i++) new FinalizationRegistry(() => { for (;;); }).register({}, 1);
            let kept; for (let i = 0; i < 2e5; i++) kept = new Array(100);
            await sleep(20);
            return new Response("registered");
            "#,
        )
        .expect(&[ok("^(absent|registered)$"), CPU])
        .then("/", &[ok("^(absent|registered)$"), CPU, RESET])
        .afterwards(|stage, _| stage.comes_to_rest()),
        module("CPU-25", "a WebAssembly module of many functions", FROM_WASM)
            .settings(r#""find_additional_modules": true, "rules": [{ "type": "CompiledWasm", "globs": ["**/*.wasm"] }],"#)
            .file("a.wasm", wasm_of_functions(100_000))
            .expect(&[ok("^100000$"), START, NO_START])
            .full(),
    ]
}

const FROM_WASM: &str = r#"
import module from "./a.wasm";
export default {
  fetch(request, env) {
    if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
    return new Response(String(WebAssembly.Module.exports(module).length));
  },
};
"#;

/// A module with `count` functions that do nothing, all of them exported.
fn wasm_of_functions(count: u32) -> Vec<u8> {
    fn number(mut value: u32, into: &mut Vec<u8>) {
        while value >= 0x80 {
            into.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        into.push(value as u8);
    }
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    let mut section = |id: u8, items: u32, bytes: Vec<u8>| {
        let mut content = Vec::new();
        number(items, &mut content);
        content.extend(bytes);
        module.push(id);
        number(u32::try_from(content.len()).unwrap(), &mut module);
        module.extend(content);
    };
    section(1, 1, vec![0x60, 0, 0]);
    section(3, count, vec![0; count as usize]);
    let mut exports = Vec::new();
    for index in 0..count {
        let name = format!("f{index}");
        exports.push(u8::try_from(name.len()).unwrap());
        exports.extend(name.bytes());
        exports.push(0);
        number(index, &mut exports);
    }
    section(7, count, exports);
    section(10, count, [2, 0, 0x0b].repeat(count as usize));
    module
}

fn startup() -> Vec<Case> {
    let starting = |source| module("CPU-28", "a loop in the global scope", source);
    vec![
        starting("for (;;);\nexport default { fetch() {} };").never_starts().expect(&[START]).then("/", &[START]),
        module(
            "CPU-29",
            "a promise in the global scope that never settles",
            "await new Promise(() => {});\nexport default { fetch() {} };",
        )
        .never_starts()
        .expect(&[NO_START, START])
        .then("/", &[NO_START, START]),
        module(
            "CPU-28",
            "a flood of microtasks in the global scope",
            "(function f() { Promise.resolve().then(f); })();\nexport default { fetch() {} };",
        )
        .never_starts()
        .expect(&[START])
        .then("/", &[START]),
    ]
}

/// What recurses: caught or not, the process goes on.
fn depth() -> Vec<Case> {
    const NAMES: [(&str, &str); 9] = [
        ("a function that calls itself", "(function f() { f(); })();"),
        (
            "a function that calls itself caught",
            "try { (function f() { f(); })(); } catch (error) { return new Response(error.name); }",
        ),
        ("nested arrays as JSON", "let a = []; for (let i = 0; i < 1e6; i++) a = [a]; JSON.stringify(a);"),
        ("JSON of nested arrays", "JSON.parse('['.repeat(1e6)); return new Response('parsed');"),
        ("nested objects cloned", "let a = {}; for (let i = 0; i < 1e6; i++) a = { a }; structuredClone(a);"),
        (
            "nested proxies",
            "let p = {}; for (let i = 0; i < 1e6; i++) p = new Proxy(p, {}); Object.getPrototypeOf(p); return new Response('x');",
        ),
        (
            "a chain of causes thrown",
            "let error = new Error('first'); for (let i = 0; i < 1e5; i++) error = new Error('x', { cause: error }); throw error;",
        ),
        (
            "a chain of causes logged",
            "let error = new Error('first'); for (let i = 0; i < 1e4; i++) error = new Error('x', { cause: error }); console.error(error); return new Response('x');",
        ),
        (
            "nested objects logged",
            "let a = {}; for (let i = 0; i < 1e6; i++) a = { a }; console.log(a); return new Response('x');",
        ),
    ];
    NAMES
        .into_iter()
        .map(|(name, source)| {
            body("CPU-38", name, source).limits("cpu_ms = 1_000, wall_ms = 15_000").expect(&[ok(""), EXC, CPU, MEM])
        })
        .collect()
}

/// Requests beside each other.
fn beside() -> Vec<Case> {
    vec![
        elsewhere("CPU-40", "tests/ledger.rs"),
        body("CPU-41", "a wait costs nothing", "await sleep(300); return new Response('ok');").scenario(|stage, host| {
            stage.get(host, "/alive")?;
            let mark = stage.mark();
            stage.get(host, "/waited")?;
            let line = stage.wait_log(mark, &format!(r#"^.*{host}/waited.*"cpu_us".*$"#))?;
            let record: serde_json::Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
            match record["cpu_us"].as_u64() {
                Some(used) if used <= 2_000 => Ok(()),
                used => Err(format!("{used:?} µs were charged")),
            }
        }),
        body("CPU-43", "a promise that never settles", "await new Promise(() => {});").expect(&[HUNG]),
        body("CPU-43", "a timer in an hour", "await new Promise(() => setTimeout(() => {}, 3.6e6));")
            .limits("wall_ms = 300")
            .expect(&[WALL]),
        body(
            "CPU-44",
            "a kill inside a transform",
            r#"
            if (request.url.endsWith("/wait")) { for (let i = 0; i < 50; i++) await sleep(2); return new Response("waited"); }
            const loop = new TransformStream({ transform() { for (;;); } });
            return new Response(new Response("x").body.pipeThrough(loop));
            "#,
        )
        .scenario(|stage, host| {
            let waiting: Vec<_> = (0..3)
                .map(|_| {
                    let (client, host) = (stage.client(), host.to_owned());
                    std::thread::spawn(move || client.try_send(at(&host, "/wait")))
                })
                .collect();
            let mark = stage.mark();
            // The head may have gone before the loop.
            let _ = stage.client().try_send(at(host, "/"));
            stage.wait_log(mark, &format!(r#"^.*"outcome":"cpu_exceeded".*{host}.*$"#))?;
            for thread in waiting {
                let answer = thread.join().unwrap()?;
                if answer.text() != "waited" && answer.error() != "isolate_reset" {
                    return Err(format!("{answer:?}"));
                }
            }
            Ok(())
        }),
        body("CPU-46", "many requests that loop at once", "for (;;);").scenario(|stage, host| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let (client, host) = (stage.client(), host.to_owned());
                    std::thread::spawn(move || (0..2).map(|_| client.try_send(at(&host, "/"))).collect::<Vec<_>>())
                })
                .collect();
            for answer in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
                let answer = answer?;
                if !["cpu_exceeded", "isolate_reset", "overloaded"].contains(&answer.error()) {
                    return Err(format!("{answer:?}"));
                }
            }
            Ok(())
        }),
    ]
}
