// What a worker has for all of its invocations: `env`, the exports of its main module, its compatibility flags.

import { core, primordials } from "ext:core/mod.js";
import { lazyShim } from "ext:holm/built_in_modules.js";

const { JSONParse, ObjectDefineProperty, ObjectFreeze, ObjectHasOwn, ObjectKeys, globalThis } = primordials;
const { op_env, op_service_names, op_settings } = core.ops;

const services = lazyShim("service_binding.js");

let flags;

/** Whether the compatibility flag is on. */
export function flag(name) {
  flags ??= JSONParse(op_settings()).flags;
  return flags[name] === true;
}

let env;

/** What handlers get as `env`: variables and bindings, made once. */
export function workerEnv() {
  if (env !== undefined) return env;
  env = JSONParse(op_env());
  const names = op_service_names();
  if (names !== "") services().addServices(env, JSONParse(names));
  return env;
}

/** hooks.bindGlobals: the script is a service worker, whose variables and bindings are globals. */
export function bindGlobals() {
  const own = workerEnv();
  const names = ObjectKeys(own);
  for (let i = 0; i < names.length; i++) {
    ObjectDefineProperty(globalThis, names[i], {
      __proto__: null,
      value: own[names[i]],
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
}

let namespace;
let loopback;

/** The exports of the main module, `undefined` for a service worker. */
export function setNamespace(exports) {
  namespace = exports;
}

/** An export of the main module, `undefined` if there is none. */
export const exportNamed = (name) =>
  namespace !== undefined && ObjectHasOwn(namespace, name) ? namespace[name] : undefined;

/** `ctx.exports`: the entrypoints among the exports, as services. */
export function ownExports() {
  if (namespace === undefined) return ObjectFreeze({ __proto__: null });
  return loopback ??= services().exportsOf(namespace);
}
