// `nodejs_compat` as far as it is in the snapshot: which specifiers are modules of Node.js, and what the flag puts on the
// global. Everything else is loaded when a worker first asks for it (node_natives.js), so that one that does not pays nothing.

import { core, primordials } from "ext:core/mod.js";
import { define, defineLazily } from "ext:holm/global_property.js";
import { clearImmediate, nodeTimers, setImmediate } from "ext:holm/node_timers.js";

const {
  Error,
  JSONParse,
  ObjectAssign,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  globalThis,
} = primordials;
const { op_settings } = core.ops;

const loadNatives = core.createLazyLoader("ext:holm/node_natives.js");

/** The part that an isolate has loaded: `{ builtin(name), isBuiltin(name), ended(owner) }`. */
let library;

let flags;
const flag = (name) => (flags ??= JSONParse(op_settings()).flags ?? { __proto__: null })[name] === true;

const loaded = () => library ??= loadNatives().library;

/** What `nodejs_als` has without the rest. */
const ALS_ONLY = "async_hooks";

/**
 * The exports of a module of Node.js as a module's namespace has them, `undefined` if there is none of this name. Throws
 * where a compatibility flag is missing.
 */
export function nodeModule(specifier) {
  const prefixed = StringPrototypeStartsWith(specifier, "node:");
  const name = prefixed ? StringPrototypeSlice(specifier, 5) : specifier;
  if (!flag("nodejs_compat") && !(name === ALS_ONLY && flag("nodejs_als"))) {
    if (!prefixed) return undefined;
    throw new Error(
      `No such module "${specifier}". The modules of Node.js need the compatibility flag "nodejs_compat", or a ` +
        "compatibility date from 2026-08-04 on.",
    );
  }
  if (!loaded().isBuiltin(prefixed ? specifier : name)) return undefined;
  const exports = library.builtin(name);
  return ObjectAssign({ __proto__: null }, exports, { __proto__: null, default: exports, "module.exports": exports });
}

/** The exports of `cloudflare:node`: servers of `node:http` as handlers of requests. */
export function nodeServer() {
  if (!flag("nodejs_compat")) {
    throw new Error(
      "The module \"cloudflare:node\" needs the compatibility flag \"nodejs_compat\", or a compatibility date from 2026-08-04 on.",
    );
  }
  return loaded().builtin("internal/holm/http/bridge");
}

/** hooks.configure: before the worker's modules are loaded. */
export function nodeGlobals() {
  if (!flag("nodejs_compat_v2")) return;
  defineLazily("Buffer", () => loaded().builtin("buffer").Buffer);
  defineLazily("process", () => loaded().builtin("process"));
  define("global", globalThis);
  define("setImmediate", setImmediate);
  define("clearImmediate", clearImmediate);
  if (!flag("enable_nodejs_global_timers")) return;
  define("setTimeout", nodeTimers.setTimeout);
  define("setInterval", nodeTimers.setInterval);
  define("clearTimeout", nodeTimers.clearTimeout);
  define("clearInterval", nodeTimers.clearInterval);
}

/** hooks.ended: what the library holds for an invocation is dropped. */
export function forgetNode(owner) {
  if (library !== undefined) library.ended(owner);
}
