// `crypto` over deno_crypto.
//
// The engine's own event loop settles deno_crypto's promises, so every asynchronous method is re-homed to its caller's
// invocation. Importing is synchronous inside and works in the global scope. deno_crypto's classes carry static methods
// that read any key (`CryptoKey.exportNodeMaterial`); user code sees facades with the same prototypes instead.
// `internals.kKeyObject` stays undefined: with it, deno_crypto would put the raw material of every key, extractable or
// not, into symbol properties of the key. The price is that keys cannot be cloned.

import { core, primordials } from "ext:core/mod.js";
import { isBufferSource, viewOf } from "ext:holm/bytes.js";
import {
  admitAlgorithm,
  admitDerivation,
  admitGeneration,
  admitKey,
  admitKeyData,
  admitWrapped,
} from "ext:holm/crypto_policy.js";
import { lazyShim } from "ext:holm/built_in_modules.js";
import { load } from "ext:holm/engine.js";
import { rehome, requireOwner } from "ext:holm/owner.js";

const {
  ArrayIsArray,
  FunctionPrototype,
  FunctionPrototypeCall,
  ObjectDefineProperty,
  ObjectHasOwn,
  PromiseReject,
  PromiseResolve,
  ReflectApply,
  ReflectGetOwnPropertyDescriptor,
  ReflectOwnKeys,
  SafeArrayIterator,
  StringPrototypeToUpperCase,
  SymbolIterator,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypeError,
} = primordials;

const define = (target, name, value, enumerable) =>
  ObjectDefineProperty(target, name, { __proto__: null, value, writable: true, enumerable, configurable: true });

// Required arguments by method (Web Crypto §14), the second number: settles at once.
const ASYNCHRONOUS = {
  __proto__: null,
  digest: 2,
  encrypt: 3,
  decrypt: 3,
  sign: 3,
  verify: 4,
  deriveBits: 2,
  deriveKey: 5,
  exportKey: 2,
  generateKey: 3,
  wrapKey: 4,
};
const SYNCHRONOUS = { __proto__: null, importKey: 5, unwrapKey: 7, getPublicKey: 2 };

// Which of a method's arguments are algorithms.
const ALGORITHMS_AT = {
  __proto__: null,
  digest: [0],
  encrypt: [0],
  decrypt: [0],
  sign: [0],
  verify: [0],
  deriveBits: [0],
  deriveKey: [0, 2],
  generateKey: [0],
  wrapKey: [3],
  importKey: [2],
  unwrapKey: [3, 4],
};

/** Puts admitted copies in the place of what the caller gave (crypto_policy.js). Throws what is refused. */
function admit(name, args) {
  const at = ALGORITHMS_AT[name];
  if (at === undefined) return;
  for (let i = 0; i < at.length; i++) {
    if (args.length > at[i]) args[at[i]] = admitAlgorithm(args[at[i]]);
  }
  if (name === "generateKey" && args.length > 0) admitGeneration(args[0]);
  if (name === "deriveBits" && args.length > 0) {
    if (args[2] !== undefined && args[2] !== null) args[2] = +args[2];
    admitDerivation(args[0], args[2]);
  }
  if (name === "deriveKey" && args.length > 2) admitDerivation(args[0], args[2].length);
  if (name === "importKey" && args.length > 1) {
    args[0] = `${args[0]}`;
    args[1] = admitKeyData(args[0], args[1]);
  }
  if (name === "unwrapKey" && args.length > 1) admitWrapped(args[1]);
}

/** The engine's own methods, before deno_crypto's script wraps them in async functions. */
function engineMethods(prototype) {
  const methods = { __proto__: null };
  const names = ReflectOwnKeys(ASYNCHRONOUS);
  for (let i = 0; i < names.length; i++) methods[names[i]] = prototype[names[i]];
  const more = ReflectOwnKeys(SYNCHRONOUS);
  for (let i = 0; i < more.length; i++) methods[more[i]] = prototype[more[i]];
  return methods;
}

/**
 * The engine's stubs of asynchronous methods do `method.call(this, ...)`: a script that replaces `Function.prototype.call`
 * would be handed the engine's own function. A property of its own keeps the lookup from getting that far. While the
 * snapshot is made, so that no script is there yet.
 */
function pinCalls(methods) {
  const call = FunctionPrototype.call;
  let found;
  define(FunctionPrototype, "call", {
    call() {
      found = this;
      return true;
    },
  }.call, false);
  try {
    const names = ReflectOwnKeys(ASYNCHRONOUS);
    for (let i = 0; i < names.length; i++) {
      found = undefined;
      try {
        ReflectApply(methods[names[i]], undefined, []);
      } catch {
        // A method that has no such stub, and wants another receiver.
      }
      if (found === undefined) continue;
      ObjectDefineProperty(found, "call", {
        __proto__: null,
        value: call,
        writable: false,
        enumerable: false,
        configurable: false,
      });
    }
  } finally {
    define(FunctionPrototype, "call", call, false);
  }
}

/** A method with the name and length that Web IDL asks for. */
function shaped(name, length, method) {
  ObjectDefineProperty(method, "name", { __proto__: null, value: name, configurable: true });
  ObjectDefineProperty(method, "length", { __proto__: null, value: length, configurable: true });
  return method;
}

// Where the list of a key's usages stands among the arguments.
const USAGES = { __proto__: null, generateKey: 2, importKey: 4, deriveKey: 4, unwrapKey: 6 };

/** The engine reads the list by its iterator; an array's, a script could have replaced. */
function readUsagesSafely(name, args) {
  const index = USAGES[name];
  if (index === undefined || index >= args.length) return;
  const usages = args[index];
  if (ArrayIsArray(usages) && !ObjectHasOwn(usages, SymbolIterator)) args[index] = new SafeArrayIterator(usages);
}

