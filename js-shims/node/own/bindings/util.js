'use strict';

const { values } = internalBinding('holm').natives;
const {
  ArrayPrototypeFilter, NumberIsInteger, ObjectDefineProperty, ObjectPrototypePropertyIsEnumerable, ReflectConstruct,
  ReflectOwnKeys, Symbol,
} = primordials;

const ALL_PROPERTIES = 0;
const ONLY_ENUMERABLE = 2;
const SKIP_SYMBOLS = 16;

const isIndex = (key) => {
  if (typeof key !== 'string') return false;
  const number = +key;
  return NumberIsInteger(number) && number >= 0 && number < 2 ** 32 - 1 && `${number}` === key;
};

class WeakReference {
  // Finalization can be observed, which is off by default: what is referenced lives as long as the reference.
  #value;
  constructor(value) {
    this.#value = value;
  }
  get() {
    return this.#value;
  }
  incRef() {}
  decRef() {}
}

module.exports = {
  constants: {
    kPending: 0, kFulfilled: 1, kRejected: 2,
    kExiting: 0, kExitCode: 1, kHasExitCode: 2,
    ALL_PROPERTIES, ONLY_WRITABLE: 1, ONLY_ENUMERABLE, ONLY_CONFIGURABLE: 4, SKIP_STRINGS: 8, SKIP_SYMBOLS,
    kDisallowCloneAndTransfer: 0, kTransferable: 1, kCloneable: 2,
  },
  privateSymbols: {
    arrow_message_private_symbol: Symbol('arrowMessage'),
    decorated_private_symbol: Symbol('decorated'),
    untransferable_object_private_symbol: Symbol('untransferable'),
    transfer_mode_private_symbol: Symbol('transferMode'),
    host_defined_option_symbol: Symbol('hostDefinedOption'),
    entry_point_module_private_symbol: Symbol('entryPoint'),
  },
  getOwnNonIndexProperties: (object, filter) =>
    ArrayPrototypeFilter(ReflectOwnKeys(object), (key) =>
      !isIndex(key) &&
      !((filter & SKIP_SYMBOLS) && typeof key === 'symbol') &&
      !((filter & ONLY_ENUMERABLE) && !ObjectPrototypePropertyIsEnumerable(object, key))),
  getPromiseDetails(promise) {
    const details = values.promiseDetails(promise);
    return details === undefined ? [0] : details;
  },
  getProxyDetails(value, both = true) {
    const details = values.proxyDetails(value);
    if (details === undefined || details === null) return undefined;
    return both ? details : details[0];
  },
  getCallerLocation() {},
  previewEntries(object, withKind) {
    const found = values.previewEntries(object);
    if (found === undefined) return withKind ? [[], false] : undefined;
    return withKind ? found : found[0];
  },
  getConstructorName: (object) => values.constructorName(object),
  getExternalValue: () => 0n,
  getCallSites: () => [],
  getSystemErrorName: (code) => internalBinding('uv').nameOf(code),
  getSystemErrorMessage: (code) => internalBinding('uv').messageOf(code),
  sleep() {},
  isInsideNodeModules: () => true,
  defineLazyProperties(target, id, keys, enumerable = true) {
    for (const key of keys) {
      let value;
      let loaded = false;
      const get = () => {
        if (!loaded) {
          value = require(id)[key];
          loaded = true;
        }
        return value;
      };
      ObjectDefineProperty(get, 'name', { __proto__: null, value: key });
      ObjectDefineProperty(target, key, {
        __proto__: null,
        get,
        set(other) {
          ObjectDefineProperty(target, key, { __proto__: null, value: other, writable: true, enumerable, configurable: true });
        },
        enumerable,
        configurable: true,
      });
    }
  },
  constructSharedArrayBuffer() {
    throw new TypeError('Memory shared between threads is not available in a worker.');
  },
  guessHandleType: () => 'UNKNOWN',
  isConstructor(value) {
    try {
      ReflectConstruct(Object, [], value);
      return true;
    } catch {
      return false;
    }
  },
  toUSVString: (text) => `${text}`.toWellFormed(),
  parseEnv: (content) => require('internal/holm/dotenv').parse(`${content}`),
  shouldAbortOnUncaughtToggle: [0],
  WeakReference,
  isArrayBufferDetached: (buffer) => buffer.detached,
  arrayBufferViewHasBuffer: () => true,
};
