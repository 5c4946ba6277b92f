// `WebAssembly` without compilation at run time: modules come from imports, which Rust compiles. Instances of modules
// work as the engine has them.

import { primordials } from "ext:core/mod.js";

const {
  ArrayPrototypePush,
  ObjectDefineProperty,
  PromiseReject,
  PromiseResolve,
  ReflectOwnKeys,
  TypeError,
  uncurryThis,
} = primordials;

const define = (target, name, value, enumerable) =>
  ObjectDefineProperty(target, name, { __proto__: null, value, writable: true, enumerable, configurable: true });

const shims = [];

/** Takes compilation out of the global `WebAssembly`. Idempotent: the engine may put its own back at run time. */
export function disallowCompilation(WebAssembly) {
  if (WebAssembly === undefined) return;
  for (let i = 0; i < shims.length; i++) if (WebAssembly.compile === shims[i]) return;

  const { CompileError, Instance, Module: EngineModule } = WebAssembly;
  const engineExports = uncurryThis(EngineModule.exports);
  const disallowed = (what) => new CompileError(`WebAssembly.${what}(): Wasm code generation disallowed by embedder`);

  /** Only a real module passes; a forged prototype does not. */
  const isModule = (value) => {
    try {
      engineExports(EngineModule, value);
      return true;
    } catch {
      return false;
    }
  };

  function Module(_bytes) {
    if (new.target === undefined) throw new TypeError("WebAssembly.Module must be invoked with 'new'");
    throw disallowed("Module");
  }
  ObjectDefineProperty(Module, "prototype", {
    __proto__: null,
    value: EngineModule.prototype,
    writable: false,
    enumerable: false,
    configurable: false,
  });
  const statics = ["customSections", "exports", "imports"];
  for (let i = 0; i < statics.length; i++) define(Module, statics[i], EngineModule[statics[i]], true);
  define(EngineModule.prototype, "constructor", Module, false);

  const functions = {
    compile(_bytes) {
      return PromiseReject(disallowed("compile"));
    },
    instantiate(module, imports = undefined) {
      if (!isModule(module)) return PromiseReject(disallowed("instantiate"));
      try {
        return PromiseResolve(new Instance(module, imports));
      } catch (error) {
        return PromiseReject(error);
      }
    },
    compileStreaming(_source) {
      return PromiseReject(disallowed("compileStreaming"));
    },
    instantiateStreaming(_source, _imports = undefined) {
      return PromiseReject(disallowed("instantiateStreaming"));
    },
  };
  define(WebAssembly, "Module", Module, false);
  const names = ReflectOwnKeys(functions);
  for (let i = 0; i < names.length; i++) define(WebAssembly, names[i], functions[names[i]], true);
  ArrayPrototypePush(shims, functions.compile);
}
