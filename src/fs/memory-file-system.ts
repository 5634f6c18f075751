/*
 * A file system in memory, for `dir: ':memory:'` and for tests. It behaves as Linux does, error
 * codes included, except that space is counted by file size, holes too, and that a write which does
 * not fit writes nothing. Nothing survives the object; syncs only check that what they name is there.
 */
import { errnoOf } from '../errors.ts';
import { wholeNumber } from '../std/option-checks.ts';
import type { FileHandle, FileLock, FileStat, FileSystem, OpenMode } from './file-system.ts';
import { MemoryFile } from './memory-file.ts';
import { MemorySpace } from './memory-space.ts';
import {
  MemoryDirectory,
  checkReplacement,
  findNode,
  findPlace,
  makeDirectories,
  mustFindDirectory,
  mustFindNode,
} from './memory-tree.ts';
import { checkOffset, systemError } from './system-error.ts';

/** Settings of a file system in memory. */
export interface MemoryFileSystemOptions {
  /**
   * Bytes that all files together may have; a write or growth beyond them is ENOSPC.
   *
   * @defaultValue no bound but that of the process
   */
  readonly capacityBytes?: number;
}

/** A file system in the memory of this thread. */
export class MemoryFileSystem implements FileSystem {
  readonly #root = new MemoryDirectory();
  readonly #space: MemorySpace;

  constructor(options: MemoryFileSystemOptions = {}) {
    const { capacityBytes = Number.MAX_SAFE_INTEGER } = options;
    this.#space = new MemorySpace(wholeNumber('capacityBytes', capacityBytes, 0));
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    if (mode === 'create') {
      const node = findNode(this.#root, path, 'open');
      if (node) throw systemError('EEXIST', 'open', path);
      return new MemoryHandle(this.#space, this.#create(path), path, true);
    }
    const node = mustFindNode(this.#root, path, 'open');
    if (node instanceof MemoryDirectory) throw systemError('EISDIR', 'open', path);
    return new MemoryHandle(this.#space, node, path, mode === 'write');
  }

  async list(directory: string): Promise<string[]> {
    return [...mustFindDirectory(this.#root, directory, 'scandir').entries.keys()].sort();
  }

  async makeDirectory(path: string): Promise<void> {
    makeDirectories(this.#root, path);
  }

  async rename(from: string, to: string): Promise<void> {
    const source = findPlace(this.#root, from, 'rename');
    const target = findPlace(this.#root, to, 'rename');
    if (!source.node) throw systemError('ENOENT', 'rename', from);
    if (source.node === target.node) return;
    checkReplacement(source, target, to);
    if (target.node instanceof MemoryFile) this.#dropName(target.node);
    source.directory.entries.delete(source.name);
    target.directory.entries.set(target.name, source.node);
  }

  async link(existing: string, to: string): Promise<void> {
    const node = mustFindNode(this.#root, existing, 'link');
    const target = findPlace(this.#root, to, 'link');
    if (target.node) throw systemError('EEXIST', 'link', to);
    if (node instanceof MemoryDirectory) throw systemError('EPERM', 'link', existing);
    target.directory.entries.set(target.name, node);
    node.names++;
  }

  async unlink(path: string): Promise<void> {
    const node = mustFindNode(this.#root, path, 'unlink');
    if (node instanceof MemoryDirectory) throw systemError('EISDIR', 'unlink', path);
    const place = findPlace(this.#root, path, 'unlink');
    place.directory.entries.delete(place.name);
    this.#dropName(node);
  }

  async stat(path: string): Promise<FileStat | undefined> {
    let node;
    try {
      node = findNode(this.#root, path, 'stat');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
    if (!node) return undefined;
    return node instanceof MemoryFile
      ? { kind: 'file', bytes: node.bytes }
      : { kind: 'directory', bytes: 0 };
  }

  async syncDirectory(path: string): Promise<void> {
    mustFindDirectory(this.#root, path, 'open');
  }

  freeBytes(path: string): number {
    mustFindNode(this.#root, path, 'statfs');
    return this.#space.freeBytes;
  }

  async lock(path: string): Promise<FileLock | undefined> {
    const node = findNode(this.#root, path, 'open') ?? this.#create(path);
    if (node instanceof MemoryDirectory) throw systemError('EISDIR', 'open', path);
    if (node.locked) return undefined;
    node.locked = true;
    node.handles++;
    let released = false;
    return {
      release: async () => {
        if (released) return;
        released = true;
        node.locked = false;
        node.handles--;
        this.#space.drop(node);
      },
    };
  }

  #create(path: string): MemoryFile {
    const place = findPlace(this.#root, path, 'open');
    const file = new MemoryFile();
    file.names = 1;
    place.directory.entries.set(place.name, file);
    return file;
  }

  #dropName(file: MemoryFile): void {
    file.names--;
    this.#space.drop(file);
  }
}

class MemoryHandle implements FileHandle {
  readonly #space: MemorySpace;
  readonly #file: MemoryFile;
  readonly #path: string;
  readonly #writable: boolean;
  #closed = false;

  constructor(space: MemorySpace, file: MemoryFile, path: string, writable: boolean) {
    this.#space = space;
    this.#file = file;
    this.#path = path;
    this.#writable = writable;
    file.handles++;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const file = this.#open('read');
    checkOffset(position, 'read', this.#path);
    return file.read(target, position);
  }

  readNow(target: Uint8Array, position: number): number {
    const file = this.#open('read');
    checkOffset(position, 'read', this.#path);
    return file.read(target, position);
  }

  async write(source: Uint8Array | readonly Uint8Array[], position: number): Promise<void> {
    const file = this.#open('write');
    if (!this.#writable) throw systemError('EBADF', 'write', this.#path);
    checkOffset(position, 'write', this.#path);
    const sources = ArrayBuffer.isView(source) ? [source] : source;
    const bytes = sources.reduce((sum, one) => sum + one.byteLength, 0);
    if (bytes === 0) return;
    this.#space.resize(file, Math.max(file.bytes, position + bytes), this.#path);
    let to = position;
    for (const one of sources) {
      file.write(one, to);
      to += one.byteLength;
    }
  }

  writeThrough(source: Uint8Array | readonly Uint8Array[], position: number): Promise<void> {
    return this.write(source, position);
  }

  async sync(): Promise<void> {
    this.#open('fdatasync');
  }

  async size(): Promise<number> {
    return this.#open('fstat').bytes;
  }

  async truncate(bytes: number): Promise<void> {
    const file = this.#open('ftruncate');
    if (!this.#writable) throw systemError('EINVAL', 'ftruncate', this.#path);
    checkOffset(bytes, 'ftruncate', this.#path);
    this.#space.resize(file, bytes, this.#path);
    file.resize(bytes);
  }

  async close(): Promise<void> {
    const file = this.#open('close');
    this.#closed = true;
    file.handles--;
    this.#space.drop(file);
  }

  #open(syscall: string): MemoryFile {
    if (this.#closed) throw systemError('EBADF', syscall, this.#path);
    return this.#file;
  }
}
