/*
 * A file system that only reads, for views of directories that another process may be writing to.
 * While it pins, every file that is opened stays open until the end, so what was seen once stays
 * readable after it is unlinked (F1), and its size is that of the open file. Every call that would
 * change something is refused: nothing below this can write, create or lock.
 */
import { InternalError, errnoOf } from '../errors.ts';
import type { FileHandle, FileLock, FileStat, FileSystem, OpenMode } from '../fs/file-system.ts';

export class ReadOnlyFiles implements FileSystem {
  readonly #fs: FileSystem;
  readonly #pinned = new Map<string, FileHandle>();
  readonly #check: (() => void) | undefined;
  #pinning: boolean;

  /** `check` is called before every call, and ends it by throwing. */
  constructor(fs: FileSystem, pinning: boolean, check?: () => void) {
    this.#fs = fs;
    this.#pinning = pinning;
    this.#check = check;
  }

  /** From now on a file that is not pinned is opened and closed as usual. */
  stopPinning(): void {
    this.#pinning = false;
  }

  /** Closes what is pinned. */
  async close(): Promise<void> {
    const handles = [...this.#pinned.values()];
    this.#pinned.clear();
    for (const handle of handles) await handle.close();
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    if (mode !== 'read') throw refused('open for writing', path);
    const pinned = this.#pinned.get(path);
    if (pinned) return new PinnedHandle(pinned, path);
    this.#check?.();
    const opened = await this.#fs.open(path, 'read');
    const handle = this.#check ? new CheckedHandle(opened, path, this.#check) : opened;
    if (!this.#pinning) return handle;
    this.#pinned.set(path, handle);
    return new PinnedHandle(handle, path);
  }

  /** Names in a directory; one that is not there yet, or no longer, holds none. */
  async list(directory: string): Promise<string[]> {
    this.#check?.();
    try {
      return await this.#fs.list(directory);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  async stat(path: string): Promise<FileStat | undefined> {
    const pinned = this.#pinned.get(path);
    if (pinned) return { kind: 'file', bytes: await pinned.size() };
    this.#check?.();
    return this.#fs.stat(path);
  }

  freeBytes(path: string): number {
    return this.#fs.freeBytes(path);
  }

  async makeDirectory(path: string): Promise<void> {
    throw refused('make a directory', path);
  }

  async rename(from: string): Promise<void> {
    throw refused('rename', from);
  }

  async link(existing: string): Promise<void> {
    throw refused('link', existing);
  }

  async unlink(path: string): Promise<void> {
    throw refused('unlink', path);
  }

  async syncDirectory(path: string): Promise<void> {
    throw refused('sync', path);
  }

  async lock(path: string): Promise<FileLock | undefined> {
    throw refused('lock', path);
  }
}

/** An open file of a reader: whatever would change it is refused. */
class ReadOnlyHandle implements FileHandle {
  readonly #handle: FileHandle;
  readonly #path: string;

  constructor(handle: FileHandle, path: string) {
    this.#handle = handle;
    this.#path = path;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    return this.#handle.read(target, position);
  }

  readNow(target: Uint8Array, position: number): number {
    return this.#handle.readNow(target, position);
  }

  size(): Promise<number> {
    return this.#handle.size();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async write(): Promise<void> {
    throw refused('write', this.#path);
  }

  async writeThrough(): Promise<void> {
    throw refused('write', this.#path);
  }

  async sync(): Promise<void> {
    throw refused('sync', this.#path);
  }

  async truncate(): Promise<void> {
    throw refused('truncate', this.#path);
  }
}

/** A file whose reading can be ended between two reads; closing it never is. */
class CheckedHandle extends ReadOnlyHandle {
  readonly #check: () => void;

  constructor(handle: FileHandle, path: string, check: () => void) {
    super(handle, path);
    this.#check = check;
  }

  override async read(target: Uint8Array, position: number): Promise<number> {
    this.#check();
    return super.read(target, position);
  }

  override readNow(target: Uint8Array, position: number): number {
    this.#check();
    return super.readNow(target, position);
  }
}

/** A pinned file as one of its users sees it: closing leaves it open. */
class PinnedHandle extends ReadOnlyHandle {
  override async close(): Promise<void> {}
}

function refused(action: string, path: string): InternalError {
  return new InternalError(`a reader tried to ${action}: ${path}`, { path });
}
