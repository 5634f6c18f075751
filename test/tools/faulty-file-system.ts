/*
 * A file system in memory with a durable image beside the live one. It notes every call in order,
 * lets a test look at, hold up or fail each of them, and can be cut at any moment into what a power
 * loss would leave: of each file what was synced, of each directory the names as of its last sync,
 * and of everything since then what the test's choice keeps, drops or tears.
 *
 * Modelled as the seam promises it: contents are durable by `sync`, names by `syncDirectory`,
 * directories that `makeDirectory` makes at once. Renames are atomic. A write is torn at 512 bytes.
 */
import type { FileHandle, FileLock, FileStat, FileSystem } from '../../src/fs/file-system.ts';
import type { OpenMode } from '../../src/fs/file-system.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { must } from '../../src/std/assert.ts';
import type { SeededRandom } from './seeded-random.ts';

export type CallName = Exclude<keyof FileSystem, 'lock' | 'freeBytes'> | keyof FileHandle;

/** One call, noted before it is done. */
export interface NotedCall {
  readonly call: CallName;
  /** For a rename or link, the new name. */
  readonly path: string;
  readonly from?: string;
  readonly position?: number;
  readonly bytes?: number;
  /** Of a write: it may hold the calling thread. */
  readonly mayHold?: boolean;
}

/** Calls that change what is on the disk, or make it durable. */
const changing: readonly CallName[] = ['write', 'truncate', 'sync', 'rename', 'link', 'unlink'];
export const changes = ({ call }: NotedCall): boolean =>
  changing.includes(call) || call === 'syncDirectory' || call === 'makeDirectory';

/** What a power loss leaves of that which was not synced. */
export type CrashChoice = 'dropped' | 'kept' | SeededRandom;

const sectorBytes = 512;

interface Change {
  readonly position: number;
  /** Undefined: the file was cut or grown to `position`. */
  readonly bytes: Uint8Array | undefined;
}

/** A file beside its names: its content as of the last sync, and what came after. */
class ShadowFile {
  /** Its newest name. */
  path = '';
  durable: Uint8Array = new Uint8Array(0);
  pending: Change[] = [];
}

interface NameChange {
  readonly names: readonly { readonly path: string; readonly file: ShadowFile | undefined }[];
}

export class FaultyFileSystem implements FileSystem {
  readonly #live: MemoryFileSystem;
  readonly #directories = new Set<string>();
  readonly #names = new Map<string, ShadowFile>();
  #durableNames = new Map<string, ShadowFile>();
  #nameChanges: NameChange[] = [];
  readonly calls: NotedCall[] = [];
  /** Runs before each call; what it throws, the call fails with. */
  before: (call: NotedCall) => unknown = () => {};

  constructor(options: { readonly capacityBytes?: number } = {}) {
    this.#live = new MemoryFileSystem(options);
  }

