'use strict';

module.exports = { subscribers: new Uint32Array(1), linkNativeChannel() {} };
