// Values as they cross between two isolates: structured clones, with stubs, streams, requests and errors taken out.
//
// A payload is [value, markers, descriptions]. What a clone cannot have stands in the value as a marker, an empty object that
// is also in `markers`; a clone keeps identities, so no value of a script can be taken for one. The description of the same
// index says what it stands for. Everything is copied before it is cloned: getters of a script run once.

import { core, primordials } from "ext:core/mod.js";
import { BYTES, streamOf, takeBody, TEXT } from "ext:holm/body.js";
import { abort, DOMException, streams } from "ext:holm/engine.js";
import { flag } from "ext:holm/environment.js";
import { headerList, isHeaders, MUTABLE, newHeaders } from "ext:holm/headers.js";
import { isRequest, Request, requestParts } from "ext:holm/request.js";
import { isResponse, Response, responseBody } from "ext:holm/response.js";
import {
  disposeStub,
  isPlain,
  isTarget,
  isUnsettled,
  list,
  referenceOf,
  serviceBehind,
  serviceOver,
  stubOf,
  SymbolDispose,
} from "ext:holm/rpc_stubs.js";

const {
  ArrayBufferPrototype,
  ArrayBufferPrototypeSlice,
  ArrayIsArray,
  DataViewPrototypeGetBuffer,
  Error,
  ErrorPrototype,
  EvalError,
  MapPrototypeForEach,
  MapPrototypeGet,
  MapPrototypeSet,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectHasOwn,
  ObjectKeys,
  ObjectPrototypeIsPrototypeOf,
  RangeError,
  ReferenceError,
  ReflectGetPrototypeOf,
  SafeMap,
  SafeSet,
  SetPrototypeAdd,
  SetPrototypeForEach,
  String,
  SyntaxError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypeError,
  Uint8Array,
  URIError,
  uncurryThis,
} = primordials;

const { isReadableStream, ReadableStreamPrototype, WritableStream } = streams;
const isResizable = uncurryThis(ObjectGetOwnPropertyDescriptor(ArrayBufferPrototype, "resizable").get);
const getterOf = (Interface, name) => uncurryThis(ObjectGetOwnPropertyDescriptor(Interface.prototype, name).get);
const statusOf = getterOf(Response, "status");
const statusTextOf = getterOf(Response, "statusText");
const headersOf = getterOf(Response, "headers");

const CALLABLE = 0;
const RETURNED = 1;
const READABLE = 2;
const WRITABLE = 3;
const REQUEST = 4;
const RESPONSE = 5;
const HEADERS = 6;
const ERROR = 7;
const SIGNAL = 8;
const SERVICE = 9;
const DOM_EXCEPTION = 10;

const { AbortController, AbortSignalPrototype } = abort;
const isAborted = uncurryThis(ObjectGetOwnPropertyDescriptor(AbortSignalPrototype, "aborted").get);
const reasonOf = uncurryThis(ObjectGetOwnPropertyDescriptor(AbortSignalPrototype, "reason").get);
const abortController = uncurryThis(AbortController.prototype.abort);
const signalOf = getterOf(AbortController, "signal");
const exceptionName = getterOf(DOMException, "name");
const exceptionMessage = getterOf(DOMException, "message");

export const dataCloneError = (message) => new DOMException(message, "DataCloneError");

const nameOfClass = (value) => {
  for (let prototype = ReflectGetPrototypeOf(value); prototype !== null; prototype = ReflectGetPrototypeOf(prototype)) {
    const descriptor = ObjectGetOwnPropertyDescriptor(prototype, "constructor");
    const name = typeof descriptor?.value === "function" ? ObjectGetOwnPropertyDescriptor(descriptor.value, "name")?.value : undefined;
    if (typeof name === "string" && name !== "") return name;
  }
  return "Object";
};

const unserializable = (value) =>
  dataCloneError(`Could not serialize object of type "${nameOfClass(value)}". This type does not support serialization.`);

// === Out ===

/**
 * A value for the other side of a session.
 * @param {object} session has exportTarget, exportReference, exportReadable, exportWritable, exportSignal, exportService, idThere and
 * idHere
 */
class Encoder {
  session;
  markers = list();
  descriptions = list();
  /** Stubs that were passed. */
  stubs = list();
  /** Ids of what was exported for this payload. */
  exported = list();
  seen = new SafeMap();

  constructor(session) {
    this.session = session;
  }

  mark(description) {
    const marker = { __proto__: null };
    this.markers[this.markers.length] = marker;
    this.descriptions[this.descriptions.length] = description;
    return marker;
  }

