// What of Node.js's `net` is different in a worker.
'use strict';

const { ArrayIsArray } = primordials;
const { isIP, normalizedArgsSymbol } = require('internal/net');
const { unavailable } = require('internal/holm/unavailable');

/**
 * Node.js looks a name up and connects to an address. What a worker may reach is judged by the name too, and by the server:
 * so the connection is made to the name, and the address is the one that it has.
 */
const connecting = (socket, port) => (host, options, callback) => {
  const handle = socket._handle;
  handle.open(host, port).then(
    (address) => options.all ? callback(null, [{ address, family: isIP(address) }]) : callback(null, address, isIP(address)),
    (error) => callback(failure(error, host, port)),
  );
};

function failure(cause, host, port) {
  const { message } = cause;
  const [code, errno, syscall] =
    message.includes('could not resolve') ? ['ENOTFOUND', -3008, 'getaddrinfo'] :
    message.includes('could not connect') ? ['ECONNREFUSED', -111, 'connect'] :
    message.includes('connect failed') ? ['EACCES', -13, 'connect'] : [undefined, undefined, 'connect'];
  if (code === undefined) return cause;
  const place = syscall === 'connect' ? `${host}:${port}` : host;
  const error = new Error(`${syscall} ${code} ${place}`, { cause });
  return Object.assign(error, { errno, code, syscall }, syscall === 'connect' ? { address: host, port } : { hostname: host });
}

module.exports = (net) => {
  const { connect } = net.Socket.prototype;

  net.Socket.prototype.connect = function(...args) {
    const normalized = ArrayIsArray(args[0]) && args[0][normalizedArgsSymbol] ? args[0] : net._normalizeArgs(args);
    const options = normalized[0];
    const family = options.family === 4 || options.family === 6 || options.family === 'IPv4' || options.family === 'IPv6';
    const port = +options.port;
    // Whom the caller asks, and whether the address is one that it wants, is known before a connection is made.
    const itsOwn = options.lookup != null || options.path != null || family || options.localAddress || this.blockList;
    if (itsOwn || isIP(options.host ?? '') !== 0 || !(port >= 0 && port <= 65535)) return connect.call(this, normalized);
    const named = [{ __proto__: options, lookup: connecting(this, port) }, normalized[1]];
    named[normalizedArgsSymbol] = true;
    return connect.call(this, named);
  };

  net.Server.prototype.listen = function() {
    throw unavailable('net', 'Server.listen()', 'what comes in is given to `fetch()`; for `node:http` there is `httpServerHandler` of `cloudflare:node`');
  };
};
