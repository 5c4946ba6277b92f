// Made by vendor.mjs: stubs as Node.js 24.21.0 has them on Linux.
module.exports = {
 "child_process": [
  "class ChildProcess",
  "_forkChild",
  "exec",
  "execFile",
  "execFileSync",
  "execSync",
  "fork",
  "spawn",
  "spawnSync"
 ],
 "cluster": [
  "class Worker",
  "disconnect",
  "fork",
  "setupMaster",
  "setupPrimary"
 ],
 "dgram": [
  "class Socket",
  "_createSocketHandle",
  "createSocket"
 ],
 "domain": [
  "class Domain",
  "create",
  "createDomain"
 ],
 "http2": [
  "class Http2ServerRequest",
  "class Http2ServerResponse",
  "connect",
  "createSecureServer",
  "createServer",
  "getDefaultSettings",
  "getPackedSettings",
  "getUnpackedSettings",
  "performServerHandshake"
 ],
 "inspector": [
  "class Session",
  "close",
  "open",
  "url",
  "waitForDebugger"
 ],
 "inspector/promises": [
  "class Session",
  "close",
  "open",
  "url",
  "waitForDebugger"
 ],
 "readline": [
  "class Interface",
  "clearLine",
  "clearScreenDown",
  "createInterface",
  "cursorTo",
  "emitKeypressEvents",
  "moveCursor"
 ],
 "readline/promises": [
  "class Interface",
  "class Readline",
  "createInterface"
 ],
 "repl": [
  "class REPLServer",
  "Recoverable",
  "isValidSyntax",
  "start",
  "writer"
 ],
 "sqlite": [
  "class DatabaseSync",
  "class Session",
  "class StatementSync",
  "backup"
 ],
 "test": [
  "after",
  "afterEach",
  "before",
  "beforeEach",
  "describe",
  "expectFailure",
  "getTestContext",
  "it",
  "only",
  "run",
  "skip",
  "suite",
  "test",
  "todo"
 ],
 "test/reporters": [
  "dot",
  "junit",
  "lcov",
  "spec",
  "tap"
 ],
 "trace_events": [
  "createTracing",
  "getEnabledCategories"
 ],
 "tty": [
  "class ReadStream",
  "class WriteStream",
  "isatty"
 ],
 "v8": [
  "class DefaultDeserializer",
  "class DefaultSerializer",
  "class Deserializer",
  "class GCProfiler",
  "class Serializer",
  "cachedDataVersionTag",
  "deserialize",
  "getCppHeapStatistics",
  "getHeapCodeStatistics",
  "getHeapSnapshot",
  "getHeapSpaceStatistics",
  "getHeapStatistics",
  "isStringOneByteRepresentation",
  "queryObjects",
  "serialize",
  "setFlagsFromString",
  "setHeapSnapshotNearHeapLimit",
  "startCpuProfile",
  "stopCoverage",
  "takeCoverage",
  "writeHeapSnapshot"
 ],
 "vm": [
  "class Script",
  "compileFunction",
  "createContext",
  "createScript",
  "isContext",
  "measureMemory",
  "runInContext",
  "runInNewContext",
  "runInThisContext"
 ],
 "wasi": [
  "class WASI"
 ],
 "worker_threads": [
  "class BroadcastChannel",
  "MessageChannel",
  "class MessagePort",
  "class Worker",
  "getEnvironmentData",
  "isMarkedAsUntransferable",
  "markAsUncloneable",
  "markAsUntransferable",
  "moveMessagePortToContext",
  "postMessageToThread",
  "receiveMessageOnPort",
  "setEnvironmentData"
 ]
};
