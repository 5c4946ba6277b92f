// Node.js's `fs` binding over files in memory: `/bundle` is the worker's own modules and read-only, `/tmp` belongs to one
// invocation and is gone with it, `/dev` has null, zero, full and random. What a file holds is memory of the isolate.
'use strict';

const { web, worker } = internalBinding('holm').natives;
const { UVException } = require('internal/errors');
const { Buffer } = require('buffer');
const uv = internalBinding('uv');
const { fs: constants } = internalBinding('constants');
const {
  COPYFILE_EXCL, O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDWR, O_TRUNC, O_WRONLY, S_IFCHR, S_IFDIR, S_IFLNK,
  S_IFMT, S_IFREG, UV_DIRENT_CHAR, UV_DIRENT_DIR, UV_DIRENT_FILE, UV_DIRENT_LINK, W_OK, X_OK,
} = constants;

const LINKS = 40;
const kUsePromises = Symbol('fs_use_promises_symbol');
const kFsStatsFieldsNumber = 18;

let lastInode = 0;
const now = () => web.performance.timeOrigin + web.performance.now();

class Node {
  constructor(kind, mode, writable) {
    this.kind = kind;
    this.mode = kind | mode;
    this.writable = writable;
    this.inode = ++lastInode;
    this.links = 1;
    this.born = this.changed = this.modified = this.accessed = now();
  }

  touch() {
    this.modified = this.changed = now();
  }
}

class Directory extends Node {
  constructor(writable) {
    super(S_IFDIR, writable ? 0o755 : 0o555, writable);
    this.entries = new Map();
  }

  get size() {
    return 0;
  }
}

class File extends Node {
  #bytes;
  #load;

  constructor(writable, mode, load) {
    super(S_IFREG, mode, writable);
    this.#load = load;
    this.#bytes = load === undefined ? new Uint8Array(0) : undefined;
    this.length = 0;
  }

  get bytes() {
    if (this.#bytes === undefined) {
      this.#bytes = this.#load() ?? new Uint8Array(0);
      this.length = this.#bytes.length;
    }
    return this.#bytes;
  }

  get size() {
    void this.bytes;
    return this.length;
  }

  read(target, at) {
    const { bytes } = this;
    const count = Math.max(0, Math.min(target.length, this.length - at));
    target.set(bytes.subarray(at, at + count));
    this.accessed = now();
    return count;
  }

  write(source, at) {
    this.resize(Math.max(this.size, at + source.length));
    this.#bytes.set(source, at);
    this.touch();
    return source.length;
  }

  resize(length) {
    const { bytes } = this;
    if (length > bytes.length) {
      const larger = new Uint8Array(Math.max(length, Math.min(bytes.length * 2, bytes.length + (1 << 20))));
      larger.set(bytes.subarray(0, this.length));
      this.#bytes = larger;
    } else if (length < this.length) {
      bytes.fill(0, length, this.length);
    }
    this.length = length;
    this.touch();
  }
}

class Link extends Node {
  constructor(target) {
    super(S_IFLNK, 0o777, true);
    this.target = target;
  }

  get size() {
    return Buffer.byteLength(this.target);
  }
}

class Device extends Node {
  constructor(name) {
    super(S_IFCHR, 0o666, true);
    this.name = name;
  }

  get size() {
    return 0;
  }

  read(target) {
    if (this.name === 'null') return 0;
    if (this.name === 'random' || this.name === 'urandom') {
      for (let at = 0; at < target.length; at += 65536) web.crypto.getRandomValues(target.subarray(at, at + 65536));
    } else {
      target.fill(0);
    }
    return target.length;
  }

  write(source) {
    if (this.name === 'full') throw problem('ENOSPC', 'write');
    return source.length;
  }

  resize() {}
}

// === The tree ===

