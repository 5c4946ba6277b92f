// Replaces what a script can replace of one intrinsic, or of all, by functions that throw; further requests to the same
// isolate then use the platform, and the last one puts everything back. What these requests call was captured before, so
// a check fails only where a shim, or a script beneath it, looks up something that can be replaced.
//
// `/targets` names what can be polluted, `/pollute?INDEX` does it (`?all`, `?options`; `&accessors` for getters in place of
// values), `/run` uses all of the platform and says what it came to, `/restore` puts all back.

const { apply, defineProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys, setPrototypeOf } = Reflect;
const { Response, Request, Headers, FormData, Blob, File, URL, URLSearchParams, ReadableStream, TransformStream, WritableStream,
  TextEncoder, TextDecoder, CompressionStream, DecompressionStream, AbortController, AbortSignal, Event, EventTarget, MessageChannel, Promise, Uint8Array, ArrayBuffer, Map, Date, console,
  fetch, structuredClone, setTimeout, clearTimeout, setInterval, queueMicrotask, scheduler, crypto, performance, atob, btoa, TextDecoderStream, TextEncoderStream, FixedLengthStream, URLPattern, reportError, WebSocket } = globalThis;
const { prototype: ObjectPrototype } = Object;
const { prototype: PromisePrototype } = Promise;
const { species: Symbol_species } = Symbol;

/** Properties that option bags are asked for: on Object.prototype, they are nobody's. */
const OPTIONS = [
  "status", "statusText", "headers", "cf", "encodeBody", "webSocket", "method", "body", "redirect", "signal", "cache",
  "integrity", "keepalive", "type", "endings", "value", "get", "set", "writable", "enumerable", "configurable",
  "done", "start", "pull", "cancel", "transform", "flush", "highWaterMark", "size", "mode", "colors", "depth", "detail",
  "name", "message", "owner", "length", "callback", "args", "repeat", "frame", "kind", "data", "stream", "chunk",
].filter((key) => !(key in ObjectPrototype));

// === What can be reached ===

const targets = [];

function discover() {
  const seen = new Set();
  const queue = [];
  const visit = (path, value) => {
    if (value === null || (typeof value !== "object" && typeof value !== "function") || seen.has(value)) return;
    seen.add(value);
    queue.push([path, value]);
  };
  visit("globalThis", globalThis);
  const hidden = {
    "array iterator": [].values(),
    "map iterator": new Map().entries(),
    "set iterator": new Set().values(),
    "string iterator": ""[Symbol.iterator](),
    "match iterator": "a".matchAll(/a/g),
    "generator": (function* () {})(),
    "async generator": (async function* () {})(),
    "async function": async () => {},
    "iterator helper": [].values().map((x) => x),
    "wrapped iterator": Iterator.from({ next() {} }),
    "segments": new Intl.Segmenter().segment("x"),
    "segment iterator": new Intl.Segmenter().segment("x")[Symbol.iterator](),
    "headers iterator": new Headers().entries(),
    "parameters iterator": new URLSearchParams().entries(),
    "form iterator": new FormData().entries(),
    "stream iterator": new ReadableStream().values(),
  };
  for (const [name, value] of Object.entries(hidden)) visit(name, getPrototypeOf(value));
  for (let at = 0; at < queue.length; at++) {
    const [path, value] = queue[at];
    visit(`${path}.[[Prototype]]`, getPrototypeOf(value));
    const keys = ownKeys(value);
    for (const key of keys) {
      const descriptor = getOwnPropertyDescriptor(value, key);
      visit(`${path}.${String(key)}`, descriptor.value);
      visit(`get ${path}.${String(key)}`, descriptor.get);
      visit(`set ${path}.${String(key)}`, descriptor.set);
    }
    const dull = typeof value === "function" && keys.every((key) => key === "name" || key === "length");
    if (!dull && path !== "globalThis") targets.push([path, value]);
  }
  targets.push(["globalThis", globalThis]);
}

// === Replacing and putting back. No method of a built-in, no iterator, no setter from here on ===

const own = (object, key, value) =>
  defineProperty(object, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });

let saved = [];
let savedCount = 0;
let called = [];
let calledCount = 0;

