//! Memory: the isolate's own, and what the process holds for it.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::case::Blast;
use crate::case::CPU;
use crate::case::CRASH;
use crate::case::Case;
use crate::case::EXC;
use crate::case::MEM;
use crate::case::RESET;
use crate::case::body;
use crate::case::module;
use crate::case::not_applicable;
use crate::case::ok;
use crate::processes;
use crate::stage::Stage;
use crate::stage::at;

/// Enough CPU time that memory runs out first.
const LONG: &str = "cpu_ms = 10_000, wall_ms = 15_000";
/// The cap, what is added to unwind, and what other isolates may do meanwhile.
const HEADROOM_MIB: u64 = 128 + 192;

pub fn cases() -> Vec<Case> {
    let mut cases = heap();
    cases.extend(buffers());
    cases.extend(apis());
    cases.extend(bodies());
    cases.extend(many());
    cases
}

fn heap() -> Vec<Case> {
    vec![
        body("MEM-01", "arrays without end", "const a = []; for (;;) a.push(new Array(1e5).fill(0));")
            .limits(LONG)
            .expect(&[MEM])
            .then("/", &[MEM]),
        body(
            "MEM-02",
            "one large array",
            "const a = new Array(32 * 2 ** 20 - 1); a.fill(1); return new Response(String(a.length));",
        )
        .limits(LONG)
        .expect(&[ok("^33554431$"), EXC, MEM]),
        body("MEM-02", "one large array of objects", "Array(2 ** 25).fill({}); return new Response('x');")
            .limits(LONG)
            .expect(&[ok("^x$"), EXC, MEM]),
        body(
            "MEM-02",
            "an array literal spread too often",
            "let a = new Array(1e6).fill(1); for (;;) a = [...a, ...a];",
        )
        .limits(LONG)
        .expect(&[EXC, MEM]),
        body(
            "MEM-28",
            "a string that doubles",
            "let s = 'a'; for (let i = 0; i < 29; i++) s += s; return new Response(String(s.charCodeAt(1)));",
        )
        .limits(LONG)
        .expect(&[ok("^97$"), EXC, MEM]),
        body(
            "MEM-28",
            "a padded string",
            "const s = 'x'.padEnd(2 ** 29 - 25); return new Response(String(s.charCodeAt(1)));",
        )
        .limits(LONG)
        .expect(&[ok("^32$"), EXC, MEM]),
        body(
            "MEM-28",
            "a replacement that blows up",
            "let s = 'ab'.repeat(1e5); for (;;) s = s.replaceAll('a', 'aaaa' + s.slice(0, 1e4));",
        )
        .limits(LONG)
        .expect(&[EXC, MEM]),
        body(
            "MEM-28",
            "a string joined from many",
            "const s = 'x'.repeat(1e7); for (;;) [...Array(60)].map(() => s).join('-').charCodeAt(1);",
        )
        .limits("cpu_ms = 1_000")
        .expect(&[EXC, MEM, CPU]),
    ]
}