const root = new Directory(false);
const bundle = new Directory(false);
const devices = new Directory(false);
root.entries.set('bundle', bundle);
root.entries.set('dev', devices);
root.entries.set('tmp', undefined);
for (const name of ['full', 'null', 'random', 'urandom', 'zero']) devices.entries.set(name, new Device(name));
for (const name of worker.bundleNames()) {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.' && part !== '..');
  const last = parts.pop();
  if (last === undefined) continue;
  let directory = bundle;
  for (const part of parts) {
    let next = directory.entries.get(part);
    if (!(next instanceof Directory)) directory.entries.set(part, next = new Directory(false));
    directory = next;
  }
  directory.entries.set(last, new File(false, 0o444, () => worker.bundleRead(name)));
}

/** `/tmp` of each invocation, and its open files. */
const temporary = new Map();
const open = new Map();
let lastFd = 2;

function temporaryOf(owner) {
  let directory = temporary.get(owner);
  if (directory === undefined) {
    temporary.set(owner, directory = new Directory(true));
    worker.watchEnd();
  }
  return directory;
}

worker.onEnded((owner) => {
  temporary.delete(owner);
  for (const [fd, file] of open) if (file.owner === owner) open.delete(fd);
});

const child = (directory, name) =>
  directory === root && name === 'tmp' ? temporaryOf(worker.owner()) : directory.entries.get(name);

function problem(code, syscall, path, dest) {
  return new UVException({ errno: uv[`UV_${code}`], syscall, path, dest });
}

const text = (path) => typeof path === 'string' ? path : Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString();

/**
 * Where a path leads: `{ parent, name, node }`, without `node` where there is nothing. `follow` says whether a link at its end
 * is followed.
 */
function walk(path, syscall, follow = true) {
  const given = text(path);
  let rest = split(given);
  const parents = [root];
  let name = '';
  let links = 0;
  while (rest.length > 0) {
    const directory = parents[parents.length - 1];
    name = rest.shift();
    if (name === '..') {
      if (parents.length > 1) parents.pop();
      continue;
    }
    const node = child(directory, name);
    if (node instanceof Link && (follow || rest.length > 0)) {
      if (++links > LINKS) throw problem('ELOOP', syscall, given);
      rest = [...split(node.target, node.target.startsWith('/')), ...rest];
      if (node.target.startsWith('/')) parents.length = 1;
      continue;
    }
    if (rest.length === 0) return { parent: directory, name, node };
    if (node === undefined) throw problem('ENOENT', syscall, given);
    if (!(node instanceof Directory)) throw problem('ENOTDIR', syscall, given);
    parents.push(node);
  }
  const node = parents[parents.length - 1];
  return { parent: parents[parents.length - 2] ?? root, name, node };
}

