/*
 * Files that are not published yet. They stand in a directory of their own on the volume of the
 * objects, under names that no two instances share. A crash leaves them behind; the next writer
 * removes them. They are synced before anybody publishes them.
 */
import { InvalidArgumentError, errnoOf, toStorageError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import { toHex } from '../std/bytes.ts';
import type { Random } from '../std/random.ts';
import { checkBytes, isBytes } from './object-data.ts';

const labelPattern = /^[A-Za-z0-9._-]{1,128}$/;

/** Unpublished files of one instance of a store. */
export class FileStaging {
  readonly #fs: FileSystem;
  readonly #directory: string;
  /** Names of this instance start with it, so that it can tell its own files from leftovers. */
  readonly #owner: string;
  #count = 0;

  constructor(fs: FileSystem, directory: string, random: Random) {
    this.#fs = fs;
    this.#directory = directory;
    const id = new Uint8Array(8);
    random.fill(id);
    this.#owner = `${toHex(id)}-`;
  }

  async open(): Promise<void> {
    await wrapped('make directory', this.#directory, this.#fs.makeDirectory(this.#directory));
  }

  /** A new path; nothing is there. */
  path(label: string): string {
    if (!labelPattern.test(label)) {
      throw new InvalidArgumentError('INVALID_NAME', `not a label of a staged file: ${label}`, {
        name: label,
      });
    }
    this.#count++;
    return `${this.#directory}/${this.#owner}${this.#count}-${label}`;
  }

  /** Writes and syncs a new file; returns its path. Nothing stays when it fails. */
  async write(data: Uint8Array | AsyncIterable<Uint8Array>): Promise<string> {
    const path = this.path('object');
    const handle = await wrapped('create', path, this.#fs.open(path, 'create'));
    try {
      try {
        await writeAll(handle, path, data);
        await wrapped('sync', path, handle.sync());
      } finally {
        await wrapped('close', path, handle.close());
      }
    } catch (error) {
      await this.discard(path);
      throw error;
    }
    return path;
  }

  /**
   * Removes a file that is not needed any more, if it is there. A failure is nobody's concern: the
   * file is not an object, and `removeLeftovers` of the next writer tries again.
   */
  async discard(path: string): Promise<void> {
    await this.#fs.unlink(path).catch(() => undefined);
  }

  /** Removes the files of earlier instances; returns how many there were. */
  async removeLeftovers(): Promise<number> {
    const names = await wrapped('list', this.#directory, this.#fs.list(this.#directory));
    let removed = 0;
    for (const name of names) {
      if (name.startsWith(this.#owner)) continue;
      const path = `${this.#directory}/${name}`;
      try {
        await this.#fs.unlink(path);
        removed++;
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw toStorageError(error, 'unlink', path);
      }
    }
    return removed;
  }
}

/** Waits for a call of the file system; its error becomes a StorageError that names the path. */
export async function wrapped<T>(action: string, path: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw toStorageError(error, action, path);
  }
}

/** An error of the data's own iterator passes unchanged. */
async function writeAll(
  handle: FileHandle,
  path: string,
  data: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<void> {
  if (isBytes(data)) {
    await wrapped('write', path, handle.write(data, 0));
    return;
  }
  let at = 0;
  for await (const chunk of data) {
    checkBytes(chunk, 'a chunk of data');
    await wrapped('write', path, handle.write(chunk, at));
    at += chunk.byteLength;
  }
}
