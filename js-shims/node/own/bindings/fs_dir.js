// Directories that are open: their entries as they were then.
'use strict';

const { nextTick } = internalBinding('holm').natives.worker;
const fs = internalBinding('fs');

class DirHandle {
  #names;
  #types;
  #at = 0;

  constructor(names, types) {
    this.#names = names;
    this.#types = types;
  }

  /** Up to `count` entries as `[name, type, name, type]`; `null` at the end. */
  read(encoding, count, request) {
    const entries = [];
    for (; entries.length < count * 2 && this.#at < this.#names.length; this.#at++) {
      entries.push(this.#names[this.#at], this.#types[this.#at]);
    }
    const result = entries.length === 0 ? null : entries;
    if (request === undefined) return result;
    nextTick(() => request.oncomplete(null, result));
  }

  close(request) {
    if (request !== undefined) nextTick(() => request.oncomplete(null));
  }
}

function opendirSync(path, encoding = 'utf8') {
  const [names, types] = fs.readdir(path, encoding, true);
  return new DirHandle(names, types);
}

module.exports = {
  opendirSync,
  opendir(path, encoding, request) {
    if (request === undefined) return opendirSync(path, encoding);
    let handle;
    try {
      handle = opendirSync(path, encoding);
    } catch (error) {
      if (error.syscall === 'scandir') error.syscall = 'opendir';
      nextTick(() => request.oncomplete(error));
      return;
    }
    nextTick(() => request.oncomplete(null, handle));
  },
};
