/*
 * An image: the slices of one snapshot, or of a log tail, in memory. Read in place by the main
 * thread (lookups, iteration) and by workers (merges). Whoever reads one across turns retains it;
 * its slabs go back to the pool at the last release, and nothing may read them after that.
 * A probe is an Entry that names what is looked for: table, hash, key and sub-key, op put, or op
 * clearKey for the clear of the key (setProbe below).
 */
import { assert } from '../std/assert.ts';
import { Entry, groupStart, keyGroupOf } from './entry.ts';
import { entryFlags, ops } from './entry-format.ts';
import type { PointFold } from './point-fold.ts';
import type { RunCursor, RunRange } from './run-cursor.ts';
import type { SlabPool } from './slab-pool.ts';
import { SliceCursor, type SliceRange } from './slice-cursor.ts';
import { Slice, type SliceDescriptor } from './slice.ts';

/** What an image stands on. */
export interface ImageOptions {
  /** Takes the slabs at the last release. */
  readonly slabs: SlabPool;
  readonly groupBits: number;
}

interface TableSlices {
  readonly slices: Slice[];
  hasKeyClears: boolean;
  hasTableClears: boolean;
}

/** Slices of one snapshot, to be searched and read. */
export class Image {
  readonly descriptors: readonly SliceDescriptor[];
  readonly entryCount: number;
  /** Bytes of entries. */
  readonly dataBytes: number;
  /** Bytes of memory. */
  readonly slabBytes: number;
  readonly #slabs: SlabPool;
  readonly #groupBits: number;
  readonly #slices: Slice[] = [];
  readonly #tables = new Map<number, TableSlices>();
  readonly #clearProbe = new Entry();
  readonly #found = new Entry();
  #references = 1;

  /** Takes over the slices, which are in order; the caller holds one reference. */
  constructor(descriptors: readonly SliceDescriptor[], options: ImageOptions) {
    this.descriptors = descriptors;
    this.#slabs = options.slabs;
    this.#groupBits = options.groupBits;
    let entryCount = 0;
    let dataBytes = 0;
    let slabBytes = 0;
    for (const descriptor of descriptors) {
      this.#add(new Slice(descriptor));
      entryCount += descriptor.entryCount;
      dataBytes += descriptor.dataBytes;
      slabBytes += descriptor.buffer.byteLength;
    }
    this.entryCount = entryCount;
    this.dataBytes = dataBytes;
    this.slabBytes = slabBytes;
  }

  /** Reads the entry that the probe names; false when this image has none. Clears do not count. */
  find(probe: Entry, into: Entry): boolean {
    const table = this.#tables.get(probe.table);
    return table !== undefined && findIn(table.slices, probe, into);
  }

  /** The greatest LSN of the clears in this image that cover the probe's key; 0 for none. */
  clearLsn(probe: Entry): number {
    const table = this.#tables.get(probe.table);
    return table === undefined ? 0 : this.#clearLsn(table, probe);
  }

  /**
   * Adds what this image holds of the probe's key to a lookup that goes from the newest layer to
   * the oldest; true when no older layer counts.
   */
  collect(probe: Entry, fold: PointFold): boolean {
    const table = this.#tables.get(probe.table);
    if (table === undefined) return false;
    const found = this.#found;
    const cleared = this.#clearLsn(table, probe);
    if (findIn(table.slices, probe, found) && found.lsn >= cleared) fold.addOlder(found);
    if (cleared > 0) fold.addClear();
    return fold.decided;
  }

