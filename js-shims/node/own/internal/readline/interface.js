// The lines of a stream, for `FileHandle.readLines`.
'use strict';

const EventEmitter = require('events');

class Interface extends EventEmitter {
  #input;
  #closed = false;

  constructor({ input }) {
    super();
    this.#input = input;
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#input.destroy?.();
    this.emit('close');
  }

  async *[Symbol.asyncIterator]() {
    let held = '';
    this.#input.setEncoding?.('utf8');
    for await (const chunk of this.#input) {
      held += chunk;
      const lines = held.split(/\r\n|\n|\r(?!$)/);
      held = lines.pop();
      yield* lines;
    }
    if (held !== '') yield held.replace(/\r$/, '');
    this.close();
  }
}

module.exports = { Interface };
