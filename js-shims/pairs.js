// Web IDL pair iterables: `entries`, `keys`, `values`, `forEach` and `@@iterator` for Headers and FormData.

import { primordials } from "ext:core/mod.js";

const {
  ArrayIteratorPrototype,
  FunctionPrototypeCall,
  ObjectDefineProperties,
  ObjectSetPrototypeOf,
  ReflectGetPrototypeOf,
  SymbolIterator,
  SymbolToStringTag,
  TypeError,
} = primordials;

const IteratorPrototype = ReflectGetPrototypeOf(ArrayIteratorPrototype);

const KEYS = 0;
const VALUES = 1;
const ENTRIES = 2;

const method = (value, enumerable) => ({ __proto__: null, value, writable: true, enumerable, configurable: true });

/**
 * @param {string} name the interface's name
 * @param {object} prototype
 * @param {(target: object) => [string, any][]} pairsOf the pairs as they are now; throws on a wrong receiver
 */
export function makePairIterable(name, prototype, pairsOf) {
  class PairIterator {
    #target;
    #kind;
    #index = 0;
    constructor(target, kind) {
      this.#target = target;
      this.#kind = kind;
    }
    next() {
      if (typeof this !== "object" || this === null || !(#target in this)) {
        throw new TypeError(`'next' called on an object that is not a ${name} Iterator.`);
      }
      const pairs = pairsOf(this.#target);
      const index = this.#index;
      if (index >= pairs.length) return { value: undefined, done: true };
      this.#index = index + 1;
      const pair = pairs[index];
      const kind = this.#kind;
      return { value: kind === ENTRIES ? [pair[0], pair[1]] : pair[kind], done: false };
    }
  }
  const { prototype: iteratorPrototype } = PairIterator;
  delete iteratorPrototype.constructor;
  ObjectSetPrototypeOf(iteratorPrototype, IteratorPrototype);
  ObjectDefineProperties(iteratorPrototype, {
    __proto__: null,
    next: method(iteratorPrototype.next, true),
    [SymbolToStringTag]: {
      __proto__: null,
      value: `${name} Iterator`,
      writable: false,
      enumerable: false,
      configurable: true,
    },
  });

  const iterate = (target, kind) => {
    pairsOf(target);
    return new PairIterator(target, kind);
  };
  const methods = {
    entries() {
      return iterate(this, ENTRIES);
    },
    keys() {
      return iterate(this, KEYS);
    },
    values() {
      return iterate(this, VALUES);
    },
    forEach(callback, thisArg = undefined) {
      let pairs = pairsOf(this);
      if (typeof callback !== "function") {
        throw new TypeError(`Failed to execute 'forEach' on '${name}': parameter 1 is not of type 'Function'.`);
      }
      for (let i = 0; i < pairs.length; i++) {
        FunctionPrototypeCall(callback, thisArg, pairs[i][1], pairs[i][0], this);
        pairs = pairsOf(this);
      }
    },
  };
  ObjectDefineProperties(prototype, {
    __proto__: null,
    entries: method(methods.entries, true),
    keys: method(methods.keys, true),
    values: method(methods.values, true),
    forEach: method(methods.forEach, true),
    [SymbolIterator]: method(methods.entries, false),
  });
}
