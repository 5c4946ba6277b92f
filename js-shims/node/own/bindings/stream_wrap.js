// What a stream of Node.js and what is below it tell each other besides arguments.
'use strict';

module.exports = {
  WriteWrap: class WriteWrap {},
  ShutdownWrap: class ShutdownWrap {},
  kReadBytesOrError: 0,
  kArrayBufferOffset: 1,
  kBytesWritten: 2,
  kLastWriteWasAsync: 3,
  streamBaseState: new Int32Array(5),
};
