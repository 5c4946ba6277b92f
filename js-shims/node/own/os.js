// `os`: a machine without a name.
'use strict';

const { os: constants } = internalBinding('constants');
const { validateInt32 } = require('internal/validators');
const { UV_UDP_REUSEADDR, dlopen, errno, priority, signals } = constants;

const named = (name, value) => {
  const get = { [name]: () => value }[name];
  get[Symbol.toPrimitive] = () => value;
  return get;
};

module.exports = {
  EOL: '\n',
  devNull: '/dev/null',
  constants: Object.freeze({ __proto__: null, UV_UDP_REUSEADDR, dlopen, errno, priority, signals }),
  arch: named('arch', 'x64'),
  availableParallelism: named('availableParallelism', 1),
  cpus: () => [],
  endianness: named('endianness', 'LE'),
  freemem: named('freemem', 0),
  getPriority: () => 0,
  homedir: named('homedir', '/tmp'),
  hostname: named('hostname', 'localhost'),
  loadavg: () => [0, 0, 0],
  machine: named('machine', 'x86_64'),
  networkInterfaces: () => ({}),
  platform: named('platform', 'linux'),
  release: named('release', ''),
  setPriority(pid, priority) {
    if (priority === undefined) priority = pid;
    validateInt32(priority, 'priority');
  },
  tmpdir: named('tmpdir', '/tmp'),
  totalmem: named('totalmem', 0),
  type: named('type', 'Linux'),
  uptime: named('uptime', 0),
  userInfo: () => ({ uid: -1, gid: -1, username: 'user', homedir: '/tmp', shell: null }),
  version: named('version', ''),
};
