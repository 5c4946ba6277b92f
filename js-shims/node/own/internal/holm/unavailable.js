// What a worker cannot do.
'use strict';

exports.unavailable = (module, what, why) => {
  const error = new Error(`${module}: ${what} is not available in a worker: ${why}.`);
  error.code = 'ERR_METHOD_NOT_IMPLEMENTED';
  return error;
};