function thrower(path, key) {
  return function () {
    own(called, calledCount++, `${path}.${typeof key === "symbol" ? apply(describe, key, []) : key}`);
    throw new polluted("polluted");
  };
}
const describe = getOwnPropertyDescriptor(Symbol.prototype, "description").get;
const polluted = class extends Error {};

function pollute(path, target, accessors) {
  const keys = ownKeys(target);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    // What `await` and `then` of the language itself read.
    if ((key === "constructor" && target === PromisePrototype) || (key === Symbol_species && target === Promise)) continue;
    const before = getOwnPropertyDescriptor(target, key);
    setPrototypeOf(before, null);
    if (!before.configurable && (!before.writable || key === "length")) continue;
    const throwing = thrower(path, key);
    const { enumerable } = before;
    const after = !before.configurable
      ? { __proto__: null, value: throwing }
      : accessors || "get" in before
      ? { __proto__: null, get: throwing, set: throwing, enumerable, configurable: true }
      : { __proto__: null, value: throwing, writable: true, enumerable, configurable: true };
    if (defineProperty(target, key, after)) own(saved, savedCount++, { __proto__: null, target, key, before });
  }
}


function addOptions() {
  for (let i = 0; i < OPTIONS.length; i++) {
    const throwing = thrower("Object.prototype", OPTIONS[i]);
    defineProperty(ObjectPrototype, OPTIONS[i], { __proto__: null, get: throwing, set: throwing, configurable: true });
    own(saved, savedCount++, { __proto__: null, target: ObjectPrototype, key: OPTIONS[i], before: undefined });
  }
}

function restore() {
  while (savedCount > 0) {
    const { target, key, before } = saved[--savedCount];
    if (before === undefined) delete target[key];
    else defineProperty(target, key, before);
  }
  saved = [];
}

// === Checks: each uses a part of the platform, and answers what it came to ===

discover();

const bind = (f) => { const call = (self, ...args) => apply(f, self, args); return call; };
const getter = (object, key) => bind(getOwnPropertyDescriptor(object, key).get);

