import assert, { AssertionError } from "node:assert";
import strict from "node:assert/strict";
import path from "node:path";
import * as punycode from "node:punycode";
import querystring from "node:querystring";
import url from "node:url";
import util, { inspect, promisify, types } from "node:util";

const tests = {
  assert() {
    assert.deepEqual({ a: [1, "2"] }, { a: [1, 2] });
    let thrown;
    try {
      strict.deepEqual({ a: [1, 2] }, { a: [1, 3] });
    } catch (error) {
      thrown = error;
    }
    assert(thrown instanceof AssertionError);
    assert.equal(thrown.code, "ERR_ASSERTION");
    assert.match(thrown.message, /Expected values to be strictly deep-equal:[^]*\+ {5}2[^]*- {5}3/);
    assert.throws(() => assert(0), { name: "AssertionError" });
    assert.throws(() => {
      throw new TypeError("no");
    }, TypeError);
    return assert.rejects(Promise.reject(new Error("late")), /late/);
  },
  inspect() {
    class Point {
      constructor() {
        this.x = 1;
      }
      get y() {
        return 2;
      }
    }
    const circular = { name: "c" };
    circular.self = circular;
    assert.equal(inspect(new Point()), "Point { x: 1 }");
    assert.equal(inspect(circular), "<ref *1> { name: 'c', self: [Circular *1] }");
    assert.equal(inspect(new Map([["a", new Set([1])]])), "Map(1) { 'a' => Set(1) { 1 } }");
    assert.equal(inspect({ a: { b: { c: {} } } }), "{ a: { b: { c: {} } } }");
    assert.equal(inspect({ a: { b: { c: { d: 1 } } } }), "{ a: { b: { c: [Object] } } }");
    assert.equal(inspect([1, , 3]), "[ 1, <1 empty item>, 3 ]");
    assert.equal(inspect(Promise.resolve(1)), "Promise { 1 }");
    assert.equal(inspect(new Proxy({ a: 1 }, {}), { showProxy: true }), "Proxy [ { a: 1 }, {} ]");
    assert.equal(inspect(new Map([[1, 2]]).entries()), "[Map Entries] { [ 1, 2 ] }");
    assert.equal(inspect(Buffer.from("ab")), "<Buffer 61 62>");
    assert.equal(inspect({ [inspect.custom]: () => "mine" }), "mine");
    assert.match(inspect(new Error("failed")), /^Error: failed\n {4}at /);
    assert.equal(util.format("%s %d %i %j %o %%", "a", "1.5", "2.7", { b: 1 }, [1]), "a 1.5 2 {\"b\":1} [ 1, [length]: 1 ] %");
  },
  async util() {
    assert.equal(await promisify((a, done) => done(null, a + 1))(1), 2);
    assert.equal(await promisify(setTimeout)(1, "later"), "later");
    await assert.rejects(promisify((done) => done(new Error("no")))(), /no/);
    assert.equal(await new Promise((resolve) => util.callbackify(async () => 3)((error, value) => resolve(value))), 3);
    assert(util.isDeepStrictEqual(new Set([{ a: 1 }]), new Set([{ a: 1 }])));
    assert(types.isRegExp(/a/) && types.isAsyncFunction(async () => {}) && !types.isProxy({}));
    assert.equal(new util.TextDecoder().decode(new util.TextEncoder().encode("x")), "x");
    assert.equal(util.stripVTControlCharacters("\u001b[31mred\u001b[39m"), "red");
    assert.equal(String(new util.MIMEType("text/html; charset=utf-8")), "text/html;charset=utf-8");
    assert.deepEqual({ ...util.parseArgs({ args: ["-v", "--n=1"], options: { v: { type: "boolean", short: "v" }, n: { type: "string" } } }).values }, { v: true, n: "1" });
    assert.deepEqual(util.parseEnv("A=1\nB='two words'\n# no\nexport C=\"x\\ny\""), { A: "1", B: "two words", C: "x\ny" });
    function Old() {}
    function Base() {}
    util.inherits(Old, Base);
    assert(new Old() instanceof Base);
    const signal = AbortSignal.timeout(1);
    await util.aborted(signal, {});
    assert(signal.aborted);
    assert.equal(util.getSystemErrorName(-2), "ENOENT");
    assert.throws(() => promisify(1), { code: "ERR_INVALID_ARG_TYPE" });
  },
  path() {
    assert.equal(path.join("/a", "../b", "./c.txt"), "/b/c.txt");
    assert.equal(path.relative("/a/b/c", "/a/d"), "../../d");
    assert.equal(path.resolve("x"), "/bundle/x");
    assert.deepEqual(path.parse("/home/a.tar.gz"), { root: "/", dir: "/home", base: "a.tar.gz", ext: ".gz", name: "a.tar" });
    assert.equal(path.win32.join("a", "b"), "a\\b");
    assert.equal(path.posix, path);
    assert(path.matchesGlob === undefined || typeof path.matchesGlob === "function");
  },
  url() {
    const parsed = url.parse("http://user:pass@host.com:8080/p/a?query=1#hash", true);
    assert.equal(parsed.auth, "user:pass");
    assert.equal(parsed.query.query, "1");
    assert.equal(url.format({ protocol: "https", host: "a.b", pathname: "/c", query: { d: 1 } }), "https://a.b/c?d=1");
    assert.equal(url.resolve("/one/two/", "../three"), "/one/three");
    assert.equal(url.fileURLToPath("file:///a%20b"), "/a b");
    assert.equal(url.pathToFileURL("/a b#c").href, "file:///a%20b%23c");
    assert.equal(url.domainToASCII("ma\u00f1ana.com"), "xn--maana-pta.com");
    assert.equal(url.domainToUnicode("xn--maana-pta.com"), "ma\u00f1ana.com");
    assert.equal(url.urlToHttpOptions(new URL("http://a:b@c/d?e")).path, "/d?e");
    assert.equal(url.URL, URL);
    assert.throws(() => url.fileURLToPath("http://x"), { code: "ERR_INVALID_URL_SCHEME" });
  },
  querystring() {
    assert.equal(querystring.stringify({ a: [1, 2], b: "c d", "\u00e9": "" }), "a=1&a=2&b=c%20d&%C3%A9=");
    assert.deepEqual({ ...querystring.parse("a=1&a=2&b=%20c+d&e") }, { a: ["1", "2"], b: " c d", e: "" });
    assert.equal(punycode.encode("ma\u00f1ana"), "maana-pta");
  },
};

export default {
  async fetch(request) {
    await tests[new URL(request.url).pathname.slice(1)]();
    return new Response("as in Node.js");
  },
};
