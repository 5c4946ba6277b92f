// The modules that the runtime itself provides, by specifier (runtime/isolate/modules.rs makes modules of them).
//
// Each is an object with the module's exports, `default` among them where it has one. Nothing of a module is loaded before
// the first import of it: `lazyShim` names a file of `LAZY_SHIMS` (runtime/apis/lib.rs), which may import other shims. The
// names are also in runtime/config/built_in_modules.rs, for the bundler.

import { core } from "ext:core/mod.js";
import { nodeModule, nodeServer } from "ext:holm/node.js";

/** The exports of a shim that is not in the snapshot. */
export const lazyShim = (name) => core.createLazyLoader(`ext:holm/${name}`);

/** @type {Record<string, () => object>} */
const modules = {
  __proto__: null,
  "cloudflare:node": nodeServer,
  "cloudflare:sockets": lazyShim("sockets_module.js"),
  "cloudflare:workers": lazyShim("workers_module.js"),
};

/** hooks.builtInModule: the exports of a module, `undefined` if the runtime has none of this name. */
export function builtInModule(specifier) {
  const load = modules[specifier];
  return load === undefined ? nodeModule(specifier) : load();
}
