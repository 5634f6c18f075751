/*
 * An image: the slices of one snapshot, or of a log tail. Those in memory are read in place by the
 * main thread (lookups, iteration) and by workers (merges); the others are read from the file by the
 * main thread, block by block, until somebody installs them. Whoever reads an image across turns
 * retains it; its slabs go back to the pool, and its file is closed, at the last release, and nothing
 * may read them after that.
 * A probe is an Entry that names what is looked for: table, hash, key and sub-key, op put, or op
 * clearKey for the clear of the key (setProbe below).
 */
import { assert, must } from '../std/assert.ts';
import type { ColdFile } from './cold-file.ts';
import type { ColdSlice } from './cold-slice.ts';
import { Entry, groupStart, keyGroupOf } from './entry.ts';
import { entryFlags, ops } from './entry-format.ts';
import { cursorOver, type ImageRange } from './image-cursor.ts';
import type { PointFold } from './point-fold.ts';
import type { RunCursor, RunRange } from './run-cursor.ts';
import type { SlabPool } from './slab-pool.ts';
import { Slice, type SliceDescriptor } from './slice.ts';

/** What an image stands on. */
export interface ImageOptions {
  /** Takes the slabs at the last release. */
  readonly slabs: SlabPool;
  readonly groupBits: number;
}

/** What is known of a slice, in memory or not. */
export type SliceFacts = Omit<SliceDescriptor, 'buffer'>;

/** A slice of an image: in memory, or in the file that the image is read from until it is. */
export class ImageSlice {
  readonly facts: SliceFacts;
  readonly firstHash: number;
  readonly lastHash: number;
  /** Undefined while it is not in memory. */
  slice: Slice | undefined;
  readonly cold: ColdSlice | undefined;

  constructor(facts: SliceFacts, slice: Slice | undefined, cold: ColdSlice | undefined) {
    assert(slice !== undefined || cold !== undefined, 'a slice can be read');
    this.facts = facts;
    this.firstHash = facts.firstHash;
    this.lastHash = facts.lastHash;
    this.slice = slice;
    this.cold = cold;
  }

  /** What there is to be searched. */
  get readable(): Slice | ColdSlice {
    if (this.slice) return this.slice;
    const cold = this.cold!;
    cold.use();
    return cold;
  }
}

interface TableSlices {
  readonly slices: ImageSlice[];
  hasKeyClears: boolean;
  hasTableClears: boolean;
}

/** Slices of one snapshot, to be searched and read. */
export class Image {
  /** All of them, in order. */
  readonly slices: readonly ImageSlice[];
  readonly entryCount: number;
  /** Bytes of entries. */
  readonly dataBytes: number;
  /** What its slices that are not in memory are read from. */
  readonly file: ColdFile | undefined;
  readonly #slabs: SlabPool;
  readonly #groupBits: number;
  readonly #tables = new Map<number, TableSlices>();
  readonly #clearProbe = new Entry();
  readonly #found = new Entry();
  #slabBytes = 0;
  #absent = 0;
  #references = 1;

  /**
   * Takes over the slices, which are in order; the caller holds one reference. With a file, which
   * is taken over as well, they are the slices of the file that are in memory, by their place in it.
   */
  constructor(
    descriptors: readonly (SliceDescriptor | undefined)[],
    options: ImageOptions,
    file?: ColdFile,
  ) {
    this.file = file;
    this.#slabs = options.slabs;
    this.#groupBits = options.groupBits;
    const count = file ? file.slices.length : descriptors.length;
    const slices: ImageSlice[] = [];
    let entryCount = 0;
    let dataBytes = 0;
    for (let i = 0; i < count; i++) {
      const descriptor = descriptors[i];
      const cold = file?.slices[i];
      const facts = must(descriptor ?? cold?.record, 'a slice is in memory or in a file');
      const slice = new ImageSlice(facts, descriptor && new Slice(descriptor), cold);
      slices.push(slice);
      this.#add(slice);
      entryCount += facts.entryCount;
      dataBytes += facts.dataBytes;
      if (descriptor) this.#slabBytes += descriptor.buffer.byteLength;
      else this.#absent++;
    }
    this.slices = slices;
    this.entryCount = entryCount;
    this.dataBytes = dataBytes;
  }

  /** Slices that begin below a hash, table by table. */
  *slicesBelow(hash: number): Generator<ImageSlice> {
    for (const { slices } of this.#tables.values()) {
      for (const slice of slices) {
        if (slice.firstHash >= hash) break;
        yield slice;
      }
    }
  }

