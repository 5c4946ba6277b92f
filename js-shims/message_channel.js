// `MessageChannel` and `MessagePort`, within one isolate. A message is cloned when it is posted and delivered in a turn
// of the invocation that posted it.

import { primordials } from "ext:core/mod.js";
import { DOMException, events, finishInterface, queueMicrotask, seams } from "ext:holm/engine.js";
import { currentOwner } from "ext:holm/owner.js";
import { structuredClone } from "ext:holm/reservations.js";

const { ArrayIsArray, ArrayPrototypePush, ArrayPrototypeShift, ObjectHasOwn, SymbolIterator, TypeError, uncurryThis } = primordials;
const { defineEventHandler, EventTarget, MessageEvent, setIsTrusted } = events;
const dispatch = uncurryThis(EventTarget.prototype.dispatchEvent);

const kNew = { __proto__: null };

/** @type {(a: MessagePort, b: MessagePort) => void} */
let entangle;
/** @type {(value: any) => boolean} */
let isPort;

export class MessagePort extends EventTarget {
  /** @type {MessagePort | undefined} */
  #other = undefined;
  #queue = [];
  #started = false;

  constructor(key = undefined) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    super();
  }

  static {
    entangle = (a, b) => {
      a.#other = b;
      b.#other = a;
    };
    isPort = (value) => typeof value === "object" && value !== null && #queue in value;
  }

  postMessage(message, transferOrOptions = undefined) {
    if (arguments.length < 1) {
      throw new TypeError("Failed to execute 'postMessage' on 'MessagePort': 1 argument required, but only 0 present.");
    }
    const data = structuredClone(message, { __proto__: null, transfer: transferList(transferOrOptions) });
    const other = this.#other;
    if (other === undefined) return;
    ArrayPrototypePush(other.#queue, data);
    if (other.#started) other.#deliverLater();
  }

  #deliverLater() {
    const deliver = () => this.#deliver();
    // The global scope has no timers.
    if (currentOwner() === 0) queueMicrotask(deliver);
    else seams.startTimer(deliver, 0, false);
  }

  #deliver() {
    if (this.#queue.length === 0) return;
    const event = new MessageEvent("message", { __proto__: null, data: ArrayPrototypeShift(this.#queue) });
    setIsTrusted(event, true);
    dispatch(this, event);
  }

  start() {
    if (this.#started) return;
    this.#started = true;
    for (let i = 0; i < this.#queue.length; i++) this.#deliverLater();
  }

  close() {
    const other = this.#other;
    if (other === undefined) return;
    this.#other = undefined;
    other.#other = undefined;
  }
}

function transferList(value) {
  const list = value === undefined || value === null
    ? undefined
    : ArrayIsArray(value) || typeof value[SymbolIterator] === "function"
    ? value
    : value.transfer;
  if (list === undefined) return [];
  const items = [];
  const add = (item) => {
    if (isPort(item)) throw new DOMException("MessagePort cannot be transferred.", "DataCloneError");
    ArrayPrototypePush(items, item);
  };
  if (ArrayIsArray(list) && !ObjectHasOwn(list, SymbolIterator)) {
    for (let i = 0; i < list.length; i++) add(list[i]);
  } else {
    for (const item of list) add(item);
  }
  return items;
}

const start = uncurryThis(MessagePort.prototype.start);
defineEventHandler(MessagePort.prototype, "message", (port) => start(port));
defineEventHandler(MessagePort.prototype, "messageerror");
finishInterface(MessagePort);

export class MessageChannel {
  #port1 = new MessagePort(kNew);
  #port2 = new MessagePort(kNew);

  constructor() {
    entangle(this.#port1, this.#port2);
  }

  get port1() {
    return this.#port1;
  }

  get port2() {
    return this.#port2;
  }
}

finishInterface(MessageChannel, ["port1", "port2"]);