  /** A marker for what the other side will call. */
  markExport(kind, id) {
    this.exported[this.exported.length] = id;
    return this.mark(entry(kind, id));
  }

  copy(value) {
    if (typeof value === "function") return this.remember(value, this.copyCallable(value));
    if (typeof value === "symbol") throw dataCloneError(`${String(value)} could not be cloned.`);
    if (typeof value !== "object" || value === null) return value;
    const known = MapPrototypeGet(this.seen, value);
    return known === undefined ? this.copyObject(value) : known;
  }

  remember(value, copy) {
    MapPrototypeSet(this.seen, value, copy);
    return copy;
  }

  copyCallable(value) {
    const known = MapPrototypeGet(this.seen, value);
    if (known !== undefined) return known;
    const service = serviceBehind(value);
    if (service !== undefined) return this.copyService(service);
    if (isUnsettled(value)) {
      throw dataCloneError("Promises of RPC results and their properties cannot be passed on: await them first.");
    }
    const reference = referenceOf(value);
    if (reference === undefined) return this.markExport(CALLABLE, this.session.exportTarget(value));
    this.stubs[this.stubs.length] = value;
    const there = this.session.idThere(reference);
    if (there !== undefined) return this.mark(entry(RETURNED, there));
    const here = this.session.idHere(reference);
    if (here !== undefined) return this.markExport(CALLABLE, here);
    return this.markExport(CALLABLE, this.session.exportReference(reference.copy()));
  }

  copyService(service) {
    return this.markExport(SERVICE, this.session.exportService(service));
  }

  copySignal(signal) {
    if (isAborted(signal)) return this.mark(entry(SIGNAL, 0, this.copy(reasonOf(signal))));
    return this.markExport(SIGNAL, this.session.exportSignal(signal));
  }

  copyObject(value) {
    const service = serviceBehind(value);
    if (service !== undefined) return this.remember(value, this.copyService(service));
    if (ArrayIsArray(value)) return this.copyArray(value);
    if (isTarget(value)) return this.remember(value, this.markExport(CALLABLE, this.session.exportTarget(value)));
    if (core.isMap(value)) return this.copyMap(value);
    if (core.isSet(value)) return this.copySet(value);
    if (ObjectPrototypeIsPrototypeOf(DOMException.prototype, value)) {
      return this.remember(value, this.mark(entry(DOM_EXCEPTION, exceptionMessage(value), exceptionName(value))));
    }
    if (core.isNativeError(value)) return this.copyError(value);
    if (core.isDate(value) || core.isRegExp(value) || core.isBoxedPrimitive(value)) return value;
    if (core.isArrayBuffer(value)) return this.remember(value, isResizable(value) ? ArrayBufferPrototypeSlice(value, 0) : value);
    if (core.isArrayBufferView(value)) return this.copyView(value);
    if (isHeaders(value)) return this.remember(value, this.mark(entry(HEADERS, headerList(value))));
    if (isResponse(value)) return this.remember(value, this.copyResponse(value));
    if (isRequest(value)) return this.remember(value, this.copyRequest(value));
    if (ObjectPrototypeIsPrototypeOf(AbortSignalPrototype, value)) return this.remember(value, this.copySignal(value));
    if (ObjectPrototypeIsPrototypeOf(ReadableStreamPrototype, value) && isReadableStream(value)) {
      return this.remember(value, this.copyStream(value));
    }
    if (ObjectPrototypeIsPrototypeOf(WritableStream.prototype, value)) {
      return this.remember(value, this.markExport(WRITABLE, this.session.exportWritable(value)));
    }
    // Arguments objects, proxies and modules are none, whatever their prototypes.
    if (!isPlain(value) || core.isProxy(value) || core.isModuleNamespaceObject(value) || core.isPromise(value)) {
      throw unserializable(value);
    }
    const copy = this.remember(value, { __proto__: null });
    const keys = ObjectKeys(value);
    for (let i = 0; i < keys.length; i++) copy[keys[i]] = this.copy(value[keys[i]]);
    return copy;
  }

  copyArray(value) {
    const copy = this.remember(value, list());
    const { length } = value;
    copy.length = length;
    for (let i = 0; i < length; i++) if (ObjectHasOwn(value, i)) copy[i] = this.copy(value[i]);
    return copy;
  }

  copyMap(value) {
    const copy = this.remember(value, new SafeMap());
    MapPrototypeForEach(value, (item, key) => MapPrototypeSet(copy, this.copy(key), this.copy(item)));
    return copy;
  }

