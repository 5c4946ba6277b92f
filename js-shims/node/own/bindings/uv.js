'use strict';

const errors = require('internal/holm/system_errors');
const map = new Map(errors);

const binding = {
  errname: (code) => map.get(code)?.[0] ?? `Unknown system error ${code}`,
  getErrorMap: () => map,
  getErrorMessage: (code) => map.get(code)?.[1] ?? `Unknown system error ${code}`,
  nameOf: (code) => map.get(code)?.[0],
  messageOf: (code) => map.get(code)?.[1],
};
for (const [code, [name]] of errors) binding[`UV_${name}`] = code;

module.exports = binding;
