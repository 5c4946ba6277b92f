// An RPC session: the conversation of one invocation with the one that it called. Both sides are the same class.
//
// Messages are arrays, each sent as its length (4 bytes, little-endian) and a structured clone. They go through a body that
// this side writes, and come through one that it reads: of the caller's request and of the callee's answer. So whatever holds
// for bodies holds for sessions: they have an owner, are charged to its isolate, and break when either invocation ends.
//
//   CALL     number, onAnswer, id, path, payload | null   calls (or reads) a member of an export, or of an answer to come
//   RETURN   number, true, payload | false, payload       the answer, or what was thrown
//   RELEASE  id, references                               of an export of the receiver
//   FINISH   number                                       no more calls on this answer
//
// The caller ends a session by closing its body, once it waits for nothing and neither side holds anything of the other.

import { core, primordials } from "ext:core/mod.js";
import { closeByteStream } from "ext:holm/blob.js";
import { chunkBytes, nextChunk } from "ext:holm/body.js";
import { byteLength, concat, part } from "ext:holm/bytes.js";
import { abort, streams } from "ext:holm/engine.js";
import { flag } from "ext:holm/environment.js";
import { currentOwner } from "ext:holm/owner.js";
import {
  DISPOSED,
  disposeStub,
  disposeTarget,
  ignoreRejection,
  invoke,
  list,
  memberOfEntrypoint,
  stubOf,
  ValueReference,
} from "ext:holm/rpc_stubs.js";
import { dataCloneError, decode, encode, makeDisposable, markRemote, takeBack } from "ext:holm/rpc_values.js";

const {
  Error,
  MapPrototypeDelete,
  MapPrototypeForEach,
  MapPrototypeGet,
  MapPrototypeGetSize,
  MapPrototypeSet,
  ObjectGetOwnPropertyDescriptor,
  ObjectHasOwn,
  Promise,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  ReflectApply,
  SafeMap,
  TypedArrayPrototypeSet,
  TypeError,
  Uint8Array,
  uncurryThis,
} = primordials;
const { op_body_cancel, op_body_close, op_body_read, op_body_write, op_fail, op_session_read, op_session_waits } = core.ops;
const { add: addAlgorithm, AbortSignalPrototype, remove: removeAlgorithm } = abort;
const reasonOf = uncurryThis(ObjectGetOwnPropertyDescriptor(AbortSignalPrototype, "reason").get);
const {
  acquireReadableStreamDefaultReader,
  createReadableByteStream,
  isReadableStreamLocked,
  ReadableStreamDefaultReader,
  readableByteStreamControllerEnqueue,
  WritableStream,
  WritableStreamDefaultWriter,
} = streams;
const cancelReader = uncurryThis(ReadableStreamDefaultReader.prototype.cancel);
const getWriter = uncurryThis(WritableStream.prototype.getWriter);
const writeChunk = uncurryThis(WritableStreamDefaultWriter.prototype.write);
const closeWriter = uncurryThis(WritableStreamDefaultWriter.prototype.close);
const abortWriter = uncurryThis(WritableStreamDefaultWriter.prototype.abort);

const CALL = 0;
const RETURN = 1;
const RELEASE = 2;
const FINISH = 3;

const REMOTE = 1;
const HOME = 2;

const EXCEPTION = 0;

/** Bytes of one message. */
const LARGEST = 32 << 20;
const HEADER = 4;

/** How a session ends: the other side has closed it, or is gone. */
export const CLOSED = 1;
export const BROKEN = 2;

const SESSION_OVER = "The RPC session has ended: the invocation at its other end is over.";

const clone = { __proto__: null, forStorage: true };

function framed(message) {
  const bytes = core.serialize(message, clone, (text) => {
    throw dataCloneError(text);
  });
  const length = byteLength(bytes);
  if (length > LARGEST) {
    throw dataCloneError(
      `Serialized RPC arguments or return values are limited to 32MiB, but the size of this value was: ${length} bytes.`,
    );
  }
  const frame = new Uint8Array(HEADER + length);
  frame[0] = length & 255;
  frame[1] = (length >>> 8) & 255;
  frame[2] = (length >>> 16) & 255;
  frame[3] = length >>> 24;
  TypedArrayPrototypeSet(frame, bytes, HEADER);
  return frame;
}

