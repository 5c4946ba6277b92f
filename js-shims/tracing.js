// `tracing` of `cloudflare:workers` and of `ctx`, and `cache`. Loaded with the first of them.
//
// No span is recorded, as on the platform where tracing is off for a worker: callbacks run, spans nest and say that they are
// not traced. Nor is there a cache in front of a worker, which `cache` would purge.

import { primordials } from "ext:core/mod.js";
import { finishInterface } from "ext:holm/engine.js";
import { currentOwner, frameValue, within } from "ext:holm/owner.js";

const {
  ArrayPrototypeUnshift,
  Error,
  ObjectFreeze,
  ObjectPrototypeIsPrototypeOf,
  PromiseReject,
  ReflectApply,
  TypeError,
} = primordials;

const ACTIVE = "holm.span";
const kNew = { __proto__: null };
const STATUSES = { __proto__: null, unset: true, ok: true, error: true };

const missing = (name, count, given) =>
  new TypeError(`Failed to execute '${name}': ${count} argument${count === 1 ? "" : "s"} required, but only ${given} present.`);

export class Span {
  constructor(key = undefined) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
  }

  get isTraced() {
    return false;
  }

  /** As in OpenTelemetry: the ids of a span that is not recorded. */
  spanContext() {
    return { traceId: "00000000000000000000000000000000", spanId: "0000000000000000", traceFlags: 0 };
  }

  setAttribute(key, value) {
    if (arguments.length < 2) throw missing("setAttribute' on 'Span", 2, arguments.length);
    void key;
    void value;
    return this;
  }

  setAttributes(attributes) {
    if (typeof attributes !== "object" || attributes === null) {
      throw new TypeError("Failed to execute 'setAttributes' on 'Span': parameter 1 is not of type 'object'.");
    }
    return this;
  }

  recordException(exception) {
    if (arguments.length < 1) throw missing("recordException' on 'Span", 1, 0);
    void exception;
  }

  setStatus(status) {
    if (STATUSES[status?.code] !== true) {
      throw new TypeError("Failed to execute 'setStatus' on 'Span': the code of a status is \"unset\", \"ok\" or \"error\".");
    }
    return this;
  }

  updateName(name) {
    if (arguments.length < 1) throw missing("updateName' on 'Span", 1, 0);
    void name;
    return this;
  }

  end() {}
}

finishInterface(Span, ["isTraced"]);

/** What is active where no span was entered. */
const root = new Span(kNew);

function run(name, span, callback, args) {
  if (typeof callback !== "function") {
    throw new TypeError(`Failed to execute '${name}' on 'Tracing': parameter 2 is not of type 'Function'.`);
  }
  return within(ACTIVE, span, () => ReflectApply(callback, undefined, args));
}

function enter(name, callback, args) {
  const span = new Span(kNew);
  ArrayPrototypeUnshift(args, span);
  return run(name, span, callback, args);
}

export const tracing = ObjectFreeze({
  /** Calls `callback(span, ...args)`; the span ends when what it answers has settled. */
  enterSpan(name, callback, ...args) {
    void name;
    return enter("enterSpan", callback, args);
  },
  /** The same; the span ends with `span.end()`. */
  startActiveSpan(name, callback, ...args) {
    void name;
    return enter("startActiveSpan", callback, args);
  },
  startSpan(name) {
    if (arguments.length < 1) throw missing("startSpan' on 'Tracing", 1, 0);
    void name;
    return new Span(kNew);
  },
  /** Outside of requests there is none. */
  getActiveSpan() {
    return frameValue(ACTIVE) ?? (currentOwner() === 0 ? undefined : root);
  },
  withActiveSpan(span, callback, ...args) {
    if (!ObjectPrototypeIsPrototypeOf(Span.prototype, span)) {
      throw new TypeError("Failed to execute 'withActiveSpan' on 'Tracing': parameter 1 is not of type 'Span'.");
    }
    return run("withActiveSpan", span, callback, args);
  },
  Span,
});

const noCache = () =>
  PromiseReject(
    new Error("There is no cache in front of this worker to purge. What it keeps itself with the Cache API, it deletes with cache.delete()."),
  );

export const cache = ObjectFreeze({
  purge: () => noCache(),
  invalidate: () => noCache(),
});
