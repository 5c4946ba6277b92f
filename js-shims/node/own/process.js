// `process`: the worker's variables, a version, and what packages ask for at their start.
'use strict';

const holm = internalBinding('holm');
const { natives } = holm;
const { performance } = natives.web;
const { BigInt, MathFloor, ObjectDefineProperty, ObjectSetPrototypeOf, ReflectApply } = primordials;

const VERSION = '24.21.0';
process = { __proto__: null };
module.exports = process;

function unavailable(name) {
  const error = new Error(`process.${name} is not available in a worker.`);
  error.code = 'ERR_METHOD_NOT_IMPLEMENTED';
  return error;
}

// What Node.js's modules ask for while they load comes first: `events` is one of them.
process.version = `v${VERSION}`;
process.versions = Object.freeze({ node: VERSION, v8: '15.0', openssl: '3.5.0', modules: '137', uv: '1.51.0', zlib: '1.3.1' });
process.platform = 'linux';
process.arch = 'x64';
process.features = Object.freeze({
  inspector: false, debug: false, uv: false, ipv6: true, openssl_is_boringssl: false, tls_alpn: true, tls_sni: true, tls_ocsp: true,
  tls: true, cached_builtins: true, require_module: true, typescript: false,
});
process.release = Object.freeze({ name: 'node', lts: 'Krypton' });
process.title = 'workerd';
process.argv = ['workerd'];
process.argv0 = 'workerd';
process.execArgv = [];
process.execPath = '/bin/workerd';
process.pid = 1;
process.ppid = 0;
process.debugPort = 0;
process.exitCode = undefined;
process.noDeprecation = true;
process.throwDeprecation = false;
process.traceDeprecation = false;
process.config = Object.freeze({ target_defaults: Object.freeze({}), variables: Object.freeze({ napi_build_version: '10' }) });
process.allowedNodeEnvironmentFlags = new Set();
process.report = undefined;
process.sourceMapsEnabled = false;

// As in Node.js, a variable is a text, whatever is written.
process.env = new Proxy(natives.worker.environment(), {
  __proto__: null,
  set(target, name, value) {
    if (typeof name === 'symbol') throw new TypeError('Cannot convert a Symbol value to a string');
    target[name] = `${value}`;
    return true;
  },
  defineProperty(target, name, descriptor) {
    if ('value' in descriptor) descriptor = { ...descriptor, value: `${descriptor.value}` };
    return Reflect.defineProperty(target, name, descriptor);
  },
});
ObjectSetPrototypeOf(process.env, Object.prototype);

process.nextTick = function nextTick(callback, ...args) {
  if (typeof callback !== 'function') {
    const { codes: { ERR_INVALID_ARG_TYPE } } = require('internal/errors');
    throw new ERR_INVALID_ARG_TYPE('callback', 'Function', callback);
  }
  natives.worker.nextTick(args.length === 0 ? callback : () => ReflectApply(callback, undefined, args));
};

let directory = '/bundle';
process.cwd = () => directory;
process.chdir = function chdir(path) {
  require('internal/validators').validateString(path, 'directory');
  directory = require('path').resolve(directory, path);
};
process.umask = (mask) => {
  void mask;
  return 0o22;
};

// The clock stands still while JavaScript runs.
function hrtime(before) {
  const now = performance.timeOrigin + performance.now();
  let seconds = MathFloor(now / 1000);
  let nanoseconds = MathFloor((now % 1000) * 1e6);
  if (before !== undefined) {
    require('internal/validators').validateArray(before, 'time');
    seconds -= before[0];
    nanoseconds -= before[1];
    if (nanoseconds < 0) {
      seconds--;
      nanoseconds += 1e9;
    }
  }
  return [seconds, nanoseconds];
}
hrtime.bigint = () => BigInt(MathFloor((performance.timeOrigin + performance.now()) * 1e3)) * 1000n;
process.hrtime = hrtime;
process.uptime = () => performance.now() / 1000;
process.memoryUsage = () => ({ rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 });
process.memoryUsage.rss = () => 0;
process.constrainedMemory = () => 0;
process.availableMemory = () => 0;
process.cpuUsage = () => ({ user: 0, system: 0 });
process.threadCpuUsage = () => ({ user: 0, system: 0 });
process.resourceUsage = () => ({});
process.getActiveResourcesInfo = () => [];
process.getuid = process.geteuid = process.getgid = process.getegid = () => 0;
process.getgroups = () => [];
process.hasUncaughtExceptionCaptureCallback = () => false;
process.setUncaughtExceptionCaptureCallback = () => {
  throw unavailable('setUncaughtExceptionCaptureCallback');
};
process.setSourceMapsEnabled = () => {};
process.ref = process.unref = () => {};
process.loadEnvFile = () => {
  throw unavailable('loadEnvFile');
};
for (const name of ['abort', 'dlopen', 'kill', 'setuid', 'setgid', 'seteuid', 'setegid', 'setgroups', 'initgroups', 'execve']) {
  process[name] = { [name]() {
    throw unavailable(name);
  } }[name];
}
process.exit = process.reallyExit = function exit(code) {
  throw new Error(`process.exit(${code ?? ''}) was called: a worker has no process to end.`);
};
process.binding = function binding(name) {
  const error = new Error(`No such module: ${name}`);
  error.code = 'ERR_INVALID_MODULE';
  throw error;
};
process.getBuiltinModule = (id) => {
  require('internal/validators').validateString(id, 'id');
  return holm.isBuiltin(id) ? holm.require(id) : undefined;
};