function asynchronous(name, length, engineMethod) {
  // Arguments after the last one are always passed, since the engine's stub counts them.
  return shaped(name, length, {
    method(...args) {
      while (args.length < 3 && name === "deriveBits") args[args.length] = undefined;
      readUsagesSafely(name, args);
      return rehome(() => {
        admit(name, args);
        return ReflectApply(engineMethod, this, args);
      });
    },
  }.method);
}

function synchronous(name, length, engineMethod, keyAlgorithm) {
  return shaped(name, length, {
    method(...args) {
      readUsagesSafely(name, args);
      try {
        admit(name, args);
        const key = ReflectApply(engineMethod, this, args);
        admitKey(ReflectApply(keyAlgorithm, key, []));
        return PromiseResolve(key);
      } catch (error) {
        return PromiseReject(error);
      }
    },
  }.method);
}

/** An interface object without the statics of the engine's class. */
function facade(name, prototype) {
  const Interface = {
    [name]: function () {
      throw new TypeError("Illegal constructor");
    },
  }[name];
  ObjectDefineProperty(Interface, "prototype", {
    __proto__: null,
    value: prototype,
    writable: false,
    enumerable: false,
    configurable: false,
  });
  define(prototype, "constructor", Interface, false);
  return Interface;
}

/** Equal bytes, in a time that depends on the length only. */
function timingSafeEqual(a, b) {
  if (!isBufferSource(a) || !isBufferSource(b)) {
    throw new TypeError("Failed to execute 'timingSafeEqual' on 'SubtleCrypto': the arguments are not buffers.");
  }
  const left = viewOf(a);
  const right = viewOf(b);
  const length = TypedArrayPrototypeGetByteLength(left);
  if (length !== TypedArrayPrototypeGetByteLength(right)) {
    throw new TypeError("Input buffers must have the same byte length.");
  }
  let difference = 0;
  for (let i = 0; i < length; i++) difference |= left[i] ^ right[i];
  return difference === 0;
}

/** The platform's digests are Web Crypto's and MD5. */
function withMd5(digest) {
  return shaped("digest", 2, {
    method(algorithm, data) {
      if (arguments.length < 2) return ReflectApply(digest, this, arguments);
      try {
        let name = algorithm;
        if (typeof algorithm === "object" && algorithm !== null) {
          name = algorithm.name;
          // Read once: what is judged here is what is used.
          if (name !== undefined) algorithm = { __proto__: null, name };
        }
        if (typeof name !== "string" || StringPrototypeToUpperCase(name) !== "MD5" || !isBufferSource(data)) {
          return FunctionPrototypeCall(digest, this, algorithm, data);
        }
        requireOwner();
        return PromiseResolve(TypedArrayPrototypeGetBuffer(core.ops.op_digest("MD5", viewOf(data))));
      } catch (error) {
        return PromiseReject(error);
      }
    },
  }.method);
}

const loadDigestStream = lazyShim("digest_stream.js");

let loaded;

/** deno_crypto, with what user code may see of it. */
export function loadCrypto() {
  if (loaded !== undefined) return loaded;
  const subtlePrototype = core.ops.SubtleCrypto.prototype;
  const engine = engineMethods(subtlePrototype);
  pinCalls(engine);
  const denoCrypto = load("ext:deno_crypto/00_crypto.js");

  const keyAlgorithm = ReflectGetOwnPropertyDescriptor(denoCrypto.CryptoKey.prototype, "algorithm").get;
  const async = ReflectOwnKeys(ASYNCHRONOUS);
  for (let i = 0; i < async.length; i++) {
    const name = async[i];
    define(subtlePrototype, name, asynchronous(name, ASYNCHRONOUS[name], engine[name]), true);
  }
  const sync = ReflectOwnKeys(SYNCHRONOUS);
  for (let i = 0; i < sync.length; i++) {
    const name = sync[i];
    define(subtlePrototype, name, synchronous(name, SYNCHRONOUS[name], engine[name], keyAlgorithm), true);
  }
  // Not part of the platform, and not re-homed.
  delete subtlePrototype.encapsulateBits;
  delete subtlePrototype.encapsulateKey;
  delete subtlePrototype.decapsulateBits;
  delete subtlePrototype.decapsulateKey;
  define(subtlePrototype, "timingSafeEqual", timingSafeEqual, true);
  define(subtlePrototype, "digest", withMd5(subtlePrototype.digest), true);

  const cryptoPrototype = denoCrypto.Crypto.prototype;
  const { getRandomValues, randomUUID } = cryptoPrototype;
  const random = {
    getRandomValues(array) {
      requireOwner();
      if (arguments.length < 1) {
        throw new TypeError("Failed to execute 'getRandomValues' on 'Crypto': 1 argument required, but only 0 present.");
      }
      return FunctionPrototypeCall(getRandomValues, this, array);
    },
    randomUUID() {
      requireOwner();
      return FunctionPrototypeCall(randomUUID, this);
    },
  };
  define(cryptoPrototype, "getRandomValues", random.getRandomValues, true);
  define(cryptoPrototype, "randomUUID", random.randomUUID, true);
  ObjectDefineProperty(cryptoPrototype, "DigestStream", {
    __proto__: null,
    get() {
      return loadDigestStream().DigestStream;
    },
    enumerable: true,
    configurable: true,
  });

  loaded = {
    __proto__: null,
    Crypto: facade("Crypto", cryptoPrototype),
    CryptoKey: facade("CryptoKey", denoCrypto.CryptoKey.prototype),
    SubtleCrypto: facade("SubtleCrypto", subtlePrototype),
    /** Made at run time: the engine's heap for such objects is not there while the snapshot is made. */
    singleton: () => denoCrypto.crypto,
  };
  return loaded;
}
