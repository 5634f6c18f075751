/*
 * A run cursor over slices of an image of which some are not in memory. Those that are, at the time
 * that the cursor comes to them, are read in place; where all of them are from the beginning, it is
 * the faster slice-cursor.ts, which merges can take runs from.
 */
import type { ImageSlice } from './image.ts';
import type { ColdSlice } from './cold-slice.ts';
import { RunCursor } from './run-cursor.ts';
import { SliceCursor } from './slice-cursor.ts';
import type { Slice } from './slice.ts';

/** Entries of a slice, half-open. */
export interface ImageRange {
  readonly slice: ImageSlice;
  readonly from: number;
  readonly to: number;
}

/** Reads ranges of slices, which are in order. */
export function cursorOver(ranges: readonly ImageRange[]): RunCursor {
  const resident = [];
  for (const { slice: place, from, to } of ranges) {
    if (place.slice === undefined) return new ImageCursor(ranges);
    resident.push({ slice: place.slice, from, to });
  }
  return new SliceCursor(resident);
}

class ImageCursor extends RunCursor {
  readonly #ranges: readonly ImageRange[];
  #slice: Slice | ColdSlice | undefined;
  #nextRange = 0;
  #at = 0;
  #end = 0;

  constructor(ranges: readonly ImageRange[]) {
    super();
    this.#ranges = ranges;
  }

  next(): boolean {
    this.#at++;
    while (this.#at >= this.#end) if (!this.#open()) return false;
    this.#slice!.read(this.#at, this);
    return true;
  }

  #open(): boolean {
    const range = this.#ranges[this.#nextRange];
    if (!range) return false;
    this.#nextRange++;
    this.#slice = range.slice.readable;
    this.#at = range.from;
    this.#end = range.to;
    return true;
  }
}
