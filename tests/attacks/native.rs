//! The boundary between the script and native code: what is handed over changes while it is read.

use crate::case::CPU;
use crate::case::Case;
use crate::case::EXC;
use crate::case::MEM;
use crate::case::body;
use crate::case::module;
use crate::case::not_applicable;
use crate::case::ok;
use crate::stage::at;

/// Every function of the platform that takes bytes, by name; `give(sink)` calls one with a buffer, and with a view of it.
const SINKS: &str = r#"
    const hmac = await crypto.subtle.importKey("raw", new Uint8Array(32), { name: "HMAC", hash: "SHA-256" }, true, ["sign", "verify"]);
    const aes = await crypto.subtle.importKey("raw", new Uint8Array(16), "AES-GCM", true, ["encrypt", "decrypt", "wrapKey"]);
    const pbkdf2 = await crypto.subtle.importKey("raw", new Uint8Array(16), "PBKDF2", false, ["deriveBits"]);
    const hkdf = await crypto.subtle.importKey("raw", new Uint8Array(16), "HKDF", false, ["deriveBits"]);
    const sinks = {
      digest: (b, change) => crypto.subtle.digest({ get name() { change(); return "SHA-256"; } }, b),
      sign: (b, change) => crypto.subtle.sign({ get name() { change(); return "HMAC"; } }, hmac, b),
      verify: (b, change) => crypto.subtle.verify({ get name() { change(); return "HMAC"; } }, hmac, b, b),
      encrypt: (b, change) => crypto.subtle.encrypt({ name: "AES-GCM", iv: b, get additionalData() { change(); return b; } }, aes, b),
      decrypt: (b, change) => crypto.subtle.decrypt({ name: "AES-GCM", iv: b, get tagLength() { change(); return 128; } }, aes, b),
      importKey: (b, change) => crypto.subtle.importKey("raw", b, { name: "HMAC", get hash() { change(); return "SHA-1"; } }, true, ["sign"]),
      deriveBits: (b, change) => crypto.subtle.deriveBits({ name: "PBKDF2", salt: b, get iterations() { change(); return 1; }, hash: "SHA-256" }, pbkdf2, 128),
      hkdf: (b, change) => crypto.subtle.deriveBits({ name: "HKDF", salt: b, get info() { change(); return b; }, hash: "SHA-256" }, hkdf, 128),
      getRandomValues: (b, change) => { const view = ArrayBuffer.isView(b) ? b : new Uint8Array(b); change(); return crypto.getRandomValues(view); },
      timingSafeEqual: (b, change) => { change(); return crypto.subtle.timingSafeEqual(b, b); },
      response: async (b, change) => { const r = new Response(b, { get status() { change(); return 200; } }); return (await r.arrayBuffer()).byteLength; },
      request: async (b, change) => { const r = new Request("http://x/", { body: b, get method() { change(); return "POST"; } }); return (await r.bytes()).length; },
      blob: (b, change) => new Blob([{ toString() { change(); return "x"; } }, b], { get type() { change(); return ""; } }).arrayBuffer(),
      file: (b, change) => new File([b], { toString() { change(); return "x"; } }).arrayBuffer(),
      decode: (b, change) => new TextDecoder().decode(b, { get stream() { change(); return false; } }),
      decodeUtf16: (b, change) => new TextDecoder("utf-16le").decode(b, { get stream() { change(); return true; } }),
      encodeInto: (b, change) => new TextEncoder().encodeInto({ toString() { change(); return "xyz"; } }, b instanceof Uint8Array ? b : new Uint8Array(b)),
      compress: async (b, change) => { const s = new CompressionStream("gzip"); const w = s.writable.getWriter(); w.write(b).catch(() => {}); change(); w.close().catch(() => {}); for await (const chunk of s.readable) chunk; },
      decompress: async (b, change) => { const s = new DecompressionStream("deflate"); const w = s.writable.getWriter(); w.write(b).catch(() => {}); change(); w.close().catch(() => {}); for await (const chunk of s.readable) chunk; },
      decoderStream: async (b, change) => { const s = new TextDecoderStream(); const w = s.writable.getWriter(); w.write(b).catch(() => {}); change(); w.close().catch(() => {}); for await (const chunk of s.readable) chunk; },
      identity: async (b, change) => { const s = new IdentityTransformStream(); const w = s.writable.getWriter(); w.write(b).catch(() => {}); change(); w.close().catch(() => {}); for await (const chunk of s.readable) chunk; },
      stream: async (b, change) => { const s = new ReadableStream({ type: "bytes", start(c) { c.enqueue(ArrayBuffer.isView(b) ? b : new Uint8Array(b)); change(); c.close(); } }); return new Response(s).text(); },
      byob: async (b, change) => { const s = new ReadableStream({ type: "bytes", pull(c) { change(); c.byobRequest?.respond(1); c.close(); } }); return s.getReader({ mode: "byob" }).read(ArrayBuffer.isView(b) ? b : new Uint8Array(b)); },
      pumped: async (b, change) => { const s = new ReadableStream({ pull(c) { c.enqueue(b); change(); c.close(); } }); return new Response(s).bytes(); },
      clone: (b, change) => structuredClone({ b, get x() { change(); return 1; } }),
      transfer: (b, change) => structuredClone({ get x() { change(); return 1; } }, { transfer: [b.buffer ?? b] }),
      post: (b, change) => { const { port1 } = new MessageChannel(); port1.postMessage({ b, get x() { change(); return b; } }); },
      upload: (b, change) => fetch(env.UPSTREAM + "/echo", { method: "POST", get body() { change(); return b; } }).then((r) => r.text()),
      form: async (b, change) => { const f = new FormData(); f.append("f", new Blob([b])); change(); return new Response(f).text(); },
      base64: (b, change) => { change(); return new Uint8Array(b.buffer ?? b).toBase64?.(); },
      log: (b, change) => { change(); console.log(b); },
    };
    const told = {};
    async function all(buffers) {
      for (const [name, sink] of Object.entries(sinks)) for (const make of buffers) {
        const [value, change] = make();
        try { await sink(value, change); } catch (error) { if (!(error instanceof Error) && !(error instanceof DOMException)) return `${name} threw ${String(error)}`; }
      }
      return "ok";
    }