const m = {
  text: bind(Response.prototype.text), json: bind(Response.prototype.json), formData: bind(Response.prototype.formData), arrayBuffer: bind(Response.prototype.arrayBuffer), blob: bind(Response.prototype.blob),
  clone: bind(Response.prototype.clone), headers: getter(Response.prototype, "headers"), body: getter(Response.prototype, "body"),
  rtext: bind(Request.prototype.text), rheaders: getter(Request.prototype, "headers"), rurl: getter(Request.prototype, "url"), rmethod: getter(Request.prototype, "method"), rsignal: getter(Request.prototype, "signal"), rcf: getter(Request.prototype, "cf"),
  get: bind(Headers.prototype.get), set: bind(Headers.prototype.set), append: bind(Headers.prototype.append), entries: bind(Headers.prototype.entries), forEach: bind(Headers.prototype.forEach),
  next: bind(getPrototypeOf(new Headers().entries()).next),
  fappend: bind(FormData.prototype.append), fget: bind(FormData.prototype.get),
  getReader: bind(ReadableStream.prototype.getReader), read: bind(getPrototypeOf(new ReadableStream().getReader()).read),
  byobRead: bind(getPrototypeOf(new Response("x").body.getReader({ mode: "byob" })).read),
  tee: bind(ReadableStream.prototype.tee), pipeThrough: bind(ReadableStream.prototype.pipeThrough), pipeTo: bind(ReadableStream.prototype.pipeTo), cancel: bind(ReadableStream.prototype.cancel),
  getWriter: bind(WritableStream.prototype.getWriter), write: bind(getPrototypeOf(new WritableStream().getWriter()).write), close: bind(getPrototypeOf(new WritableStream().getWriter()).close),
  readable: getter(TransformStream.prototype, "readable"), writable: getter(TransformStream.prototype, "writable"),
  creadable: getter(CompressionStream.prototype, "readable"), cwritable: getter(CompressionStream.prototype, "writable"),
  dreadable: getter(DecompressionStream.prototype, "readable"), dwritable: getter(DecompressionStream.prototype, "writable"),
  encode: bind(TextEncoder.prototype.encode), decode: bind(TextDecoder.prototype.decode),
  addEventListener: bind(EventTarget.prototype.addEventListener), dispatchEvent: bind(EventTarget.prototype.dispatchEvent),
  signal: getter(AbortController.prototype, "signal"), abort: bind(AbortController.prototype.abort), aborted: getter(AbortSignal.prototype, "aborted"),
  href: getter(URL.prototype, "href"), searchParams: getter(URL.prototype, "searchParams"), pget: bind(URLSearchParams.prototype.get), ptoString: bind(URLSearchParams.prototype.toString),
  digest: bind(crypto.subtle.digest), importKey: bind(crypto.subtle.importKey), sign: bind(crypto.subtle.sign), verify: bind(crypto.subtle.verify), encrypt: bind(crypto.subtle.encrypt), generateKey: bind(crypto.subtle.generateKey), exportKey: bind(crypto.subtle.exportKey), subtle: crypto.subtle, getRandomValues: bind(crypto.getRandomValues), randomUUID: bind(crypto.randomUUID),
  wait: bind(scheduler.wait), log: console.log, error: console.error, table: console.table,
  enqueue: bind(ReadableStreamDefaultController.prototype.enqueue), closeController: bind(ReadableStreamDefaultController.prototype.close),
  benqueue: bind(ReadableByteStreamController.prototype.enqueue), bcloseController: bind(ReadableByteStreamController.prototype.close),
  tenqueue: bind(TransformStreamDefaultController.prototype.enqueue),
  btext: bind(Blob.prototype.text), slice: bind(Blob.prototype.slice), bstream: bind(Blob.prototype.stream), bsize: getter(Blob.prototype, "size"),
  postMessage: bind(MessagePort.prototype.postMessage), port1: getter(MessageChannel.prototype, "port1"), port2: getter(MessageChannel.prototype, "port2"), pstart: bind(MessagePort.prototype.start),
  exec: bind(URLPattern.prototype.exec), waitUntil: undefined, time: bind(performance.now), parse: JSON.parse,
  getTime: bind(Date.prototype.getTime), any: AbortSignal.any, timeout: AbortSignal.timeout, rjson: Response.json,
};
const key = await crypto.subtle.importKey("raw", new Uint8Array(32), { name: "HMAC", hash: "SHA-256" }, true, ["sign", "verify"]);
const bytesOfHello = new Uint8Array([104, 101, 108, 108, 111]);
const bare = (object) => { setPrototypeOf(object, null); return object; };

async function drained(stream) {
  const reader = m.getReader(stream);
  let text = "";
  for (;;) {
    const { done, value } = await m.read(reader);
    if (done) return text;
    const length = lengthOf(value);
    for (let i = 0; i < length; i++) text += codes[value[i]];
  }
}
const codes = [];
for (let i = 0; i < 256; i++) codes.push(String.fromCharCode(i));
const byteSource = (parts) => new ReadableStream(bare({ type: "bytes", start(c) { for (let i = 0; i < parts.length; i++) m.benqueue(c, m.encode(new TextEncoder(), parts[i])); m.bcloseController(c); } }));
const source = (parts) => new ReadableStream(bare({ start(c) { for (let i = 0; i < parts.length; i++) m.enqueue(c, m.encode(new TextEncoder(), parts[i])); m.closeController(c); } }));

