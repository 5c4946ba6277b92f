// Addresses as numbers.
'use strict';

const { isIPv4, isIPv6 } = require('internal/net');

const v4 = (text) => text.split('.').reduce((value, part) => value * 256n + BigInt(part), 0n);

/** `{ family: 4 | 6, value }`, `undefined` for what is no address. */
exports.parse = (text) => {
  if (isIPv4(text)) return { family: 4, value: v4(text) };
  if (!isIPv6(text)) return undefined;
  let address = text.replace(/%.*$/, '');
  const dotted = /(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  if (dotted !== null) {
    const value = v4(dotted[1]);
    address = `${address.slice(0, dotted.index)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  }
  const [head, tail] = address.split('::');
  const groups = (part) => part === undefined || part === '' ? [] : part.split(':');
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array(8 - before.length - after.length).fill('0');
  const all = [...before, ...zeros, ...after];
  return { family: 6, value: all.reduce((value, group) => value * 65536n + BigInt(`0x${group}`), 0n) };
};

/** An IPv4 address within IPv6 is that address. */
exports.unmapped = ({ family, value }) =>
  family === 6 && value >> 32n === 0xffffn ? { family: 4, value: value & 0xffffffffn } : { family, value };

/** As texts are written that mean the same. */
exports.canonical = (text) => {
  if (isIPv4(text)) return text;
  if (!isIPv6(text)) return undefined;
  const zone = /%.*$/.exec(text)?.[0] ?? '';
  const address = new URL(`http://[${text.slice(0, text.length - zone.length)}]`).hostname.slice(1, -1);
  const mapped = exports.unmapped(exports.parse(text));
  if (mapped.family === 6) return `${address}${zone}`;
  return `::ffff:${[24n, 16n, 8n, 0n].map((shift) => (mapped.value >> shift) & 0xffn).join('.')}`;
};