  copySet(value) {
    const copy = this.remember(value, new SafeSet());
    SetPrototypeForEach(value, (item) => SetPrototypeAdd(copy, this.copy(item)));
    return copy;
  }

  /** A view of a resizable buffer maps memory of its own where it arrives: it gets a buffer that does not. */
  copyView(value) {
    const tag = TypedArrayPrototypeGetSymbolToStringTag(value);
    if (tag === undefined) {
      if (isResizable(DataViewPrototypeGetBuffer(value))) throw unserializable(value);
      return value;
    }
    if (!isResizable(TypedArrayPrototypeGetBuffer(value))) return value;
    if (tag !== "Uint8Array") throw unserializable(value);
    const start = TypedArrayPrototypeGetByteOffset(value);
    const end = start + TypedArrayPrototypeGetByteLength(value);
    return new Uint8Array(ArrayBufferPrototypeSlice(TypedArrayPrototypeGetBuffer(value), start, end));
  }

  copyStream(stream) {
    return this.markExport(READABLE, this.session.exportReadable(stream));
  }

  copyBody(body) {
    if (body === null) return null;
    if (body.kind === TEXT || body.kind === BYTES) return takeBody(body);
    return this.copyStream(streamOf(body));
  }

  copyRequest(request) {
    const { method, url, list: headers, body, redirect } = requestParts(request);
    return this.mark(entry(REQUEST, method, url, headers, this.copyBody(body), redirect));
  }

  copyResponse(response) {
    const status = statusOf(response);
    if (status === 101) throw dataCloneError("A Response with a WebSocket cannot be sent over RPC.");
    const headers = headerList(headersOf(response));
    return this.mark(entry(RESPONSE, status, statusTextOf(response), headers, this.copyBody(responseBody(response))));
  }

  /** Name and message; from `enhanced_error_serialization` on the stack, the cause and properties of its own, too. */
  copyError(error) {
    const description = entry(ERROR, `${error.name}`, `${error.message}`, undefined, undefined);
    const marker = this.remember(error, this.mark(description));
    if (!flag("enhanced_error_serialization")) return marker;
    const { stack } = error;
    description[3] = typeof stack === "string" ? stack : undefined;
    const own = { __proto__: null };
    const keys = ObjectKeys(error);
    for (let i = 0; i < keys.length; i++) {
      try {
        own[keys[i]] = this.copy(error[keys[i]]);
      } catch {
        // What cannot cross stays behind; the error itself arrives.
      }
    }
    if (ObjectHasOwn(error, "cause")) {
      try {
        own.cause = this.copy(error.cause);
      } catch {
        // As above.
      }
    }
    description[4] = own;
    return marker;
  }
}

function entry(...values) {
  const items = list();
  for (let i = 0; i < values.length; i++) items[i] = values[i];
  return items;
}

/** What is passed on over a session; on failure nothing of it has been exported. */
export function encode(session, value) {
  const encoder = new Encoder(session);
  try {
    const payload = entry(encoder.copy(value), encoder.markers, encoder.descriptions);
    return { __proto__: null, payload, stubs: encoder.stubs, exported: encoder.exported };
  } catch (error) {
    takeBack(session, encoder.exported);
    throw error;
  }
}

/** The payload was not sent. */
export function takeBack(session, exported) {
  for (let i = 0; i < exported.length; i++) session.forgetExport(exported[i]);
}

// === In ===