fn buffers() -> Vec<Case> {
    vec![
        module(
            "MEM-04",
            "buffers up to the cap, given back",
            r#"
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                if (request.url.endsWith("/again")) return new Response(String(new Uint8Array(64e6).fill(1).length));
                const a = [];
                try { for (;;) a.push(new Uint8Array(1e6).fill(1)); } catch (error) { a.length = 0; return new Response(error.name); }
              },
            };
            "#,
        )
        .limits(LONG)
        .expect(&[ok("^RangeError$"), MEM])
        .then("/again", &[ok("^64000000$")]),
        body(
            "MEM-05",
            "small buffers beyond the cap",
            "const a = []; try { for (;;) a.push(new ArrayBuffer(1e6)); } catch {} for (let i = 0; i < 1e4; i++) a.push(new Uint8Array(8).buffer); return new Response('ok');",
        )
        .limits(LONG)
        .expect(&[ok("^ok$"), MEM]),
        body("MEM-07", "a resizable buffer without bound", "new ArrayBuffer(8, { maxByteLength: 2 ** 52 });")
            .expect(&[EXC, MEM]),
        body("MEM-07", "a view of eight gigabytes", "new Uint8Array(2 ** 33);").expect(&[EXC, MEM]),
        body(
            "MEM-07",
            "a resizable buffer that grows",
            "const b = new ArrayBuffer(8, { maxByteLength: 2 ** 28 }); b.resize(2 ** 28); new Uint8Array(b).fill(1); return new Response('x');",
        )
        .limits(LONG)
        .expect(&[EXC, MEM])
        .afterwards(|stage, _| stays_below(stage, 1_500)),
        body("MEM-08", "a WebAssembly memory of two gigabytes", "new WebAssembly.Memory({ initial: 32768 }); return new Response('x');")
            .expect(&[EXC, MEM]),
        body(
            "MEM-08",
            "a WebAssembly memory that grows",
            r#"
            const memory = new WebAssembly.Memory({ initial: 1 });
            let pages = 1;
            try { for (;;) { memory.grow(256); pages += 256; new Uint8Array(memory.buffer, (pages - 256) * 65536).fill(1); } } catch (error) { return new Response(`${error.name} ${pages}`); }
            "#,
        )
        .limits(LONG)
        .expect(&[ok("^RangeError [0-9]{1,4}$"), EXC, MEM]),
        body(
            "MEM-10",
            "WebAssembly tables",
            "const a = []; for (let i = 0; i < 10; i++) a.push(new WebAssembly.Table({ initial: 1e7, element: 'externref' })); return new Response('x');",
        )
        .limits(LONG)
        .expect(&[EXC, MEM]),
    ]
}

