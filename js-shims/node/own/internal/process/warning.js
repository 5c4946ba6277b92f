'use strict';

module.exports = {
  emitWarning: (...args) => process.emitWarning(...args),
  emitWarningSync: (...args) => process.emitWarning(...args),
};