const RangeErr = RangeError;
const lengthOf = getter(getPrototypeOf(Uint8Array.prototype), "length");
const checks = {
  __proto__: null,
  hello: () => "hello",
  headers() {
    const headers = new Headers(bare({ a: "1", b: "2" }));
    m.append(headers, "b", "3");
    m.set(headers, "c", "4");
    let text = "";
    const iterator = m.entries(headers);
    for (;;) {
      const { done, value } = m.next(iterator);
      if (done) break;
      text += `${value[0]}=${value[1]};`;
    }
    m.forEach(headers, (value, name) => { text += name + value; });
    return text;
  },
  request(request) {
    m.rsignal(request);
    return m.rmethod(request) + m.get(m.rheaders(request), "x-test") + typeof m.rcf(request);
  },
  async json() {
    return await m.text(m.rjson(bare({ a: 1 })));
  },
  async body() {
    const response = new Response("hello");
    const copy = m.clone(response);
    return await m.text(response) + (await m.text(copy));
  },
  parsed: async () => (await m.json(new Response('{"a":[1]}'))).a[0],
  async buffer() {
    return new Uint8Array(await m.arrayBuffer(new Response("hello")))[4];
  },
  async stream() {
    return await drained(m.body(new Response("hello")));
  },
  async ownstream() {
    return await drained(source(["a", "b"]));
  },
  async bytestream() {
    return await drained(byteSource(["a", "b"]));
  },
  async byob() {
    const reader = m.getReader(byteSource(["abc"]), bare({ mode: "byob" }));
    const { value } = await m.byobRead(reader, new Uint8Array(2));
    return value[1];
  },
  async tee() {
    const branches = m.tee(source(["a", "b"]));
    return await drained(branches[0]) + (await drained(branches[1]));
  },
  async bytetee() {
    const branches = m.tee(byteSource(["a", "b"]));
    return await drained(branches[0]) + (await drained(branches[1]));
  },
  async transform() {
    const t = new TransformStream(bare({ transform(chunk, c) { m.tenqueue(c, chunk); m.tenqueue(c, chunk); } }));
    return await drained(m.pipeThrough(source(["a"]), bare({ readable: m.readable(t), writable: m.writable(t) })));
  },
  async identity() {
    const t = new FixedLengthStream(5);
    const writer = m.getWriter(m.writable(t));
    m.write(writer, bytesOfHello);
    m.close(writer);
    return await m.text(new Response(m.readable(t)));
  },
  async compression() {
    const c = new CompressionStream("gzip"), d = new DecompressionStream("gzip");
    const packed = m.pipeThrough(source(["hello"]), bare({ readable: m.creadable(c), writable: m.cwritable(c) }));
    return await drained(m.pipeThrough(packed, bare({ readable: m.dreadable(d), writable: m.dwritable(d) })));
  },
  async form() {
    const form = new FormData();
    m.fappend(form, "a", "1");
    m.fappend(form, "f", new File(["x"], "x.txt", bare({ type: "text/plain", lastModified: 1 })));
    const response = new Response(form);
    const back = await m.formData(response);
    return m.fget(back, "a") + m.bsize(m.fget(back, "f"));
  },
  async urlencoded() {
    const back = await m.formData(new Response(new URLSearchParams("a=1&b=2")));
    return m.fget(back, "b");
  },
  async blob() {
    const blob = new Blob(["hello", bytesOfHello]);
    return await m.btext(m.slice(blob, 1, 7)) + (await drained(m.bstream(blob)));
  },
  async responseblob() {
    return await m.btext(await m.blob(new Response("hello")));
  },
  url() {
    const url = new URL("../b?x=1#h", "https://a.example/c/d");
    return m.href(url) + m.pget(m.searchParams(url), "x") + m.ptoString(new URLSearchParams("a=b&c=d"));
  },
  pattern: () => m.exec(new URLPattern(bare({ pathname: "/:a" })), "https://a/b").pathname.groups.a,
  text: () => m.decode(new TextDecoder(), m.encode(new TextEncoder(), "hällo")) + m.decode(new TextDecoder("utf-16le"), bytesOfHello),
  base64: () => atob(btoa("hello")),
  clone() {
    const copy = structuredClone(bare({ a: [1, new Map(), new Date(5)], b: bytesOfHello }));
    return copy.a[0] + copy.b[4] + m.getTime(copy.a[2]);
  },
  cloneblob: async () => await m.btext(structuredClone(new Blob(["hello"]))),
  cloneerror: () => structuredClone(new RangeErr("x")) instanceof RangeErr,
  event() {
    const target = new EventTarget();
    let seen = "";
    m.addEventListener(target, "x", () => { seen += "heard"; });
    m.dispatchEvent(target, new Event("x"));
    return seen;
  },
  abort() {
    const controller = new AbortController();
    const signal = m.any([m.signal(controller)]);
    let seen = "";
    m.addEventListener(signal, "abort", () => { seen += "aborted"; });
    m.abort(controller);
    return seen + m.aborted(signal);
  },
  timer: async () => { await m.wait(scheduler, 1); return await new Promise((resolve) => setTimeout(() => resolve("fired"), 1)); },
  microtask: async () => await new Promise((resolve) => queueMicrotask(() => resolve("ran"))),
  async digest() {
    return new Uint8Array(await m.digest(m.subtle, "SHA-256", bytesOfHello))[0];
  },
  async sign() {
    const signature = await m.sign(m.subtle, "HMAC", key, bytesOfHello);
    return await m.verify(m.subtle, "HMAC", key, signature, bytesOfHello);
  },
  async keys() {
    const aes = await m.generateKey(m.subtle, bare({ name: "AES-GCM", length: 128 }), true, ["encrypt"]);
    const sealed = await m.encrypt(m.subtle, bare({ name: "AES-GCM", iv: new Uint8Array(12) }), aes, bytesOfHello);
    return lengthOf(new Uint8Array(sealed)) + (await m.exportKey(m.subtle, "jwk", aes)).kty;
  },
  random: () => lengthOf(m.getRandomValues(crypto, new Uint8Array(4))) + m.randomUUID(crypto).length,
  log() {
    m.log("text", 1, bare({ a: 1 }));
    m.log(bare([1, bare({ b: "c" })]), new Headers(bare({ a: "b" })), "x");
    m.error(new RangeErr("logged"));
    m.table([bare({ a: 1 })]);
    return "logged";
  },
  message: async () => await new Promise((resolve) => {
    const channel = new MessageChannel();
    m.addEventListener(m.port2(channel), "message", (event) => resolve(event.data));
    m.pstart(m.port2(channel));
    m.postMessage(m.port1(channel), "posted");
  }),
  async fetch(request, env) {
    const response = await fetch(`${env.UPSTREAM}/echo`, bare({ method: "POST", body: "sent", headers: bare({ "x-a": "b" }) }));
    return (await m.text(response)).length > 10;
  },
  async fetchstream(request, env) {
    const response = await fetch(`${env.UPSTREAM}/echo`, bare({ method: "POST", body: source(["se", "nt"]) }));
    return (await drained(m.body(response))).length > 10;
  },
  wait: (request, env, ctx) => { apply(waitUntil, ctx, [m.wait(scheduler, 1)]); return "waiting"; },
};
let waitUntil;