function message(...parts) {
  const items = list();
  for (let i = 0; i < parts.length; i++) items[i] = parts[i];
  return items;
}

/** A frame that waits to be written. */
class Queued {
  frame;
  next = undefined;

  constructor(frame) {
    this.frame = frame;
  }
}

/** A call that the other side will answer; also the reference to the answer. */
class Question {
  session;
  number;
  promise;
  resolve;
  reject;
  answered = false;

  constructor(session, number) {
    this.session = session;
    this.number = number;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    ignoreRejection(this.promise);
  }

  get reference() {
    return this;
  }

  ask(path, args) {
    return this.answered ? new ValueReference(this.promise).ask(path, args) : this.session.askOther(true, this.number, path, args);
  }

  copy() {
    return this;
  }

  drop() {
    return this;
  }
}

/** An export of the other side. */
class RemoteReference {
  kind = REMOTE;
  session;
  id;
  #dropped = false;

  constructor(session, id) {
    this.session = session;
    this.id = id;
  }

  ask(path, args) {
    return this.session.askOther(false, this.id, path, args);
  }

  copy() {
    this.session.retain(this.id);
    return new RemoteReference(this.session, this.id);
  }

  drop() {
    if (this.#dropped) return;
    this.#dropped = true;
    this.session.release(this.id);
  }
}

/** An export of this side that has come back. */
class HomeReference {
  kind = HOME;
  session;
  id;
  #dropped = false;

  constructor(session, id) {
    this.session = session;
    this.id = id;
  }

  ask(path, args) {
    let promise;
    try {
      promise = PromiseResolve(this.session.exportOf(this.id).answer(path, args));
    } catch (error) {
      promise = PromiseReject(error);
    }
    ignoreRejection(promise);
    return { __proto__: null, promise, reference: new ValueReference(promise) };
  }

  copy() {
    this.session.exportOf(this.id).references++;
    return new HomeReference(this.session, this.id);
  }

  drop() {
    if (this.#dropped) return;
    this.#dropped = true;
    this.session.dropExport(this.id, 1);
  }
}

// === What the other side may call ===

class Exported {
  references = 1;
  /** The object or function, where it is one of a script. */
  target = undefined;
  answer;
  drop;

  constructor(answer, drop) {
    this.answer = answer;
    this.drop = drop;
  }
}

const ofTarget = (target) =>
  new Exported((path, args) => invoke(target, path, args), () => disposeTarget(target));

const ofReference = (reference) =>
  new Exported((path, args) => reference.ask(path, args).promise, () => reference.drop());

function ofReadable(stream) {
  if (isReadableStreamLocked(stream)) throw new TypeError("The ReadableStream has been locked to a reader.");
  const reader = acquireReadableStreamDefaultReader(stream);
  let over = false;
  const pull = async () => {
    const read = await nextChunk(reader);
    if (read !== null) return chunkBytes(read.chunk);
    over = true;
    return null;
  };
  const cancel = (reason) => {
    if (over) return;
    over = true;
    ignoreRejection(cancelReader(reader, reason));
  };
  return new Exported(
    (path, args) => path[0] === "pull" ? pull() : cancel(args[0]),
    () => cancel(new Error("The stream's reader has gone away.")),
  );
}

function ofWritable(stream) {
  const writer = getWriter(stream);
  let over = false;
  return new Exported((path, args) => {
    switch (path[0]) {
      case "write":
        return writeChunk(writer, args[0]);
      case "close":
        over = true;
        return closeWriter(writer);
      default:
        over = true;
        return abortWriter(writer, args[0]);
    }
  }, () => {
    if (!over) ignoreRejection(abortWriter(writer, new Error("The stream's writer has gone away.")));
  });
}

/** Its only call is answered when the signal is aborted, with the reason in a list; with `null`, when nobody asks any more. */
function ofSignal(signal) {
  let tell;
  const told = new Promise((resolve) => {
    tell = resolve;
  });
  const onAbort = () => tell(message(reasonOf(signal)));
  signal[addAlgorithm](onAbort);
  return new Exported(() => told, () => {
    signal[removeAlgorithm](onAbort);
    tell(null);
  });
}

/** What it is passed on by may go before it does. */
function ofService(passed) {
  const service = passed.copy();
  return new Exported((path, args) => {
    const isFetch = path.length === 1 && path[0] === "fetch" && args !== undefined;
    return isFetch ? service.fetch(args[0], args[1]) : service.ask(path, args).promise;
  }, () => service.drop());
}

const pathTo = (name) => message(name);

// === The session ===

export class Session {
  #owner;
  /** The body that this side writes. */
  #out;
  /** @type {(() => void) | undefined} before the first message; the callee answers its event with it */
  #begin;
  /** @type {((how: typeof CLOSED | typeof BROKEN) => void) | undefined} after the end */
  #onEnd;
  #isCaller;

