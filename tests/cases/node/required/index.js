import shouts from "./common.cjs";
import assert from "assert";
import { EventEmitter } from "events";

export default {
  fetch: () => Response.json({ ...shouts(), same: new EventEmitter() instanceof shouts().Emitter, callable: typeof assert.equal }),
};
