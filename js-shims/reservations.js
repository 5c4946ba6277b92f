// What takes address space by existing: resizable ArrayBuffers here, WebAssembly memories and instances in wasm.js.
//
// Each maps a region of its own, however few bytes it has. A process has a bounded number of regions, and an engine that gets
// none for its own heap ends the process; so their number is bounded (op_reserve), for each isolate. A clone and a transfer
// make resizable buffers too.

import { core, primordials } from "ext:core/mod.js";
import { DOMException, structuredClone as engineClone, webidl } from "ext:holm/engine.js";

const {
  ArrayBuffer: EngineArrayBuffer,
  ArrayBufferPrototype,
  ArrayIsArray,
  ArrayPrototypePush,
  MapPrototypeForEach,
  ObjectDefineProperties,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetOwnPropertyDescriptors,
  ObjectKeys,
  ObjectPrototypeIsPrototypeOf,
  MapPrototype,
  SetPrototype,
  SetPrototypeForEach,
  ReflectConstruct,
  SafeSet,
  SetPrototypeAdd,
  SetPrototypeHas,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetSymbolToStringTag,
  uncurryThis,
} = primordials;
const { op_reserve } = core.ops;

const isResizable = uncurryThis(ObjectGetOwnPropertyDescriptor(ArrayBufferPrototype, "resizable").get);
const isDetached = uncurryThis(ObjectGetOwnPropertyDescriptor(ArrayBufferPrototype, "detached").get);
const engineTransfer = uncurryThis(ArrayBufferPrototype.transfer);

/** Whether there can be a resizable buffer in this isolate. */
let anyResizable = false;

/** Counts an object that maps a region of its own, and answers it. */
export const reserve = (object) => {
  op_reserve(object);
  return object;
};

const define = (target, name, value) =>
  ObjectDefineProperty(target, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true });

/** The engine's constructor, with what it constructs counted. Keeps its prototype object and its statics. */
function ArrayBuffer(length, options = undefined) {
  if (new.target === undefined) throw new TypeError("Constructor ArrayBuffer requires 'new'");
  const resizable = (typeof options === "object" && options !== null) || typeof options === "function";
  const most = resizable ? options.maxByteLength : undefined;
  if (most === undefined) return ReflectConstruct(EngineArrayBuffer, [length], new.target);
  anyResizable = true;
  return reserve(ReflectConstruct(EngineArrayBuffer, [length, { __proto__: null, maxByteLength: most }], new.target));
}
ObjectDefineProperties(ArrayBuffer, ObjectGetOwnPropertyDescriptors(EngineArrayBuffer));
define(ArrayBufferPrototype, "constructor", ArrayBuffer);

const methods = {
  transfer(newLength = undefined) {
    const buffer = engineTransfer(this, newLength);
    return isResizable(buffer) ? reserve(buffer) : buffer;
  },
};
ObjectDefineProperty(methods.transfer, "length", { __proto__: null, value: 0, configurable: true });

/** Counts the resizable buffers in a clone: plain data, fresh from the engine. */
function reserveWithin(clone) {
  const seen = new SafeSet();
  const queue = [];
  const visit = (value) => {
    if (typeof value !== "object" || value === null || SetPrototypeHas(seen, value)) return;
    SetPrototypeAdd(seen, value);
    ArrayPrototypePush(queue, value);
  };
  visit(clone);
  for (let at = 0; at < queue.length; at++) {
    const value = queue[at];
    if (ObjectPrototypeIsPrototypeOf(ArrayBufferPrototype, value)) {
      if (isResizable(value)) reserve(value);
    } else if (TypedArrayPrototypeGetSymbolToStringTag(value) !== undefined) {
      visit(TypedArrayPrototypeGetBuffer(value));
    } else if (ObjectPrototypeIsPrototypeOf(MapPrototype, value)) {
      MapPrototypeForEach(value, (item, key) => {
        visit(key);
        visit(item);
      });
    } else if (ObjectPrototypeIsPrototypeOf(SetPrototype, value)) {
      SetPrototypeForEach(value, visit);
    } else {
      const keys = ArrayIsArray(value) ? undefined : ObjectKeys(value);
      const length = keys === undefined ? value.length : keys.length;
      for (let i = 0; i < length; i++) visit(value[keys === undefined ? i : keys[i]]);
    }
  }
}

/** HTML `structuredClone`. */
export function structuredClone(value, options = undefined) {
  if (arguments.length === 0) return engineClone();
  if (options === undefined) {
    const clone = engineClone(value);
    if (anyResizable) reserveWithin(clone);
    return clone;
  }
  const { transfer } = webidl.converters.StructuredSerializeOptions(options, "Failed to execute 'structuredClone'", "Argument 2");
  checkTransferred(transfer);
  const clone = engineClone(value, { __proto__: null, transfer });
  // The engine copies the buffers; what was transferred is nobody's any more.
  for (let i = 0; i < transfer.length; i++) {
    if (isBuffer(transfer[i]) && !isDetached(transfer[i])) engineTransfer(transfer[i], 0);
  }
  if (anyResizable) reserveWithin(clone);
  return clone;
}

const isBuffer = (value) => ObjectPrototypeIsPrototypeOf(ArrayBufferPrototype, value);

/** HTML 2.7.7: once each, and only what is still there. */
function checkTransferred(transfer) {
  const seen = new SafeSet();
  for (let i = 0; i < transfer.length; i++) {
    if (SetPrototypeHas(seen, transfer[i])) {
      throw new DOMException("An object is in the list of what is transferred more than once.", "DataCloneError");
    }
    SetPrototypeAdd(seen, transfer[i]);
    if (isBuffer(transfer[i]) && isDetached(transfer[i])) {
      throw new DOMException("An ArrayBuffer that is detached cannot be transferred.", "DataCloneError");
    }
  }
}

/** Puts the counting functions in place. Idempotent: the engine may put its own back at run time. */
export function countReservations(global) {
  if (global.ArrayBuffer !== ArrayBuffer) define(global, "ArrayBuffer", ArrayBuffer);
  if (ArrayBufferPrototype.transfer !== methods.transfer) define(ArrayBufferPrototype, "transfer", methods.transfer);
}
