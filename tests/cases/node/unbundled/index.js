import path from "path";
import { EventEmitter } from "node:events";
import common from "./common.cjs";

export default { fetch: () => Response.json([path.join("a", "b"), common.Emitter === EventEmitter, common.joined]) };
