'use strict';

const { WritableStream, WritableStreamDefaultController, WritableStreamDefaultWriter } = internalBinding('holm').natives.web;

module.exports = {
  WritableStream, WritableStreamDefaultController, WritableStreamDefaultWriter,
  isWritableStream: (value) => value instanceof WritableStream,
};
