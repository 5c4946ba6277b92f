// `env`: the worker's variables and bindings, made once and the same for every invocation.

import { core, primordials } from "ext:core/mod.js";

const { JSONParse } = primordials;
const { op_env } = core.ops;

let env;

/** What handlers get as `env`. */
export function workerEnv() {
  return env ??= JSONParse(op_env());
}
