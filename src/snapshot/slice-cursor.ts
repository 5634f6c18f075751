/*
 * A run cursor over ranges of slices: a whole snapshot, a table, a range of hashes or one key.
 */
import { readU32 } from '../std/bytes.ts';
import { readEntry } from './entry.ts';
import { RunCursor } from './run-cursor.ts';
import type { Slice } from './slice.ts';

/** Entries of a slice, half-open. */
export interface SliceRange {
  readonly slice: Slice;
  readonly from: number;
  readonly to: number;
}

/** Reads ranges of slices, which are in order. */
export class SliceCursor extends RunCursor {
  readonly #ranges: readonly SliceRange[];
  #slice: Slice | undefined;
  #next = 0;
  #left = 0;
  #pointer = 0;
  #sliceTable = 0;

  constructor(ranges: readonly SliceRange[]) {
    super();
    this.#ranges = ranges;
  }

  next(): boolean {
    while (this.#left === 0) if (!this.#open()) return false;
    this.#left--;
    const at = this.#pointer;
    const bytes = this.#slice!.bytes;
    readEntry(bytes, at, this.#sliceTable, this);
    this.#pointer = at + readU32(bytes, at);
    return true;
  }

  #open(): boolean {
    const range = this.#ranges[this.#next];
    if (!range) return false;
    this.#next++;
    this.#slice = range.slice;
    this.#sliceTable = range.slice.descriptor.table;
    this.#left = Math.max(0, range.to - range.from);
    this.#pointer = this.#left === 0 ? 0 : range.slice.pointers[range.from]!;
    return true;
  }
}
