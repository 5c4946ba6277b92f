exports.Emitter = require("events");
exports.joined = require("node:path").join("c", "d");
