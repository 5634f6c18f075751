/*
 * Builds slices from entries that come in order. Entries are written into one working buffer, which
 * is reused, and copied once into a slab of the right size: memory while building is the finished
 * slices and one slice more. Slices are cut where a table ends and where the next entry would pass
 * `sliceBytesMax`, so the same entries always give the same slices.
 */
import { assert } from '../std/assert.ts';
import { entryBytes, writeEntryHeader, type Entry } from './entry.ts';
import { ops } from './entry-format.ts';
import type { SlabPool } from './slab-pool.ts';
import {
  bucketsOf,
  sliceBytesHardMax,
  sliceLayout,
  type Slice,
  type SliceDescriptor,
} from './slice.ts';

const LEAST_BYTES = 64 * 1024;
/** Up to this length a loop over words beats the call of `set`. */
const SHORT_BYTES_MAX = 256;

interface BytesSpan {
  readonly start: number;
  readonly end: number;
}

/** Writes entries into slices. */
export class SliceBuilder {
  readonly #slabs: SlabPool;
  readonly #sliceBytesMax: number;
  #bytes: Uint8Array;
  #view: DataView;
  #source: Uint8Array = new Uint8Array(0);
  #sourceView: DataView = new DataView(new ArrayBuffer(0));
  #hashes = new Uint32Array(1024);
  #pointers = new Uint32Array(1024);
  #length = 0;
  #entryCount = 0;
  #table = 0;
  #hasKeyClears = false;
  #hasTableClears = false;

