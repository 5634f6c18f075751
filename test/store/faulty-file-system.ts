/*
 * A file system over another that notes the calls which durability and order depend on, and fails
 * the calls that a test chooses.
 */
import type { FileHandle, FileSystem } from '../../src/fs/file-system.ts';

type Call = 'open' | 'list' | 'makeDirectory' | 'rename' | 'link' | 'unlink' | 'stat';
export type NotedCall = Call | 'syncDirectory' | 'read' | 'write' | 'sync' | 'size' | 'close';

export class FaultyFileSystem implements FileSystem {
  readonly #below: FileSystem;
  /** Calls in order, as `call path`, staged names shortened. */
  readonly notes: string[] = [];
  /** Gives the error code that a call fails with, if it has to. */
  fault: (call: NotedCall, path: string) => string | undefined = () => undefined;
  /** Bytes that a read gives at most. */
  readBytesMax: number = Number.MAX_SAFE_INTEGER;
  openHandles = 0;

  constructor(below: FileSystem) {
    this.#below = below;
  }

  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<FileHandle> {
    const handle = await this.#do('open', path, () => this.#below.open(path, mode));
    this.openHandles++;
    return {
      read: (target, position) =>
        this.#do('read', path, () =>
          handle.read(target.subarray(0, Math.min(target.length, this.readBytesMax)), position),
        ),
      readNow: (target, position) => handle.readNow(target, position),
      write: (source, position) => this.#do('write', path, () => handle.write(source, position)),
      writeThrough: (source, position) =>
        this.#do('write', path, () => handle.writeThrough(source, position)),
      sync: () => this.#do('sync', path, () => handle.sync()),
      size: () => this.#do('size', path, () => handle.size()),
      truncate: (bytes) => handle.truncate(bytes),
      close: async () => {
        await handle.close();
        this.openHandles--;
        await this.#do('close', path, async () => {});
      },
    };
  }

  list(directory: string): Promise<string[]> {
    return this.#do('list', directory, () => this.#below.list(directory));
  }

  makeDirectory(path: string): Promise<void> {
    return this.#do('makeDirectory', path, () => this.#below.makeDirectory(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#do('rename', to, () => this.#below.rename(from, to));
  }

  link(existing: string, to: string): Promise<void> {
    return this.#do('link', to, () => this.#below.link(existing, to));
  }

  unlink(path: string): Promise<void> {
    return this.#do('unlink', path, () => this.#below.unlink(path));
  }

  stat(path: string): ReturnType<FileSystem['stat']> {
    return this.#do('stat', path, () => this.#below.stat(path));
  }

  syncDirectory(path: string): Promise<void> {
    return this.#do('syncDirectory', path, () => this.#below.syncDirectory(path));
  }

  freeBytes(path: string): number {
    return this.#below.freeBytes(path);
  }

  lock(path: string): ReturnType<FileSystem['lock']> {
    return this.#below.lock(path);
  }

  async #do<T>(call: NotedCall, path: string, action: () => Promise<T>): Promise<T> {
    this.notes.push(`${call} ${path.replace(/~staging\/.*/, '~staging/*')}`);
    const code = this.fault(call, path);
    if (code !== undefined) throw Object.assign(new Error(`${code}: injected`), { code });
    return action();
  }
}
