// How a property gets onto the global: at once, or when it is first touched.

import { primordials } from "ext:core/mod.js";

const { ObjectDefineProperty, globalThis } = primordials;

/** A global as the platform's own are: writable, configurable, not enumerable. */
export function define(name, value) {
  ObjectDefineProperty(globalThis, name, {
    __proto__: null,
    value,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

/** A global that loads its module when it is first touched. */
export function defineLazily(name, load) {
  ObjectDefineProperty(globalThis, name, {
    __proto__: null,
    get() {
      const value = load();
      define(name, value);
      return value;
    },
    set(value) {
      define(name, value);
    },
    enumerable: false,
    configurable: true,
  });
}
