// Sockets of the file system, which a worker has none of.
'use strict';

const { unavailable } = require('internal/holm/unavailable');

class Pipe {
  constructor() {
    throw unavailable('net', 'connect to a path', 'a worker has no sockets of the file system; give a host and a port');
  }
}

module.exports = { Pipe, PipeConnectWrap: class PipeConnectWrap {}, constants: { SOCKET: 0, SERVER: 1, IPC: 2 } };