fn apis() -> Vec<Case> {
    const BOMB: &str = r#"
        const [format, size] = new URL(request.url).pathname.split("/").reverse();
        const zeros = new Uint8Array(1 << 20);
        const packed = [];
        {
          const stream = new CompressionStream(format);
          const writer = stream.writable.getWriter();
          (async () => { for (let i = 0; i < size; i++) await writer.write(zeros); await writer.close(); })();
          for await (const chunk of stream.readable) packed.push(chunk);
        }
        const bomb = new Uint8Array(await new Blob(packed).arrayBuffer());
        const stream = new DecompressionStream(format);
        const writer = stream.writable.getWriter();
        writer.write(bomb).catch(() => {});
        writer.close().catch(() => {});
        const chunks = [];
        try { for await (const chunk of stream.readable) chunks.push(chunk); } catch (error) { return new Response(`${error.name}: ${error.message}`, { status: 201 }); }
        return new Response(String(chunks.length));
    "#;
    const BOUNDED: &[crate::case::Accept] = &[crate::case::Accept::Answer(201, "Error"), EXC, MEM, CPU];
    vec![
        body("MEM-11", "a decompression bomb", BOMB)
            .limits("cpu_ms = 5_000, wall_ms = 50_000")
            .then("/160/gzip", BOUNDED)
            .then("/160/deflate", BOUNDED),
        body("MEM-11", "a decompression bomb of a gigabyte", BOMB)
            .limits("cpu_ms = 20_000, wall_ms = 50_000")
            .then("/1024/gzip", BOUNDED)
            .then("/1024/deflate", BOUNDED)
            .afterwards(|stage, _| stays_below(stage, 1_500))
            .full(),
        body(
            "MEM-17",
            "blobs",
            "const a = []; for (let i = 0; i < 500; i++) a.push(new Blob([new Uint8Array(1e6).fill(1)])); return new Response('x');",
        )
        .limits(LONG)
        .expect(&[MEM, EXC])
        .then("/", &[MEM, EXC, RESET]),
        body(
            "MEM-17",
            "files in a form",
            "const form = new FormData(); for (let i = 0; i < 500; i++) form.append('f', new File([new Uint8Array(1e6).fill(1)], 'f')); return new Response(form);",
        )
        .limits(LONG)
        .expect(&[MEM, EXC]),
        body("MEM-20", "date formats", "const a = []; for (;;) a.push(new Intl.DateTimeFormat('ar-EG-u-nu-arab'));")
            .limits(LONG)
            .expect(&[MEM, CPU]),
        body("MEM-20", "segmenters and collators", "const a = []; for (;;) a.push(new Intl.Segmenter('th').segment('x'.repeat(1e4)), new Intl.Collator('de'));")
            .limits(LONG)
            .expect(&[MEM, CPU]),
        body("MEM-20", "a long text normalized", "const s = '\\u1e9b\\u0323'.repeat(5e6); return new Response(String(s.normalize('NFKD').length));")
            .limits(LONG)
            .expect(&[ok("^[0-9]+$"), EXC, MEM, CPU]),
        body(
            "MEM-22",
            "timers",
            "let n = 0; try { for (; n < 1e7; n++) setTimeout(() => {}, 1e6); } catch (error) { return new Response(`${n} ${error.message}`); }",
        )
        .limits(LONG)
        .expect(&[ok("^10000 Too many")]),
        body(
            "MEM-23",
            "fetches that nobody awaits",
            r#"
            const all = [];
            for (let i = 0; i < 2e3; i++) all.push(fetch(env.UPSTREAM + "/text").then((r) => r.text(), (error) => error.message));
            const told = await Promise.all(all);
            return new Response(`${told.filter((text) => text === "hello upstream\n").length} ${told.at(-1)}`);
            "#,
        )
        .limits("cpu_ms = 5_000, subrequests = 50")
        .expect(&[ok("^50 .*[Tt]oo many subrequests")]),
        not_applicable("MEM-32", "SQL: there is no such binding"),
        body("MEM-28", "a header list without end", "const h = new Headers(); for (let i = 0; ; i++) h.append('x' + i, 'v'.repeat(1e4));")
            .limits(LONG)
            .expect(&[EXC, MEM, CPU]),
        body("MEM-28", "forty thousand headers", "const h = new Headers(); for (let i = 0; i < 4e4; i++) h.append('x' + i, 'v'); return new Response('x', { headers: h });")
            .limits(LONG)
            .expect(&[EXC, CPU, MEM]),
    ]
}

fn bodies() -> Vec<Case> {
    vec![
        body("MEM-13", "an upload without end, collected", "const b = await request.arrayBuffer(); return new Response(String(b.byteLength));")
            .limits("request_body_bytes = 1_048_576")
            .scenario(|stage, host| {
                let before = processes::resident_mib(stage.pid());
                let (sent, answer) = upload(stage, host, 1 << 30)?;
                if !answer.starts_with("HTTP/1.1 413 ") {
                    return Err(format!("after {sent} bytes: {answer:.300}"));
                }
                grew_by_less_than(stage, before, 64)
            }),
        body("MEM-14", "an upload that nobody reads", "await sleep(5000); return new Response('not read');").scenario(|stage, host| {
            let before = processes::resident_mib(stage.pid());
            let (sent, answer) = upload(stage, host, 64 << 20)?;
            grew_by_less_than(stage, before, 48)?;
            let full = answer.starts_with("HTTP/1.1 200 ") || answer.is_empty() || answer.starts_with("HTTP/1.1 413 ");
            // Before there is an answer. What fits into the sockets' own buffers is not held by the server.
            if full && sent < 32 << 20 { Ok(()) } else { Err(format!("{sent} bytes went out: {answer:.300}")) }
        }),
        body(
            "MEM-16",
            "half of a tee",
            "const r = await fetch(env.UPSTREAM + '/bytes/1073741824'); const [a, b] = r.body.tee(); for await (const chunk of a); return new Response('x');",
        )
        .limits("cpu_ms = 20_000, wall_ms = 18_000")
        .expect(&[MEM])
        .afterwards(|stage, _| stays_below(stage, 1_500)),
        body(
            "MEM-16",
            "a stream that enqueues without end",
            "const s = new ReadableStream({ start(c) { for (;;) c.enqueue(new Uint8Array(1e6).fill(1)); } }); return new Response(s);",
        )
        .limits(LONG)
        .expect(&[MEM, EXC]),
    ]
}

