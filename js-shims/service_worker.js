// Service-worker syntax: `addEventListener("fetch" | "scheduled", ...)` on the global, in place of exports. Loaded for a
// worker that is written so.

import { primordials } from "ext:core/mod.js";
import { newContext } from "ext:holm/context.js";
import { events, finishInterface, seams } from "ext:holm/engine.js";

const { Error, PromiseReject, PromiseResolve, TypeError, globalThis, uncurryThis } = primordials;
const { Event, EventTarget, listenerCount, setIsTrusted } = events;
const dispatch = uncurryThis(EventTarget.prototype.dispatchEvent);
const stopImmediatePropagation = uncurryThis(Event.prototype.stopImmediatePropagation);

const kNew = { __proto__: null };

/** @type {(event: FetchEvent) => Promise<any> | undefined} */
let answerOf;

export class ExtendableEvent extends Event {
  #context;

  constructor(key = undefined, type = "", context = undefined) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    super(type);
    this.#context = context;
  }

  waitUntil(promise) {
    this.#context.waitUntil(promise);
  }

  passThroughOnException() {
    this.#context.passThroughOnException();
  }
}

export class FetchEvent extends ExtendableEvent {
  #request;
  /** @type {Promise<any> | undefined} */
  #answer = undefined;

  constructor(key = undefined, request = undefined, context = undefined) {
    super(key, "fetch", context);
    this.#request = request;
  }

  get request() {
    return this.#request;
  }

  /** The first listener that answers is the last one that is asked. */
  respondWith(response) {
    if (arguments.length < 1) {
      throw new TypeError("Failed to execute 'respondWith' on 'FetchEvent': 1 argument required, but only 0 present.");
    }
    if (this.#answer !== undefined) {
      throw new TypeError("FetchEvent.respondWith() has already been called; it can only be called once.");
    }
    stopImmediatePropagation(this);
    this.#answer = PromiseResolve(response);
  }

  static {
    answerOf = (event) => event.#answer;
  }
}

export class ScheduledEvent extends ExtendableEvent {
  #controller;

  constructor(key = undefined, controller = undefined, context = undefined) {
    super(key, "scheduled", context);
    this.#controller = controller;
  }

  get cron() {
    return this.#controller.cron;
  }

  get scheduledTime() {
    return this.#controller.scheduledTime;
  }

  noRetry() {
    this.#controller.noRetry();
  }
}

finishInterface(ExtendableEvent);
finishInterface(FetchEvent, ["request"]);
finishInterface(ScheduledEvent, ["cron", "scheduledTime"]);

/** What the script listens for, once it has run. */
export function listening() {
  const handles = {
    __proto__: null,
    fetch: listenerCount(globalThis, "fetch") !== 0,
    scheduled: listenerCount(globalThis, "scheduled") !== 0,
  };
  if (!handles.fetch && !handles.scheduled) {
    throw new TypeError(
      'No event handlers were registered. This script does nothing: call addEventListener("fetch", ...), or export a handler.',
    );
  }
  return handles;
}

/** Dispatches an event. What a listener throws is thrown here, not merely reported. */
function send(event) {
  setIsTrusted(event, true);
  let thrown;
  const { reportException } = seams;
  const { logUncaught } = seams;
  const caught = (error) => {
    thrown ??= { __proto__: null, error };
  };
  seams.reportException = caught;
  seams.logUncaught = caught;
  try {
    dispatch(globalThis, event);
  } finally {
    seams.reportException = reportException;
    seams.logUncaught = logUncaught;
  }
  return thrown;
}

/** The promise of an answer, or of why there is none. */
export function fetch(owner, request) {
  const context = newContext(owner);
  const event = new FetchEvent(kNew, request, context);
  const thrown = send(event);
  const answer = answerOf(event);
  if (answer !== undefined) {
    if (thrown !== undefined) seams.reportException(thrown.error);
    return answer;
  }
  if (thrown !== undefined) return PromiseReject(thrown.error);
  // Who does not answer leaves the request to the origin, if there is one.
  context.passThroughOnException();
  return PromiseReject(new Error("No listener of the event \"fetch\" has called event.respondWith(), and the worker's origin did not answer in its place."));
}

export function scheduled(owner, controller) {
  const thrown = send(new ScheduledEvent(kNew, controller, newContext(owner)));
  if (thrown !== undefined) throw thrown.error;
}

