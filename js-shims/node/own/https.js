// `https`: as `http`, encrypted. Certificates are judged by the server, by the roots of the web.
'use strict';

const { Agent: HttpAgent, ClientRequest } = require('internal/holm/http/client');
const { Server: HttpServer } = require('internal/holm/http/server');

const defaults = { protocol: 'https:' };
let globalAgent;

class Agent extends HttpAgent {
  constructor(options = {}) {
    super({ defaultPort: 443, protocol: 'https:', ...options });
  }
}

class Server extends HttpServer {}

function request(input, options, callback) {
  return new ClientRequest(input, options, callback, defaults);
}

module.exports = {
  Agent, Server,
  createServer: (options, listener) => new Server(options, listener),
  get(input, options, callback) {
    return request(input, options, callback).end();
  },
  get globalAgent() {
    return globalAgent ??= new Agent({ keepAlive: true });
  },
  set globalAgent(agent) {
    globalAgent = agent;
  },
  request,
};