  /** The file system that comes up after a power loss at this moment. */
  async crash(choice: CrashChoice): Promise<FaultyFileSystem> {
    const names = new Map(this.#durableNames);
    for (const change of this.#nameChanges) {
      if (choice === 'dropped' || (choice !== 'kept' && choice.below(2) === 0)) continue;
      for (const { path, file } of change.names) {
        if (file) names.set(path, file);
        else names.delete(path);
      }
    }
    const contents = [...names].map(
      ([path, file]) => [path, contentAfter(file.durable, file.pending, choice)] as const,
    );
    const next = new FaultyFileSystem();
    for (const directory of this.#directories) await next.makeDirectory(directory);
    for (const [path, content] of contents) await next.put(path, content);
    next.calls.length = 0;
    return next;
  }

  /** Puts a durable file, in place of one of that name. */
  async put(path: string, content: Uint8Array): Promise<void> {
    if (this.#names.has(path)) await this.#live.unlink(path);
    const handle = await this.#live.open(path, 'create');
    await handle.write(content, 0);
    await handle.close();
    const file = new ShadowFile();
    file.path = path;
    file.durable = content.slice();
    this.#names.set(path, file);
    this.#durableNames.set(path, file);
  }

  /** Takes a file away for good. */
  async remove(path: string): Promise<void> {
    await this.#live.unlink(path);
    this.#names.delete(path);
    this.#durableNames.delete(path);
  }

  /** Live content of every file, by path, the lock's aside. */
  async contents(): Promise<Map<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    for (const path of [...this.#names.keys()].sort()) found.set(path, await this.read(path));
    return found;
  }

  async read(path: string): Promise<Uint8Array> {
    const handle = await this.#live.open(path, 'read');
    const bytes = new Uint8Array(await handle.size());
    await handle.read(bytes, 0);
    await handle.close();
    return bytes;
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    await this.#note({ call: 'open', path });
    const handle = await this.#live.open(path, mode);
    if (mode === 'create') this.#rename([{ path, file: new ShadowFile() }]);
    const file = must(this.#names.get(path), 'a file that is opened has a name');
    return this.#handle(file, handle);
  }

  async list(directory: string): Promise<string[]> {
    await this.#note({ call: 'list', path: directory });
    return this.#live.list(directory);
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#note({ call: 'makeDirectory', path });
    await this.#live.makeDirectory(path);
    this.#directories.add(path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#note({ call: 'rename', path: to, from });
    await this.#live.rename(from, to);
    this.#rename([
      { path: to, file: this.#names.get(from) },
      { path: from, file: undefined },
    ]);
  }

  async link(existing: string, to: string): Promise<void> {
    await this.#note({ call: 'link', path: to, from: existing });
    await this.#live.link(existing, to);
    this.#rename([{ path: to, file: this.#names.get(existing) }]);
  }

  async unlink(path: string): Promise<void> {
    await this.#note({ call: 'unlink', path });
    await this.#live.unlink(path);
    this.#rename([{ path, file: undefined }]);
  }

  async stat(path: string): Promise<FileStat | undefined> {
    await this.#note({ call: 'stat', path });
    return this.#live.stat(path);
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#note({ call: 'syncDirectory', path });
    await this.#live.syncDirectory(path);
    const inside = (name: string): boolean => name.slice(0, name.lastIndexOf('/')) === path;
    // Every change here is of names in one directory.
    this.#nameChanges = this.#nameChanges.filter(({ names }) => !inside(names[0]!.path));
    this.#durableNames = new Map([...this.#durableNames].filter(([name]) => !inside(name)));
    for (const [name, file] of this.#names) if (inside(name)) this.#durableNames.set(name, file);
  }

  freeBytes(path: string): number {
    return this.#live.freeBytes(path);
  }

  lock(path: string): Promise<FileLock | undefined> {
    return this.#live.lock(path);
  }

  #rename(names: NameChange['names']): void {
    this.#nameChanges.push({ names });
    for (const { path, file } of names) {
      if (file) {
        file.path = path;
        this.#names.set(path, file);
      } else this.#names.delete(path);
    }
  }

  #handle(file: ShadowFile, handle: FileHandle): FileHandle {
    return {
      read: async (target, position) => {
        await this.#note({ call: 'read', path: file.path, position, bytes: target.length });
        return handle.read(target, position);
      },
      readNow: (target, position) => {
        const call = { call: 'readNow', path: file.path, position, bytes: target.length } as const;
        this.calls.push(call);
        // It can be failed, but not held up: nobody waits for it.
        this.before(call);
        return handle.readNow(target, position);
      },
      write: async (source, position) => {
        const parts = ArrayBuffer.isView(source) ? [source] : source;
        const bytes = Buffer.concat(parts);
        await this.#note({ call: 'write', path: file.path, position, bytes: bytes.length });
        await handle.write(bytes, position);
        file.pending.push({ position, bytes });
      },
      // Two calls to whoever looks: a crash, or a failure, may come between write and sync.
      writeThrough: async (source, position, mayHold = false) => {
        const bytes = Buffer.concat(ArrayBuffer.isView(source) ? [source] : source);
        const call = { call: 'write', path: file.path, position, bytes: bytes.length } as const;
        await this.#note(mayHold ? { ...call, mayHold } : call);
        await handle.write(bytes, position);
        const change = { position, bytes };
        file.pending.push(change);
        await this.#note({ call: 'sync', path: file.path });
        // Nothing but this write is promised.
        file.durable = contentAfter(file.durable, [change], 'kept');
        file.pending = file.pending.filter((other) => other !== change);
      },
      sync: async () => {
        // Only what was written when the sync was asked for is promised.
        const count = file.pending.length;
        await this.#note({ call: 'sync', path: file.path });
        await handle.sync();
        file.durable = contentAfter(file.durable, file.pending.slice(0, count), 'kept');
        file.pending = file.pending.slice(count);
      },
      size: async () => {
        await this.#note({ call: 'size', path: file.path });
        return handle.size();
      },
      truncate: async (bytes) => {
        await this.#note({ call: 'truncate', path: file.path, bytes });
        await handle.truncate(bytes);
        file.pending.push({ position: bytes, bytes: undefined });
      },
      close: async () => {
        await this.#note({ call: 'close', path: file.path });
        await handle.close();
      },
    };
  }

  async #note(call: NotedCall): Promise<void> {
    this.calls.push(call);
    await this.before(call);
  }
}

/** The content of a file after a power loss, or after a sync (`kept`). */
function contentAfter(
  durable: Uint8Array,
  pending: readonly Change[],
  choice: CrashChoice,
): Uint8Array {
  let content = durable;
  if (choice === 'dropped') return content;
  for (const { position, bytes } of pending) {
    const fate = choice === 'kept' ? 0 : choice.below(3);
    if (fate === 1) continue;
    if (!bytes) content = resized(content, position);
    else if (fate === 0) content = written(content, position, bytes, () => true);
    else content = written(content, position, bytes, () => (choice as SeededRandom).below(2) === 0);
  }
  return content;
}

function resized(content: Uint8Array, bytes: number): Uint8Array {
  const next = new Uint8Array(bytes);
  next.set(content.subarray(0, bytes));
  return next;
}

/** Writes the sectors that are kept; a hole before a kept one reads as zeros. */
function written(
  content: Uint8Array,
  position: number,
  bytes: Uint8Array,
  isKept: () => boolean,
): Uint8Array {
  const next = resized(content, Math.max(content.length, position + bytes.length));
  let { length } = content;
  for (let at = position; at < position + bytes.length;) {
    const end = Math.min((Math.floor(at / sectorBytes) + 1) * sectorBytes, position + bytes.length);
    if (isKept()) {
      length = Math.max(length, end);
      next.set(bytes.subarray(at - position, end - position), at);
    }
    at = end;
  }
  return next.slice(0, length);
}

/** A file-system error, as Node gives it. */
export function injected(code: 'EIO' | 'ENOSPC'): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}