"#;

pub fn cases() -> Vec<Case> {
    let with_sinks = |rest: &str| -> &'static str { Box::leak(format!("{SINKS}{rest}").into_boxed_str()) };
    let long = |case: Case| case.limits("cpu_ms = 5_000, subrequests = 200, wall_ms = 15_000");
    let mut cases = vec![
        long(body(
            "NAT-01",
            "buffers resized while they are read",
            with_sinks(
                r#"
                const resizable = () => new ArrayBuffer(4096, { maxByteLength: 8192 });
                return new Response(await all([
                  () => { const b = resizable(); return [b, () => b.resize(0)]; },
                  () => { const b = resizable(); return [b, () => b.resize(8192)]; },
                  () => { const b = resizable(); return [new Uint8Array(b), () => b.resize(1)]; },
                  () => { const b = resizable(); return [new Uint8Array(b, 16, 1024), () => b.resize(20)]; },
                  () => { const b = resizable(); return [new DataView(b, 2048), () => b.resize(8)]; },
                  () => { const b = resizable(); b.resize(0); return [new Uint8Array(b), () => b.resize(4096)]; },
                ]));
                "#,
            ),
        ))
        .expect(&[ok("^ok$")]),
        long(body(
            "NAT-02",
            "buffers detached while they are read",
            with_sinks(
                r#"
                const detach = (b) => { try { structuredClone(b, { transfer: [b] }); } catch {} };
                return new Response(await all([
                  () => { const b = new ArrayBuffer(4096); return [b, () => detach(b)]; },
                  () => { const b = new ArrayBuffer(4096); return [new Uint8Array(b), () => detach(b)]; },
                  () => { const b = new ArrayBuffer(4096); return [new Float64Array(b, 8, 16), () => b.transfer?.(1)]; },
                  () => { const b = new ArrayBuffer(64, { maxByteLength: 128 }); return [new Uint16Array(b), () => detach(b)]; },
                  () => { const b = new ArrayBuffer(16); detach(b); return [b, () => {}]; },
                  () => { const v = new Uint8Array(16); detach(v.buffer); return [v, () => {}]; },
                ]));
                "#,
            ),
        ))
        .expect(&[ok("^ok$")]),
        long(body(
            "NAT-04",
            "views on the memory of WebAssembly",
            with_sinks(
                r#"
                const memory = () => new WebAssembly.Memory({ initial: 1, maximum: 4 });
                try { const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true }); return new Response(`${Object.prototype.toString.call(buffer)} came`); } catch {}
                return new Response(await all([
                  () => { const m = memory(); return [m.buffer, () => m.grow(1)]; },
                  () => { const m = memory(); return [new Uint8Array(m.buffer, 100, 100), () => m.grow(1)]; },
                  () => { const m = memory(); const b = m.buffer; m.grow(1); return [b, () => {}]; },
                ]));
                "#,
            ),
        ))
        .expect(&[ok("^ok$")]),
        long(body(
            "NAT-05",
            "views at odd places keep exactly their bytes",
            r#"
            const whole = Uint8Array.from({ length: 64 }, (_, i) => i);
            const views = [new Uint8Array(whole.buffer, 3, 5), new Uint16Array(whole.buffer, 2, 3), new Float64Array(whole.buffer, 8, 2), new DataView(whole.buffer, 5, 7), new BigInt64Array(whole.buffer, 16, 1), new Int8Array(whole.buffer, 63, 1), new Uint32Array(whole.buffer, 4, 0)];
            const hex = (bytes) => Array.from(new Uint8Array(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, bytes.byteLength), (byte) => byte.toString(16).padStart(2, "0")).join("");
            const wrong = [];
            const key = await crypto.subtle.importKey("raw", new Uint8Array(16), "AES-CTR", true, ["encrypt", "decrypt"]);
            const counter = { name: "AES-CTR", counter: new Uint8Array(16), length: 64 };
            for (const view of views) {
              const expected = hex(view);
              const check = (name, bytes) => { if (hex(bytes) !== expected) wrong.push(`${name} of ${view.constructor.name}: ${hex(bytes)} for ${expected}`); };
              check("response", await new Response(view).arrayBuffer());
              check("bytes", await new Response(view).bytes());
              check("request", await new Request("http://x/", { method: "POST", body: view }).bytes());
              check("blob", await new Blob([view]).bytes());
              check("file", await (await new Response(new Blob([view])).blob()).bytes());
              check("stream", await new Response(new Response(view).body).bytes());
              check("decode", Uint8Array.from(new TextDecoder("latin1").decode(view), (c) => c.charCodeAt(0)));
              check("encrypt", await crypto.subtle.decrypt(counter, key, await crypto.subtle.encrypt(counter, key, view)));
              check("clone", structuredClone(view));
              if (view.byteLength > 0) {
                const pack = new CompressionStream("gzip"), unpack = new DecompressionStream("gzip");
                const writer = pack.writable.getWriter(); writer.write(view); writer.close();
                check("compression", await new Response(pack.readable.pipeThrough(unpack)).bytes());
                const echoed = await (await fetch(env.UPSTREAM + "/echo", { method: "POST", body: view })).json();
                if (echoed.headers["content-length"] !== String(view.byteLength)) wrong.push(`upload of ${view.constructor.name}`);
              }
              const digests = await Promise.all([crypto.subtle.digest("SHA-256", view), crypto.subtle.digest("SHA-256", await new Response(view).bytes())]);
              if (hex(digests[0]) !== hex(digests[1])) wrong.push(`digest of ${view.constructor.name}`);
            }
            return new Response(wrong.length === 0 ? "ok" : wrong.join("\n"));
            "#,
        ))
        .expect(&[ok("^ok$")]),
    ];
    cases.extend(iterables());
    cases.extend(streams());
    cases.extend(values());
    cases
}

