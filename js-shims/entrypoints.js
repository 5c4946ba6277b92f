// The base classes of `cloudflare:workers`. Loaded when a worker imports them.

import { finishInterface } from "ext:holm/engine.js";

/** What a worker's own entrypoint extends: its methods can be called over a service binding. */
export class WorkerEntrypoint {
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}

export class DurableObject {
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}

export class WorkflowEntrypoint {
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}

/** Instances are passed by reference over RPC. */
export class RpcTarget {}

finishInterface(WorkerEntrypoint);
finishInterface(DurableObject);
finishInterface(WorkflowEntrypoint);
finishInterface(RpcTarget);
