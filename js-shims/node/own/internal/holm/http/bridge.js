// The module `cloudflare:node`.
'use strict';

const { Server, serverOf } = require('internal/holm/http/server');

function find(target) {
  if (target instanceof Server) {
    if (!target.listening) throw new Error('The server does not listen: call server.listen() in the global scope first.');
    return target;
  }
  const port = typeof target === 'object' && target !== null ? target.port : target;
  if (typeof port !== 'number') throw new TypeError('Give the port that the server listens on: httpServerHandler({ port: 8080 }).');
  const server = serverOf(port);
  if (server === undefined) throw new Error(`No server listens on port ${port}. Call server.listen(${port}) in the global scope first.`);
  return server;
}

/** Answers a request by the `http` server that listens on a port. */
async function handleAsNodeRequest(target, request, env = undefined, context = undefined) {
  void env;
  void context;
  return find(target)._handle(request);
}

/** An export with a `fetch` handler that is answered by the `http` server that listens on a port. */
function httpServerHandler(target, handlers = {}) {
  return { ...handlers, fetch: (request, env, context) => handleAsNodeRequest(target, request, env, context) };
}

module.exports = { handleAsNodeRequest, httpServerHandler };
