import { spawn } from "node:child_process";
import cluster from "node:cluster";
import { isMainThread, MessageChannel, Worker } from "node:worker_threads";
import { isatty } from "node:tty";
import vm from "node:vm";

const message = (run) => {
  try {
    return run();
  } catch (error) {
    return [error.code, error.message];
  }
};

export default {
  async fetch() {
    const missing = await import("node:nothing".slice(0, 12)).catch((error) => error.message);
    return Response.json({
      spawn: message(() => spawn("ls")),
      worker: message(() => new Worker("x.js")),
      vm: message(() => vm.runInNewContext("1")),
      facts: [cluster.isPrimary, isMainThread, isatty(1), MessageChannel === globalThis.MessageChannel],
      missing,
    });
  },
};
