/*
 * A store whose objects are files below a root directory; `/` in a name makes subdirectories.
 *
 * Durability: put is staged file, sync, rename, directory sync; putIfAbsent links instead of
 * renaming, which fails when the name exists. Staged files are never listed: their directory has a
 * name that no object can have. What a process left unsynced when it died is synced before it is
 * listed, so nobody builds on a name that a power loss can still take away.
 */
import { dirname, join, resolve } from 'node:path';

import {
  ClosedError,
  InvalidArgumentError,
  StorageError,
  errnoOf,
  toStorageError,
} from '../errors.ts';
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import { systemRandom, type Random } from '../std/random.ts';
import { FileStaging, wrapped } from './file-staging.ts';
import { checkBytes, checkRange, cutRange } from './object-data.ts';
import { checkObjectName, checkObjectPrefix, isObjectName } from './object-name.ts';
import type { ByteRange, LocalObjects, ObjectInfo, ObjectStore } from './object-store.ts';

/** Directory of staged files; `~` cannot be part of an object's name. */
const stagingName = '~staging';

/**
 * A store of objects as files below a root directory. It survives what the volume survives.
 *
 * Names that differ only in case are one object where the file system ignores case; a name that is
 * also a directory of another name (`a` and `a/b`) is refused with INVALID_NAME.
 */
export class FileObjectStore implements ObjectStore {
  readonly kind = 'file';
  readonly location: string;
  readonly local: LocalObjects;
  readonly #fs: FileSystem;
  readonly #root: string;
  readonly #staging: FileStaging;
  /** Directories that were made durable by this instance. */
  readonly #madeDirectories = new Set<string>();
  /** Directories whose names, as this instance found them, were made durable. */
  readonly #settledDirectories = new Set<string>();
  #closed = false;

  /** `root` is an absolute path; it is made by `open` if absent. */
  constructor(fileSystem: FileSystem, root: string, random: Random = systemRandom) {
    this.#fs = fileSystem;
    this.#root = resolve(root);
    this.location = this.#root;
    this.#staging = new FileStaging(fileSystem, join(this.#root, stagingName), random);
    this.local = {
      path: (name) => this.#pathOf(name),
      stagingPath: (label) => this.#staging.path(label),
      publish: (stagedPath, name) => this.#publish(stagedPath, name),
      removeStaged: () => this.#staging.removeLeftovers(),
    };
  }