  /** Reads everything, or a table and range of hashes, in order. */
  cursor(range?: RunRange): RunCursor {
    if (range === undefined) return new SliceCursor(this.#slices.map(wholeSlice));
    const { table: id, firstHash = 0, lastHash = 0xffff_ffff } = range;
    const table = this.#tables.get(id);
    if (table === undefined) return new SliceCursor([]);
    const ranges = this.#tableClearRange(table, id, firstHash, false);
    for (const slice of table.slices) {
      const from = slice.hashStart(firstHash);
      const to =
        lastHash >= slice.descriptor.lastHash
          ? slice.descriptor.entryCount
          : slice.hashStart(lastHash + 1);
      if (from < to) ranges.push({ slice, from, to });
    }
    return new SliceCursor(ranges);
  }

  /** Reads the entries of the probe's key, clears that cover it included, in order. */
  keyCursor(probe: Entry): RunCursor {
    const table = this.#tables.get(probe.table);
    if (table === undefined) return new SliceCursor([]);
    const ranges = this.#tableClearRange(table, probe.table, probe.hash, true);
    for (let i = firstSlice(table.slices, probe.hash); i < table.slices.length; i++) {
      const slice = table.slices[i]!;
      if (slice.descriptor.firstHash > probe.hash) break;
      const from = slice.keyStart(probe);
      const to = slice.keyEnd(probe);
      if (from < to) ranges.push({ slice, from, to });
    }
    return new SliceCursor(ranges);
  }

  /** Keeps the slabs until one more release. */
  retain(): void {
    assert(this.#references > 0, 'an image was retained after its last release');
    this.#references++;
  }

  release(): void {
    assert(this.#references > 0, 'an image was released once too often');
    this.#references--;
    if (this.#references > 0) return;
    this.#slices.length = 0;
    this.#tables.clear();
    for (const { buffer } of this.descriptors) this.#slabs.release(buffer);
  }

  #add(slice: Slice): void {
    const { table: id, hasKeyClears, hasTableClears } = slice.descriptor;
    this.#slices.push(slice);
    const table = this.#tables.get(id);
    if (!table) {
      this.#tables.set(id, { slices: [slice], hasKeyClears, hasTableClears });
      return;
    }
    table.slices.push(slice);
    table.hasKeyClears ||= hasKeyClears;
    table.hasTableClears ||= hasTableClears;
  }

  #clearLsn(table: TableSlices, probe: Entry): number {
    let lsn = 0;
    const found = this.#found;
    if (table.hasKeyClears) {
      const clear = this.#clearProbe;
      clear.assign(probe);
      clear.op = ops.clearKey;
      clear.flags = 0;
      clear.subKeyEnd = clear.keyEnd;
      if (findIn(table.slices, clear, found)) lsn = found.lsn;
    }
    if (table.hasTableClears) {
      const clear = this.#tableClearProbe(probe.table, probe.hash);
      if (findIn(table.slices, clear, found)) lsn = Math.max(lsn, found.lsn);
    }
    return lsn;
  }

  #tableClearProbe(table: number, hash: number): Entry {
    const bits = this.#groupBits;
    const clear = this.#clearProbe;
    setProbe(clear, table, groupStart(keyGroupOf(hash, bits), bits), NO_KEY);
    clear.op = ops.clearTable;
    return clear;
  }

  /** The clear of the table that covers a hash, unless a range from that hash holds it already. */
  #tableClearRange(table: TableSlices, id: number, hash: number, always: boolean): SliceRange[] {
    if (!table.hasTableClears) return [];
    const clear = this.#tableClearProbe(id, hash);
    if (clear.hash === hash && !always) return [];
    for (let i = firstSlice(table.slices, clear.hash); i < table.slices.length; i++) {
      const slice = table.slices[i]!;
      const index = slice.find(clear);
      if (index >= 0) return [{ slice, from: index, to: index + 1 }];
      if (slice.descriptor.lastHash > clear.hash) break;
    }
    return [];
  }
}

const NO_KEY = { bytes: new Uint8Array(0), start: 0, end: 0 };

/** Bytes of a key, with the sub-key right behind it if there is one. */
export interface ProbeKey {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Where the sub-key ends; undefined for an entry without one. */
  readonly subKeyEnd?: number | undefined;
}

/** Makes an entry a probe for (table, key, sub-key); `hash` is the key's. */
export function setProbe(probe: Entry, table: number, hash: number, key: ProbeKey): void {
  probe.table = table;
  probe.hash = hash;
  probe.op = ops.put;
  probe.flags = key.subKeyEnd === undefined ? 0 : entryFlags.subKey;
  probe.bytes = key.bytes;
  probe.keyStart = key.start;
  probe.keyEnd = key.end;
  probe.subKeyEnd = key.subKeyEnd ?? key.end;
  probe.valueEnd = probe.subKeyEnd;
}

function wholeSlice(slice: Slice): SliceRange {
  return { slice, from: 0, to: slice.descriptor.entryCount };
}

/** Index of the first slice whose last hash is at or above the given one. */
function firstSlice(slices: readonly Slice[], hash: number): number {
  let low = 0;
  let high = slices.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (slices[middle]!.descriptor.lastHash < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

function findIn(slices: readonly Slice[], probe: Entry, into: Entry): boolean {
  for (let i = firstSlice(slices, probe.hash); i < slices.length; i++) {
    const slice = slices[i]!;
    const index = slice.find(probe);
    if (index >= 0) {
      slice.read(index, into);
      return true;
    }
    // A key with many sub-keys may go on in the next slice.
    if (slice.descriptor.lastHash > probe.hash) return false;
  }
  return false;
}
