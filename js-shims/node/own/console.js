// `console`: the global's own, and Node.js's class for consoles over streams.
'use strict';

const { console } = internalBinding('holm').natives.web;
const { ObjectDefineProperty, ReflectOwnKeys } = primordials;

const made = {};
for (const name of ReflectOwnKeys(console)) {
  ObjectDefineProperty(made, name, { __proto__: null, value: console[name], writable: true, enumerable: true, configurable: true });
}
ObjectDefineProperty(made, 'Console', {
  __proto__: null,
  get: () => require('internal/console/constructor').Console,
  enumerable: true,
  configurable: true,
});
made.context = () => made;
made.profile = made.profileEnd = () => {};

module.exports = made;
