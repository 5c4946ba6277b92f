'use strict';

const { types } = internalBinding('holm').natives.values;

module.exports = {
  ...types,
  isExternal: () => false,
  isEventTarget: (value) => value instanceof internalBinding('holm').natives.web.EventTarget,
};
