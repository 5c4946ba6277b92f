const known = new Set(["length", "name", "prototype", "error", "json", "redirect"]);

const answers = {
  "/deno": () => Response.json([typeof Deno, typeof globalThis.__bootstrap, typeof globalThis.__holm, typeof process, typeof globalThis.require]),
  "/constructors": () => {
    const names = ["Request", "Response", "Headers", "CryptoKey", "SubtleCrypto", "Crypto"];
    return Response.json(names.flatMap((name) => Object.getOwnPropertyNames(globalThis[name]).filter((key) => !known.has(key))));
  },
  "/shared-memory": () => Response.json([typeof SharedArrayBuffer, typeof Atomics?.wait, (() => {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer.constructor.name;
    } catch (error) {
      return error.name;
    }
  })()]),
  "/stack-of-an-error": () => {
    const prepare = Error.prepareStackTrace;
    let sites;
    Error.prepareStackTrace = (error, callSites) => (sites = callSites);
    try {
      new Headers([["bad name", ""]]);
    } catch (error) {
      void error.stack;
    }
    Error.prepareStackTrace = prepare;
    return Response.json((sites ?? []).some((site) => site.getThis?.() !== undefined && site.getThis() !== null && site.getFunction?.()?.name?.startsWith("op_")));
  },
  "/forged-marks": () => {
    const results = [];
    for (const marked of [new ReadableStream(), new TransformStream().writable, new DOMException("x"), new Blob(["x"]), new MessageChannel().port1]) {
      const symbols = [marked, Object.getPrototypeOf(marked)].flatMap((target) => Object.getOwnPropertySymbols(target));
      for (const symbol of symbols) {
        for (const value of [marked[symbol], "Blob", 0, {}, () => {}, undefined]) {
          try {
            structuredClone({ [symbol]: value, type: "Blob", id: 1 });
          } catch (error) {
            results.push(error.constructor.name);
          }
        }
      }
    }
    return Response.json(results.every((name) => name === "DOMException" || name.endsWith("Error")));
  },
  "/replaced-built-ins": async () => {
    const { then } = Promise.prototype;
    const { push } = Array.prototype;
    let seen = 0;
    Array.prototype.push = function (...args) {
      seen++;
      return push.apply(this, args);
    };
    Object.prototype.status = 500;
    const response = new Response("text", { headers: { a: "1" } });
    response.headers.append("b", "2");
    delete Object.prototype.status;
    Array.prototype.push = push;
    Promise.prototype.then = then;
    return Response.json([seen, response.status]);
  },
};

export default {
  fetch(request, env, ctx) {
    return answers[new URL(request.url).pathname](request, env, ctx);
  },
};
