// `ctx`: the ExecutionContext of one invocation.

import { core, primordials } from "ext:core/mod.js";
import { finishInterface } from "ext:holm/engine.js";
import { flag, ownExports } from "ext:holm/environment.js";
import { currentOwner } from "ext:holm/owner.js";

const { Error, JSONParse, PromisePrototypeThen, PromiseResolve, TypeError } = primordials;
const { op_called_props, op_fail, op_pass_through, op_wait_until_begin, op_wait_until_end } = core.ops;

const loadTracing = core.createLazyLoader("ext:holm/tracing.js");

const EXCEPTION = 0;
const WAIT_UNTIL_FAILED = 3;

const kNew = { __proto__: null };

/** Keeps the invocation `owner` alive until the promise settles. */
export function waitUntil(owner, promise) {
  const settled = PromiseResolve(promise);
  op_wait_until_begin(owner);
  PromisePrototypeThen(
    settled,
    () => op_wait_until_end(owner),
    (error) => {
      op_fail(owner, WAIT_UNTIL_FAILED, error);
      op_wait_until_end(owner);
    },
  );
}

function calledProps(owner) {
  const props = op_called_props(owner);
  if (props === undefined) return {};
  return typeof props === "string" ? JSONParse(props) : core.deserialize(props, { __proto__: null, forStorage: true });
}

export class ExecutionContext {
  #owner;
  #props = undefined;

  constructor(key = undefined, owner = 0) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    this.#owner = owner;
  }

  /** Keeps the invocation alive until the promise settles, within the platform's limit. */
  waitUntil(promise) {
    // As on the platform: a context that was kept from another request acts for the one that runs.
    const own = this.#owner;
    const owner = currentOwner() || own;
    if (arguments.length < 1) {
      throw new TypeError("Failed to execute 'waitUntil' on 'ExecutionContext': 1 argument required, but only 0 present.");
    }
    waitUntil(owner, promise);
  }

  /** From here on, the worker's origin answers if the handler fails. Without an origin it changes nothing. */
  passThroughOnException() {
    op_pass_through(this.#owner);
  }

  abort(reason = undefined) {
    op_fail(this.#owner, EXCEPTION, reason === undefined ? new Error("The invocation was aborted by ctx.abort().") : reason);
  }

  /** What the binding says that the invocation came over. */
  get props() {
    return this.#props ??= calledProps(this.#owner);
  }

  get tracing() {
    return loadTracing().tracing;
  }

  /** The worker's own entrypoints, to be called like services. */
  get exports() {
    return flag("enable_ctx_exports") ? ownExports() : undefined;
  }
}

finishInterface(ExecutionContext);

export const newContext = (owner) => new ExecutionContext(kNew, owner);

export class ScheduledController {
  #cron;
  #scheduledTime;

  constructor(key = undefined, cron = "", scheduledTime = 0) {
    if (key !== kNew) throw new TypeError("Illegal constructor");
    this.#cron = cron;
    this.#scheduledTime = scheduledTime;
  }

  get cron() {
    return this.#cron;
  }

  get scheduledTime() {
    return this.#scheduledTime;
  }

  noRetry() {
    void this.#cron;
  }
}

finishInterface(ScheduledController, ["cron", "scheduledTime"]);

export const newScheduledController = (cron, scheduledTime) => new ScheduledController(kNew, cron, scheduledTime);
