// `dns`: addresses of names, by the server's resolver and within the egress policy. Other records are not asked for.
'use strict';

const { worker } = internalBinding('holm').natives;
const { isIP } = require('internal/net');
const { codes: { ERR_INVALID_ARG_VALUE } } = require('internal/errors');
const { validateFunction, validateOneOf, validateString } = require('internal/validators');

const CODES = {
  NODATA: 'ENODATA', FORMERR: 'EFORMERR', SERVFAIL: 'ESERVFAIL', NOTFOUND: 'ENOTFOUND', NOTIMP: 'ENOTIMP', REFUSED: 'EREFUSED',
  BADQUERY: 'EBADQUERY', BADNAME: 'EBADNAME', BADFAMILY: 'EBADFAMILY', BADRESP: 'EBADRESP', CONNREFUSED: 'ECONNREFUSED',
  TIMEOUT: 'ETIMEOUT', EOF: 'EOF', FILE: 'EFILE', NOMEM: 'ENOMEM', DESTRUCTION: 'EDESTRUCTION', BADSTR: 'EBADSTR',
  BADFLAGS: 'EBADFLAGS', NONAME: 'ENONAME', BADHINTS: 'EBADHINTS', NOTINITIALIZED: 'ENOTINITIALIZED', LOADIPHLPAPI: 'ELOADIPHLPAPI',
  ADDRGETNETWORKPARAMS: 'EADDRGETNETWORKPARAMS', CANCELLED: 'ECANCELLED',
};
const RECORDS = ['Any', 'Caa', 'Cname', 'Mx', 'Naptr', 'Ns', 'Ptr', 'Soa', 'Srv', 'Tlsa', 'Txt'];

function problem(code, syscall, hostname, cause = undefined) {
  const error = new Error(`${syscall} ${code} ${hostname}`, cause === undefined ? undefined : { cause });
  return Object.assign(error, { code, syscall, hostname, errno: code === 'ENOTFOUND' ? -3008 : undefined });
}

async function addresses(hostname, family, syscall) {
  let found;
  try {
    found = await worker.lookup(hostname);
  } catch (error) {
    throw problem('ENOTFOUND', syscall, hostname, error);
  }
  const wanted = family === 0 ? found : found.filter((address) => isIP(address) === family);
  if (wanted.length === 0) throw problem(syscall === 'getaddrinfo' ? 'ENOTFOUND' : 'ENODATA', syscall, hostname);
  return wanted;
}

const FAMILIES = { '__proto__': null, 'IPv4': 4, 'IPv6': 6, '0': 0, '4': 4, '6': 6 };

async function lookup(hostname, options = {}) {
  if (hostname) validateString(hostname, 'hostname');
  if (typeof options === 'number') options = { family: options };
  const family = FAMILIES[options?.family ?? 0];
  if (family === undefined) throw new ERR_INVALID_ARG_VALUE('family', options.family);
  const all = options?.all === true;
  let found;
  if (!hostname) found = [family === 6 ? '::1' : '127.0.0.1'];
  else if (isIP(hostname)) found = [hostname];
  else found = await addresses(hostname, family, 'getaddrinfo');
  const results = found.map((address) => ({ address, family: isIP(address) }));
  return all ? results : results[0];
}

async function resolve(hostname, record = 'A') {
  validateString(hostname, 'name');
  validateString(record, 'rrtype');
  validateOneOf(record, 'rrtype', ['A', 'AAAA', ...RECORDS.map((name) => name.toUpperCase())]);
  if (record === 'A') return resolve4(hostname);
  if (record === 'AAAA') return resolve6(hostname);
  throw problem('ENOTIMP', `query${record[0]}${record.slice(1).toLowerCase()}`, hostname);
}

async function resolveFamily(hostname, family, syscall, options) {
  validateString(hostname, 'name');
  const found = await addresses(hostname, family, syscall);
  // The resolver does not tell how long they are good for.
  return options?.ttl ? found.map((address) => ({ address, ttl: 0 })) : found;
}

const resolve4 = (hostname, options = undefined) => resolveFamily(hostname, 4, 'queryA', options);
const resolve6 = (hostname, options = undefined) => resolveFamily(hostname, 6, 'queryAaaa', options);

const promises = {
  lookup, resolve, resolve4, resolve6,
  async lookupService(address) {
    throw problem('ENOTIMP', 'getnameinfo', address);
  },
  async reverse(address) {
    throw problem('ENOTIMP', 'getHostByAddr', address);
  },
  getServers: () => [],
  setServers() {
    throw problem('ENOTIMP', 'setServers', '');
  },
  getDefaultResultOrder: () => 'verbatim',
  setDefaultResultOrder() {},
};
for (const record of RECORDS) {
  promises[`resolve${record}`] = async (hostname) => {
    validateString(hostname, 'name');
    throw problem('ENOTIMP', `query${record}`, hostname);
  };
}

/** Of a function with a promise the one with a callback, which is called with the values in its order. */
const withCallback = (name, run, values = (result) => [result]) =>
  ({ [name](...args) {
    const callback = args.pop();
    validateFunction(callback, 'callback');
    run(...args).then(
      (result) => process.nextTick(callback, null, ...values(result)),
      (error) => process.nextTick(callback, error),
    );
  } })[name];

const exported = {
  ...CODES,
  ADDRCONFIG: 1024, ALL: 256, V4MAPPED: 2048,
  lookup: withCallback('lookup', lookup, (result) => Array.isArray(result) ? [result] : [result.address, result.family]),
  getServers: promises.getServers,
  setServers: promises.setServers,
  getDefaultResultOrder: promises.getDefaultResultOrder,
  setDefaultResultOrder: promises.setDefaultResultOrder,
};
for (const name of ['lookupService', 'resolve', 'resolve4', 'resolve6', 'reverse', ...RECORDS.map((record) => `resolve${record}`)]) {
  exported[name] = withCallback(name, promises[name]);
}

const kinds = (functions) => {
  class Resolver {
    cancel() {}
    setLocalAddress() {}
  }
  for (const name of Object.keys(functions)) {
    if (name.startsWith('resolve') || name === 'reverse' || name.endsWith('Servers')) Resolver.prototype[name] = functions[name];
  }
  return Resolver;
};
exported.Resolver = kinds(exported);
promises.Resolver = kinds(promises);
Object.assign(promises, CODES);
exported.promises = promises;

module.exports = exported;
