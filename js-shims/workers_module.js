// The module `cloudflare:workers`. Loaded when it is first imported.

import { primordials } from "ext:core/mod.js";
import { waitUntil as keepAlive } from "ext:holm/context.js";
import { flag, ownExports, workerEnv } from "ext:holm/environment.js";
import { frameValue, requireOwner, within } from "ext:holm/owner.js";

const {
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
export { RpcPromise, RpcProperty, RpcStub } from "ext:holm/rpc_stubs.js";
export { cache, tracing } from "ext:holm/tracing.js";
export { Fetcher as ServiceStub } from "ext:holm/service_binding.js";

const ENV = "holm.env";
const EXPORTS = "holm.exports";
const NOTHING = ObjectFreeze({ __proto__: null });

const isImportable = !flag("disallow_importable_env");

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

/** The worker's own entrypoints, to be called like services. */
export const exports = standIn(() => frameValue(EXPORTS) ?? ownExports());

function checked(name, value, position) {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) {
    throw new TypeError(`Failed to execute '${name}': parameter ${position} is not of type 'object'.`);
  }
}

function checkedFunction(name, run, position) {
  if (typeof run !== "function") {
    throw new TypeError(`Failed to execute '${name}': parameter ${position} is not of type 'Function'.`);
  }
}

/** Calls `run`; what it calls and starts finds `newEnv` as the `env` of this module. */
export function withEnv(newEnv, run) {
  checked("withEnv", newEnv, 1);
  checkedFunction("withEnv", run, 2);
  return within(ENV, newEnv, run);
}

/** The same for `exports`. */
export function withExports(newExports, run) {
  checked("withExports", newExports, 1);
  checkedFunction("withExports", run, 2);
  return within(EXPORTS, newExports, run);
}

/** Both. */
export function withEnvAndExports(newEnv, newExports, run) {
  checked("withEnvAndExports", newEnv, 1);
  checked("withEnvAndExports", newExports, 2);
  checkedFunction("withEnvAndExports", run, 3);
  return within(ENV, newEnv, () => within(EXPORTS, newExports, run));
}

/** `ctx.waitUntil` of the request that runs. */
export function waitUntil(promise) {
  if (arguments.length < 1) {
    throw new TypeError("Failed to execute 'waitUntil': 1 argument required, but only 0 present.");
  }
  keepAlive(requireOwner(), promise);
}