fn iterables() -> Vec<Case> {
    let sources = [
        (
            "headers from an iterator without end",
            "new Headers({ *[Symbol.iterator]() { for (let i = 0; ; i++) yield ['x' + i, 'y']; } });",
        ),
        (
            "a blob from an iterator without end",
            "new Blob({ *[Symbol.iterator]() { for (;;) yield 'x'.repeat(1e5); } });",
        ),
        (
            "parameters from an iterator without end",
            "new URLSearchParams({ *[Symbol.iterator]() { for (;;) yield ['a', 'b']; } });",
        ),
        (
            "a stream from an iterator without end",
            "await new Response({ async *[Symbol.asyncIterator]() { for (;;) yield new Uint8Array(1e5); } }).arrayBuffer();",
        ),
        ("headers whose pairs never end", "new Headers([{ *[Symbol.iterator]() { for (;;) yield 'x'; } }]);"),
        ("signals without end", "AbortSignal.any({ *[Symbol.iterator]() { for (;;) yield AbortSignal.abort(); } });"),
        (
            "a transfer list without end",
            "structuredClone(1, { transfer: { *[Symbol.iterator]() { for (;;) yield new ArrayBuffer(1); } } });",
        ),
        (
            "usages without end",
            "await crypto.subtle.generateKey('HMAC', true, { *[Symbol.iterator]() { for (;;) yield 'sign'; } });",
        ),
    ];
    let mut cases: Vec<Case> = sources
        .into_iter()
        .map(|(name, source)| body("NAT-07", name, source).limits("cpu_ms = 1_000").expect(&[CPU, EXC, MEM]))
        .collect();
    cases.push(
        body(
            "NAT-07",
            "lists that change while they are read",
            r#"
            const wrong = [];
            const attempts = {
              headers() { const list = [["a", "1"], ["b", { toString() { list.length = 0; return "2"; } }], ["c", "3"]]; return [...new Headers(list)].length <= 3; },
              grow() { const list = [["a", "1"]]; let n = 0; list[0][1] = { toString() { if (n++ < 50) list.push(["x" + n, list[0][1]]); return "v"; } }; return [...new Headers(list)].length < 100; },
              record() { const record = { a: "1", get b() { delete record.c; return "2"; }, c: "3" }; return [...new Headers(record)].length >= 2; },
              ownKeys() { let n = 0; try { new Headers(new Proxy({}, { ownKeys() { n++; return ["a", "b"]; }, getOwnPropertyDescriptor: () => ({ value: "x", enumerable: true, configurable: true }) })); } catch {} return n <= 3; },
              blob() { const parts = ["a", { toString() { parts.length = 0; return "b"; } }, "c"]; return new Blob(parts).size >= 2; },
              length() { let n = 0; try { new Headers([{ get length() { return n++ === 0 ? 2 : 1e9; }, 0: "a", 1: "b", [Symbol.iterator]: Array.prototype[Symbol.iterator] }]); } catch {} return true; },
              deleted() { const h = new Headers({ a: "1", b: "2", c: "3" }); let n = 0; for (const [name] of h) { h.delete(name); n++; } return n <= 3; },
              appended() { const h = new Headers({ a: "1" }); let n = 0; for (const _ of h) { if (n++ > 100) break; h.append("x" + n, "v"); } return n <= 102; },
              form() { const f = new FormData(); f.append("a", "1"); let n = 0; for (const _ of f) { if (n++ > 100) break; f.append("b", "2"); } return n <= 102; },
              forEach() { const f = new FormData(); f.append("a", "1"); let n = 0; f.forEach(() => { n++; if (n < 100) f.append("b", "2"); }); return n <= 101; },
              signals() { const c = new AbortController(); const s = AbortSignal.any([c.signal, AbortSignal.any([c.signal])]); s.onabort = () => c.abort(); c.abort(); return s.aborted; },
              events() { const t = new EventTarget(); let n = 0; const l = () => { if (n++ < 50) { t.addEventListener("x", () => { n++; }); t.dispatchEvent(new Event("x")); } }; t.addEventListener("x", l); t.dispatchEvent(new Event("x")); return n > 0; },
            };
            for (const [name, attempt] of Object.entries(attempts)) try { if (!attempt()) wrong.push(name); } catch (error) { if (!(error instanceof Error)) wrong.push(`${name}: ${error}`); }
            return new Response(wrong.length === 0 ? "ok" : wrong.join("\n"));
            "#,
        )
        .limits("cpu_ms = 2_000")
        .expect(&[ok("^ok$")]),
    );
    cases
}