const ERRORS = { __proto__: null, Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

const isNullBodyStatus = (status) => status === 204 || status === 205 || status === 304;

class Decoder {
  session;
  descriptions;
  /** Markers to their indices. */
  indices = new SafeMap();
  /** What stands for a marker, once it is there. */
  made = new SafeMap();
  /** Stubs that arrived. */
  stubs;

  constructor(session, markers, descriptions, stubs) {
    this.session = session;
    this.descriptions = descriptions;
    this.stubs = stubs;
    for (let i = 0; i < markers.length; i++) MapPrototypeSet(this.indices, markers[i], i);
  }

  /** Puts what they stand for in the place of markers. The value is fresh from the engine: plain data. */
  restore(value) {
    if (typeof value !== "object" || value === null) return value;
    const index = MapPrototypeGet(this.indices, value);
    if (index !== undefined) return this.marked(value, index);
    const before = MapPrototypeGet(this.made, value);
    if (before !== undefined) return before;
    MapPrototypeSet(this.made, value, value);
    if (core.isMap(value)) return this.restoreMap(value);
    if (core.isSet(value)) return this.restoreSet(value);
    if (!ArrayIsArray(value) && !isPlain(value)) return value;
    const keys = ObjectKeys(value);
    for (let i = 0; i < keys.length; i++) {
      const item = value[keys[i]];
      const restored = this.restore(item);
      if (restored !== item) define(value, keys[i], restored);
    }
    return value;
  }

  restoreMap(value) {
    const entries = list();
    MapPrototypeForEach(value, (item, key) => {
      entries[entries.length] = [key, item];
    });
    for (let i = 0; i < entries.length; i++) {
      MapPrototypeSet(value, this.restore(entries[i][0]), this.restore(entries[i][1]));
    }
    return value;
  }

  restoreSet(value) {
    const items = list();
    SetPrototypeForEach(value, (item) => {
      items[items.length] = item;
    });
    for (let i = 0; i < items.length; i++) SetPrototypeAdd(value, this.restore(items[i]));
    return value;
  }

  marked(marker, index) {
    const before = MapPrototypeGet(this.made, marker);
    if (before !== undefined) return before;
    const made = this.make(this.descriptions[index]);
    MapPrototypeSet(this.made, marker, made);
    return made;
  }

  make(description) {
    const { session } = this;
    switch (description[0]) {
      case CALLABLE:
        return this.stub(session.importStub(description[1]));
      case RETURNED:
        return this.stub(session.stubOfExport(description[1]));
      case READABLE:
        return session.importReadable(description[1]);
      case WRITABLE:
        return session.importWritable(description[1]);
      case SIGNAL:
        return this.signal(description);
      case SERVICE:
        return serviceOver(this.reference(description[1]));
      case DOM_EXCEPTION:
        return new DOMException(description[1], description[2]);
      case HEADERS:
        return newHeaders(description[1], MUTABLE);
      case REQUEST:
        return new Request(description[2], {
          __proto__: null,
          method: description[1],
          headers: newHeaders(description[3], MUTABLE),
          body: this.restore(description[4]),
          redirect: description[5],
        });
      case RESPONSE:
        return new Response(isNullBodyStatus(description[1]) ? null : this.restore(description[4]), {
          __proto__: null,
          status: description[1],
          statusText: description[2],
          headers: newHeaders(description[3], MUTABLE),
        });
      default:
        return this.error(description);
    }
  }

  stub(stub) {
    this.stubs[this.stubs.length] = stub;
    return stub;
  }

  /** To an export that no script calls. It goes as stubs do. */
  reference(id) {
    const reference = this.session.importReference(id);
    this.stub(stubOf(reference));
    return reference;
  }

  /** A signal that is aborted when the one on the other side is. */
  signal(description) {
    const controller = new AbortController();
    if (description[1] === 0) abortController(controller, this.restore(description[2]));
    else this.session.whenAborted(this.reference(description[1]), (reason) => abortController(controller, reason));
    return signalOf(controller);
  }

  error(description) {
    const name = description[1];
    const Class = ERRORS[name] ?? Error;
    const error = new Class(description[2]);
    if (ERRORS[name] === undefined) define(error, "name", name);
    if (typeof description[3] === "string") {
      ObjectDefineProperty(error, "stack", {
        __proto__: null,
        value: description[3],
        writable: true,
        enumerable: false,
        configurable: true,
      });
    }
    const own = description[4];
    if (own !== undefined) {
      const keys = ObjectKeys(own);
      for (let i = 0; i < keys.length; i++) {
        if (keys[i] === "cause") {
          const cause = { __proto__: null, value: this.restore(own.cause), writable: true, enumerable: false, configurable: true };
          ObjectDefineProperty(error, "cause", cause);
        } else define(error, keys[i], this.restore(own[keys[i]]));
      }
    }
    return error;
  }
}

function define(target, name, value) {
  ObjectDefineProperty(target, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
}

/** A payload's value. `stubs` gets those that are in it. */
export function decode(session, payload, stubs) {
  const markers = payload[1];
  if (markers.length === 0) return payload[0];
  return new Decoder(session, markers, payload[2], stubs).restore(payload[0]);
}

/** A value that a call was answered with: its stubs go when it is disposed. */
export function makeDisposable(value, stubs) {
  if (typeof value !== "object" || value === null || (!ArrayIsArray(value) && !isPlain(value))) return;
  ObjectDefineProperty(value, SymbolDispose, {
    __proto__: null,
    value: () => {
      for (let i = 0; i < stubs.length; i++) disposeStub(stubs[i]);
    },
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

/** An error that came from the other side says so. */
export function markRemote(error) {
  if (typeof error === "object" && error !== null && ObjectPrototypeIsPrototypeOf(ErrorPrototype, error)) {
    define(error, "remote", true);
  }
  return error;
}