function split(path, absolute = true) {
  if (absolute && !path.startsWith('/')) path = `${process.cwd()}/${path}`;
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function existing(path, syscall, follow = true) {
  const found = walk(path, syscall, follow);
  if (found.node === undefined) throw problem('ENOENT', syscall, text(path));
  return found;
}

function writableParent({ parent }, path, syscall, dest) {
  if (!parent.writable) throw problem('EROFS', syscall, text(path), dest === undefined ? undefined : text(dest));
}

// === Open files ===

function fileOf(fd, syscall) {
  const file = open.get(fd);
  if (file === undefined || file.owner !== worker.owner()) throw problem('EBADF', syscall);
  return file;
}

function openNode(path, flags, mode) {
  const writes = (flags & (O_WRONLY | O_RDWR)) !== 0;
  const found = walk(path, 'open', !(flags & O_NOFOLLOW));
  let { node } = found;
  if (node !== undefined && (flags & O_CREAT) && (flags & O_EXCL)) throw problem('EEXIST', 'open', text(path));
  if (node === undefined) {
    if (!(flags & O_CREAT)) throw problem('ENOENT', 'open', text(path));
    writableParent(found, path, 'open');
    node = new File(true, mode & 0o777 & ~0o022);
    found.parent.entries.set(found.name, node);
    found.parent.touch();
  }
  if (node instanceof Link) throw problem('ELOOP', 'open', text(path));
  if (node instanceof Directory && (writes || (flags & O_CREAT))) throw problem('EISDIR', 'open', text(path));
  if (!(node instanceof Directory) && (flags & O_DIRECTORY)) throw problem('ENOTDIR', 'open', text(path));
  if (writes && !node.writable) throw problem('EROFS', 'open', text(path));
  if (writes && (flags & O_TRUNC) && node instanceof File) node.resize(0);
  const fd = ++lastFd;
  worker.watchEnd();
  open.set(fd, { owner: worker.owner(), node, flags, position: 0, path: text(path) });
  return fd;
}

const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** A position that is none means: where the last one ended. */
const isPlace = (position) => typeof position === 'bigint' ? position >= 0n : typeof position === 'number' && position >= 0;

function readAt(fd, target, position) {
  const file = fileOf(fd, 'read');
  if (file.node instanceof Directory) throw problem('EISDIR', 'read');
  if ((file.flags & (O_WRONLY | O_RDWR)) === O_WRONLY) throw problem('EBADF', 'read');
  if (isPlace(position)) return file.node.read(target, Number(position));
  const count = file.node.read(target, file.position);
  file.position += count;
  return count;
}

function writeAt(fd, source, position) {
  const file = fileOf(fd, 'write');
  if ((file.flags & (O_WRONLY | O_RDWR)) === 0) throw problem('EBADF', 'write');
  if (file.flags & O_APPEND) {
    file.node.write(source, file.node.size);
    file.position = file.node.size;
    return source.length;
  }
  if (isPlace(position)) return file.node.write(source, Number(position));
  file.node.write(source, file.position);
  file.position += source.length;
  return source.length;
}

function stats(node, big) {
  const fields = big ? new BigInt64Array(kFsStatsFieldsNumber) : new Float64Array(kFsStatsFieldsNumber);
  const values = [1, node.mode, node.links, 0, 0, 0, 4096, node.inode, node.size, Math.ceil(node.size / 512)];
  for (const time of [node.accessed, node.modified, node.changed, node.born]) {
    values.push(Math.floor(time / 1000), Math.floor((time % 1000) * 1e6));
  }
  for (let i = 0; i < values.length; i++) fields[i] = big ? BigInt(values[i]) : values[i];
  return fields;
}

const typeOf = (node) =>
  node instanceof Directory ? UV_DIRENT_DIR : node instanceof Link ? UV_DIRENT_LINK : node instanceof Device ? UV_DIRENT_CHAR : UV_DIRENT_FILE;

const named = (name, encoding) =>
  encoding === 'buffer' ? Buffer.from(name) : encoding === undefined || encoding === 'utf8' ? name : Buffer.from(name).toString(encoding);

function setTimes(node, accessed, modified) {
  node.accessed = accessed * 1000;
  node.modified = modified * 1000;
  node.changed = now();
}

function remove(path, syscall, allowed) {
  const found = existing(path, syscall, false);
  allowed(found.node);
  writableParent(found, path, syscall);
  found.parent.entries.delete(found.name);
  found.parent.touch();
}

// === Operations: the number of their arguments, then what they do ===

const OPERATIONS = {
  __proto__: null,
  access: [2, (path, mode) => {
    const { node } = existing(path, 'access');
    if ((mode & W_OK) && !node.writable) throw problem('EROFS', 'access', text(path));
    if ((mode & X_OK) && !(node instanceof Directory) && !(node.mode & 0o111)) throw problem('EACCES', 'access', text(path));
  }],
  open: [3, openNode],
  openFileHandle: [3, (path, flags, mode) => new FileHandle(openNode(path, flags, mode))],
  close: [1, (fd) => {
    fileOf(fd, 'close');
    open.delete(fd);
  }],
  read: [5, (fd, buffer, offset, length, position) => readAt(fd, bytesOf(buffer).subarray(offset, offset + length), position)],
  readBuffers: [3, (fd, buffers, position) => {
    let total = 0;
    for (const buffer of buffers) {
      const target = bytesOf(buffer);
      const count = readAt(fd, target, isPlace(position) ? Number(position) + total : position);
      total += count;
      if (count < target.length) break;
    }
    return total;
  }],
  writeBuffer: [5, (fd, buffer, offset, length, position) => writeAt(fd, bytesOf(buffer).subarray(offset ?? 0, (offset ?? 0) + (length ?? buffer.byteLength)), position)],
  writeBuffers: [3, (fd, buffers, position) => {
    let total = 0;
    for (const buffer of buffers) total += writeAt(fd, bytesOf(buffer), isPlace(position) ? Number(position) + total : position);
    return total;
  }],
  writeString: [4, (fd, string, position, encoding) => writeAt(fd, Buffer.from(string, encoding), position)],
  stat: [2, (path, big) => stats(existing(path, 'stat').node, big)],
  lstat: [2, (path, big) => stats(existing(path, 'lstat', false).node, big)],
  fstat: [2, (fd, big) => stats(fileOf(fd, 'fstat').node, big)],
  statfs: [2, (path, big) => {
    existing(path, 'statfs');
    return big ? new BigInt64Array(7) : new Float64Array(7);
  }],
  mkdir: [3, (path, mode, recursive) => {
    if (!recursive) {
      const found = walk(path, 'mkdir');
      if (found.node !== undefined) throw problem('EEXIST', 'mkdir', text(path));
      writableParent(found, path, 'mkdir');
      found.parent.entries.set(found.name, new Directory(true));
      found.parent.touch();
      return undefined;
    }
    let first;
    let at = '';
    for (const part of split(text(path))) {
      at += `/${part}`;
      const found = walk(at, 'mkdir');
      if (found.node === undefined) {
        writableParent(found, path, 'mkdir');
        found.parent.entries.set(found.name, new Directory(true));
        first ??= at;
      } else if (!(found.node instanceof Directory)) {
        throw problem(at === text(path) ? 'EEXIST' : 'ENOTDIR', 'mkdir', text(path));
      }
    }
    return first;
  }],
  mkdtemp: [2, (prefix, encoding) => {
    const bytes = web.crypto.getRandomValues(new Uint8Array(6));
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
    const path = text(prefix) + Array.from(bytes, (byte) => letters[byte % letters.length]).join('');
    const found = walk(path, 'mkdtemp');
    writableParent(found, path, 'mkdtemp');
    found.parent.entries.set(found.name, new Directory(true));
    return named(path, encoding);
  }],
  readdir: [3, (path, encoding, withTypes) => {
    const { node } = existing(path, 'scandir');
    if (!(node instanceof Directory)) throw problem('ENOTDIR', 'scandir', text(path));
    const names = [...node.entries.keys()].sort();
    const result = names.map((name) => named(name, encoding));
    return withTypes ? [result, names.map((name) => typeOf(child(node, name)))] : result;
  }],
  rmdir: [1, (path) =>
    remove(path, 'rmdir', (node) => {
      if (!(node instanceof Directory)) throw problem('ENOTDIR', 'rmdir', text(path));
      if (node.entries.size > 0) throw problem('ENOTEMPTY', 'rmdir', text(path));
    })],
  unlink: [1, (path) =>
    remove(path, 'unlink', (node) => {
      if (node instanceof Directory) throw problem('EISDIR', 'unlink', text(path));
      node.links--;
    })],
  rmSync: [4, (path, retries, recursive) => {
    void retries;
    const { node } = walk(path, 'rm', false);
    if (node === undefined) return;
    if (node instanceof Directory && !recursive) throw problem('EISDIR', 'rm', text(path));
    remove(path, 'rm', () => {});
  }],
  rename: [2, (from, to) => {
    const source = existing(from, 'rename', false);
    const target = walk(to, 'rename', false);
    writableParent(source, from, 'rename', to);
    writableParent(target, from, 'rename', to);
    if (target.node === source.node) return;
    const fail = (code) => problem(code, 'rename', text(from), text(to));
    if (target.node instanceof Directory) {
      if (!(source.node instanceof Directory)) throw fail('EISDIR');
      if (target.node.entries.size > 0) throw fail('ENOTEMPTY');
    } else if (target.node !== undefined && source.node instanceof Directory) {
      throw fail('ENOTDIR');
    }
    for (let up = target.parent; source.node instanceof Directory && up !== undefined; up = parentOf(up)) {
      if (up === source.node) throw fail('EINVAL');
    }
    source.parent.entries.delete(source.name);
    target.parent.entries.set(target.name, source.node);
    source.parent.touch();
    target.parent.touch();
  }],
  copyFile: [3, (from, to, mode) => {
    const { node } = existing(from, 'copyfile');
    const target = walk(to, 'copyfile');
    const fail = (code) => problem(code, 'copyfile', text(from), text(to));
    if (!(node instanceof File)) throw fail('EISDIR');
    if (target.node !== undefined && (mode & COPYFILE_EXCL)) throw fail('EEXIST');
    if (target.node instanceof Directory) throw fail('EISDIR');
    writableParent(target, from, 'copyfile', to);
    const copy = new File(true, node.mode & 0o777 | 0o200);
    copy.write(node.bytes.subarray(0, node.size), 0);
    target.parent.entries.set(target.name, copy);
  }],
  link: [2, (from, to) => {
    const { node } = existing(from, 'link');
    const target = walk(to, 'link', false);
    if (target.node !== undefined) throw problem('EEXIST', 'link', text(from), text(to));
    if (node instanceof Directory) throw problem('EPERM', 'link', text(from), text(to));
    writableParent(target, from, 'link', to);
    node.links++;
    target.parent.entries.set(target.name, node);
  }],
  symlink: [3, (target, path) => {
    const found = walk(path, 'symlink', false);
    if (found.node !== undefined) throw problem('EEXIST', 'symlink', text(target), text(path));
    writableParent(found, target, 'symlink', path);
    found.parent.entries.set(found.name, new Link(text(target)));
  }],
  readlink: [2, (path, encoding) => {
    const { node } = existing(path, 'readlink', false);
    if (!(node instanceof Link)) throw problem('EINVAL', 'readlink', text(path));
    return named(node.target, encoding);
  }],
  realpath: [2, (path, encoding) => named(realPath(path), encoding)],
  truncate: [2, (path, length) => existing(path, 'truncate').node.resize(length)],
  ftruncate: [2, (fd, length) => fileOf(fd, 'ftruncate').node.resize(length ?? 0)],
  fsync: [1, (fd) => void fileOf(fd, 'fsync')],
  fdatasync: [1, (fd) => void fileOf(fd, 'fdatasync')],
  chmod: [2, (path, mode) => changeMode(existing(path, 'chmod'), path, mode, 'chmod')],
  fchmod: [2, (fd, mode) => changeMode(fileOf(fd, 'fchmod'), '', mode, 'fchmod')],
  chown: [3, (path) => void existing(path, 'chown')],
  lchown: [3, (path) => void existing(path, 'lchown', false)],
  fchown: [3, (fd) => void fileOf(fd, 'fchown')],
  utimes: [3, (path, accessed, modified) => setTimes(existing(path, 'utime').node, accessed, modified)],
  lutimes: [3, (path, accessed, modified) => setTimes(existing(path, 'lutime', false).node, accessed, modified)],
  futimes: [3, (fd, accessed, modified) => setTimes(fileOf(fd, 'futime').node, accessed, modified)],
};

function changeMode({ node }, path, mode, syscall) {
  if (!node.writable) throw problem('EROFS', syscall, text(path) || undefined);
  node.mode = node.mode & S_IFMT | mode & 0o7777;
  node.changed = now();
}

function parentOf(directory) {
  const search = (from) => {
    for (const name of from.entries.keys()) {
      const node = child(from, name);
      if (node === directory) return from;
      if (node instanceof Directory) {
        const found = search(node);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  };
  return directory === root ? undefined : search(temporaryOf(worker.owner()));
}

function realPath(path) {
  existing(path, 'realpath');
  let rest = split(text(path));
  const real = [];
  while (rest.length > 0) {
    const name = rest.shift();
    if (name === '..') {
      real.pop();
      continue;
    }
    const { node } = walk(`/${[...real, name].join('/')}`, 'realpath', false);
    if (node instanceof Link) {
      if (node.target.startsWith('/')) real.length = 0;
      rest = [...split(node.target, node.target.startsWith('/')), ...rest];
    } else {
      real.push(name);
    }
  }
  return `/${real.join('/')}`;
}

// === What Node.js's module calls ===

class FSReqCallback {
  constructor(bigint = false) {
    this.bigint = bigint;
  }
}

class FileHandle {
  constructor(fd) {
    this.fd = fd;
  }

  async close() {
    const { fd } = this;
    this.fd = -1;
    binding.close(fd);
  }

  releaseFD() {
    const { fd } = this;
    this.fd = -1;
    return fd;
  }

  getAsyncId() {
    return 0;
  }

  onread() {}
}

/** By the argument behind its own an operation answers at once, to a request later, or with a promise. */
function callable(count, run) {
  return (...args) => {
    const request = args[count];
    const own = args.slice(0, count);
    if (request === kUsePromises) {
      try {
        return Promise.resolve(run(...own));
      } catch (error) {
        return Promise.reject(error);
      }
    }
    if (request instanceof FSReqCallback) {
      let error = null;
      let result;
      try {
        result = run(...own);
      } catch (thrown) {
        error = thrown;
      }
      worker.nextTick(() => {
        if (error !== null) request.oncomplete(error);
        else if (result === undefined) request.oncomplete(null);
        else request.oncomplete(null, result);
      });
      return undefined;
    }
    const context = args[count + 1];
    if (typeof context !== 'object' || context === null) return run(...own);
    try {
      return run(...own);
    } catch (error) {
      context.errno = error.errno;
      context.code = error.code;
      context.error = error;
      return undefined;
    }
  };
}

const binding = { __proto__: null };
for (const name of Object.keys(OPERATIONS)) binding[name] = callable(...OPERATIONS[name]);

// `throwIfNoEntry` is an argument of these two only.
for (const name of ['stat', 'lstat']) {
  const plain = binding[name];
  binding[name] = (path, big, request, throwIfNoEntry) => {
    if (request !== undefined || throwIfNoEntry !== false) return plain(path, big, request);
    try {
      return plain(path, big);
    } catch (error) {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
      throw error;
    }
  };
}

module.exports = Object.assign(binding, {
  FSReqCallback,
  FileHandle,
  kUsePromises,
  kFsStatsFieldsNumber,
  statValues: new Float64Array(36),
  bigintStatValues: new BigInt64Array(36),
  existsSync(path) {
    try {
      return walk(path, 'access').node !== undefined;
    } catch {
      return false;
    }
  },
  readFileUtf8(path, flags) {
    const own = typeof path !== 'number';
    const fd = own ? openNode(path, flags, 0o666) : path;
    try {
      const file = fileOf(fd, 'read');
      if (file.node instanceof Directory) throw problem('EISDIR', 'read');
      if (!(file.node instanceof File)) return '';
      const { node } = file;
      const from = own ? 0 : file.position;
      const found = Buffer.from(node.bytes.buffer, node.bytes.byteOffset, node.size).toString('utf8', from);
      file.position = node.size;
      return found;
    } finally {
      if (own) open.delete(fd);
    }
  },
  writeFileUtf8(path, data, flags, mode) {
    const own = typeof path !== 'number';
    const fd = own ? openNode(path, flags, mode) : path;
    try {
      writeAt(fd, Buffer.from(data), null);
    } finally {
      if (own) open.delete(fd);
    }
  },
  internalModuleStat(...args) {
    try {
      return walk(args[args.length - 1], 'stat').node instanceof Directory ? 1 : 0;
    } catch {
      return -2;
    }
  },
  legacyMainResolve() {},
  getFormatOfExtensionlessFile: () => 0,
});