process.emitWarning = function emitWarning(warning, type = undefined, code = undefined) {
  if (typeof type === 'object' && type !== null) ({ type, code } = type);
  if (typeof warning === 'string') {
    const error = new Error(warning);
    error.name = `${type || 'Warning'}`;
    if (code !== undefined) error.code = code;
    warning = error;
  }
  if (warning.name === 'DeprecationWarning' && process.noDeprecation) return;
  process.nextTick(() => {
    if (!process.emit('warning', warning)) {
      natives.web.console.warn(`${warning.code === undefined ? '' : `[${warning.code}] `}${warning.name}: ${warning.message}`);
    }
  });
};

/** A property that is made when it is first asked for. */
function lazily(name, make) {
  ObjectDefineProperty(process, name, {
    __proto__: null,
    get() {
      const value = make();
      ObjectDefineProperty(process, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
      return value;
    },
    set(value) {
      ObjectDefineProperty(process, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
    },
    enumerable: true,
    configurable: true,
  });
}

/** Whole lines go to the worker's log. */
function output(fd, log) {
  const { Writable } = require('stream');
  let held = '';
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, encoding, callback) {
      held += typeof chunk === 'string' ? chunk : chunk.toString();
      const end = held.lastIndexOf('\n');
      if (end !== -1) {
        log(held.slice(0, end));
        held = held.slice(end + 1);
      }
      callback();
    },
  });
  stream.fd = fd;
  stream.isTTY = false;
  stream._isStdio = true;
  stream.destroy = () => stream;
  return stream;
}
lazily('stdout', () => output(1, (line) => natives.web.console.log('%s', line)));
lazily('stderr', () => output(2, (line) => natives.web.console.error('%s', line)));
lazily('stdin', () => {
  const { Readable } = require('stream');
  const stdin = Readable.from([]);
  stdin.fd = 0;
  stdin.isTTY = false;
  return stdin;
});

// `process` is an EventEmitter; `events` is loaded when the first listener comes.
let emitter = false;
function become() {
  if (emitter) return;
  emitter = true;
  const EventEmitter = require('events');
  for (const name of EVENTS) delete process[name];
  ObjectSetPrototypeOf(process, Object.create(EventEmitter.prototype, {
    [Symbol.toStringTag]: { __proto__: null, configurable: true, value: 'process' },
    constructor: { __proto__: null, configurable: true, writable: true, value: process.constructor },
  }));
  ReflectApply(EventEmitter, process, []);
  listen(process);
}
const EVENTS = [
  'addListener', 'emit', 'eventNames', 'getMaxListeners', 'listenerCount', 'listeners', 'off', 'on', 'once', 'prependListener',
  'prependOnceListener', 'rawListeners', 'removeAllListeners', 'removeListener', 'setMaxListeners',
];
for (const name of EVENTS) {
  process[name] = { [name](...args) {
    // Without a listener an event goes nowhere.
    if (name === 'emit' && !emitter) return false;
    become();
    return process[name](...args);
  } }[name];
}

/** What the isolate tells its global is told the listeners of `process`. */
function listen(process) {
  const { addEventListener } = globalThis;
  const forward = (event, name, argumentsOf) =>
    ReflectApply(addEventListener, globalThis, [event, (e) => {
      if (process.listenerCount(name) === 0) return;
      e.preventDefault();
      process.emit(name, ...argumentsOf(e));
    }]);
  const forwarded = new Set();
  process.on('newListener', (name) => {
    if (forwarded.has(name)) return;
    forwarded.add(name);
    if (name === 'unhandledRejection') forward('unhandledrejection', name, (e) => [e.reason, e.promise]);
    if (name === 'rejectionHandled') forward('rejectionhandled', name, (e) => [e.promise]);
    if (name === 'uncaughtException') forward('error', name, (e) => [e.error, 'uncaughtException']);
  });
}
ObjectSetPrototypeOf(process, { __proto__: Object.prototype, [Symbol.toStringTag]: 'process' });