fn streams() -> Vec<Case> {
    vec![
        body(
            "NAT-08",
            "streams re-entered from their own callbacks",
            r#"
            const wrong = [];
            const places = ["start", "pull", "cancel", "size", "write", "close", "abort", "transform", "flush"];
            const settle = (value) => { if (value instanceof Promise) value.catch(() => {}); };
            const acts = {
              releaseLock: (s) => s.reader?.releaseLock(), tee: (s) => s.stream?.tee().forEach((b) => settle(b.cancel())), cancel: (s) => { settle(s.stream?.cancel()); settle(s.reader?.cancel()); }, close: (s) => s.controller?.close(), error: (s) => s.controller?.error(new Error("e")),
              enqueue: (s) => s.controller?.enqueue(new Uint8Array(8)), abort: (s) => { settle(s.writer?.abort("a")); settle(s.writable?.abort("a")); }, pipeTo: (s) => settle(s.stream?.pipeTo(new WritableStream())), respond: (s) => s.controller?.byobRequest?.respond(1), respondZero: (s) => s.controller?.byobRequest?.respond(0),
              respondView: (s) => s.controller?.byobRequest?.respondWithNewView(new Uint8Array(4)), read: (s) => settle(s.reader?.read(new Uint8Array(16))), write: (s) => settle(s.writer?.write(new Uint8Array(4))), writerClose: (s) => settle(s.writer?.close()), terminate: (s) => s.controller?.terminate?.(), detach: (s) => s.controller?.byobRequest && structuredClone(s.controller.byobRequest.view.buffer, { transfer: [s.controller.byobRequest.view.buffer] }),
            };
            let runs = 0;
            for (const place of places) for (const [name, act] of Object.entries(acts)) for (const kind of ["value", "bytes", "auto", "write", "transform"]) {
              const s = {};
              let depth = 0;
              const at = (here) => (a, b) => { s.controller = [a, b].find((x) => x && typeof x === "object" && ("enqueue" in x || "error" in x)) ?? s.controller; if (here === place && depth++ < 3) try { act(s); } catch (error) { if (!(error instanceof Error)) wrong.push(`${place} ${name} ${kind}: ${error}`); } if (here === "size") return 1; };
              const source = Object.fromEntries(["start", "pull", "cancel", "write", "close", "abort", "transform", "flush"].map((here) => [here, at(here)]));
              const size = at("size");
              try {
                if (kind === "write") { s.writable = new WritableStream({ start: source.start, write: source.write, close: source.close, abort: source.abort }, { highWaterMark: 2, size }); s.writer = s.writable.getWriter(); settle(s.writer.closed); settle(s.writer.ready); settle(s.writer.write(new Uint8Array(2))); settle(s.writer.close()); settle(s.writer.abort()); }
                else if (kind === "transform") { const t = new TransformStream({ start: source.start, transform: source.transform, flush: source.flush, cancel: source.cancel }, { highWaterMark: 2, size }); s.stream = t.readable; s.writer = t.writable.getWriter(); settle(s.writer.closed); settle(s.writer.ready); s.reader = t.readable.getReader(); settle(s.reader.closed); settle(s.reader.read()); settle(s.writer.write(new Uint8Array(2))); settle(s.writer.close()); }
                else {
                  s.stream = new ReadableStream(kind === "value" ? { start: source.start, pull: source.pull, cancel: source.cancel } : { type: "bytes", ...(kind === "auto" ? { autoAllocateChunkSize: 16 } : {}), start: source.start, pull: source.pull, cancel: source.cancel }, kind === "value" ? { highWaterMark: 1, size } : { highWaterMark: 0 });
                  s.reader = kind === "bytes" ? s.stream.getReader({ mode: "byob" }) : s.stream.getReader(); settle(s.reader.closed);
                  settle(s.reader.read(kind === "bytes" ? new Uint8Array(16) : undefined)); settle(s.reader.read(kind === "bytes" ? new Uint8Array(16) : undefined));
                  try { s.controller?.enqueue(new Uint8Array(4)); } catch {}
                  settle(s.reader.cancel());
                }
              } catch (error) { if (!(error instanceof Error)) wrong.push(`${place} ${name} ${kind}: ${error}`); }
              if (++runs % 50 === 0) await sleep(0);
            }
            await sleep(5);
            return new Response(wrong.length === 0 && runs > 500 ? "ok" : wrong.slice(0, 20).join("\n"));
            "#,
        )
        .limits("cpu_ms = 10_000, wall_ms = 15_000")
        .expect(&[ok("^ok$")]),
        body(
            "NAT-10",
            "a signal that fires while a body is pulled",
            r#"
            const controller = new AbortController();
            let pulls = 0;
            const upload = new ReadableStream({ async pull(c) { c.enqueue(new Uint8Array(1000)); await sleep(1); if (++pulls === 5) controller.abort(new Error("enough")); } });
            let told;
            try { await fetch(env.UPSTREAM + "/echo", { method: "POST", body: upload, signal: controller.signal }); told = "came"; } catch (error) { told = error.message; }
            const later = new AbortController();
            const response = await fetch(env.UPSTREAM + "/hold-body", { signal: later.signal });
            const reader = response.body.getReader();
            await reader.read();
            setTimeout(() => later.abort(new Error("later")), 2);
            let read;
            try { await reader.read(); read = "came"; } catch (error) { read = error.message; }
            return new Response(`${told} ${read}`);
            "#,
        )
        .expect(&[ok("^enough later$")]),
        body(
            "NAT-10",
            "an answer whose stream breaks while it is pulled",
            "let n = 0; return new Response(new ReadableStream({ pull(c) { if (n++ === 3) { c.error(new Error('broken')); return; } c.enqueue(new Uint8Array(100)); } }, { highWaterMark: 0 }));",
        )
        .expect(&[crate::case::Accept::Cut(200)]),
        body(
            "NAT-11",
            "calls from within their own arguments",
            r#"
            const wrong = [];
            const h = new Headers(), f = new FormData(), u = new URL("http://x/?a=b"), p = u.searchParams;
            const nested = (act) => ({ toString() { try { act(); } catch {} return "x"; } });
            const attempts = [
              () => h.set(nested(() => h.set("y", nested(() => h.delete("x")))), nested(() => [...h])), () => f.append(nested(() => f.set("x", nested(() => f.delete("x")))), nested(() => [...f])), () => p.append(nested(() => { u.search = "?z"; }), nested(() => p.delete("a"))),
              () => { u.href = { toString() { u.pathname = nested(() => { u.hash = "q"; }); return "http://y/"; } }; }, () => setTimeout(() => {}, { valueOf() { clearTimeout(setTimeout(() => {}, 1)); return 1; } }), () => console.log("%s", nested(() => console.log("%s", nested(() => console.table([1]))))),
              () => new Response(nested(() => new Response(nested(() => {}))), { get status() { new Response("x", { status: 200 }); return 200; }, get headers() { return new Headers({ a: nested(() => h.set("a", "b")) }); } }), () => fetch(nested(() => fetch(nested(() => {})).catch(() => {}))).catch(() => {}),
              () => crypto.subtle.digest({ get name() { crypto.subtle.digest("SHA-1", new Uint8Array(1)); return crypto.randomUUID() && "SHA-1"; } }, new Uint8Array(1)), () => structuredClone({ get a() { return structuredClone({ get b() { return new Response("x") && 1; } }); } }), () => new TextDecoder(nested(() => new TextDecoder("utf-8"))),
              () => new URLPattern({ get pathname() { new URLPattern({ pathname: "/x" }); return "/y"; } }), () => performance.mark(nested(() => performance.clearMarks())), () => ctx.waitUntil({ then(r) { ctx.waitUntil(Promise.resolve()); r(); } }), () => new Blob([nested(() => new Blob([nested(() => {})]))]), () => atob(nested(() => btoa(nested(() => {})))),
            ];
            for (const attempt of attempts) try { await attempt(); } catch (error) { if (!(error instanceof Error || error instanceof DOMException)) wrong.push(`${attempt}: ${error}`); }
            return new Response(wrong.length === 0 ? "ok" : wrong.join("\n"));
            "#,
        )
        .limits("cpu_ms = 2_000")
        .expect(&[ok("^ok$")]),
    ]
}

