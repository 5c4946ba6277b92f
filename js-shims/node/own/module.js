// `module`: which modules there are. A worker's own modules are found while it is bundled, not while it runs.
'use strict';

const holm = internalBinding('holm');
const { codes: { ERR_INVALID_ARG_VALUE } } = require('internal/errors');
const { validateString } = require('internal/validators');

function unavailable(name) {
  const error = new Error(`module.${name} is not available in a worker: its modules are those of its bundle.`);
  error.code = 'ERR_METHOD_NOT_IMPLEMENTED';
  throw error;
}

function createRequire(filename) {
  const isUrl = filename instanceof URL || (typeof filename === 'string' && filename.startsWith('file:'));
  if (!isUrl && (typeof filename !== 'string' || !filename.startsWith('/'))) {
    throw new ERR_INVALID_ARG_VALUE('filename', filename, 'must be a file URL object, file URL string, or absolute path string');
  }
  function require(id) {
    validateString(id, 'id');
    if (holm.isBuiltin(id)) return holm.require(id);
    const error = new Error(`Cannot find module '${id}': require() of a worker at run time finds built-in modules only.`);
    error.code = 'MODULE_NOT_FOUND';
    throw error;
  }
  require.resolve = (id) => {
    if (holm.isBuiltin(id)) return id;
    return require(id);
  };
  require.cache = { __proto__: null };
  require.main = undefined;
  return require;
}

function Module(id = '', parent = undefined) {
  this.id = id;
  this.exports = {};
  this.parent = parent;
  this.loaded = false;
  this.children = [];
  this.paths = [];
}
Module.Module = Module;
Module.builtinModules = holm.builtinModules;
Module.createRequire = createRequire;
Module.isBuiltin = (specifier) => typeof specifier === 'string' && holm.isBuiltin(specifier);
Module.syncBuiltinESMExports = () => {};
Module.findSourceMap = () => undefined;
Module.findPackageJSON = () => undefined;
Module.getSourceMapsSupport = () => ({ enabled: false, nodeModules: false, generatedCode: false });
Module.setSourceMapsSupport = () => {};
Module.enableCompileCache = () => ({ status: 3 });
Module.getCompileCacheDir = () => undefined;
Module.flushCompileCache = () => {};
Module.constants = Object.freeze({ compileCacheStatus: Object.freeze({ FAILED: 0, ENABLED: 1, ALREADY_ENABLED: 2, DISABLED: 3 }) });
Module.globalPaths = [];
Module._cache = { __proto__: null };
Module._extensions = { __proto__: null };
Module._pathCache = { __proto__: null };
Module.wrap = (script) => `(function (exports, require, module, __filename, __dirname) { ${script}\n});`;
for (const name of ['register', 'registerHooks', 'runMain', 'stripTypeScriptTypes', '_load', '_resolveFilename', '_nodeModulePaths', '_initPaths', '_preloadModules']) {
  Module[name] = { [name]: () => unavailable(name) }[name];
}
Module.SourceMap = class SourceMap {
  constructor() {
    unavailable('SourceMap');
  }
};

module.exports = Module;
