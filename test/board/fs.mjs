// `require('fs')`: LittleFS on 512 KB of flash. All synchronous; counts what it costs in flash reads of 256 bytes.
import { SystemError } from './globals.mjs';

const ENOENT = -2;
const EBADF = -9;
const EEXIST = -17;
const ENOTDIR = -20;
const EISDIR = -21;
const EINVAL = -22;
const ENOSPC = -28;
const ENOTEMPTY = -39;

const CAPACITY = 512 * 1024;
const STAT_READS = 18;
const OPEN_READS = 9;
const CLOSE_READS = 3;
/** Bytes that one flash read brings, on average over LittleFS's own bookkeeping: 1 KB costs 4 to 7. */
const BYTES_A_READ = 205;

const FLAGS = {
  r: { read: true },
  'r+': { read: true, write: true },
  w: { write: true, create: true, truncate: true },
  wx: { write: true, exclusive: true },
  // These create nothing on Kaluma.
  'w+': { read: true, write: true, truncate: true },
  'wx+': { read: true, write: true, exclusive: true },
  a: { write: true, append: true },
  'a+': { read: true, write: true, append: true },
};

class Stats {
  constructor(type, size) {
    this.type = type;
    this.size = size;
  }

  isDirectory() {
    return this.type === 2;
  }

  isFile() {
    return this.type === 1;
  }
}

