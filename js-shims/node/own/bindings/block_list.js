// What `net.SocketAddress` and `net.BlockList` stand on.
'use strict';

const { canonical, parse, unmapped } = require('internal/holm/addresses');
const { codes: { ERR_INVALID_ADDRESS } } = require('internal/errors');

const AF_INET = 2;
const AF_INET6 = 10;
const BITS = { 4: 32, 6: 128 };

class SocketAddress {
  #address;
  #port;
  #family;
  #flowLabel;
  parsed;

  constructor(address, port, family, flowLabel) {
    this.parsed = parse(address);
    if (this.parsed === undefined || (this.parsed.family === 4) !== (family === AF_INET)) throw new ERR_INVALID_ADDRESS();
    this.#address = canonical(address);
    this.#port = port;
    this.#family = family;
    this.#flowLabel = flowLabel;
  }

  detail(out) {
    return Object.assign(out, { address: this.#address, port: this.#port, family: this.#family, flowlabel: this.#flowLabel });
  }

  flowlabel() {
    return this.#flowLabel;
  }

  get text() {
    return this.#address;
  }
}

const kind = (address) => address.parsed.family === 4 ? 'IPv4' : 'IPv6';

class BlockList {
  /** Each `{ text, first, last, family }`, the newest first. */
  #rules = [];

  #add(text, family, first, last) {
    this.#rules.unshift({ text, family, first, last });
  }

  #remove(text) {
    this.#rules = this.#rules.filter((rule) => rule.text !== text);
  }

  addAddress(address) {
    const { family, value } = address.parsed;
    const text = `Address: ${kind(address)} ${address.text}`;
    if (!this.#rules.some((rule) => rule.text === text)) this.#add(text, family, value, value);
  }

  addAddresses(addresses) {
    for (const address of addresses) this.addAddress(address);
  }

  removeAddress(address) {
    this.#remove(`Address: ${kind(address)} ${address.text}`);
  }

  addRange(start, end) {
    if (start.parsed.value > end.parsed.value || start.parsed.family !== end.parsed.family) return false;
    this.#add(`Range: ${kind(start)} ${start.text}-${end.text}`, start.parsed.family, start.parsed.value, end.parsed.value);
    return undefined;
  }

  removeRange(start, end) {
    this.#remove(`Range: ${kind(start)} ${start.text}-${end.text}`);
  }

  addSubnet(network, prefix) {
    const { family, value } = network.parsed;
    const free = BigInt(BITS[family] - prefix);
    const first = (value >> free) << free;
    this.#add(`Subnet: ${kind(network)} ${network.text}/${prefix}`, family, first, first + (1n << free) - 1n);
  }

  removeSubnet(network, prefix) {
    this.#remove(`Subnet: ${kind(network)} ${network.text}/${prefix}`);
  }

  #blocks(parsed) {
    const plain = unmapped(parsed);
    const within = ({ family, value }) =>
      this.#rules.some((rule) => rule.family === family && rule.first <= value && value <= rule.last);
    return within(parsed) || within(plain);
  }

  check(address) {
    return this.#blocks(address.parsed);
  }

  checkString(text, family) {
    const parsed = parse(text);
    return parsed !== undefined && (parsed.family === 4) === (family === AF_INET) && this.#blocks(parsed);
  }

  getRules() {
    return this.#rules.map(({ text }) => text);
  }

  get size() {
    return this.#rules.length;
  }

  getSize() {
    return this.#rules.length;
  }

  clear() {
    this.#rules = [];
  }
}

module.exports = { AF_INET, AF_INET6, BlockList, SocketAddress };
