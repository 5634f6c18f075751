/*
 * A run cursor over ranges of slices: a whole snapshot, a table, a range of hashes or one key. A
 * merge can take entries from it as they stand, several at once (merge-iterator.ts); behind those the
 * cursor knows table and hash only, until `load` reads the rest.
 */
import { readEntry } from './entry.ts';
import { entryFlags, ops } from './entry-format.ts';
import { RunCursor } from './run-cursor.ts';
import type { Slice } from './slice.ts';

/** Entries of a slice, half-open. */
export interface SliceRange {
  readonly slice: Slice;
  readonly from: number;
  readonly to: number;
}

/** Which entries mean the same in the output as they do here. */
export interface PlainEntries {
  readonly base: boolean;
  readonly lastTimestamp: number;
}

/** Entries of a run at most: about as many bytes as a turn of a task has. */
const RUN_ENTRIES_MAX = 4096;

/** Reads ranges of slices, which are in order. */
export class SliceCursor extends RunCursor {
  readonly #ranges: readonly SliceRange[];
  #slice: Slice | undefined;
  #view: DataView | undefined;
  #nextRange = 0;
  #at = 0;
  #end = 0;
  #loaded = true;

  constructor(ranges: readonly SliceRange[]) {
    super();
    this.#ranges = ranges;
  }

  /** The slice that the cursor stands in. */
  get slice(): Slice {
    return this.#slice!;
  }

  /** Index in the slice of the entry that the cursor stands on. */
  get index(): number {
    return this.#at;
  }

  next(): boolean {
    this.#at++;
    while (this.#at >= this.#end) if (!this.#open()) return false;
    this.#loaded = false;
    this.load();
    return true;
  }

  override load(): void {
    if (this.#loaded) return;
    this.#loaded = true;
    const { bytes, pointers, descriptor } = this.#slice!;
    readEntry(bytes, pointers[this.#at]!, descriptor.table, this);
  }

  /** Moves on by so many entries of this slice; false at the end. Only table and hash are read. */
  skip(count: number): boolean {
    this.#at += count;
    while (this.#at >= this.#end) if (!this.#open()) return false;
    this.#loaded = false;
    const { hashes, descriptor } = this.#slice!;
    this.table = descriptor.table;
    this.hash = hashes[this.#at]!;
    return true;
  }

  /**
   * Index behind the entries from here on that stand before the given place and are plain: a merge
   * that has nothing else for their keys emits them byte for byte.
   */
  runEnd(table: number, hash: number, plain: PlainEntries): number {
    const { hashes, pointers, descriptor } = this.#slice!;
    const before = descriptor.table < table ? Number.POSITIVE_INFINITY : hash;
    const most = Math.min(this.#end, this.#at + RUN_ENTRIES_MAX);
    const view = this.#view!;
    let at = this.#at;
    while (at < most && hashes[at]! < before && isPlain(view, pointers[at]!, plain)) at++;
    return at;
  }

  #open(): boolean {
    const range = this.#ranges[this.#nextRange];
    if (!range) return false;
    this.#nextRange++;
    const { slice, from, to } = range;
    const { bytes } = slice;
    this.#slice = slice;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = from;
    this.#end = to;
    return true;
  }
}

/** Neither a clear, nor expired, nor in a base an operand or what an operator may leave out. */
function isPlain(view: DataView, at: number, { base, lastTimestamp }: PlainEntries): boolean {
  const word = view.getUint32(at + 24, true);
  const op = word & 0xff;
  if (base ? (word & 0xffff) !== ops.put : op > ops.merge) return false;
  if (((word >>> 16) & entryFlags.expiry) === 0) return true;
  const low = view.getUint32(at + 32, true);
  return low + view.getUint32(at + 36, true) * 0x1_0000_0000 > lastTimestamp;
}
