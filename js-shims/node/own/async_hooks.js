// `async_hooks`: the engine's own async context. Hooks into the life of resources do not exist.
'use strict';

const { context } = internalBinding('holm').natives;
const { ObjectDefineProperty } = primordials;
const { validateFunction, validateObject, validateString } = require('internal/validators');
const { codes: { ERR_ASYNC_TYPE } } = require('internal/errors');

class AsyncLocalStorage {
  #default;
  #name;

  constructor(options = {}) {
    validateObject(options, 'options');
    this.#default = options.defaultValue;
    this.#name = options.name ?? '';
    if (options.name !== undefined) validateString(options.name, 'options.name');
  }

  get name() {
    return this.#name;
  }

  /** Binds a function to the stores of now. */
  static bind(callback) {
    validateFunction(callback, 'fn');
    const run = context.capture(true);
    return bound(callback, function(...args) {
      return run(callback, this, args);
    });
  }

  static snapshot() {
    const run = context.capture(true);
    return (callback, ...args) => {
      validateFunction(callback, 'fn');
      return run(callback, undefined, args);
    };
  }

  getStore() {
    return context.has(this) ? context.get(this) : this.#default;
  }

  run(store, callback, ...args) {
    validateFunction(callback, 'callback');
    return context.run(this, store, callback, args);
  }

  exit(callback, ...args) {
    validateFunction(callback, 'callback');
    return context.run(this, undefined, callback, args);
  }

  enterWith(store) {
    context.enterWith(this, store);
  }

  disable() {
    context.enterWith(this, undefined);
  }
}

function bound(callback, wrapper) {
  ObjectDefineProperty(wrapper, 'length', { __proto__: null, value: callback.length, configurable: true });
  return wrapper;
}

let lastId = 1;

class AsyncResource {
  #run;
  #id = ++lastId;

  constructor(type, options = undefined) {
    validateString(type, 'type');
    if (type.length === 0) throw new ERR_ASYNC_TYPE(type);
    void options;
    this.#run = context.capture(false);
  }

  static bind(callback, type = undefined, self = undefined) {
    type ||= callback.name || 'bound-anonymous-fn';
    return new AsyncResource(type).bind(callback, self);
  }

  bind(callback, self = undefined) {
    validateFunction(callback, 'fn');
    const resource = this;
    const wrapper = self === undefined ?
      function(...args) {
        return resource.#run(callback, this, args);
      } :
      (...args) => resource.#run(callback, self, args);
    bound(callback, wrapper);
    ObjectDefineProperty(wrapper, 'asyncResource', { __proto__: null, value: resource, writable: true, configurable: true, enumerable: true });
    return wrapper;
  }

  runInAsyncScope(callback, self, ...args) {
    return this.#run(callback, self, args);
  }

  emitDestroy() {
    return this;
  }

  asyncId() {
    return this.#id;
  }

  triggerAsyncId() {
    return 0;
  }
}

/** Hooks can be made and switched; nothing calls them. */
class AsyncHook {
  enable() {
    return this;
  }

  disable() {
    return this;
  }
}

module.exports = {
  AsyncLocalStorage,
  AsyncResource,
  createHook(callbacks) {
    validateObject(callbacks, 'callbacks');
    return new AsyncHook();
  },
  executionAsyncId: () => 0,
  triggerAsyncId: () => 0,
  executionAsyncResource: () => ({}),
  asyncWrapProviders: Object.freeze({ __proto__: null }),
};
