// `WebAssembly` without compilation at run time: modules come from imports, which Rust compiles. From bytes they can be
// made where the engine allows it, while a worker starts, and then at once: the engine's own asynchronous compilation runs
// beside the turns. Memory is never shared: there is no second thread to share it with, but for clocks made of counters.
// Memories and instances are counted, see reservations.js.

import { core, primordials } from "ext:core/mod.js";
import { reserve } from "ext:holm/reservations.js";

const {
  ArrayPrototypePush,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  PromiseReject,
  PromiseResolve,
  ReflectApply,
  ReflectConstruct,
  ReflectOwnKeys,
  TypeError,
  uncurryThis,
} = primordials;

const define = (target, name, value, enumerable) =>
  ObjectDefineProperty(target, name, { __proto__: null, value, writable: true, enumerable, configurable: true });

/** Gives a replacement the prototype of the constructor that it replaces. */
function replaceConstructor(WebAssembly, name, Replacement) {
  const { prototype } = WebAssembly[name];
  ObjectDefineProperty(Replacement, "prototype", {
    __proto__: null,
    value: prototype,
    writable: false,
    enumerable: false,
    configurable: false,
  });
  define(prototype, "constructor", Replacement, false);
  define(WebAssembly, name, Replacement, false);
}

const shims = [];

/** Takes compilation and shared memory out of the global `WebAssembly`. Idempotent: the engine may put its own back at run time. */
export function restrictWebAssembly(WebAssembly) {
  if (WebAssembly === undefined) return;
  for (let i = 0; i < shims.length; i++) if (WebAssembly.compile === shims[i]) return;
  restrictCompilation(WebAssembly);
  restrictMemory(WebAssembly);
}

function restrictCompilation(WebAssembly) {
  const { CompileError, Instance: EngineInstance, Module: EngineModule } = WebAssembly;
  const engineExports = uncurryThis(EngineModule.exports);

  /** Only a real module passes; a forged prototype does not. */
  const isModule = (value) => {
    try {
      engineExports(EngineModule, value);
      return true;
    } catch {
      return false;
    }
  };

  // The engine refuses with a CompileError where code may not be generated.
  function Module(bytes) {
    if (new.target === undefined) throw new TypeError("WebAssembly.Module must be invoked with 'new'");
    return ReflectConstruct(EngineModule, [bytes], new.target);
  }
  const statics = ["customSections", "exports", "imports"];
  for (let i = 0; i < statics.length; i++) define(Module, statics[i], EngineModule[statics[i]], true);

  function Instance(module, imports = undefined) {
    if (new.target === undefined) throw new TypeError("WebAssembly.Instance must be invoked with 'new'");
    return reserve(ReflectConstruct(EngineInstance, [module, imports], new.target));
  }

  const streamed = (what) =>
    PromiseReject(new CompileError(`WebAssembly.${what}(): Wasm code generation disallowed by embedder`));
  const functions = {
    compile(bytes) {
      try {
        return PromiseResolve(new EngineModule(bytes));
      } catch (error) {
        return PromiseReject(error);
      }
    },
    instantiate(source, imports = undefined) {
      try {
        if (isModule(source)) return PromiseResolve(new Instance(source, imports));
        const module = new EngineModule(source);
        return PromiseResolve({ module, instance: new Instance(module, imports) });
      } catch (error) {
        return PromiseReject(error);
      }
    },
    compileStreaming(_source) {
      return streamed("compileStreaming");
    },
    instantiateStreaming(_source, _imports = undefined) {
      return streamed("instantiateStreaming");
    },
  };
  replaceConstructor(WebAssembly, "Module", Module);
  replaceConstructor(WebAssembly, "Instance", Instance);
  const names = ReflectOwnKeys(functions);
  for (let i = 0; i < names.length; i++) define(WebAssembly, names[i], functions[names[i]], true);
  ArrayPrototypePush(shims, functions.compile);
}

function restrictMemory(WebAssembly) {
  const { Memory: EngineMemory } = WebAssembly;
  const { prototype } = EngineMemory;

  function Memory(descriptor) {
    if (new.target === undefined) throw new TypeError("WebAssembly.Memory must be invoked with 'new'");
    // The engine says what is wrong with it.
    if (typeof descriptor !== "object" || descriptor === null) return new EngineMemory(descriptor);
    // Read once: what is checked is what is used.
    const { address, initial, maximum, minimum, shared } = descriptor;
    if (shared) throw new TypeError("WebAssembly.Memory(): shared memory is not supported by this runtime.");
    return reserve(ReflectConstruct(EngineMemory, [{ __proto__: null, address, initial, maximum, minimum }], new.target));
  }

  // A module of the bundle can declare a shared memory of its own.
  const engineBuffer = ObjectGetOwnPropertyDescriptor(prototype, "buffer").get;
  const accessor = {
    get buffer() {
      const buffer = ReflectApply(engineBuffer, this, []);
      if (core.isSharedArrayBuffer(buffer)) {
        throw new TypeError("WebAssembly.Memory: shared memory is not supported by this runtime.");
      }
      return buffer;
    },
  };
  ObjectDefineProperty(prototype, "buffer", {
    __proto__: null,
    get: ObjectGetOwnPropertyDescriptor(accessor, "buffer").get,
    enumerable: true,
    configurable: true,
  });
  // They would make resizable buffers that nobody counts.
  delete prototype.toResizableBuffer;
  delete prototype.toFixedLengthBuffer;
  replaceConstructor(WebAssembly, "Memory", Memory);
}
