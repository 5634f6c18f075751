/*
 * Snapshot files by path, for the library: opening for reading, and new files that appear under
 * their name complete or not at all.
 *
 * Durability: a new file is written under a name of its own beside its place, synced, linked to its
 * name (which fails when something is there), and the directory synced; the first name goes after
 * that. So a crash leaves the complete file, or at most files that end in `.part`, which nobody
 * reads.
 */
import { dirname, isAbsolute, resolve } from 'node:path';
import { InvalidArgumentError, NotFoundError, errnoOf, toStorageError } from '../../errors.ts';
import type { FileHandle, FileSystem } from '../../fs/file-system.ts';
import { SnapshotReader } from '../../snapshot/snapshot-reader.ts';
import { toHex } from '../../std/bytes.ts';
import type { Random } from '../../std/random.ts';

/** A snapshot that is open for reading. */
export interface SnapshotFile {
  readonly path: string;
  readonly handle: FileHandle;
  readonly reader: SnapshotReader;
}

/** Opens a snapshot: reads both headers and the footer, and checks them. */
export async function openSnapshotFile(fs: FileSystem, path: string): Promise<SnapshotFile> {
  let handle;
  try {
    handle = await fs.open(path, 'read');
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'ENOENT' && errno !== 'ENOTDIR') throw toStorageError(error, 'open', path);
    throw new NotFoundError(
      'FILE_NOT_FOUND',
      `there is no snapshot file: ${path}`,
      { path },
      error,
    );
  }
  try {
    const reader = await SnapshotReader.open(handle, path);
    await reader.checkFrontHeader();
    return { path, handle, reader };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Opens several; none stays open when one cannot be opened. */
export async function openSnapshotFiles(
  fs: FileSystem,
  paths: readonly string[],
): Promise<SnapshotFile[]> {
  const files: SnapshotFile[] = [];
  try {
    for (const path of paths) files.push(await openSnapshotFile(fs, path));
    return files;
  } catch (error) {
    await closeSnapshotFiles(files);
    throw error;
  }
}

export async function closeSnapshotFiles(files: readonly SnapshotFile[]): Promise<void> {
  for (const { handle } of files) await handle.close();
}

/** The absolute form of a path that a caller gave. */
export function checkPath(option: string, path: unknown): string {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw new InvalidArgumentError('INVALID_OPTION', `${option} must be the path of a file`, {
      option,
    });
  }
  return isAbsolute(path) ? path : resolve(path);
}

/** Files on their way to a name. */
export class PartFiles {
  readonly path: string;
  readonly #fs: FileSystem;
  readonly #owner: string;
  readonly #made = new Set<string>();
  #count = 0;

  /** Nothing is made yet; names of this object are shared with no other. */
  constructor(fs: FileSystem, path: string, random: Random) {
    this.#fs = fs;
    this.path = path;
    const id = new Uint8Array(6);
    random.fill(id);
    this.#owner = `${path}.${toHex(id)}`;
  }

  /** INVALID_CALL when something stands under the name already, or its directory is not there. */
  async checkFree(): Promise<void> {
    let found;
    let directory;
    try {
      found = await this.#fs.stat(this.path);
      directory = found ?? (await this.#fs.stat(dirname(this.path)));
    } catch (error) {
      throw toStorageError(error, 'stat', this.path);
    }
    if (found) throw taken(this.path);
    if (!directory) {
      const path = dirname(this.path);
      throw new InvalidArgumentError('INVALID_CALL', `there is no directory: ${path}`, { path });
    }
  }

  /** A path for a new file. */
  next(): string {
    const path = `${this.#owner}-${++this.#count}.part`;
    this.#made.add(path);
    return path;
  }

  /** Gives a complete, synced file the name; durable when it resolves. */
  async publish(part: string): Promise<void> {
    const directory = dirname(this.path);
    try {
      await this.#fs.link(part, this.path);
      await this.#fs.syncDirectory(directory);
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') throw taken(this.path);
      throw toStorageError(error, 'publish', this.path);
    }
    await this.remove(part);
  }

  /** Removes a file that `next` named, if it was made. */
  async remove(part: string): Promise<void> {
    try {
      await this.#fs.unlink(part);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw toStorageError(error, 'unlink', part);
    }
    this.#made.delete(part);
  }

  /** Removes all that is left. */
  async removeAll(): Promise<void> {
    for (const part of this.#made) await this.remove(part);
  }
}

function taken(path: string): InvalidArgumentError {
  return new InvalidArgumentError('INVALID_CALL', `there is a file already: ${path}`, { path });
}
