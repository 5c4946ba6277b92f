// `http`: clients over `fetch()`, servers behind `cloudflare:node`.
'use strict';

const { METHODS, STATUS_CODES } = require('internal/holm/http_constants');
const { Agent, ClientRequest } = require('internal/holm/http/client');
const { IncomingMessage, OutgoingMessage, validateHeaderName, validateHeaderValue } = require('internal/holm/http/message');
const { Server, ServerResponse } = require('internal/holm/http/server');

const defaults = { protocol: 'http:' };
let globalAgent;

function request(input, options, callback) {
  return new ClientRequest(input, options, callback, defaults);
}

module.exports = {
  Agent, ClientRequest, IncomingMessage, METHODS: METHODS.toSorted(), OutgoingMessage, STATUS_CODES, Server, ServerResponse,
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
  maxHeaderSize: 16384,
  request,
  setMaxIdleHTTPParsers() {},
  validateHeaderName,
  validateHeaderValue,
};
