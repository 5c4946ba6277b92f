// The module `cloudflare:workers`. Loaded when it is first imported.

import { core, primordials } from "ext:core/mod.js";
import { waitUntil as keepAlive } from "ext:holm/context.js";
import { workerEnv } from "ext:holm/environment.js";
import { frameValue, requireOwner, within } from "ext:holm/owner.js";

const {
  JSONParse,
  ObjectFreeze,
  Proxy,
  ReflectDefineProperty,
  ReflectDeleteProperty,
  ReflectGet,
  ReflectGetOwnPropertyDescriptor,
  ReflectHas,
  ReflectOwnKeys,
  ReflectSet,
  TypeError,
} = primordials;

export { DurableObject, RpcTarget, WorkerEntrypoint, WorkflowEntrypoint } from "ext:holm/entrypoints.js";

const ENV = "holm.env";
const NOTHING = ObjectFreeze({ __proto__: null });

const isImportable = JSONParse(core.ops.op_settings()).flags.disallow_importable_env !== true;

function currentEnv() {
  const overridden = frameValue(ENV);
  if (overridden !== undefined) return overridden;
  return isImportable ? workerEnv() : NOTHING;
}

/** An object that stands for the one which `current` answers at the time. */
const standIn = (current) =>
  new Proxy({}, {
    __proto__: null,
    get: (_target, name) => ReflectGet(current(), name),
    set: (_target, name, value) => ReflectSet(current(), name, value),
    has: (_target, name) => ReflectHas(current(), name),
    ownKeys: () => ReflectOwnKeys(current()),
    deleteProperty: (_target, name) => ReflectDeleteProperty(current(), name),
    defineProperty: (_target, name, descriptor) => ReflectDefineProperty(current(), name, descriptor),
    getOwnPropertyDescriptor: (_target, name) => ReflectGetOwnPropertyDescriptor(current(), name),
  });

/** The worker's variables and bindings, also in global scope and in modules that no handler hands them to. */
export const env = standIn(currentEnv);

/** Calls `run`; what it calls and starts finds `newEnv` as the `env` of this module. */
export function withEnv(newEnv, run) {
  if ((typeof newEnv !== "object" && typeof newEnv !== "function") || newEnv === null) {
    throw new TypeError("Failed to execute 'withEnv': parameter 1 is not of type 'object'.");
  }
  if (typeof run !== "function") {
    throw new TypeError("Failed to execute 'withEnv': parameter 2 is not of type 'Function'.");
  }
  return within(ENV, newEnv, run);
}

/** `ctx.waitUntil` of the request that runs. */
export function waitUntil(promise) {
  if (arguments.length < 1) {
    throw new TypeError("Failed to execute 'waitUntil': 1 argument required, but only 0 present.");
  }
  keepAlive(requireOwner(), promise);
}
