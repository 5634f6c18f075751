/*
 * Walks snapshot files side by side in the order of their entries, range of hashes by range, so that
 * of each file only the slices are in memory that overlap the range: usually one. A range ends where
 * the first of those slices ends, and never between equal hashes, so a key is in one range whole.
 *
 * A clear of a table stands at the start of its key group. A range that starts inside a group gets
 * the group's clear again, before its entries: whoever writes what it reads skips clears of tables
 * whose hash is below `firstHash`.
 */
import { Entry, groupStart, keyGroupOf } from '../../snapshot/entry.ts';
import { ops } from '../../snapshot/entry-format.ts';
import { setProbe } from '../../snapshot/image.ts';
import { RunCursor } from '../../snapshot/run-cursor.ts';
import type { SlabPool } from '../../snapshot/slab-pool.ts';
import { SliceCursor, type SliceRange } from '../../snapshot/slice-cursor.ts';
import { Slice } from '../../snapshot/slice.ts';
import type { SnapshotReader } from '../../snapshot/snapshot-reader.ts';
import type { Turns } from '../../snapshot/task-context.ts';

const LAST_HASH = 0xffff_ffff;

/** One file of a walk. */
export interface WalkInput {
  readonly reader: SnapshotReader;
  /** The file's table by the table of the walk. @defaultValue they are the same */
  readonly tables?: ReadonlyMap<number, number>;
}

/** What a walk reads, and with what. */
export interface WalkOptions {
  readonly slabs: SlabPool;
  readonly turns: Turns;
  /** Tables of the walk. @defaultValue all that a file has */
  readonly tables?: readonly number[];
  /** @defaultValue 0 */
  readonly firstHash?: number;
  /** Inclusive. @defaultValue 0xffffffff */
  readonly lastHash?: number;
}

/** Entries of one table in a range of hashes, both included. */
export interface WalkRange {
  readonly table: number;
  readonly firstHash: number;
  readonly lastHash: number;
  /** One for each input, in their order; they can be read until the walk goes on. */
  readonly cursors: readonly RunCursor[];
}

/** Walks the files; what is in memory is released when the walk ends, however it ends. */
export async function* walkRanges(
  inputs: readonly WalkInput[],
  options: WalkOptions,
): AsyncGenerator<WalkRange> {
  const last = options.lastHash ?? LAST_HASH;
  for (const table of options.tables ?? tablesOf(inputs)) {
    const tracks = inputs.map((input) => new Track(input, table, options));
    try {
      for (let from = options.firstHash ?? 0; from <= last;) {
        const ends = tracks.map((track) => track.nextEnd(from));
        if (ends.every((end) => end === undefined)) break;
        const to = Math.min(last, ...ends.map((end) => end ?? LAST_HASH));
        const cursors: RunCursor[] = [];
        for (const track of tracks) cursors.push(await track.read(from, to));
        yield { table, firstHash: from, lastHash: to, cursors };
        from = to + 1;
        for (const track of tracks) track.leave(from);
      }
    } finally {
      for (const track of tracks) track.release();
    }
  }
}

function tablesOf(inputs: readonly WalkInput[]): number[] {
  const tables = new Set<number>();
  for (const { reader, tables: mapped } of inputs) {
    if (mapped) for (const table of mapped.keys()) tables.add(table);
    else for (const { table } of reader.footer.tables) tables.add(table);
  }
  return [...tables].sort((a, b) => a - b);
}

/** One table of one file. */
class Track {
  readonly #reader: SnapshotReader;
  readonly #table: number;
  readonly #options: WalkOptions;
  readonly #groupBits: number;
  /** Places in the file of the slices that are not behind yet. */
  readonly #indexes: number[] = [];
  readonly #loaded = new Map<number, Slice>();
  /** The clear that covers what comes next, when it is behind. */
  #clear: Entry | undefined;

  constructor({ reader, tables }: WalkInput, table: number, options: WalkOptions) {
    this.#reader = reader;
    this.#table = table;
    this.#options = options;
    this.#groupBits = reader.header.groupBits;
    const source = tables ? tables.get(table) : table;
    reader.footer.slices.forEach((slice, index) => {
      if (slice.table === source) this.#indexes.push(index);
    });
  }

