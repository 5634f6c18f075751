/*
 * A file system as it would be with some files in place of those that are there: for looking at a store
 * as it would be mended, without writing. Only small files that are read whole are put; whatever else
 * is done goes to the file system below.
 */
import type { FileHandle, FileLock, FileStat, FileSystem, OpenMode } from '../fs/file-system.ts';
import { MemoryFileSystem } from '../fs/memory-file-system.ts';

export class OverlaidFiles implements FileSystem {
  readonly #fs: FileSystem;
  readonly #over = new MemoryFileSystem();
  readonly #paths = new Set<string>();

  constructor(fs: FileSystem) {
    this.#fs = fs;
  }

  /** From now on the file holds this. */
  async put(path: string, bytes: Uint8Array): Promise<void> {
    await this.#over.makeDirectory(directoryOf(path));
    if (this.#paths.has(path)) await this.#over.unlink(path);
    const handle = await this.#over.open(path, 'create');
    await handle.write(bytes, 0);
    await handle.close();
    this.#paths.add(path);
  }

  open(path: string, mode: OpenMode): Promise<FileHandle> {
    return this.#at(path).open(path, mode);
  }

  async list(directory: string): Promise<string[]> {
    const names = new Set(await this.#fs.list(directory));
    for (const path of this.#paths) {
      if (directoryOf(path) === directory) names.add(path.slice(directory.length + 1));
    }
    return [...names].toSorted();
  }

  stat(path: string): Promise<FileStat | undefined> {
    return this.#at(path).stat(path);
  }

  makeDirectory(path: string): Promise<void> {
    return this.#fs.makeDirectory(path);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#fs.rename(from, to);
  }

  link(existing: string, to: string): Promise<void> {
    return this.#fs.link(existing, to);
  }

  unlink(path: string): Promise<void> {
    return this.#fs.unlink(path);
  }

  syncDirectory(path: string): Promise<void> {
    return this.#fs.syncDirectory(path);
  }

  freeBytes(path: string): number {
    return this.#fs.freeBytes(path);
  }

  lock(path: string): Promise<FileLock | undefined> {
    return this.#fs.lock(path);
  }

  #at(path: string): FileSystem {
    return this.#paths.has(path) ? this.#over : this.#fs;
  }
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