fn many() -> Vec<Case> {
    const LEAKING: &str = r#"
        const kept = [];
        export default {
          fetch(request, env) {
            if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
            kept.push(new Uint8Array(1 << 20).fill(1));
            return new Response("kept");
          },
        };
    "#;
    vec![
        module("MEM-26", "a megabyte kept per request", LEAKING).scenario(|stage, host| leak(stage, host, 400)),
        module("MEM-26", "a megabyte kept by each of ten thousand requests", LEAKING).scenario(|stage, host| leak(stage, host, 10_000)).full(),
        body(
            "MEM-31",
            "forty requests of five megabytes each",
            "const kept = []; for (let i = 0; i < 5; i++) { kept.push(new Array(130_000).fill(i)); await sleep(20); } return new Response(String(kept.length));",
        )
        .limits("cpu_ms = 2_000")
        .scenario(|stage, host| {
            let threads: Vec<_> = (0..40)
                .map(|_| {
                    let (client, host) = (stage.client(), host.to_owned());
                    std::thread::spawn(move || client.try_send(at(&host, "/")))
                })
                .collect();
            for thread in threads {
                let answer = thread.join().unwrap()?;
                if answer.status != 200 && !["memory_exceeded", "isolate_reset"].contains(&answer.error()) {
                    return Err(format!("{answer:?}"));
                }
            }
            Ok(())
        }),
        body("MEM-29", "more tenants than isolates", "return new Response('x');").full().scenario(|stage, _| {
            // The cases themselves are the tenants.
            for _ in 0..3 {
                for case in crate::table::all() {
                    if case.worker.as_ref().is_some_and(|worker| worker.starts) && case.blast == Blast::Contained {
                        let answer = stage.get(&format!("{}.example", crate::stage::slug(case)), "/alive")?;
                        if answer.status != 200 {
                            return Err(format!("{}: {answer:?}", case.title()));
                        }
                    }
                }
            }
            stays_below(stage, 6_000)
        }),
        body("MEM-02", "more than one object can have", "const a = []; a.length = 2 ** 27; a.fill(0); return new Response('x');")
            .limits(LONG)
            .expect(&[EXC, MEM, CPU, CRASH, ok("")])
            .blast(Blast::Aborted),
    ]
}

fn leak(stage: &Stage, host: &str, count: usize) -> Result<(), String> {
    for number in 0..count {
        let answer = stage.get(host, "/")?;
        if answer.status != 200 {
            return Err(format!("request {number}: {answer:?}"));
        }
    }
    stays_below(stage, 2_000)
}

/// Sends a body in chunks until the server answers, takes no more for two seconds, or all is sent.
fn upload(stage: &Stage, host: &str, most: usize) -> Result<(usize, String), String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(stage.client().address).map_err(failed)?;
    stream.set_write_timeout(Some(Duration::from_secs(1))).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(failed)?;
    let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).map_err(failed)?;
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    while sent < most && stream.write_all(&chunk).is_ok() {
        sent += 0x10000;
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok((sent, String::from_utf8_lossy(&answer).into_owned()))
}

fn grew_by_less_than(stage: &Stage, before: u64, mib: u64) -> Result<(), String> {
    let now = processes::resident_mib(stage.pid());
    if now < before + mib { Ok(()) } else { Err(format!("the process grew from {before} to {now} MiB")) }
}

/// A bound for the whole process, with all the isolates of other cases in it.
fn stays_below(stage: &Stage, mib: u64) -> Result<(), String> {
    let now = processes::resident_mib(stage.pid());
    if now < mib + HEADROOM_MIB { Ok(()) } else { Err(format!("the process has {now} MiB")) }
}