/** What a promise comes to, unless it never does. */
const within = (promise) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve("never came"), 300);
    const done = (settle) => (value) => { clearTimeout(timer); settle(value); };
    if (typeof promise !== "object") resolve(promise);
    else then(promise, done(resolve), done(reject));
  });
const then = bind(PromisePrototype.then);
const names = Object.keys(checks);
const startsWith = bind(String.prototype.startsWith), slice = bind(String.prototype.slice), indexOf = bind(String.prototype.indexOf);
function answer(value) {
  return new Response(value, bare({ headers: bare({ "x-answer": "exact" }), status: 201 }));
}

export default {
  async fetch(request, env, ctx) {
    waitUntil ??= ctx.waitUntil;
    const url = m.rurl(request);
    const path = slice(url, indexOf(url, "/", 8) + 1);
    if (path === "alive") return new Response("alive", bare({ headers: bare({ "x-secret": env.SECRET }) }));
    if (path === "targets") return Response.json(targets.map(([path]) => path));
    if (path === "restore") { restore(); return answer("restored"); }
    if (startsWith(path, "pollute?")) {
      const [what, mode] = path.slice(8).split("&");
      const accessors = mode === "accessors";
      if (what === "all") for (let i = targets.length - 1; i >= 0; i--) pollute(targets[i][0], targets[i][1], accessors);
      else if (what === "options") addOptions();
      else pollute(targets[+what][0], targets[+what][1], accessors);
      return answer("polluted");
    }
    // `/run`: a line for each check, with separators that no answer has.
    let lines = "";
    for (let i = 0; i < names.length; i++) {
      const before = calledCount;
      let told;
      try {
        told = `${await within(checks[names[i]](request, env, ctx))}`;
      } catch (error) {
        told = error instanceof polluted ? "polluted" : "failed";
        try { told += ` ${error.stack}`; } catch {}
      }
      lines += `${names[i]}\x01${told}\x01`;
      for (let j = before; j < calledCount; j++) lines += `${called[j]} `;
      lines += "\x02";
    }
    called = [];
    calledCount = 0;
    return answer(lines);
  },
};
