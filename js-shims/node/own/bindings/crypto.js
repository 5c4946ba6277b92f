// What `tls` asks of OpenSSL. Which authorities are trusted, and with what ciphers, is the server's matter.
'use strict';

const { unavailable } = require('internal/holm/unavailable');

module.exports = {
  getBundledRootCertificates: () => [],
  getExtraCACertificates: () => [],
  getSystemCACertificates: () => [],
  getUserRootCertificates: () => [],
  getCertificateCompressionAlgorithms: () => [],
  getSSLCiphers: () => [
    'tls_aes_256_gcm_sha384', 'tls_chacha20_poly1305_sha256', 'tls_aes_128_gcm_sha256', 'ecdhe-ecdsa-aes128-gcm-sha256',
    'ecdhe-ecdsa-aes256-gcm-sha384', 'ecdhe-ecdsa-chacha20-poly1305', 'ecdhe-rsa-aes128-gcm-sha256', 'ecdhe-rsa-aes256-gcm-sha384',
    'ecdhe-rsa-chacha20-poly1305',
  ],
  resetRootCertStore() {
    throw unavailable('tls', 'setDefaultCACertificates()', 'give the certificates to trust as `ca` of a connection');
  },
  startLoadingCertificatesOffThread() {},
};
