/*
 * Snapshots between workers and the store. Where the objects are files of this machine, workers
 * read and write them in place; otherwise they work on a staged file that is copied from or to the
 * store here.
 */
import { dirname } from 'node:path';
import { CorruptionError, toStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { assert } from '../std/assert.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { storeCall } from './store-call.ts';

const COPY_BYTES = 4 * 1024 * 1024;

/** A file of this machine that holds an object. */
export interface LocalCopy {
  readonly path: string;
  /** Removes a copy; the object itself stays. */
  discard(): Promise<void>;
}

export class SnapshotTransfer {
  readonly #fs: FileSystem;
  readonly #store: ObjectStore;
  readonly #directory: string;
  #count = 0;
  #stagingDirectory: string | undefined;

  /** `directory` is for staged files, used when the store is not on this machine. */
  constructor(fs: FileSystem, store: ObjectStore, directory: string) {
    this.#fs = fs;
    this.#store = store;
    this.#directory = directory;
  }

  /** Makes the place for staged files, and clears what a crash left there. */
  async prepare(): Promise<void> {
    if (this.#store.local) return;
    try {
      await this.#fs.makeDirectory(this.#directory);
      for (const name of await this.#fs.list(this.#directory)) {
        await this.#fs.unlink(`${this.#directory}/${name}`);
      }
    } catch (error) {
      throw toStorageError(error, 'prepare', this.#directory);
    }
  }

  /** Objects are files of this machine: an operation that failed does not happen later. */
  get isLocal(): boolean {
    return this.#store.local !== undefined;
  }

  /** A path for a worker to write a snapshot to. */
  stagedPath(label: string): string {
    return this.#store.local?.stagingPath(label) ?? `${this.#directory}/${label}`;
  }

  /** Bytes that are free where snapshots are written, which need not be the volume of the log. */
  get freeBytes(): number {
    // Each path that a store gives is a new one; the directory is the same.
    const directory = (this.#stagingDirectory ??= dirname(this.stagedPath('free-space')));
    try {
      return this.#fs.freeBytes(directory);
    } catch (error) {
      throw toStorageError(error, 'look at the free space of', directory);
    }
  }

  /** Publishes a staged, synced file under a name. Durable when it resolves. */
  async publish(stagedPath: string, name: string): Promise<void> {
    const { local } = this.#store;
    if (local) {
      await storeCall('publish', name, () => local.publish(stagedPath, name));
      return;
    }
    try {
      await storeCall('put', name, () => this.#store.put(name, this.#readFile(stagedPath)));
    } finally {
      await this.discard(stagedPath);
    }
  }

  /** Removes a staged file, if it is there. */
  async discard(stagedPath: string): Promise<void> {
    if (await this.#fs.stat(stagedPath)) await this.#fs.unlink(stagedPath);
  }

  /** Calls with the path of a file that holds an object, which is made local first if need be. */
  async withLocal<T>(name: string, use: (path: string) => Promise<T>): Promise<T> {
    const copy = await this.makeLocal(name);
    try {
      return await use(copy.path);
    } finally {
      await copy.discard();
    }
  }

  /** A file that holds an object, made local first if need be; to be discarded when it is not read. */
  async makeLocal(name: string): Promise<LocalCopy> {
    if (this.#store.local) {
      const path = this.#store.local.path(name);
      if (!(await this.#fs.stat(path))) throw missing(name);
      return { path, discard: async () => {} };
    }
    const bytes = await storeCall('read', name, () => this.#store.get(name));
    if (!bytes) throw missing(name);
    const path = this.stagedPath(`load-${++this.#count}`);
    try {
      await this.#writeFile(path, bytes);
    } catch (error) {
      await this.discard(path);
      throw error;
    }
    return { path, discard: () => this.discard(path) };
  }

  async #writeFile(path: string, bytes: Uint8Array): Promise<void> {
    try {
      const handle = await this.#fs.open(path, 'create');
      try {
        await handle.write(bytes, 0);
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw toStorageError(error, 'write', path);
    }
  }

  async *#readFile(path: string): AsyncGenerator<Uint8Array> {
    const handle = await this.#fs.open(path, 'read');
    try {
      const size = await handle.size();
      for (let at = 0; at < size; at += COPY_BYTES) {
        const bytes = new Uint8Array(Math.min(COPY_BYTES, size - at));
        const read = await handle.read(bytes, at);
        assert(read === bytes.length, 'a staged file became shorter', { path, offset: at });
        yield bytes;
      }
    } finally {
      await handle.close();
    }
  }
}

function missing(name: string): CorruptionError {
  return new CorruptionError('BROKEN_CHAIN', `snapshot is missing: ${name}`, { path: name });
}