/** Absolute, without "." and "..": the latter stop at the root. */
export function resolvePath(path, cwd = '/') {
  const names = [];
  for (const name of (path.startsWith('/') ? path : `${cwd}/${path}`).split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return `/${names.join('/')}`;
}

const parentOf = (path) => resolvePath(`${path}/..`);
const fail = (errno) => {
  throw new SystemError(errno);
};

export class FileSystem {
  /**
   * @param {Record<string, string | Uint8Array>} files
   * @param {Uint8ArrayConstructor} Uint8Array the board's
   */
  constructor(files, Uint8Array) {
    this.Uint8Array = Uint8Array;
    /** Flash reads so far. */
    this.reads = 0;
    /** @type {Map<string, {data: Uint8Array}>} */
    this.files = new Map();
    this.directories = new Set(['/']);
    this.cwd = '/';
    /** @type {({file: {data: Uint8Array}, position: number, flags: any} | null)[]} by fd */
    this.opened = [];
    for (const [path, content] of Object.entries(files)) this.put(path, content);
  }

  /** How many files are open. */
  get openFiles() {
    return this.opened.filter(Boolean).length;
  }

  /** Puts a file there from outside, as `kaluma put` does. A string is stored as UTF-8. */
  put(path, content) {
    const full = resolvePath(path);
    for (let dir = parentOf(full); dir !== '/'; dir = parentOf(dir)) this.directories.add(dir);
    this.files.set(full, { data: typeof content === 'string' ? Uint8Array.from(Buffer.from(content)) : Uint8Array.from(content) });
  }

  used() {
    return [...this.files.values()].reduce((sum, { data }) => sum + data.length, 0);
  }

  path(path) {
    if (typeof path !== 'string') throw new TypeError('"path" argument must be a string');
    return resolvePath(path, this.cwd);
  }

  // ---- the module's functions

  open(path, flags = 'r') {
    const full = this.path(path);
    const how = FLAGS[flags] ?? {};
    this.reads += OPEN_READS;
    if (this.directories.has(full)) fail(EISDIR);
    let file = this.files.get(full);
    if (file && how.exclusive) fail(EEXIST);
    if (!file) file = how.create ? this.create(full) : fail(ENOENT);
    if (how.truncate) file.data = new Uint8Array(0);
    const free = this.opened.indexOf(null);
    const fd = free >= 0 ? free : this.opened.length;
    this.opened[fd] = { file, position: 0, flags: how };
    return fd;
  }

  create(full) {
    if (!this.directories.has(parentOf(full))) fail(ENOENT);
    const file = { data: new Uint8Array(0) };
    this.files.set(full, file);
    return file;
  }

  handle(fd) {
    return this.opened[fd] ?? fail(EBADF);
  }

  buffer(value) {
    if (ArrayBuffer.isView(value)) return value;
    throw new TypeError('"buffer" argument must be a TypedArray');
  }

  read(fd, buffer, offset = 0, length = buffer.byteLength, position = -1) {
    const handle = this.handle(fd);
    // The array's own offset is forgotten: bytes go to the beginning of the memory that it is a view of.
    const memory = new Uint8Array(this.buffer(buffer).buffer);
    if (!handle.flags.read) fail(EBADF);
    if (position > -1) handle.position = position;
    const bytes = handle.file.data.subarray(handle.position, handle.position + length);
    memory.set(bytes, offset);
    handle.position += bytes.length;
    this.reads += Math.ceil(bytes.length / BYTES_A_READ);
    return bytes.length;
  }

  write(fd, buffer, offset = 0, length = buffer.byteLength, position = -1) {
    const handle = this.handle(fd);
    const memory = new Uint8Array(this.buffer(buffer).buffer);
    if (!handle.flags.write) fail(EBADF);
    if (position > -1) handle.position = position;
    const { file } = handle;
    if (handle.flags.append) handle.position = file.data.length;
    const end = handle.position + length;
    if (this.used() + Math.max(0, end - file.data.length) > CAPACITY) fail(ENOSPC);
    const data = new Uint8Array(Math.max(end, file.data.length));
    data.set(file.data);
    data.set(memory.subarray(offset, offset + length), handle.position);
    file.data = data;
    handle.position = end;
    return length;
  }

  close(fd) {
    this.handle(fd);
    this.reads += CLOSE_READS;
    this.opened[fd] = null;
  }

  stat(path) {
    const full = this.path(path);
    this.reads += STAT_READS;
    if (this.directories.has(full)) return new Stats(2, 0);
    const file = this.files.get(full);
    return file ? new Stats(1, file.data.length) : fail(ENOENT);
  }

  exists(path) {
    try {
      this.stat(path);
      return true;
    } catch {
      return false;
    }
  }

  readFile(path) {
    const buffer = new this.Uint8Array(this.stat(path).size);
    const fd = this.open(path, 'r');
    this.read(fd, buffer, 0, buffer.length, 0);
    this.close(fd);
    return buffer;
  }

  writeFile(path, data) {
    const fd = this.open(path, 'w');
    this.write(fd, data, 0, data.length, 0);
    this.close(fd);
  }

  unlink(path) {
    const full = this.path(path);
    if (this.directories.has(full)) return this.rmdir(path);
    if (!this.files.delete(full)) fail(ENOENT);
  }

  rename(from, to) {
    const source = this.path(from);
    const target = this.path(to);
    const file = this.files.get(source) ?? fail(ENOENT);
    if (!this.directories.has(parentOf(target))) fail(ENOENT);
    if (this.directories.has(target)) fail(EISDIR);
    this.files.delete(source);
    this.files.set(target, file);
  }

  mkdir(path) {
    const full = this.path(path);
    if (this.directories.has(full) || this.files.has(full)) fail(EEXIST);
    if (!this.directories.has(parentOf(full))) fail(ENOENT);
    this.directories.add(full);
  }

  rmdir(path) {
    const full = this.path(path);
    if (this.files.has(full)) return this.unlink(path);
    if (!this.directories.has(full)) fail(ENOENT);
    if (full === '/') fail(EINVAL);
    if (this.namesIn(full).length > 0) fail(ENOTEMPTY);
    this.directories.delete(full);
  }

  readdir(path) {
    const full = this.path(path);
    if (this.files.has(full)) fail(ENOTDIR);
    if (!this.directories.has(full)) fail(ENOENT);
    return this.namesIn(full);
  }

  namesIn(directory) {
    return [...this.directories, ...this.files.keys()]
      .filter((path) => path !== '/' && parentOf(path) === directory)
      .map((path) => path.slice(path.lastIndexOf('/') + 1))
      .sort();
  }

  module() {
    const module = { Stats, cwd: () => this.cwd };
    const names = ['open', 'read', 'write', 'close', 'stat', 'exists', 'readFile', 'writeFile', 'unlink', 'rename', 'mkdir', 'rmdir', 'readdir'];
    for (const name of names) module[name] = (...args) => this[name](...args);
    module.chdir = (path) => {
      if (!this.stat(path).isDirectory()) fail(ENOENT);
      this.cwd = this.path(path);
    };
    return module;
  }
}