  /** @param bytesHint about what the entries of all slices will take together */
  constructor(slabs: SlabPool, sliceBytesMax: number, bytesHint: number) {
    assert(sliceBytesMax > 0 && sliceBytesMax <= sliceBytesHardMax, 'slice size out of range');
    this.#slabs = slabs;
    this.#sliceBytesMax = sliceBytesMax;
    this.#bytes = new Uint8Array(Math.min(sliceBytesMax, Math.max(bytesHint, LEAST_BYTES)));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes of the entries in the open slice. */
  get length(): number {
    return this.#length;
  }

  /** Whether the entry belongs into the open slice; otherwise `finish` it first. */
  fits(entry: Entry): boolean {
    if (this.#entryCount === 0) return true;
    return entry.table === this.#table && this.#length + entryBytes(entry) <= this.#sliceBytesMax;
  }

  /** Adds an entry that fits and stands behind all before it; returns the bytes that it takes. */
  append(entry: Entry): number {
    const at = this.#length;
    const size = entryBytes(entry);
    const index = this.#entryCount;
    // Only a slice that nobody checked has an entry that ends elsewhere: no memory is asked for it.
    if (at + size > this.#bytes.length)
      assert(isInside(entry), 'an entry ends where its slice does');
    this.#reserve(at + size, index);
    if (index === 0) this.#table = entry.table;
    const keyAt = writeEntryHeader(entry, this.#view, at, size);
    this.#copyBytes(entry.bytes, { start: entry.keyStart, end: entry.valueEnd }, keyAt);
    this.#hashes[index] = entry.hash;
    this.#pointers[index] = at;
    if (entry.op === ops.clearKey) this.#hasKeyClears = true;
    else if (entry.op === ops.clearTable) this.#hasTableClears = true;
    this.#length = at + size;
    this.#entryCount = index + 1;
    return size;
  }

  /**
   * Adds entries of another slice as they stand there, as many as fit; returns how many. None fits
   * where the open slice has to be finished first.
   */
  appendRun(slice: Slice, from: number, to: number): number {
    const index = this.#entryCount;
    const { table } = slice.descriptor;
    if (index > 0 && table !== this.#table) return 0;
    const { pointers, bytes, hashes } = slice;
    const start = pointers[from]!;
    const room = this.#sliceBytesMax - this.#length;
    let count = to - from;
    if (endOf(slice, to) - start > room) {
      count = lastWithin(slice, { from, to, end: start + room }) - from;
      if (count === 0 && index > 0) return 0;
      // An entry that exceeds a slice has one of its own.
      count = Math.max(1, count);
    }
    const end = endOf(slice, from + count);
    assert(start <= end && end <= bytes.length, 'a run of entries stands in its slice');
    const at = this.#length;
    this.#reserve(at + end - start, index + count - 1);
    this.#table = table;
    this.#copyBytes(bytes, { start, end }, at);
    const moved = at - start;
    for (let i = 0; i < count; i++) {
      this.#hashes[index + i] = hashes[from + i]!;
      this.#pointers[index + i] = pointers[from + i]! + moved;
    }
    this.#length = at + end - start;
    this.#entryCount = index + count;
    return count;
  }

  /** Closes the open slice; undefined when it has no entry. */
  finish(): SliceDescriptor | undefined {
    const entryCount = this.#entryCount;
    if (entryCount === 0) return undefined;
    const firstHash = this.#hashes[0]!;
    const lastHash = this.#hashes[entryCount - 1]!;
    const { bucketShift, bucketCount } = bucketsOf(entryCount, firstHash, lastHash);
    const dataBytes = this.#length;
    const layout = sliceLayout(dataBytes, entryCount, bucketCount);
    const buffer = this.#slabs.acquire(layout.totalBytes);
    const target = new Uint8Array(buffer);
    target.set(this.#bytes.subarray(0, dataBytes));
    target.fill(0, dataBytes, layout.hashesAt);
    const hashes = new Uint32Array(buffer, layout.hashesAt, entryCount);
    hashes.set(this.#hashes.subarray(0, entryCount));
    const pointers = new Uint32Array(buffer, layout.pointersAt, entryCount);
    pointers.set(this.#pointers.subarray(0, entryCount));
    const directory = new Uint32Array(buffer, layout.directoryAt, bucketCount + 1);
    fillDirectory(directory, hashes, firstHash, bucketShift);
    const descriptor: SliceDescriptor = {
      buffer,
      table: this.#table,
      firstHash,
      lastHash,
      entryCount,
      dataBytes,
      bucketShift,
      bucketCount,
      hasKeyClears: this.#hasKeyClears,
      hasTableClears: this.#hasTableClears,
    };
    this.#length = 0;
    this.#entryCount = 0;
    this.#hasKeyClears = false;
    this.#hasTableClears = false;
    return descriptor;
  }

  #copyBytes(bytes: Uint8Array, { start, end }: BytesSpan, at: number): void {
    if (end - start > SHORT_BYTES_MAX) {
      this.#bytes.set(bytes.subarray(start, end), at);
      return;
    }
    if (bytes !== this.#source) {
      this.#source = bytes;
      this.#sourceView = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    const target = this.#view;
    const source = this.#sourceView;
    let from = start;
    let to = at;
    for (const last = end - 4; from <= last; from += 4, to += 4) {
      target.setInt32(to, source.getInt32(from, true), true);
    }
    for (; from < end; from++, to++) target.setUint8(to, source.getUint8(from));
  }

  #reserve(bytes: number, index: number): void {
    if (bytes > this.#bytes.length) {
      assert(bytes <= sliceBytesHardMax, 'an entry exceeds the largest slice', { bytes });
      const doubled = Math.min(this.#bytes.length * 2, sliceBytesHardMax);
      const grown = new Uint8Array(Math.max(bytes, Math.min(doubled, this.#sliceBytesMax)));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    while (index >= this.#hashes.length) {
      this.#hashes = doubledColumn(this.#hashes);
      this.#pointers = doubledColumn(this.#pointers);
    }
  }
}

function isInside({ bytes, keyStart, valueEnd }: Entry): boolean {
  return keyStart <= valueEnd && valueEnd <= bytes.length;
}

/** Offset behind the entry before an index. */
function endOf({ pointers, bytes }: Slice, index: number): number {
  return index < pointers.length ? pointers[index]! : bytes.length;
}

/** The greatest index of a span such that the entries before it end at or before an offset. */
function lastWithin(
  slice: Slice,
  { from, to, end }: { readonly from: number; readonly to: number; readonly end: number },
): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (endOf(slice, middle) <= end) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Fills the bucket directory of sorted hashes. */
export function fillDirectory(
  directory: Uint32Array,
  hashes: Uint32Array,
  firstHash: number,
  bucketShift: number,
): void {
  let filled = 0;
  for (let i = 0; i < hashes.length; i++) {
    const bucket = (hashes[i]! - firstHash) >>> bucketShift;
    if (filled > bucket) continue;
    // Of a slice that nobody checked: a hash out of order is a bucket billions away.
    assert(bucket < directory.length, 'hashes of a slice ascend', { bucket });
    while (filled <= bucket) directory[filled++] = i;
  }
  while (filled < directory.length) directory[filled++] = hashes.length;
}

function doubledColumn(column: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(column.length * 2);
  grown.set(column);
  return grown;
}