fn values() -> Vec<Case> {
    vec![
        body(
            "NAT-13",
            "names that are no names",
            r#"
            const names = ["\uD800", "a\uDFFFb", "\0", "a\0b", "", "__proto__", "constructor", "then", "hasOwnProperty", "toString", "\r\nx: y", "x y", "\u00e9", "\u{1F600}", "a".repeat(1e6)];
            const wrong = [];
            for (const name of names) {
              const short = JSON.stringify(name.slice(0, 20));
              const attempt = (what, act) => { try { const told = act(); if (told !== undefined && told !== true) wrong.push(`${what} ${short}: ${String(told).slice(0, 50)}`); } catch (error) { if (!(error instanceof TypeError || error instanceof DOMException || error instanceof RangeError)) wrong.push(`${what} ${short}: ${error}`); } };
              attempt("header name", () => { const h = new Headers(); h.set(name, "v"); return h.get(name) === "v"; });
              attempt("header value", () => { const h = new Headers(); h.set("a", name); return h.get("a") !== null; });
              attempt("record", () => new Headers(JSON.parse(`{${JSON.stringify(name)}: "v"}`)).get(name) === "v");
              attempt("form", () => { const f = new FormData(); f.set(name, name); return f.get(name) === name.toWellFormed(); });
              attempt("parameter", () => { const p = new URLSearchParams(); p.set(name, name); return p.get(name) === name.toWellFormed(); });
              attempt("url", () => { const u = new URL("http://a/"); u.searchParams.set(name, name); u.pathname = name; u.hash = name; return new URL(u.href).href === u.href; });
              attempt("event", () => { const t = new EventTarget(); let heard = false; t.addEventListener(name, () => { heard = true; }); t.dispatchEvent(new Event(name)); return heard; });
              attempt("file", () => new File([], name).name === name.toWellFormed());
              attempt("blob type", () => typeof new Blob([], { type: name }).type === "string");
              attempt("mark", () => performance.mark(name).name === name);
              attempt("count", () => { console.count(name); console.countReset(name); console.time(name); });
              attempt("status text", () => new Response(null, { statusText: name }).statusText === name);
              attempt("method", () => new Request("http://x/", { method: name }).method !== undefined);
              attempt("text", () => new TextDecoder().decode(new TextEncoder().encode(name)) === name.toWellFormed());
              attempt("clone", () => Object.keys(structuredClone(JSON.parse(`{${JSON.stringify(name)}: 1}`)))[0] === name);
              attempt("error", () => { new DOMException(name, name); });
              attempt("algorithm", () => { crypto.subtle.digest(name, new Uint8Array(1)).catch(() => {}); });
              attempt("pattern", () => { new URLPattern({ pathname: name }); });
            }
            performance.clearMarks();
            return new Response(wrong.length === 0 ? "ok" : wrong.join("\n"));
            "#,
        )
        .limits("cpu_ms = 10_000, wall_ms = 15_000")
        .expect(&[ok("^ok$")]),
        body(
            "NAT-14",
            "numbers that are no numbers",
            r#"
            const numbers = [NaN, -0, 1e21, -1, Infinity, -Infinity, 2 ** 53, 2 ** 64, 0.5, { valueOf() { return 204; } }, { valueOf() { throw new TypeError("v"); } }, "200", "x", null, 1n, Symbol("x"), {}, [200], 2 ** 31, 2 ** 32 + 200, -(2 ** 31) - 1];
            const wrong = [];
            for (const number of numbers) {
              const attempt = async (what, act) => { try { const told = await act(); if (told !== undefined && told !== true) wrong.push(`${what} ${String(number)}: ${String(told)}`); } catch (error) { if (!(error instanceof Error || error instanceof DOMException)) wrong.push(`${what} ${String(number)}: ${String(error)}`); } };
              await attempt("status", () => { const { status } = new Response(null, { status: number }); return status >= 200 && status <= 599; });
              await attempt("redirect", () => [301, 302, 303, 307, 308].includes(Response.redirect("http://x/", number).status));
              await attempt("timer", () => { clearTimeout(setTimeout(() => {}, number)); clearTimeout(number); clearInterval(number); });
              await attempt("slice", () => new Blob(["hello"]).slice(number, number).size <= 5);
              await attempt("chunk size", () => { new ReadableStream({ type: "bytes", autoAllocateChunkSize: number }); });
              await attempt("high water mark", () => { new ReadableStream({}, { highWaterMark: number }); new CountQueuingStrategy({ highWaterMark: number }); });
              await attempt("fixed length", () => { new FixedLengthStream(number); });
              await attempt("random", () => crypto.getRandomValues(new Uint8Array(8)).length === 8);
              await attempt("bits", async () => { const key = await crypto.subtle.importKey("raw", new Uint8Array(8), "HKDF", false, ["deriveBits"]); await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-1", salt: new Uint8Array(1), info: new Uint8Array(1) }, key, number); });
              await attempt("iterations", async () => { if (number > 1e6) return; const key = await crypto.subtle.importKey("raw", new Uint8Array(8), "PBKDF2", false, ["deriveBits"]); await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-1", salt: new Uint8Array(1), iterations: number }, key, 8); });
              await attempt("key length", async () => { await crypto.subtle.generateKey({ name: "AES-GCM", length: number }, true, ["encrypt"]); });
              await attempt("last modified", () => Number.isInteger(new File([], "x", { lastModified: number }).lastModified));
              await attempt("mark", () => { performance.mark("x", { startTime: number }); performance.measure("y", { start: number, duration: number }); });
              await attempt("respond", async () => { const s = new ReadableStream({ type: "bytes", pull(c) { c.byobRequest.respond(number); } }); const r = s.getReader({ mode: "byob" }); r.closed.catch(() => {}); await Promise.race([r.read(new Uint8Array(8)), sleep(1)]); });
              await attempt("date", () => { new Date(number).toString(); new Intl.DateTimeFormat().format(number); });
              await attempt("timeout", () => { AbortSignal.timeout(number); });
              await attempt("wait", async () => { await Promise.race([scheduler.wait(number), sleep(1)]); });
              await attempt("min", async () => { const r = new Response("hello").body.getReader({ mode: "byob" }); r.closed.catch(() => {}); await r.read(new Uint8Array(8), { min: number }); });
            }
            return new Response(wrong.length === 0 ? "ok" : wrong.slice(0, 20).join("\n"));
            "#,
        )
        .limits("cpu_ms = 10_000, wall_ms = 15_000")
        .expect(&[ok("^ok$")]),
        body(
            "NAT-14",
            "keys of any length",
            r#"
            const wrong = [];
            for (const modulusLength of [0, 1, -1, NaN, 2 ** 14 + 8, 2 ** 20, 2 ** 31, 2 ** 32 - 1, 2 ** 53]) {
              const key = crypto.subtle.generateKey({ name: "RSA-OAEP", hash: "SHA-1", modulusLength, publicExponent: new Uint8Array([1, 0, 1]) }, true, ["encrypt", "decrypt"]);
              try { await key; wrong.push(`${modulusLength} came`); } catch (error) { if (!(error instanceof Error || error instanceof DOMException)) wrong.push(`${modulusLength}: ${String(error)}`); }
            }
            return new Response(wrong.length === 0 ? "ok" : wrong.join("\n"));
            "#,
        )
        .limits("cpu_ms = 2_000, wall_ms = 10_000")
        .expect(&[ok("^ok$")]),
        body(
            "NAT-16",
            "paths without end",
            r#"
            const wrong = [];
            const attempts = {
              protocol: () => new URLPattern({ protocol: "a".repeat(1e6) }), groups: () => new URLPattern({ pathname: "/:a".repeat(5e3) }).test("http://x/" + "a/".repeat(5e3)), nested: () => new URLPattern({ pathname: "{".repeat(1e5) }), nestedPairs: () => new URLPattern({ pathname: "{".repeat(1e4) + "}".repeat(1e4) }), regex: () => new URLPattern({ pathname: "/(" + "(".repeat(1e4) + ")" }),
              segments: () => new URL("http://x/" + "a/".repeat(1e5)).pathname.length, dots: () => new URL("http://x/" + "../".repeat(1e5)).href, host: () => new URL("http://" + "a.".repeat(1e5) + "x/"), idna: () => new URL("http://" + "\u00e9".repeat(1e4) + "/"), parameters: () => new URLSearchParams("a=b&".repeat(1e5)).size, relative: () => new URL("a/".repeat(1e5), "http://x/" + "b/".repeat(1e5)).href,
              base64: () => atob("A".repeat(1e6)).length, json: () => { try { JSON.parse("[".repeat(1e5)); } catch (error) { if (!(error instanceof Error)) throw error; } }, label: () => { try { new TextDecoder("x".repeat(1e6)); } catch (error) { if (!(error instanceof RangeError)) throw error; } }, mime: () => new Response("", { headers: { "content-type": "a/" + "b;".repeat(1e5) } }).formData().catch(() => {}), multipart: () => new Response("--x\r\n".repeat(1e5), { headers: { "content-type": "multipart/form-data; boundary=x" } }).formData().catch(() => {}), jwk: () => crypto.subtle.importKey("jwk", { kty: "oct", k: "A".repeat(1e6) }, { name: "HMAC", hash: "SHA-1" }, true, ["sign"]).catch(() => {}), der: () => crypto.subtle.importKey("pkcs8", new Uint8Array(1e5).fill(0x30), { name: "ECDSA", namedCurve: "P-256" }, true, ["sign"]).catch(() => {}), spki: () => crypto.subtle.importKey("spki", new Uint8Array(1e4).fill(0x80), { name: "RSA-PSS", hash: "SHA-1" }, true, ["verify"]).catch(() => {}),
            };
            for (const [name, attempt] of Object.entries(attempts)) try { await attempt(); } catch (error) { if (!(error instanceof Error)) wrong.push(`${name}: ${error}`); }
            return new Response(wrong.length === 0 ? "ok" : wrong.join("\n"));
            "#,
        )
        .limits("cpu_ms = 10_000, wall_ms = 15_000")
        .expect(&[ok("^ok$")]),
        not_applicable("NAT-17", "SQL: there is no such binding"),
        module(
            "NAT-19",
            "isolates that come and go",
            r#"
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                if (request.url.endsWith("/loop")) for (;;);
                for (let i = 0; i < 5; i++) await scheduler.wait(3);
                return new Response("waited");
              },
            };
            "#,
        )
        .limits("cpu_ms = 2")
        .scenario(|stage, host| come_and_go(stage, host, 60)),
        module(
            "NAT-19",
            "thousands of isolates that come and go",
            r#"
            export default {
              async fetch(request, env) {
                if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
                if (request.url.endsWith("/loop")) for (;;);
                for (let i = 0; i < 5; i++) await scheduler.wait(3);
                return new Response("waited");
              },
            };
            "#,
        )
        .limits("cpu_ms = 2")
        .scenario(|stage, host| come_and_go(stage, host, 3_000))
        .full(),
        not_applicable("NAT-20", "no operation of the shipped binary panics on request"),
    ]
}

/// Ends isolates while requests run in them, and clients leave in the middle.
fn come_and_go(stage: &crate::stage::Stage, host: &str, count: usize) -> Result<(), String> {
    stage.get(host, "/alive")?;
    let threads_before = crate::processes::threads(stage.pid());
    let client = stage.client();
    let workers: Vec<_> = (0..4)
        .map(|number| {
            let host = host.to_owned();
            std::thread::spawn(move || -> Result<(), String> {
                for round in 0..count / 4 {
                    match (number + round) % 3 {
                        0 => {
                            let answer = client.try_send(at(&host, "/loop"))?;
                            if !["cpu_exceeded", "isolate_reset", "overloaded"].contains(&answer.error()) {
                                return Err(format!("{answer:?}"));
                            }
                        }
                        1 => {
                            let mut leaving = crate::support::raw::Raw::connect(client.address);
                            leaving.write(format!("GET /wait HTTP/1.1\r\nHost: {host}\r\n\r\n"));
                        }
                        _ => {
                            let answer = client.try_send(at(&host, "/wait"))?;
                            if answer.status != 200 && answer.error().is_empty() {
                                return Err(format!("{answer:?}"));
                            }
                        }
                    }
                }
                Ok(())
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap()?;
    }
    stage.comes_to_rest()?;
    let threads = crate::processes::threads(stage.pid());
    if threads > threads_before + 16 { Err(format!("{threads} threads, {threads_before} before")) } else { Ok(()) }
}
