// Contexts of `tls`: of what they may say a worker can say whom to trust. What would be ignored is refused, since it would
// make a connection less safe than its author thinks.
'use strict';

const { Buffer } = require('buffer');
const { codes: { ERR_INVALID_ARG_TYPE } } = require('internal/errors');
const { isArrayBufferView } = require('internal/util/types');
const { unavailable } = require('internal/holm/unavailable');

const REFUSED = {
  __proto__: null,
  cert: 'a client has no certificate of its own',
  key: 'a client has no certificate of its own',
  pfx: 'a client has no certificate of its own',
  crl: 'certificates are judged by the server',
  pskCallback: 'there are no keys shared beforehand',
};

function refuse(options) {
  for (const name of Object.keys(REFUSED)) {
    if (options[name] !== undefined && options[name] !== null) throw unavailable('tls', `the option \`${name}\``, REFUSED[name]);
  }
  if (options.rejectUnauthorized === false) {
    throw unavailable(
      'tls', '`rejectUnauthorized: false`',
      'certificates are always verified. Give the authority to trust as `ca`, or let the operator add it to `egress.ca`',
    );
  }
}

/** PEM, of one certificate or many. */
function pemOf(ca) {
  if (ca === undefined || ca === null) return '';
  const parts = Array.isArray(ca) ? ca : [ca];
  return parts.map((part) => {
    if (typeof part === 'string') return part;
    if (!isArrayBufferView(part)) throw new ERR_INVALID_ARG_TYPE('options.ca', ['string', 'Buffer', 'TypedArray', 'DataView'], part);
    return Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString('latin1');
  }).join('\n');
}

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

class SecureContext {
  constructor(options = {}) {
    options ??= {};
    refuse(options);
    this.context = {
      roots: pemOf(options.ca),
      lowest: VERSIONS.indexOf(options.minVersion ?? 'TLSv1.2'),
      highest: VERSIONS.indexOf(options.maxVersion ?? 'TLSv1.3'),
    };
  }

  /** Whether a connection of this version is one that was asked for. */
  permits(version) {
    const index = VERSIONS.indexOf(version);
    return index >= this.context.lowest && (index <= this.context.highest || this.context.highest === -1);
  }
}

module.exports = {
  SecureContext,
  createSecureContext: (options) => new SecureContext(options),
  refuse,
  translatePeerCertificate: (certificate) => certificate,
};
