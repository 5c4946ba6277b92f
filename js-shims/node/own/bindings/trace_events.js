'use strict';

module.exports = {
  trace() {},
  isTraceCategoryEnabled: () => false,
  setTraceCategoryStateUpdateHandler() {},
  getCategoryEnabledBuffer: () => new Uint8Array(1),
  available: false,
};
