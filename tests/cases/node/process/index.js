import process, { env, nextTick } from "node:process";
import { isBuiltin, builtinModules, createRequire } from "node:module";
import os from "node:os";

const atStart = process.env.GREETING;

const paths = {
  "/env": () => {
    process.env.NUMBER = 1;
    const before = env.NUMBER;
    delete process.env.NUMBER;
    return [atStart, process.env.LIST, before, "NUMBER" in process.env, Object.keys(process.env), process === globalThis.process];
  },
  "/facts": () => [
    process.platform, process.arch, /^v\d+\.\d+\.\d+$/.test(process.version), process.versions.node === process.version.slice(1),
    process.cwd(), process.argv.length, process.uptime() >= 0, process.hrtime().length, typeof process.hrtime.bigint(),
    os.EOL, os.platform(), os.tmpdir(), os.constants.signals.SIGTERM, `${process}`,
  ],
  "/order": async () => {
    const order = [];
    setImmediate(() => order.push("immediate"));
    nextTick((value) => order.push(value), "tick");
    queueMicrotask(() => order.push("microtask"));
    order.push("now");
    await new Promise((resolve) => setTimeout(resolve, 5));
    return order;
  },
  "/modules": () => {
    const require = createRequire(import.meta.url ?? "file:///bundle/index.js");
    let missing;
    try {
      require("left-pad");
    } catch (error) {
      missing = error.code;
    }
    return [
      isBuiltin("node:fs/promises") === isBuiltin("fs/promises"), isBuiltin("left-pad"), builtinModules.includes("events"),
      require("events") === process.getBuiltinModule("node:events"), missing,
    ];
  },
  "/exit": () => {
    try {
      process.exit(1);
    } catch (error) {
      return error.message;
    }
  },
  "/output": () => {
    process.stdout.write("in two ");
    process.stdout.write("pieces\n");
    process.emitWarning("be careful", { code: "CARE" });
    return "written";
  },
  "/rejection": async () => {
    const told = new Promise((resolve) => process.once("unhandledRejection", (reason) => resolve(reason.message)));
    Promise.reject(new Error("nobody listens"));
    return told;
  },
};

export default {
  async fetch(request) {
    return Response.json(await paths[new URL(request.url).pathname]());
  },
};