  async open(): Promise<void> {
    this.#checkOpen();
    await wrapped('make directory', this.#root, this.#fs.makeDirectory(this.#root));
    const names = await wrapped('list', this.#root, this.#fs.list(this.#root));
    // An earlier opening may have died between making the root and syncing its parent.
    if (names.length === 0) await this.#syncDirectory(dirname(this.#root));
    await this.#staging.open();
  }

  async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    this.#checkOpen();
    const path = this.#pathOf(name);
    checkRange(range);
    let handle: FileHandle;
    try {
      handle = await this.#fs.open(path, 'read');
    } catch (error) {
      if (meansNoObject(error)) return undefined;
      throw toStorageError(error, 'open', path);
    }
    try {
      return await readRange(handle, path, range);
    } finally {
      await wrapped('close', path, handle.close());
    }
  }

  async put(name: string, data: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    this.#checkOpen();
    checkObjectName(name);
    const staged = await this.#staging.write(data);
    try {
      await this.#publish(staged, name);
    } catch (error) {
      await this.#staging.discard(staged);
      throw error;
    }
  }

  async putIfAbsent(name: string, data: Uint8Array): Promise<boolean> {
    this.#checkOpen();
    const path = this.#pathOf(name);
    checkBytes(data, 'data');
    const staged = await this.#staging.write(data);
    try {
      await this.#makeDirectoryOf(name);
      const linked = await this.#linkIfAbsent(staged, path, name);
      // Also when somebody else was first: what this call says is there has to stay there.
      await this.#syncDirectory(dirname(path));
      return linked;
    } finally {
      await this.#staging.discard(staged);
    }
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    this.#checkOpen();
    checkObjectPrefix(prefix);
    const objects: ObjectInfo[] = [];
    await this.#collect(prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, objects);
    return objects.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async delete(name: string): Promise<void> {
    this.#checkOpen();
    const path = this.#pathOf(name);
    try {
      await this.#fs.unlink(path);
    } catch (error) {
      if (!meansNoObject(error) && !(await this.#isDirectory(path))) {
        throw toStorageError(error, 'unlink', path);
      }
    }
    // Also when there was nothing: an earlier removal may not have been synced.
    try {
      await this.#fs.syncDirectory(dirname(path));
    } catch (error) {
      if (!meansNoObject(error)) throw toStorageError(error, 'sync directory', dirname(path));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError('CLOSED', 'the object store has been closed');
  }

  #pathOf(name: string): string {
    checkObjectName(name);
    return join(this.#root, name);
  }

  async #publish(stagedPath: string, name: string): Promise<void> {
    this.#checkOpen();
    const path = this.#pathOf(name);
    await this.#makeDirectoryOf(name);
    try {
      await this.#fs.rename(stagedPath, path);
    } catch (error) {
      if (await this.#isDirectory(path)) throw nameOfDirectory(name, error);
      throw toStorageError(error, 'rename', path);
    }
    await this.#syncDirectory(dirname(path));
  }

  async #linkIfAbsent(staged: string, path: string, name: string): Promise<boolean> {
    try {
      await this.#fs.link(staged, path);
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw toStorageError(error, 'link', path);
      if (await this.#isDirectory(path)) throw nameOfDirectory(name, error);
      return false;
    }
  }

  /** Makes the directory of the object's file, and makes it durable even if it was there. */
  async #makeDirectoryOf(name: string): Promise<void> {
    const directory = dirname(join(this.#root, name));
    if (this.#madeDirectories.has(directory)) return;
    try {
      await this.#fs.makeDirectory(directory);
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'EEXIST' || code === 'ENOTDIR') throw nameOfDirectory(name, error);
      throw toStorageError(error, 'make directory', directory);
    }
    for (let at = directory; at !== this.#root; at = dirname(at)) {
      await this.#syncDirectory(dirname(at));
    }
    this.#madeDirectories.add(directory);
  }

  /** Adds the objects of a directory and of those below it; `parent` is `''` or ends with `/`. */
  async #collect(parent: string, prefix: string, objects: ObjectInfo[]): Promise<void> {
    const directory = resolve(this.#root, parent);
    let names: string[];
    try {
      names = await this.#fs.list(directory);
    } catch (error) {
      if (meansNoObject(error)) return;
      throw toStorageError(error, 'list', directory);
    }
    if (!this.#settledDirectories.has(directory)) {
      await this.#syncDirectory(directory);
      this.#settledDirectories.add(directory);
    }
    for (const entry of names) {
      const name = parent + entry;
      if (!name.startsWith(prefix) || !isObjectName(name)) continue;
      const path = join(this.#root, name);
      const found = await wrapped('stat', path, this.#fs.stat(path));
      if (found?.kind === 'file') objects.push({ name, bytes: found.bytes });
      if (found?.kind === 'directory') await this.#collect(`${name}/`, prefix, objects);
    }
  }

  async #isDirectory(path: string): Promise<boolean> {
    return (await wrapped('stat', path, this.#fs.stat(path)))?.kind === 'directory';
  }

  async #syncDirectory(directory: string): Promise<void> {
    await wrapped('sync directory', directory, this.#fs.syncDirectory(directory));
  }
}

async function readRange(
  handle: FileHandle,
  path: string,
  range: ByteRange | undefined,
): Promise<Uint8Array> {
  const { start, end } = cutRange(range, await wrapped('stat', path, handle.size()));
  const bytes = new Uint8Array(end - start);
  const read = await wrapped('read', path, handle.read(bytes, start));
  if (read < bytes.byteLength) {
    throw new StorageError('IO', `object became shorter while it was read: ${path}`, {
      path,
      offset: start,
      expected: bytes.byteLength,
      actual: read,
    });
  }
  return bytes;
}

/** Nothing there, a part of the name is an object, or the name is only a directory of others. */
function meansNoObject(error: unknown): boolean {
  const code = errnoOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR';
}

function nameOfDirectory(name: string, cause: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    'INVALID_NAME',
    `in a file store no name can be a directory of another one: ${name}`,
    { name },
    cause,
  );
}
