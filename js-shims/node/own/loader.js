// Where the library begins: completes the primordials, and finds modules. Called once by js-shims/node_natives.js with what
// is described there: `require` compiles a script, `internalBinding` is the natives.
'use strict';

const compile = require;
const natives = internalBinding;
const holm = { __proto__: null, natives, primordials };

// What Node.js's primordials have and the engine's crate has not.
{
  const {
    ArrayPrototypePush, AsyncIteratorPrototype, FunctionPrototypeApply, ObjectGetPrototypeOf, Promise, PromisePrototypeThen,
    ReflectApply, RegExpPrototypeExec, StringFromCharCode, SymbolIterator,
  } = primordials;
  primordials.AsyncIteratorPrototype = AsyncIteratorPrototype ??
    ObjectGetPrototypeOf(ObjectGetPrototypeOf(async function* () {}).prototype);
  primordials.IteratorPrototype ??= ObjectGetPrototypeOf(ObjectGetPrototypeOf([][SymbolIterator]()));
  primordials.StringFromCharCodeApply ??= (units) => ReflectApply(StringFromCharCode, undefined, units);
  primordials.SafeStringPrototypeSearch ??= (text, pattern) => {
    pattern.lastIndex = 0;
    const match = RegExpPrototypeExec(pattern, text);
    return match ? match.index : -1;
  };
  primordials.SafeArrayPrototypePushApply ??= (list, items) => {
    for (let i = 0; i < items.length; i += 65536) {
      FunctionPrototypeApply(ArrayPrototypePush, list, items.slice(i, i + 65536));
    }
    return list.length;
  };
  primordials.SafePromiseAllReturnVoid ??= (promises, map) =>
    new Promise((resolve, reject) => {
      let pending = promises.length;
      if (pending === 0) resolve();
      const settled = () => {
        if (--pending === 0) resolve();
      };
      for (let i = 0; i < promises.length; i++) {
        PromisePrototypeThen(Promise.resolve(map ? map(promises[i], i) : promises[i]), settled, reject);
      }
    });
}

// Whole modules are Node.js's own, or do what it documents; of the others `README.md` says what they leave out.
const PUBLIC = new Set(`
  _stream_duplex _stream_passthrough _stream_readable _stream_transform _stream_writable _tls_common _tls_wrap
  assert assert/strict async_hooks buffer console constants crypto diagnostics_channel dns dns/promises events fs fs/promises http https module net os path path/posix path/win32
  perf_hooks process punycode querystring stream stream/consumers stream/promises stream/web string_decoder sys timers
  timers/promises tls url util util/types zlib
`.trim().split(/\s+/));
const STUBS = new Set(`
  child_process cluster dgram domain http2 inspector inspector/promises readline readline/promises repl
  sqlite test test/reporters trace_events tty v8 vm wasi worker_threads
`.trim().split(/\s+/));
/** What completes a module of Node.js's own for a worker. */
const COMPLETED = { __proto__: null, net: 'internal/holm/net' };
/** These have no name without `node:`. */
const PREFIXED_ONLY = new Set(['sqlite', 'test', 'test/reporters']);

const cache = new Map();
const bindings = new Map();

function requireBuiltin(id) {
  if (id.startsWith('node:')) id = id.slice(5);
  const known = cache.get(id);
  if (known !== undefined) return known.exports;
  const module = { exports: {}, id, loaded: false };
  cache.set(id, module);
  try {
    if (STUBS.has(id)) {
      module.exports = requireBuiltin('internal/holm/stub').make(id);
    } else {
      const script = compile(id);
      if (script === undefined) {
        const error = new Error(`Cannot find module 'node:${id}': Holm does not have it.`);
        error.code = 'ERR_UNKNOWN_BUILTIN_MODULE';
        throw error;
      }
      const process = id === 'process' || id === 'internal/holm/process' ? undefined : requireBuiltin('process');
      script.call(undefined, module.exports, requireBuiltin, module, process, bindingOf, primordials);
      if (COMPLETED[id] !== undefined) requireBuiltin(COMPLETED[id])(module.exports);
    }
  } catch (error) {
    cache.delete(id);
    throw error;
  }
  module.loaded = true;
  return module.exports;
}

/** What Node.js's own modules find in the program; `holm` is what Holm's find. */
function bindingOf(name) {
  if (name === 'holm') return holm;
  let binding = bindings.get(name);
  if (binding === undefined) {
    const script = compile(`bindings/${name}`);
    if (script === undefined) throw new Error(`No such binding: ${name}`);
    const module = { exports: {} };
    bindings.set(name, module.exports);
    script.call(undefined, module.exports, requireBuiltin, module, requireBuiltin('process'), bindingOf, primordials);
    binding = module.exports;
    bindings.set(name, binding);
  }
  return binding;
}

const isPublic = (id) => PUBLIC.has(id) || STUBS.has(id);

holm.builtinModules = Object.freeze([...PUBLIC, ...STUBS].map((id) => PREFIXED_ONLY.has(id) ? `node:${id}` : id).sort());
holm.isBuiltin = (specifier) => {
  const prefixed = specifier.startsWith('node:');
  const id = prefixed ? specifier.slice(5) : specifier;
  return isPublic(id) && (prefixed || !PREFIXED_ONLY.has(id));
};
holm.require = requireBuiltin;
/** What a module exports, if it has been loaded. */
holm.loaded = (id) => cache.get(id)?.exports;

// Nothing of it reads the environment: NODE_DEBUG of a worker's variables is not Node.js's.
requireBuiltin('internal/util/debuglog').initializeDebugEnv(undefined);
{
  const { timers } = natives;
  const custom = Symbol.for('nodejs.util.promisify.custom');
  for (const name of ['setTimeout', 'setImmediate']) {
    Object.defineProperty(timers[name], custom, { enumerable: true, configurable: true, get: () => requireBuiltin('timers/promises')[name] });
  }
}

exports.builtin = requireBuiltin;
exports.isBuiltin = holm.isBuiltin;
