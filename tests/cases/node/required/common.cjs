const EventEmitter = require("events");
const { join } = require("node:path");
const util = require("util");

class Loud extends EventEmitter {}

module.exports = () => {
  const loud = new Loud();
  let heard;
  loud.on("x", (value) => (heard = value));
  loud.emit("x", util.format("%s!", "hey"));
  return { heard, path: join("a", "b"), Emitter: EventEmitter };
};