  /** Bytes of memory that its slices take. */
  get slabBytes(): number {
    return this.#slabBytes;
  }

  /** All slices are in memory. */
  get isResident(): boolean {
    return this.#absent === 0;
  }

  /** The last reference was released. */
  get isReleased(): boolean {
    return this.#references === 0;
  }

  /** Its slices, which are all in memory. */
  get descriptors(): readonly SliceDescriptor[] {
    return this.slices.map(({ slice }) => must(slice, 'a slice is in memory').descriptor);
  }

  /** Takes over a slice that was loaded; false when nobody needs it any more. */
  install(index: number, descriptor: SliceDescriptor): boolean {
    const place = this.slices[index]!;
    if (this.#references === 0 || place.slice !== undefined) return false;
    place.slice = new Slice(descriptor);
    place.cold?.drop();
    this.#slabBytes += descriptor.buffer.byteLength;
    this.#absent--;
    return true;
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
    if (range === undefined) {
      return cursorOver(
        this.slices.map((slice) => ({ slice, from: 0, to: slice.facts.entryCount })),
      );
    }
    const { table: id, firstHash = 0, lastHash = 0xffff_ffff } = range;
    const table = this.#tables.get(id);
    if (table === undefined) return cursorOver([]);
    const ranges = this.#tableClearRange(table, id, firstHash, false);
    for (const slice of table.slices) {
      if (slice.lastHash < firstHash || slice.firstHash > lastHash) continue;
      const from = firstHash <= slice.firstHash ? 0 : slice.readable.hashStart(firstHash);
      const to =
        lastHash >= slice.lastHash
          ? slice.facts.entryCount
          : slice.readable.hashStart(lastHash + 1);
      if (from < to) ranges.push({ slice, from, to });
    }
    return cursorOver(ranges);
  }

  /** Reads the entries of the probe's key, clears that cover it included, in order. */
  keyCursor(probe: Entry): RunCursor {
    const table = this.#tables.get(probe.table);
    if (table === undefined) return cursorOver([]);
    const ranges = this.#tableClearRange(table, probe.table, probe.hash, true);
    for (let i = firstSlice(table.slices, probe.hash); i < table.slices.length; i++) {
      const slice = table.slices[i]!;
      if (slice.firstHash > probe.hash) break;
      const from = slice.readable.keyStart(probe);
      const to = slice.readable.keyEnd(probe);
      if (from < to) ranges.push({ slice, from, to });
    }
    return cursorOver(ranges);
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
    this.#tables.clear();
    for (const { slice } of this.slices) if (slice) this.#slabs.release(slice.descriptor.buffer);
    this.file?.close();
  }

  /** The last release of an image all of which is in memory, but for slices that another took over. */
  releaseAllBut(kept: readonly SliceDescriptor[]): void {
    assert(this.#references === 1 && !this.file, 'nobody else reads what another image takes over');
    this.#references = 0;
    this.#tables.clear();
    for (const descriptor of this.descriptors) {
      if (!kept.includes(descriptor)) this.#slabs.release(descriptor.buffer);
    }
  }

  #add(slice: ImageSlice): void {
    const { table: id, hasKeyClears, hasTableClears } = slice.facts;
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
  #tableClearRange(table: TableSlices, id: number, hash: number, always: boolean): ImageRange[] {
    if (!table.hasTableClears) return [];
    const clear = this.#tableClearProbe(id, hash);
    if (clear.hash === hash && !always) return [];
    for (let i = firstSlice(table.slices, clear.hash); i < table.slices.length; i++) {
      const slice = table.slices[i]!;
      // The clear of a group stands before all other entries of its hash, alone of its key.
      const from = slice.readable.keyStart(clear);
      const to = slice.readable.keyEnd(clear);
      if (from < to) return [{ slice, from, to }];
      if (slice.lastHash > clear.hash) break;
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

/** Index of the first slice whose last hash is at or above the given one. */
function firstSlice(slices: readonly ImageSlice[], hash: number): number {
  let low = 0;
  let high = slices.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (slices[middle]!.lastHash < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

function findIn(slices: readonly ImageSlice[], probe: Entry, into: Entry): boolean {
  for (let i = firstSlice(slices, probe.hash); i < slices.length; i++) {
    const place = slices[i]!;
    const { slice } = place;
    if (slice !== undefined) {
      const index = slice.find(probe);
      if (index >= 0) {
        slice.read(index, into);
        return true;
      }
    } else if (place.cold!.find(probe, into)) {
      return true;
    }
    // A key with many sub-keys may go on in the next slice.
    if (place.lastHash > probe.hash) return false;
  }
  return false;
}
