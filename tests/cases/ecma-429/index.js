// ECMA-429, the minimum common API: every global that it asks for, and for each interface a table of what the web's standards say.
// A row is what is done, and what comes of it; an error is `Name: ` and whatever message.

const enc = new TextEncoder();
const dec = new TextDecoder();
const b = (text) => enc.encode(text);
const t = (bytes) => dec.decode(bytes);
const later = (ms = 1) => new Promise((resolve) => setTimeout(resolve, ms));
const collect = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};

const GLOBALS = {
  function: [
    "AbortController", "AbortSignal", "Blob", "ByteLengthQueuingStrategy", "CompressionStream", "CountQueuingStrategy", "Crypto", "CryptoKey",
    "CustomEvent", "DecompressionStream", "DOMException", "ErrorEvent", "Event", "EventTarget", "File", "FormData", "Headers", "MessageChannel",
    "MessageEvent", "MessagePort", "Performance", "PromiseRejectionEvent", "ReadableByteStreamController", "ReadableStream", "ReadableStreamBYOBReader",
    "ReadableStreamBYOBRequest", "ReadableStreamDefaultController", "ReadableStreamDefaultReader", "Request", "Response", "SubtleCrypto",
    "TextDecoder", "TextDecoderStream", "TextEncoder", "TextEncoderStream", "TransformStream", "TransformStreamDefaultController", "URL",
    "URLPattern", "URLSearchParams", "WritableStream", "WritableStreamDefaultController", "WritableStreamDefaultWriter",
    "atob", "btoa", "clearInterval", "clearTimeout", "fetch", "queueMicrotask", "reportError", "setInterval", "setTimeout", "structuredClone",
  ],
  object: ["WebAssembly", "console", "crypto", "globalThis", "navigator", "performance", "self"],
};
const WASM = ["Global", "Instance", "Memory", "Module", "Table", "Tag", "Exception", "CompileError", "LinkError", "RuntimeError", "compile", "instantiate", "validate"];
const CONSOLE = ["assert", "clear", "count", "countReset", "debug", "dir", "dirxml", "error", "group", "groupCollapsed", "groupEnd", "info", "log", "table", "time", "timeEnd", "timeLog", "trace", "warn"];

