// Calls WebAssembly. The module is compiled before the first request and instantiated once per isolate.

import addModule from "./add.wasm";

/** What add.wat exports. An `i64` is a bigint in JavaScript. */
interface Exports {
  add(a: number, b: number): number;
  fib(n: number): bigint;
}

// One instance for all requests is right for functions without memory. A module that keeps state between
// calls needs an instance per request, or requests will see each other's.
const instance = new WebAssembly.Instance(addModule);
const { add, fib } = instance.exports as unknown as Exports;

const FIB_MAX = 92;
const INTEGER = /^-?\d{1,9}$/;

export default {
  async fetch(request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/add") {
      const a = integer(searchParams.get("a"));
      const b = integer(searchParams.get("b"));
      if (a === undefined || b === undefined) return refuse("/add?a=2&b=40 takes two integers of up to nine digits");
      return Response.json({ result: add(a, b) });
    }
    if (pathname === "/fib") {
      const n = integer(searchParams.get("n"));
      if (n === undefined || n < 0 || n > FIB_MAX) return refuse(`/fib?n=50 takes an integer from 0 to ${FIB_MAX}`);
      // JSON numbers lose digits above 2^53: a string keeps them.
      return Response.json({ result: fib(n).toString() });
    }
    return Response.json({ error: "try /add?a=2&b=40 or /fib?n=50" }, { status: 404 });
  },
} satisfies ExportedHandler;

function integer(text: string | null): number | undefined {
  return text !== null && INTEGER.test(text) ? Number(text) : undefined;
}

function refuse(error: string): Response {
  return Response.json({ error }, { status: 400 });
}
