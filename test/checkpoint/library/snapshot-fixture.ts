/*
 * The snapshot library over a file system in memory, a clock that stands and seeded randomness.
 */
import {
  createSnapshotWith,
  type CreateSnapshotOptions,
  type SnapshotBuilder,
} from '../../../src/checkpoint/library/snapshot-create.ts';
import type { SnapshotEntry } from '../../../src/checkpoint/library/snapshot-entries.ts';
import {
  openSnapshotWith,
  type EntriesOptions,
  type OpenSnapshotOptions,
  type Snapshot,
} from '../../../src/checkpoint/library/snapshot-open.ts';
import type { LibraryComponents } from '../../../src/checkpoint/library/snapshot-options.ts';
import { MemoryFileSystem } from '../../../src/fs/memory-file-system.ts';
import type { FileSystem } from '../../../src/fs/file-system.ts';
import { ManualClock } from '../../tools/manual-clock.ts';
import { SeededRandom } from '../../tools/seeded-random.ts';

export class Library implements LibraryComponents {
  readonly fs: FileSystem;
  readonly clock: ManualClock = new ManualClock();
  readonly random: SeededRandom = new SeededRandom(7);

  constructor(fs: FileSystem = new MemoryFileSystem()) {
    this.fs = fs;
    this.clock.advance(1_000_000);
  }

  create(path: string, options: CreateSnapshotOptions = {}): Promise<SnapshotBuilder> {
    return createSnapshotWith(path, options, this);
  }

  open(path: string, options: OpenSnapshotOptions = {}): Promise<Snapshot> {
    return openSnapshotWith(path, options, this);
  }

  /** All entries of a file. */
  async entries(
    path: string,
    which: EntriesOptions = {},
    options: OpenSnapshotOptions = {},
  ): Promise<SnapshotEntry[]> {
    const snapshot = await this.open(path, options);
    const entries: SnapshotEntry[] = [];
    for await (const entry of snapshot.entries(which)) entries.push(entry);
    await snapshot.close();
    return entries;
  }

  /** Makes a file of changes; `undefined` deletes. */
  async make(
    path: string,
    changes: Readonly<Record<string, unknown>>,
    options: CreateSnapshotOptions = {},
  ): Promise<string> {
    const file = await this.create(path, options);
    for (const [key, value] of Object.entries(changes)) {
      await (value === undefined ? file.delete('t', key) : file.write('t', key, value));
    }
    await file.finish();
    return path;
  }

  async bytes(path: string): Promise<Buffer> {
    const handle = await this.fs.open(path, 'read');
    const bytes = Buffer.alloc(await handle.size());
    await handle.read(bytes, 0);
    await handle.close();
    return bytes;
  }
}

/** Key to value, of entries. */
export function toMap(entries: readonly SnapshotEntry[]): Map<unknown, unknown> {
  return new Map(entries.map(({ key, value }) => [key, value]));
}