const tables = {
  globals: {
    "all are there": [() => Object.entries(GLOBALS).flatMap(([type, names]) => names.filter((name) => typeof globalThis[name] !== type)), []],
    "none is enumerable": [() => Object.keys(globalThis).filter((name) => GLOBALS.function.includes(name)), []],
    "WebAssembly": [() => WASM.filter((name) => !(name in WebAssembly)), []],
    "console": [() => CONSOLE.filter((name) => typeof console[name] !== "function"), []],
    "self is globalThis": [() => self === globalThis, true],
    "interfaces need new": [() => GLOBALS.function.filter((name) => /^[A-Z]/.test(name) && name !== "DOMException").filter((name) => { try { globalThis[name](); return true; } catch (error) { return !(error instanceof TypeError); } }), []],
    "handler attributes": [() => ["onerror", "onunhandledrejection", "onrejectionhandled"].filter((name) => !(name in globalThis)), []],
    "the global is an EventTarget": [() => globalThis instanceof EventTarget, true],
    "navigator.userAgent is one product": [() => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(\/\S+)?$/.test(navigator.userAgent), true],
  },
  AbortSignal: {
    "abort(reason)": [() => { const signal = AbortSignal.abort(7); return [signal.aborted, signal.reason]; }, [true, 7]],
    "a default reason": [() => { const { reason } = AbortSignal.abort(); return [reason.name, reason.code, reason instanceof DOMException]; }, ["AbortError", 20, true]],
    "abort fires once": [() => { const c = new AbortController(); let n = 0; c.signal.onabort = () => n++; c.abort(); c.abort(); return n; }, 1],
    "throwIfAborted": [() => AbortSignal.abort(new RangeError("x")).throwIfAborted(), "RangeError: "],
    "any": [() => { const a = new AbortController(), c = new AbortController(); const any = AbortSignal.any([a.signal, c.signal]); const before = any.aborted; c.abort("why"); return [before, any.aborted, any.reason]; }, [false, true, "why"]],
    "any of an aborted one": [() => AbortSignal.any([AbortSignal.abort(1), AbortSignal.abort(2)]).reason, 1],
    "timeout": [async () => { const signal = AbortSignal.timeout(1); await new Promise((resolve) => signal.addEventListener("abort", resolve)); return signal.reason.name; }, "TimeoutError"],
    "no constructor": [() => new AbortSignal(), "TypeError: "],
    "any of no list": [() => AbortSignal.any(1), "TypeError: "],
  },
  events: {
    "dispatch": [() => { const target = new EventTarget(); const seen = []; target.addEventListener("x", (e) => seen.push(e.type, e.target === target, e.eventPhase)); target.dispatchEvent(new Event("x")); return seen; }, ["x", true, 2]],
    "once and signal": [() => { const target = new EventTarget(); let n = 0; const c = new AbortController(); target.addEventListener("x", () => n++, { once: true }); target.addEventListener("x", () => n += 10, { signal: c.signal }); target.dispatchEvent(new Event("x")); c.abort(); target.dispatchEvent(new Event("x")); return n; }, 11],
    "handleEvent": [() => { let self_; const object = { handleEvent() { self_ = this; } }; const target = new EventTarget(); target.addEventListener("x", object); target.dispatchEvent(new Event("x")); return self_ === object; }, true],
    "preventDefault": [() => { const target = new EventTarget(); target.addEventListener("x", (e) => e.preventDefault()); return [target.dispatchEvent(new Event("x", { cancelable: true })), target.dispatchEvent(new Event("x"))]; }, [false, true]],
    "stopImmediatePropagation": [() => { const target = new EventTarget(); let n = 0; target.addEventListener("x", (e) => { n++; e.stopImmediatePropagation(); }); target.addEventListener("x", () => n++); target.dispatchEvent(new Event("x")); return n; }, 1],
    "the same listener is there once": [() => { const target = new EventTarget(); let n = 0; const f = () => n++; target.addEventListener("x", f); target.addEventListener("x", f); target.dispatchEvent(new Event("x")); target.removeEventListener("x", f); target.dispatchEvent(new Event("x")); return n; }, 1],
    "an event in flight": [() => { const target = new EventTarget(); let name; target.addEventListener("x", (e) => { try { target.dispatchEvent(e); } catch (error) { name = error.name; } }); target.dispatchEvent(new Event("x")); return name; }, "InvalidStateError"],
    "CustomEvent": [() => new CustomEvent("x", { detail: [1] }).detail, [1]],
    "ErrorEvent": [() => { const e = new ErrorEvent("error", { message: "m", filename: "f", lineno: 1, colno: 2, error: 3 }); return [e.message, e.filename, e.lineno, e.colno, e.error]; }, ["m", "f", 1, 2, 3]],
    "MessageEvent": [() => { const e = new MessageEvent("message", { data: 1, origin: "o", lastEventId: "i" }); return [e.data, e.origin, e.lastEventId, e.source, e.ports]; }, [1, "o", "i", null, []]],
    "PromiseRejectionEvent": [() => { const promise = Promise.resolve(); const e = new PromiseRejectionEvent("x", { promise, reason: 1 }); return [e.promise === promise, e.reason]; }, [true, 1]],
    "PromiseRejectionEvent without its promise": [() => new PromiseRejectionEvent("x"), "TypeError: "],
    "no event": [() => new EventTarget().dispatchEvent({}), "TypeError: "],
    "no type": [() => new Event(), "TypeError: "],
    "isTrusted": [() => new Event("x").isTrusted, false],
  },
  DOMException: {
    "name and code": [() => { const e = new DOMException("m", "NotFoundError"); return [e.name, e.message, e.code, e instanceof Error, Object.prototype.toString.call(e)]; }, ["NotFoundError", "m", 8, true, "[object DOMException]"]],
    "defaults": [() => { const e = new DOMException(); return [e.name, e.message, e.code]; }, ["Error", "", 0]],
    "constants": [() => [DOMException.ABORT_ERR, new DOMException().DATA_CLONE_ERR], [20, 25]],
    "it has a stack": [() => typeof new DOMException("m").stack, "string"],
  },
  Headers: {
    "combine and sort": [() => [...new Headers([["b", "1"], ["A", "2"], ["b", "3"]])], [["a", "2"], ["b", "1, 3"]]],
    "set-cookie is apart": [() => { const h = new Headers(); h.append("set-cookie", "a=1"); h.append("set-cookie", "b=2"); return [h.getSetCookie(), [...h.keys()], h.get("set-cookie")]; }, [["a=1", "b=2"], ["set-cookie", "set-cookie"], "a=1, b=2"]],
    "values are trimmed": [() => new Headers({ a: " \t x \r\n" }).get("A"), "x"],
    "has, delete, set": [() => { const h = new Headers({ a: "1" }); h.set("a", "2"); const r = [h.get("a"), h.has("A")]; h.delete("a"); return [...r, h.has("a"), h.get("a")]; }, ["2", true, false, null]],
    "a name that is none": [() => new Headers({ "a b": "1" }), "TypeError: "],
    "a value that is none": [() => new Headers({ a: "x\ny" }), "TypeError: "],
    "a pair that is none": [() => new Headers([["a"]]), "TypeError: "],
    "forEach": [() => { const seen = []; new Headers({ a: "1" }).forEach((value, name, self_) => seen.push(value, name, self_ instanceof Headers)); return seen; }, ["1", "a", true]],
    "iteration sees changes": [() => { const h = new Headers({ a: "1", c: "3" }); const seen = []; for (const [name] of h) { seen.push(name); if (name === "a") h.set("b", "2"); } return seen; }, ["a", "b", "c"]],
  },
  Request: {
    "defaults": [() => { const r = new Request("http://a.example"); return [r.method, r.url, r.body, r.bodyUsed, r.redirect]; }, ["GET", "http://a.example/", null, false, "follow"]],
    "methods are normalized": [() => [new Request("http://a/", { method: "post" }).method, new Request("http://a/", { method: "patch" }).method], ["POST", "PATCH"]],
    "a body with GET": [() => new Request("http://a/", { body: "x" }), "TypeError: "],
    "a forbidden method": [() => new Request("http://a/", { method: "CONNECT" }), "TypeError: "],
    "a method that is none": [() => new Request("http://a/", { method: "a b" }), "TypeError: "],
    "a URL that is none": [() => new Request("/x"), "TypeError: "],
    "content types": [() => ["x", new URLSearchParams("a=1"), new Blob(["x"], { type: "a/b" }), new Uint8Array(1)].map((body) => new Request("http://a/", { method: "POST", body }).headers.get("content-type")), ["text/plain;charset=UTF-8", "application/x-www-form-urlencoded;charset=UTF-8", "a/b", null]],
    "the body moves": [async () => { const one = new Request("http://a/", { method: "POST", body: "x" }); const two = new Request(one); return [one.bodyUsed, await two.text()]; }, [true, "x"]],
    "clone": [async () => { const one = new Request("http://a/", { method: "POST", body: "x", headers: { a: "1" } }); const two = one.clone(); return [await one.text(), await two.text(), two.headers.get("a")]; }, ["x", "x", "1"]],
    "a used body": [async () => { const r = new Request("http://a/", { method: "POST", body: "x" }); await r.text(); return r.text(); }, "TypeError: "],
    "clone of a used body": [async () => { const r = new Request("http://a/", { method: "POST", body: "x" }); await r.text(); return r.clone(); }, "TypeError: "],
    "signal": [() => { const c = new AbortController(); const r = new Request("http://a/", { signal: c.signal }); c.abort(5); return [r.signal.aborted, r.signal.reason, r.signal === c.signal]; }, [true, 5, false]],
    "a signal that is none": [() => new Request("http://a/", { signal: {} }), "TypeError: "],
  },
  Response: {
    "defaults": [() => { const r = new Response(); return [r.status, r.ok, r.statusText, r.type, r.url, r.redirected, r.body]; }, [200, true, "", "default", "", false, null]],
    "json": [async () => { const r = Response.json({ a: 1 }, { status: 201 }); return [r.status, r.headers.get("content-type"), await r.json()]; }, [201, "application/json", { a: 1 }]],
    "json of what is none": [() => Response.json(undefined), "TypeError: "],
    "redirect": [() => { const r = Response.redirect("http://a.example/x", 301); return [r.status, r.headers.get("location")]; }, [301, "http://a.example/x"]],
    "a redirect that is none": [() => Response.redirect("http://a/", 200), "RangeError: "],
    "error": [() => { const r = Response.error(); return [r.type, r.status, r.headers.get("x")]; }, ["error", 0, null]],
    "a status that is none": [() => new Response(null, { status: 600 }), "RangeError: "],
    "a body where none may be": [() => new Response("x", { status: 204 }), "TypeError: "],
    "a status text that is none": [() => new Response(null, { statusText: "a\nb" }), "TypeError: "],
    "a locked stream": [() => { const s = new ReadableStream(); s.getReader(); return new Response(s); }, "TypeError: "],
    "reading twice": [async () => { const r = new Response("x"); await r.text(); return r.text(); }, "TypeError: "],
    "json that is none": [() => new Response("{").json(), "SyntaxError: "],
    "all readers": [async () => [t(await new Response("x").arrayBuffer()), t(await new Response("x").bytes()), await (await new Response("x").blob()).text(), await new Response("\ufeffx").text()], ["x", "x", "x", "x"]],
    "formData": [async () => { const form = new FormData(); form.append("a", "1"); form.append("f", new File(["x"], "n.txt", { type: "text/plain" })); const back = await new Response(form).formData(); const file = back.get("f"); return [back.get("a"), file.name, file.type, await file.text(), file instanceof File]; }, ["1", "n.txt", "text/plain", "x", true]],
    "formData of something else": [() => new Response("x").formData(), "TypeError: "],
    "headers of an error cannot be changed": [() => Response.error().headers.set("a", "b"), "TypeError: "],
    "clone": [async () => { const r = new Response(new Blob(["x"]).stream()); const c = r.clone(); return [await r.text(), await c.text()]; }, ["x", "x"]],
  },
  FormData: {
    "append, get, getAll, set": [() => { const f = new FormData(); f.append("a", 1); f.append("a", "2"); const r = [f.get("a"), f.getAll("a"), f.get("b")]; f.set("a", "3"); return [...r, f.getAll("a"), [...f.keys()]]; }, ["1", ["1", "2"], null, ["3"], ["a"]]],
    "blobs become files": [() => { const f = new FormData(); f.append("a", new Blob(["x"])); f.append("b", new Blob(["x"]), "name"); return [f.get("a").name, f.get("b").name, f.get("a") instanceof File]; }, ["blob", "name", true]],
    "a file name for a string": [() => new FormData().append("a", "x", "name"), "TypeError: "],
  },
  Blob: {
    "parts": [async () => { const blob = new Blob(["a", b("b"), b("xcx").buffer.slice(1, 2), new Blob(["d"])], { type: "Text/Plain" }); return [blob.size, blob.type, await blob.text(), t(await blob.bytes()), t(await blob.arrayBuffer())]; }, [4, "text/plain", "abcd", "abcd", "abcd"]],
    "slice": [async () => { const blob = new Blob(["0123456789"]); return [await blob.slice(2, 4).text(), await blob.slice(-3).text(), await blob.slice(-3, -1).text(), blob.slice(20).size, blob.slice(0, 1, "a/b").type]; }, ["23", "789", "78", 0, "a/b"]],
    "stream": [async () => (await collect(new Blob(["abc"]).stream())).map(t).join(""), "abc"],
    "parts that are none": [() => new Blob("x"), "TypeError: "],
    "File": [() => { const f = new File(["x"], "n", { lastModified: 5 }); return [f.name, f.lastModified, f.size, f instanceof Blob]; }, ["n", 5, 1, true]],
    "a file without a name": [() => new File(["x"]), "TypeError: "],
  },
  compression: {
    "round trips": [async () => Promise.all(["gzip", "deflate", "deflate-raw"].map((format) => new Response(new Response("hello").body.pipeThrough(new CompressionStream(format)).pipeThrough(new DecompressionStream(format))).text())), ["hello", "hello", "hello"]],
    "a format that is none": [() => new CompressionStream("x"), "TypeError: "],
    "garbage": [() => new Response(new Response("garbage").body.pipeThrough(new DecompressionStream("gzip"))).text(), "TypeError: "],
    "a cut end": [async () => { const whole = await new Response(new Response("hello").body.pipeThrough(new CompressionStream("gzip"))).bytes(); return new Response(new Response(whole.subarray(0, -2)).body.pipeThrough(new DecompressionStream("gzip"))).text(); }, "TypeError: "],
    "chunks that are none": [() => new Response(new ReadableStream({ start(c) { c.enqueue("text"); c.close(); } }).pipeThrough(new CompressionStream("gzip"))).text(), "TypeError: "],
  },
  streams: {
    "from": [async () => collect(ReadableStream.from([1, 2, 3])), [1, 2, 3]],
    "from what cannot be iterated": [() => ReadableStream.from(1), "TypeError: "],
    "tee": [async () => { const [x, y] = ReadableStream.from([1, 2]).tee(); return [await collect(x), await collect(y)]; }, [[1, 2], [1, 2]]],
    "a lock": [() => { const s = new ReadableStream(); s.getReader(); return s.getReader(); }, "TypeError: "],
    "cancel": [async () => { let reason; const s = new ReadableStream({ cancel(r) { reason = r; } }); await s.cancel("why"); return reason; }, "why"],
    "an error": [() => new ReadableStream({ start(c) { c.error(new RangeError("x")); } }).getReader().read(), "RangeError: "],
    "backpressure": [() => { let size; new ReadableStream({ start(c) { c.enqueue(1); size = c.desiredSize; } }, { highWaterMark: 3 }); return size; }, 2],
    "byte streams": [async () => { const s = new ReadableStream({ type: "bytes", pull(c) { c.byobRequest.view[0] = 7; c.byobRequest.respond(1); } }); const { value, done } = await s.getReader({ mode: "byob" }).read(new Uint8Array(4)); return [[...value], done, value.buffer.byteLength]; }, [[7], false, 4]],
    "bytes at least": [async () => { let n = 0; const s = new ReadableStream({ type: "bytes", pull(c) { c.enqueue(new Uint8Array([++n])); } }); return [...(await s.getReader({ mode: "byob" }).read(new Uint8Array(5), { min: 3 })).value]; }, [1, 2, 3]],
    "byob of what is no byte stream": [() => new ReadableStream().getReader({ mode: "byob" }), "TypeError: "],
    "a body is a byte stream": [async () => t((await new Response("abc").body.getReader({ mode: "byob" }).read(new Uint8Array(2))).value), "ab"],
    "releaseLock": [async () => { const s = ReadableStream.from([1]); const r = s.getReader(); r.releaseLock(); return r.read(); }, "TypeError: "],
    "pipeThrough": [async () => collect(ReadableStream.from([1, 2]).pipeThrough(new TransformStream({ transform(x, c) { c.enqueue(x * 2); }, flush(c) { c.enqueue("end"); } }))), [2, 4, "end"]],
    "pipeTo": [async () => { const seen = []; await ReadableStream.from([1, 2]).pipeTo(new WritableStream({ write(x) { seen.push(x); }, close() { seen.push("closed"); } })); return seen; }, [1, 2, "closed"]],
    "pipeTo with a signal": [() => new ReadableStream().pipeTo(new WritableStream(), { signal: AbortSignal.abort(new RangeError("x")) }), "RangeError: "],
    "writer": [async () => { const seen = []; const w = new WritableStream({ write(x) { seen.push(x); } }).getWriter(); await w.ready; w.write(1); w.write(2); await w.close(); return [seen, await w.closed ?? "closed"]; }, [[1, 2], "closed"]],
    "abort": [async () => { let reason; const s = new WritableStream({ abort(r) { reason = r; } }); await s.abort("why"); return reason; }, "why"],
    "a write that fails": [() => new WritableStream({ write() { throw new RangeError("x"); } }).getWriter().write(1), "RangeError: "],
    "write after close": [async () => { const w = new WritableStream().getWriter(); await w.close(); return w.write(1); }, "TypeError: "],
    "strategies": [() => [new CountQueuingStrategy({ highWaterMark: 4 }).size("x"), new ByteLengthQueuingStrategy({ highWaterMark: 4 }).size(new Uint8Array(3)), new CountQueuingStrategy({ highWaterMark: 4 }).highWaterMark], [1, 3, 4]],
    "controllers cannot be made": [() => [ReadableStreamDefaultController, ReadableByteStreamController, ReadableStreamBYOBRequest, WritableStreamDefaultController, TransformStreamDefaultController].map((I) => { try { new I(); } catch (error) { return error.name; } }), Array(5).fill("TypeError")],
    "iteration returns the lock": [async () => { const s = ReadableStream.from([1, 2]); for await (const x of s.values({ preventCancel: true })) break; return [s.locked, (await s.getReader().read()).value]; }, [false, 2]],
    "terminate": [async () => collect(ReadableStream.from([1, 2]).pipeThrough(new TransformStream({ transform(x, c) { c.enqueue(x); c.terminate(); } }))), [1]],
  },
  encoding: {
    "labels": [() => ["utf8", "latin1", "windows-1252", "shift_jis", "euc-kr", "gbk", "big5", "utf-16le", "koi8-r", "iso-8859-2"].map((label) => new TextDecoder(label).encoding), ["utf-8", "windows-1252", "windows-1252", "shift_jis", "euc-kr", "gbk", "big5", "utf-16le", "koi8-r", "iso-8859-2"]],
    "a label that is none": [() => new TextDecoder("nonsense"), "RangeError: "],
    "fatal": [() => new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([255])), "TypeError: "],
    "replacement": [() => new TextDecoder().decode(new Uint8Array([97, 255])), "a\ufffd"],
    "ignoreBOM": [() => [new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 97])).length, new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array([0xef, 0xbb, 0xbf, 97])).length], [1, 2]],
    "stream": [() => { const d = new TextDecoder(); return d.decode(new Uint8Array([0xe2, 0x82]), { stream: true }) + d.decode(new Uint8Array([0xac])); }, "\u20ac"],
    "other encodings": [() => [new TextDecoder("shift_jis").decode(new Uint8Array([0x82, 0xa0])), new TextDecoder("utf-16le").decode(new Uint8Array([0x61, 0])), new TextDecoder("latin1").decode(new Uint8Array([0x80]))], ["\u3042", "a", "\u20ac"]],
    "encodeInto": [() => { const into = new Uint8Array(4); return [enc.encodeInto("a\u20ac\u20ac", into), [...into]]; }, [{ read: 2, written: 4 }, [97, 226, 130, 172]]],
    "lone surrogates": [() => [...enc.encode("\ud800")], [239, 191, 189]],
    "TextEncoderStream": [async () => t((await collect(ReadableStream.from(["\ud83d", "\ude00"]).pipeThrough(new TextEncoderStream())))[0]), "\u{1f600}"],
    "TextDecoderStream": [async () => (await collect(ReadableStream.from([new Uint8Array([0xe2]), new Uint8Array([0x82, 0xac])]).pipeThrough(new TextDecoderStream()))).join(""), "\u20ac"],
    "atob and btoa": [() => [btoa("\xff"), atob(" /w = = ").length, atob("YQ")], ["/w==", 1, "a"]],
    "btoa beyond Latin-1": [() => btoa("\u0100"), "InvalidCharacterError: "],
    "atob of garbage": [() => atob("a"), "InvalidCharacterError: "],
  },
  URL: {
    "parts": [() => { const u = new URL("../c?q#h", "https://user:pass@A.example:8443/a/b"); return [u.href, u.host, u.port, u.username, u.origin, u.search, u.hash]; }, ["https://user:pass@a.example:8443/c?q#h", "a.example:8443", "8443", "user", "https://a.example:8443", "?q", "#h"]],
    "canParse and parse": [() => [URL.canParse("x"), URL.canParse("x", "http://a/"), URL.parse("x"), URL.parse("x", "http://a/").href], [false, true, null, "http://a/x"]],
    "garbage": [() => new URL("x"), "TypeError: "],
    "international hosts": [() => new URL("http://b\u00fccher.example/\u00e4?\u00f6").href, "http://xn--bcher-kva.example/%C3%A4?%C3%B6"],
    "setters": [() => { const u = new URL("http://a/"); u.pathname = "x y"; u.search = "a=b"; u.port = "81"; u.hash = "h"; u.protocol = "https"; return u.href; }, "https://a:81/x%20y?a=b#h"],
    "addresses": [() => [new URL("http://0x7f.1/").hostname, new URL("http://[::0:1]/").hostname], ["127.0.0.1", "[::1]"]],
    "a port that is none": [() => new URL("http://a:99999/"), "TypeError: "],
    "searchParams": [() => { const u = new URL("http://a/?a=1&b=2"); u.searchParams.append("c", "x y"); u.searchParams.delete("a"); return [u.search, u.searchParams.size]; }, ["?b=2&c=x+y", 2]],
    "two-argument delete and has": [() => { const p = new URLSearchParams("a=1&a=2"); const has = [p.has("a", "2"), p.has("a", "3")]; p.delete("a", "1"); return [...has, `${p}`]; }, [true, false, "a=2"]],
    "sort and order": [() => { const p = new URLSearchParams([["b", "1"], ["a", "2"], ["b", "0"]]); p.sort(); return `${p}`; }, "a=2&b=1&b=0"],
    "URLSearchParams of a pair that is none": [() => new URLSearchParams([["a"]]), "TypeError: "],
    "of a record": [() => `${new URLSearchParams({ a: "1", b: "\u00e4" })}`, "a=1&b=%C3%A4"],
  },
  URLPattern: {
    "groups": [() => { const p = new URLPattern({ pathname: "/books/:id(\\d+)" }); return [p.test("http://a/books/12"), p.test("http://a/books/x"), p.exec("http://a/books/12").pathname.groups, p.hasRegExpGroups]; }, [true, false, { id: "12" }, true]],
    "a pattern that is none": [() => new URLPattern({ pathname: "(" }), "TypeError: "],
    "a base": [() => new URLPattern("/x/*", "https://a.example").test("https://a.example/x/y"), true],
  },
  crypto: {
    "random": [() => [crypto.getRandomValues(new Uint8Array(8)).length, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())], [8, true]],
    "too much of it": [() => crypto.getRandomValues(new Uint8Array(65_537)), "QuotaExceededError: "],
    "floats of it": [() => crypto.getRandomValues(new Float32Array(1)), "TypeMismatchError: "],
    "digest": [async () => Promise.all(["SHA-1", "SHA-256", "SHA-384", "SHA-512"].map(async (name) => (await crypto.subtle.digest(name, b(""))).byteLength)), [20, 32, 48, 64]],
    "an algorithm that is none": [() => crypto.subtle.digest("x", b("")), "NotSupportedError: "],
    "AES-GCM": [async () => { const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt", "decrypt"]); const iv = new Uint8Array(12); const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, b("x")); return [t(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed)), key.type, key.usages]; }, ["x", "secret", ["encrypt", "decrypt"]]],
    "a tag that does not fit": [async () => { const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 128 }, true, ["encrypt", "decrypt"]); return crypto.subtle.decrypt({ name: "AES-GCM", iv: new Uint8Array(12) }, key, new Uint8Array(32)); }, "OperationError: "],
    "HMAC": [async () => { const key = await crypto.subtle.importKey("raw", b("k"), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]); const signed = await crypto.subtle.sign("HMAC", key, b("x")); return [await crypto.subtle.verify("HMAC", key, signed, b("x")), await crypto.subtle.verify("HMAC", key, signed, b("y"))]; }, [true, false]],
    "a usage that was not given": [async () => { const key = await crypto.subtle.importKey("raw", b("k"), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]); return crypto.subtle.sign("HMAC", key, b("x")); }, "InvalidAccessError: "],
    "a key that stays inside": [async () => { const key = await crypto.subtle.importKey("raw", b("k"), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]); return crypto.subtle.exportKey("raw", key); }, "InvalidAccessError: "],
    "ECDSA, Ed25519 and X25519": [async () => { const names = []; for (const [algorithm, usages] of [[{ name: "ECDSA", namedCurve: "P-256" }, ["sign", "verify"]], ["Ed25519", ["sign", "verify"]], ["X25519", ["deriveBits"]]]) { const pair = await crypto.subtle.generateKey(algorithm, false, usages); names.push(pair.publicKey.algorithm.name); } return names; }, ["ECDSA", "Ed25519", "X25519"]],
    "PBKDF2 and HKDF": [async () => { const base = await crypto.subtle.importKey("raw", b("p"), "PBKDF2", false, ["deriveBits"]); const bits = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: b("s"), iterations: 10 }, base, 256); return bits.byteLength; }, 32],
    "CryptoKey cannot be made": [() => new CryptoKey(), "TypeError: "],
  },
  clone: {
    "what can be cloned": [() => { const map = new Map([[1, new Set([2])]]); const copy = structuredClone({ map, date: new Date(5), re: /x/g, big: 1n, view: new Uint8Array([1]), error: new RangeError("m"), nothing: undefined }); return [[...copy.map.get(1)], copy.date.getTime(), `${copy.re}`, `${copy.big}`, [...copy.view], copy.error.name, "nothing" in copy]; }, [[2], 5, "/x/g", "1", [1], "RangeError", true]],
    "cycles": [() => { const a = {}; a.a = a; const c = structuredClone(a); return c.a === c && c !== a; }, true],
    "transfer": [() => { const buffer = new ArrayBuffer(4); const copy = structuredClone(buffer, { transfer: [buffer] }); return [copy.byteLength, buffer.byteLength]; }, [4, 0]],
    "a transfer of what is gone": [() => { const buffer = new ArrayBuffer(4); structuredClone(buffer, { transfer: [buffer] }); structuredClone(1, { transfer: [buffer] }); }, "DataCloneError: "],
    "a transfer twice": [() => { const buffer = new ArrayBuffer(4); structuredClone(1, { transfer: [buffer, buffer] }); }, "DataCloneError: "],
    "functions": [() => structuredClone(() => {}), "DataCloneError: "],
    "symbols": [() => structuredClone(Symbol("x")), "DataCloneError: "],
    "MessageChannel": [async () => { const { port1, port2 } = new MessageChannel(); const got = new Promise((resolve) => { port2.onmessage = ({ data }) => resolve(data); }); port1.postMessage({ a: [1] }); return got; }, { a: [1] }],
    "a port that was not started": [async () => { const { port1, port2 } = new MessageChannel(); let n = 0; port2.addEventListener("message", () => n++); port1.postMessage(1); await later(3); const before = n; port2.start(); await later(3); return [before, n]; }, [0, 1]],
  },
  timers: {
    "order": [async () => { const seen = []; setTimeout(() => seen.push("timeout"), 0); queueMicrotask(() => seen.push("microtask")); Promise.resolve().then(() => seen.push("promise")); seen.push("now"); await later(5); return seen; }, ["now", "microtask", "promise", "timeout"]],
    "arguments": [() => new Promise((resolve) => setTimeout((...args) => resolve(args), 0, 1, 2)), [1, 2]],
    "cleared": [async () => { let n = 0; clearTimeout(setTimeout(() => n++, 0)); const i = setInterval(() => { n += 10; clearInterval(i); }, 1); await later(10); return n; }, 10],
    // With nodejs_compat they are objects that turn into numbers.
    "numbers": [() => Number.isInteger(+setTimeout(() => {}, 0)), true],
    "clearing nothing": [() => clearTimeout(undefined), undefined],
    "a microtask that is none": [() => queueMicrotask(1), "TypeError: "],
    "performance": [() => [typeof performance.now(), typeof performance.timeOrigin, performance instanceof EventTarget, performance.now() === performance.now()], ["number", "number", true, true]],
    "reportError": [() => { let seen; const listener = (e) => { seen = e.error.message; e.preventDefault(); }; addEventListener("error", listener); reportError(new Error("reported")); removeEventListener("error", listener); return seen; }, "reported"],
    "onunhandledrejection": [async () => { const seen = []; globalThis.onunhandledrejection = (e) => { seen.push(e.reason.message); e.preventDefault(); }; const rejected = Promise.reject(new Error("nobody listens")); await later(3); globalThis.onrejectionhandled = (e) => seen.push(e.promise === rejected); rejected.catch(() => {}); await later(3); globalThis.onunhandledrejection = globalThis.onrejectionhandled = null; return seen; }, ["nobody listens", true]],
  },
};

/** What is not as the table says. */
async function wrong(table) {
  const failures = [];
  for (const name in table) {
    const [work, expected] = table[name];
    let came;
    try {
      came = await work();
    } catch (error) {
      came = `${error.name}: ${error.message}`;
    }
    const isError = typeof expected === "string" && expected.endsWith(": ");
    const fits = isError ? typeof came === "string" && came.startsWith(expected) : JSON.stringify(came) === JSON.stringify(expected);
    if (!fits) failures.push({ name, came: came === undefined ? "undefined" : came, expected });
  }
  return failures;
}

export default {
  async fetch(request) {
    const name = new URL(request.url).pathname.slice(1);
    return Response.json({ rows: Object.keys(tables[name]).length, failures: await wrong(tables[name]) });
  },
};
