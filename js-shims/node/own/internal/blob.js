'use strict';

const { Blob } = internalBinding('holm').natives.web;
const unavailable = () => {
  const error = new Error('Object URLs are not available in a worker.');
  error.code = 'ERR_METHOD_NOT_IMPLEMENTED';
  throw error;
};

module.exports = { Blob, isBlob: (value) => value instanceof Blob, resolveObjectURL: unavailable };