  /** Where the slice ends that holds the first hash at or above the given one. */
  nextEnd(from: number): number | undefined {
    const next = this.#indexes.find((index) => this.#reader.slice(index).lastHash >= from);
    return next === undefined ? undefined : this.#reader.slice(next).lastHash;
  }

  /** Loads what overlaps the range, and reads it. */
  async read(from: number, to: number): Promise<RunCursor> {
    if (this.#clear === undefined) await this.#findEarlierClear(from);
    const ranges: SliceRange[] = [];
    for (const index of this.#indexes) {
      const { firstHash, lastHash, entryCount } = this.#reader.slice(index);
      if (firstHash > to) break;
      if (lastHash < from) continue;
      const slice = await this.#load(index);
      const end = to >= lastHash ? entryCount : slice.hashStart(to + 1);
      ranges.push({ slice, from: slice.hashStart(from), to: end });
    }
    const cursor = new SliceCursor(ranges);
    return this.#clear ? new ClearedCursor(this.#clear, cursor) : cursor;
  }

  /** Releases what is behind, and keeps the clear that still covers what comes. */
  leave(from: number): void {
    if (from <= LAST_HASH) this.#clear = this.#coveringClear(from);
    for (const [index, slice] of this.#loaded) {
      if (this.#reader.slice(index).lastHash < from) this.#drop(index, slice);
    }
    while (this.#indexes.length > 0 && this.#reader.slice(this.#indexes[0]!).lastHash < from) {
      this.#indexes.shift();
    }
  }

  release(): void {
    for (const [index, slice] of this.#loaded) this.#drop(index, slice);
  }

  #drop(index: number, slice: Slice): void {
    this.#loaded.delete(index);
    this.#options.slabs.release(slice.descriptor.buffer);
  }

  async #load(index: number): Promise<Slice> {
    const known = this.#loaded.get(index);
    if (known) return known;
    const { slabs, turns } = this.#options;
    const descriptor = await this.#reader.loadSlice(index, slabs, {
      verification: 'standard',
      turns,
    });
    const slice = new Slice({ ...descriptor, table: this.#table });
    this.#loaded.set(index, slice);
    return slice;
  }

  /** A walk that starts inside a key group reads the group's clear where it stands. */
  async #findEarlierClear(from: number): Promise<void> {
    if (from !== (this.#options.firstHash ?? 0)) return;
    const start = groupStart(keyGroupOf(from, this.#groupBits), this.#groupBits);
    if (start === from) return;
    for (const index of this.#indexes) {
      const { firstHash, lastHash, hasTableClears } = this.#reader.slice(index);
      if (firstHash > start) break;
      if (!hasTableClears || lastHash < start) continue;
      await this.#load(index);
    }
    this.#clear = this.#coveringClear(from);
    this.leave(from);
  }

  #coveringClear(from: number): Entry | undefined {
    const start = groupStart(keyGroupOf(from, this.#groupBits), this.#groupBits);
    if (start === from) return undefined;
    if (this.#clear?.hash === start) return this.#clear;
    const probe = new Entry();
    setProbe(probe, this.#table, start, { bytes: NO_BYTES, start: 0, end: 0 });
    probe.op = ops.clearTable;
    for (const slice of this.#loaded.values()) {
      const at = slice.descriptor.hasTableClears ? slice.find(probe) : -1;
      if (at < 0) continue;
      const clear = new Entry();
      slice.read(at, clear);
      // It has no key and no value, and outlives the slice.
      clear.bytes = NO_BYTES;
      clear.keyStart = clear.keyEnd = clear.subKeyEnd = clear.valueEnd = 0;
      return clear;
    }
    return undefined;
  }
}

const NO_BYTES = new Uint8Array(0);

/** A clear, and then what another cursor reads. */
class ClearedCursor extends RunCursor {
  readonly #clear: Entry;
  readonly #behind: RunCursor;
  #started = false;

  constructor(clear: Entry, behind: RunCursor) {
    super();
    this.#clear = clear;
    this.#behind = behind;
  }

  next(): boolean {
    if (!this.#started) {
      this.#started = true;
      this.assign(this.#clear);
      return true;
    }
    if (!this.#behind.next()) return false;
    this.assign(this.#behind);
    return true;
  }
}
