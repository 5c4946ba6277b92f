const answers = {
  "/levels"() {
    console.debug("a debug line");
    console.log("a log line");
    console.info("an info line");
    console.warn("a warn line");
    console.error("an error line");
    return new Response("levels");
  },
  "/format"() {
    console.log("%s is %d years and %i months, %f, %j%%, %o", "Ada", 36.5, 7.9, 1.5, "unused", { a: [1, { b: 2 }] });
    return new Response("format");
  },
  "/values"() {
    console.log("text", 1, true, null, undefined, 2n, Symbol("s"), { a: 1, b: ["x"] }, [1, 2], new Map([["k", 1]]), new Set([1]));
    return new Response("values");
  },
  "/error"() {
    console.error(new TypeError("logged, not thrown"));
    return new Response("error");
  },
  "/platform"() {
    console.log(new Headers({ a: "1" }), new URL("https://example.com/"), new Uint8Array(2));
    return new Response("platform");
  },
  "/group"() {
    console.group("outer");
    console.log("inside\nof it");
    console.groupEnd();
    console.log("outside");
    return new Response("group");
  },
  "/count"() {
    console.count("visits");
    console.count("visits");
    console.assert(1 === 2, "numbers", 1);
    console.table([{ a: 1 }, { a: 2 }]);
    return new Response("count");
  },
  "/hostile"() {
    console.log({ get a() { throw new Error("no"); }, toString() { throw new Error("no"); } });
    console.log(new Proxy({}, { get() { throw new Error("no"); }, ownKeys() { throw new Error("no"); } }));
    return new Response("hostile");
  },
  "/lines"() {
    console.log("first line\nsecond line");
    return new Response("lines");
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