  /** @type {Map<number, Question>} */
  #questions = new SafeMap();
  /** @type {Map<number, Promise<any>>} */
  #answers = new SafeMap();
  /** @type {Map<number, Exported>} */
  #exports = new SafeMap();
  /** Ids of targets that are exported. */
  #idOf = new SafeMap();
  /** References held to exports of the other side, by id. */
  #imports = new SafeMap();
  /** Calls of the other side that are under way here. */
  #unanswered = 0;
  /** What the isolate was told: see `#tellWhetherItWaits`. */
  #waits = false;
  #nextQuestion = 1;
  #nextExport = 1;

  #first = undefined;
  #last = undefined;
  #isWriting = false;
  /** Nothing more is to be written; the body closes after what is queued. */
  #isClosing = false;
  /** @type {{ reason: any } | undefined} */
  #over = undefined;

  #chunks = list();
  #received = 0;

  constructor(owner, out, { begin = undefined, onEnd = undefined, isCaller }) {
    this.#owner = owner;
    this.#out = out;
    this.#begin = begin;
    this.#onEnd = onEnd;
    this.#isCaller = isCaller;
  }

  // --- messages out

  #write(frame) {
    if (this.#over !== undefined || this.#isClosing) return;
    const begin = this.#begin;
    if (begin !== undefined) {
      this.#begin = undefined;
      begin();
    }
    const queued = new Queued(frame);
    if (this.#last === undefined) this.#first = queued;
    else this.#last.next = queued;
    this.#last = queued;
    if (!this.#isWriting) ignoreRejection(this.#flush());
  }

  async #flush() {
    this.#isWriting = true;
    try {
      while (this.#first !== undefined) {
        const { frame } = this.#first;
        this.#first = this.#first.next;
        if (this.#first === undefined) this.#last = undefined;
        const room = op_body_write(this.#owner, this.#out, frame);
        if (room !== true) await room;
      }
      if (this.#isClosing) op_body_close(this.#out);
    } catch {
      // The other side reads no more. What it was that ended it is said where this side reads.
      this.#isClosing = true;
      this.#first = undefined;
      this.#last = undefined;
    }
    this.#isWriting = false;
  }

  /** The caller closes the session once nothing is left of it. Answers whether it has. */
  #closeIfIdle() {
    if (!this.#isCaller || this.#isClosing) return this.#isClosing;
    const held = MapPrototypeGetSize(this.#questions) + MapPrototypeGetSize(this.#imports) + MapPrototypeGetSize(this.#exports);
    if (held !== 0) return false;
    this.#isClosing = true;
    if (!this.#isWriting) ignoreRejection(this.#flush());
    return true;
  }

  // --- messages in

  /**
   * The callee owes an answer, asks nothing, and has given the caller nothing to call: no message can help it to answer. If
   * its isolate has nothing else to do, it has hung.
   */
  #tellWhetherItWaits() {
    if (this.#isCaller) return;
    const waits = this.#unanswered > 0 && MapPrototypeGetSize(this.#questions) === 0 && MapPrototypeGetSize(this.#exports) <= 1;
    if (waits === this.#waits) return;
    this.#waits = waits;
    op_session_waits(this.#owner, waits);
  }

  /** Reads messages from a body, in the async context of the caller of this method. */
  async listen(handle) {
    try {
      while (handle !== 0) {
        const read = await (this.#isCaller ? op_body_read(this.#owner, handle) : op_session_read(this.#owner, handle));
        if (read === null) break;
        this.#accept(read[0]);
      }
      this.end(new Error(SESSION_OVER), CLOSED);
    } catch (error) {
      if (handle !== 0) op_body_cancel(0, handle);
      this.end(error);
    }
  }

  #accept(chunk) {
    this.#chunks[this.#chunks.length] = chunk;
    this.#received += byteLength(chunk);
    while (this.#received >= HEADER) {
      let first = this.#chunks[0];
      if (byteLength(first) < HEADER) first = this.#joined();
      const length = HEADER + (first[0] | (first[1] << 8) | (first[2] << 16) | (first[3] << 24));
      if (length > HEADER + LARGEST || length < HEADER) throw new Error("An RPC message is too large.");
      if (this.#received < length) return;
      if (byteLength(first) < length) first = this.#joined();
      this.#received -= length;
      const rest = part(first, length, byteLength(first));
      if (byteLength(rest) !== 0) this.#chunks[0] = rest;
      else this.#shift();
      this.#receive(core.deserialize(part(first, HEADER, length), clone));
    }
  }

  /** All chunks as one, which is the first and only one from now on. */
  #joined() {
    const all = concat(this.#chunks, this.#received);
    this.#chunks = list();
    this.#chunks[0] = all;
    return all;
  }

  #shift() {
    const rest = list();
    for (let i = 1; i < this.#chunks.length; i++) rest[i - 1] = this.#chunks[i];
    this.#chunks = rest;
  }

  #receive(received) {
    switch (received[0]) {
      case CALL:
        this.#onCall(received[1], received[2], received[3], received[4], received[5]);
        break;
      case RETURN:
        this.#onReturn(received[1], received[2], received[3]);
        break;
      case RELEASE:
        this.dropExport(received[1], received[2]);
        this.#closeIfIdle();
        break;
      case FINISH:
        MapPrototypeDelete(this.#answers, received[1]);
        break;
    }
  }

  // --- calls

  /** Calls a member of an export of the other side, or of its answer to come. */
  askOther(onAnswer, id, path, args) {
    const owner = currentOwner();
    if (owner !== this.#owner) {
      throw new Error(
        "Cannot perform I/O on behalf of a different request. I/O objects (such as streams, request/response bodies, and others) " +
          "created in the context of one request handler cannot be accessed from a different request's handler. " +
          `(Created by request ${this.#owner}, used by request ${owner})`,
      );
    }
    const question = new Question(this, this.#nextQuestion++);
    if (this.#over !== undefined) {
      question.reject(this.#over.reason);
      return question;
    }
    if (this.#isClosing) {
      question.reject(new Error(SESSION_OVER));
      return question;
    }
    MapPrototypeSet(this.#questions, question.number, question);
    this.#tellWhetherItWaits();
    try {
      this.#send(args, (payload) =>
        message(CALL, question.number, onAnswer, id, path, payload), !flag("rpc_params_dup_stubs"));
    } catch (error) {
      MapPrototypeDelete(this.#questions, question.number);
      question.reject(error);
      this.#tellWhetherItWaits();
      this.#closeIfIdle();
    }
    return question;
  }

  /** Sends a message around a value. `moves`: stubs in it are the receiver's from now on. */
  #send(value, messageAround, moves) {
    const { payload, stubs, exported } = value === undefined
      ? { __proto__: null, payload: null, stubs: list(), exported: list() }
      : encode(this, value);
    let frame;
    try {
      frame = framed(messageAround(payload));
    } catch (error) {
      takeBack(this, exported);
      throw error;
    }
    this.#write(frame);
    if (moves) for (let i = 0; i < stubs.length; i++) disposeStub(stubs[i]);
  }

  #onReturn(number, fulfilled, payload) {
    const question = MapPrototypeGet(this.#questions, number);
    if (question === undefined) return;
    MapPrototypeDelete(this.#questions, number);
    this.#tellWhetherItWaits();
    question.answered = true;
    const stubs = list();
    try {
      const value = decode(this, payload, stubs)[0];
      if (fulfilled) {
        makeDisposable(value, stubs);
        question.resolve(value);
      } else {
        question.reject(markRemote(value));
      }
    } catch (error) {
      question.reject(error);
    }
    if (!this.#closeIfIdle()) this.#write(framed(message(FINISH, number)));
  }

  #onCall(number, onAnswer, id, path, payload) {
    const stubs = list();
    let result;
    try {
      const args = payload === null ? undefined : decode(this, payload, stubs);
      if (onAnswer) {
        const answer = MapPrototypeGet(this.#answers, id);
        if (answer === undefined) throw new Error(DISPOSED);
        result = PromisePrototypeThen(answer, (value) => invoke(value, path, args));
      } else {
        result = this.exportOf(id).answer(path, args);
      }
    } catch (error) {
      result = PromiseReject(error);
    }
    const answer = settled(result);
    ignoreRejection(answer);
    MapPrototypeSet(this.#answers, number, answer);
    this.#unanswered++;
    this.#tellWhetherItWaits();
    ignoreRejection(this.#reply(number, answer, stubs));
  }

  async #reply(number, answer, stubs) {
    try {
      this.#send([await answer], (payload) => message(RETURN, number, true, payload), true);
    } catch (error) {
      this.#replyThrown(number, error);
    }
    this.#unanswered--;
    this.#tellWhetherItWaits();
    // What came as an argument lives as long as the call, unless it was duplicated.
    for (let i = 0; i < stubs.length; i++) disposeStub(stubs[i]);
  }

  #replyThrown(number, error) {
    const around = (payload) => message(RETURN, number, false, payload);
    try {
      this.#send([error], around, true);
    } catch {
      this.#send([new Error("An exception was thrown that cannot be sent over RPC.")], around, true);
    }
    // The exception is the outcome of the invocation that was called; whoever called has its own.
    if (!this.#isCaller) op_fail(this.#owner, EXCEPTION, error);
  }

  // --- what this side exports

  /** @returns {Exported} */
  exportOf(id) {
    const exported = MapPrototypeGet(this.#exports, id);
    if (exported === undefined) throw new Error(DISPOSED);
    return exported;
  }

  /** The worker's entrypoint, which the session begins with. */
  exportEntrypoint(answer) {
    MapPrototypeSet(this.#exports, 0, new Exported(answer, () => {}));
  }

  #export(exported) {
    const id = this.#nextExport++;
    MapPrototypeSet(this.#exports, id, exported);
    this.#tellWhetherItWaits();
    return id;
  }

  exportTarget(target) {
    const known = MapPrototypeGet(this.#idOf, target);
    if (known !== undefined) {
      this.exportOf(known).references++;
      return known;
    }
    const id = this.#export(ofTarget(target));
    MapPrototypeSet(this.#idOf, target, id);
    this.exportOf(id).target = target;
    return id;
  }

  exportReference(reference) {
    return this.#export(ofReference(reference));
  }

  exportReadable(stream) {
    return this.#export(ofReadable(stream));
  }

  exportWritable(stream) {
    return this.#export(ofWritable(stream));
  }

  exportSignal(signal) {
    return this.#export(ofSignal(signal));
  }

  exportService(service) {
    return this.#export(ofService(service));
  }

  /** The other side has fewer references to an export. */
  dropExport(id, references) {
    const exported = MapPrototypeGet(this.#exports, id);
    if (exported === undefined) return;
    exported.references -= references;
    if (exported.references > 0) return;
    this.#remove(id, exported);
    exported.drop();
  }

  /** The other side never heard of it. */
  forgetExport(id) {
    const exported = MapPrototypeGet(this.#exports, id);
    if (exported !== undefined && --exported.references <= 0) this.#remove(id, exported);
  }

  #remove(id, exported) {
    MapPrototypeDelete(this.#exports, id);
    this.#tellWhetherItWaits();
    if (exported.target !== undefined) MapPrototypeDelete(this.#idOf, exported.target);
  }

  stubOfExport(id) {
    this.exportOf(id).references++;
    return stubOf(new HomeReference(this, id));
  }

  // --- what it has of the other side

  /** The id of a reference to what the other side exported; `undefined` for any other. */
  idThere(reference) {
    return reference.session === this && reference.kind === REMOTE ? reference.id : undefined;
  }

  /** The id of a reference to what this side exported, which the other side gets once more; `undefined` for any other. */
  idHere(reference) {
    if (reference.session !== this || reference.kind !== HOME) return undefined;
    this.exportOf(reference.id).references++;
    return reference.id;
  }

  importStub(id) {
    this.retain(id, 1);
    return stubOf(new RemoteReference(this, id));
  }

  importReference(id) {
    this.retain(id, 1);
    return new RemoteReference(this, id);
  }

  /** Calls `run` with the reason, if the signal that was exported is aborted. That a session ends is no reason. */
  whenAborted(reference, run) {
    const asked = this.askOther(false, reference.id, pathTo("aborted"), list());
    PromisePrototypeThen(asked.promise, (told) => {
      if (told !== null) run(told[0]);
    }, () => {});
  }

  importReadable(id) {
    this.retain(id, 1);
    const reference = new RemoteReference(this, id);
    return createReadableByteStream(
      () => {},
      (controller) =>
        PromisePrototypeThen(reference.ask(pathTo("pull"), []).promise, (chunk) => {
          if (chunk !== null) return readableByteStreamControllerEnqueue(controller, chunk);
          reference.drop();
          closeByteStream(controller);
        }, (error) => {
          reference.drop();
          throw error;
        }),
      (reason) => {
        const { promise } = reference.ask(pathTo("cancel"), [sendable(reason)]);
        reference.drop();
        return promise;
      },
    );
  }

  importWritable(id) {
    this.retain(id, 1);
    const reference = new RemoteReference(this, id);
    const last = (name, args) => {
      const { promise } = reference.ask(pathTo(name), args);
      reference.drop();
      return promise;
    };
    return new WritableStream({
      __proto__: null,
      write: (chunk) => reference.ask(pathTo("write"), [chunk]).promise,
      close: () => last("close", []),
      abort: (reason) => last("abort", [sendable(reason)]),
    });
  }

  /** One more reference here. `arrived`: the other side has counted it, too. */
  retain(id, arrived = 0) {
    let imported = MapPrototypeGet(this.#imports, id);
    if (imported === undefined) {
      imported = { __proto__: null, references: 0, arrived: 0 };
      MapPrototypeSet(this.#imports, id, imported);
    }
    imported.references++;
    imported.arrived += arrived;
  }

  release(id) {
    const imported = MapPrototypeGet(this.#imports, id);
    if (imported === undefined || --imported.references > 0) return;
    MapPrototypeDelete(this.#imports, id);
    if (this.#over !== undefined) return;
    this.#write(framed(message(RELEASE, id, imported.arrived)));
    this.#closeIfIdle();
  }

  // --- the end

  /** What is still waited for fails, and what the other side held is disposed. */
  end(reason, how = BROKEN) {
    if (this.#over !== undefined) return;
    this.#over = { __proto__: null, reason };
    this.#first = undefined;
    this.#last = undefined;
    MapPrototypeForEach(this.#questions, (question) => question.reject(reason));
    const exports = this.#exports;
    this.#questions = new SafeMap();
    this.#answers = new SafeMap();
    this.#exports = new SafeMap();
    this.#idOf = new SafeMap();
    this.#unanswered = 0;
    MapPrototypeForEach(exports, (exported) => exported.drop());
    op_body_close(this.#out);
    const onEnd = this.#onEnd;
    if (onEnd !== undefined) onEnd(how);
  }
}

const sendable = (reason) => reason === undefined ? new Error("The stream was cancelled.") : reason;

/** A promise of what a method answered, which may be one of ours that is no native promise. */
const settled = async (result) => await result;

/** The call of a worker's entrypoint: its methods at the first step of the path, then what they lead to. */
export function entrypointCall(memberOf) {
  return (path, args) => {
    const { value, holder } = memberOf(path[0], path.length === 1 ? args : undefined);
    return holder === APPLIED ? value : invoke(value, path, args, holder, 1);
  };
}

/** In the place of a holder: the member was called already. */
export const APPLIED = { __proto__: null };

/** Methods of a class. */
export const ofInstance = (instance) => (name) => ({ __proto__: null, value: memberOfEntrypoint(instance, name), holder: instance });

/** Functions of an exported object, which take one argument, the environment and the context. */
export function ofObject(object, env, context) {
  return (name, args) => {
    const value = ObjectHasOwn(object, name) ? object[name] : undefined;
    if (typeof value !== "function" || args === undefined) {
      throw new TypeError(`The RPC receiver does not implement the method "${name}".`);
    }
    if (args.length > 1) {
      throw new TypeError(
        `Cannot call handler function "${name}" over RPC because it has the wrong number of arguments. A simple function handler ` +
          "can only be called over RPC with one argument; it gets (argument, env, ctx). Extend WorkerEntrypoint for other methods.",
      );
    }
    return { __proto__: null, value: ReflectApply(value, object, [args[0], env, context]), holder: APPLIED };
  };
}
