'use strict';

const { web } = internalBinding('holm').natives;

module.exports = {
  structuredClone: web.structuredClone,
  markTransferMode() {},
  setup() {},
  kClone: Symbol('kClone'), kDeserialize: Symbol('kDeserialize'), kTransfer: Symbol('kTransfer'), kTransferList: Symbol('kTransferList'),
};
