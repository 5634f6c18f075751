/*
 * A slice: entries of one table in a contiguous range of hashes, in one shared buffer, read in
 * place. Layout of the buffer, little-endian:
 *
 *   entries (entry-format.ts), zeros to a multiple of 8, hashes u32[entryCount], pointers
 *   u32[entryCount] (offsets of the entries), directory u32[bucketCount + 1]
 *
 * Bucket i holds the entries whose hash less `firstHash`, shifted right by `bucketShift`, is i;
 * directory[i] is its first entry, directory[bucketCount] the number of entries. About 8 to 16
 * entries fall into a bucket; inside one, and among equal hashes, search is binary, so a hot key or
 * a hostile set of keys costs a logarithm.
 * Invariant: no two entries of a slice have the same key, rank and sub-key.
 */
import { assert } from '../std/assert.ts';
import { compareBytes, readU16 } from '../std/bytes.ts';
import { entryKeyStart, ranks, rankOf, readEntry, type Entry } from './entry.ts';
import { entryFlags, ops } from './entry-format.ts';

/** Bytes of entries that a slice may have at most, whatever is configured: offsets are u32. */
export const sliceBytesHardMax = 1_073_741_824;

/** A slice as plain data, which threads pass to each other. */
export interface SliceDescriptor {
  readonly buffer: SharedArrayBuffer;
  readonly table: number;
  /** Hash of the first and of the last entry. */
  readonly firstHash: number;
  readonly lastHash: number;
  readonly entryCount: number;
  /** Bytes of the entries. */
  readonly dataBytes: number;
  readonly bucketShift: number;
  readonly bucketCount: number;
  readonly hasKeyClears: boolean;
  readonly hasTableClears: boolean;
}

/** The descriptor of a slice with these counts in a slab. */
export function describeSlice(
  counts: Omit<SliceDescriptor, 'buffer'>,
  buffer: SharedArrayBuffer,
): SliceDescriptor {
  return {
    buffer,
    table: counts.table,
    firstHash: counts.firstHash,
    lastHash: counts.lastHash,
    entryCount: counts.entryCount,
    dataBytes: counts.dataBytes,
    bucketShift: counts.bucketShift,
    bucketCount: counts.bucketCount,
    hasKeyClears: counts.hasKeyClears,
    hasTableClears: counts.hasTableClears,
  };
}

/** Where the parts of a slice stand in its buffer. */
export interface SliceLayout {
  readonly hashesAt: number;
  readonly pointersAt: number;
  readonly directoryAt: number;
  readonly totalBytes: number;
}

export function sliceLayout(
  dataBytes: number,
  entryCount: number,
  bucketCount: number,
): SliceLayout {
  const hashesAt = Math.ceil(dataBytes / 8) * 8;
  const pointersAt = hashesAt + entryCount * 4;
  const directoryAt = pointersAt + entryCount * 4;
  return { hashesAt, pointersAt, directoryAt, totalBytes: directoryAt + (bucketCount + 1) * 4 };
}

/** Buckets for entries that are spread over a range of hashes: part of the snapshot format. */
export function bucketsOf(
  entryCount: number,
  firstHash: number,
  lastHash: number,
): { bucketShift: number; bucketCount: number } {
  const most = Math.max(1, entryCount >>> 3);
  const span = lastHash - firstHash;
  let bucketShift = 0;
  // A shift by 32 would be one by 0; the span of one hash is less than 2 to the 32nd.
  while (bucketShift < 31 && (span >>> bucketShift) + 1 > most) bucketShift++;
  return { bucketShift, bucketCount: (span >>> bucketShift) + 1 };
}

// Columns are viewed in place, and the format is little-endian.
const nativeOrder = new Uint8Array(new Uint32Array([1]).buffer)[0];

/** A slice, to be searched and read. */
export class Slice {
  readonly descriptor: SliceDescriptor;
  readonly bytes: Uint8Array;
  readonly hashes: Uint32Array;
  readonly pointers: Uint32Array;
  readonly directory: Uint32Array;

  constructor(descriptor: SliceDescriptor) {
    assert(nativeOrder === 1, 'Tidemark needs a little-endian machine');
    const { buffer, dataBytes, entryCount, bucketCount } = descriptor;
    const layout = sliceLayout(dataBytes, entryCount, bucketCount);
    assert(layout.totalBytes <= buffer.byteLength, 'a slice exceeds its slab');
    this.descriptor = descriptor;
    this.bytes = new Uint8Array(buffer, 0, dataBytes);
    this.hashes = new Uint32Array(buffer, layout.hashesAt, entryCount);
    this.pointers = new Uint32Array(buffer, layout.pointersAt, entryCount);
    this.directory = new Uint32Array(buffer, layout.directoryAt, bucketCount + 1);
  }

  /** Index of the entry with the probe's hash, key, rank and sub-key, or -1. */
  find(probe: Entry): number {
    const { firstHash, lastHash, bucketShift } = this.descriptor;
    const hash = probe.hash;
    if (hash < firstHash || hash > lastHash) return -1;
    const bucket = (hash - firstHash) >>> bucketShift;
    let low = this.directory[bucket]!;
    let high = this.directory[bucket + 1]!;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = this.hashes[middle]!;
      const order = found === hash ? this.#compare(middle, probe) : found - hash;
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }

  /** Index of the first entry of the probe's key, clear included, or where it would stand. */
  keyStart(probe: Entry): number {
    return this.#keyBorder(probe, 0);
  }

  /** Index behind the last entry of the probe's key. */
  keyEnd(probe: Entry): number {
    return this.#keyBorder(probe, 1);
  }

  /** Index of the first entry whose hash is at or above the given one. */
  hashStart(hash: number): number {
    const { firstHash, lastHash, bucketShift, entryCount } = this.descriptor;
    if (hash <= firstHash) return 0;
    if (hash > lastHash) return entryCount;
    const bucket = (hash - firstHash) >>> bucketShift;
    let low = this.directory[bucket]!;
    let high = this.directory[bucket + 1]!;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.hashes[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Reads the entry of an index. */
  read(index: number, into: Entry): void {
    readEntry(this.bytes, this.pointers[index]!, this.descriptor.table, into);
  }

  /** The first entry whose key is at least (0), or above (1), that of the probe. */
  #keyBorder(probe: Entry, border: 0 | 1): number {
    const { firstHash, lastHash, bucketShift, entryCount } = this.descriptor;
    const hash = probe.hash;
    if (hash < firstHash) return 0;
    if (hash > lastHash) return entryCount;
    const bucket = (hash - firstHash) >>> bucketShift;
    let low = this.directory[bucket]!;
    let high = this.directory[bucket + 1]!;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = this.hashes[middle]!;
      const order = found === hash ? this.#compareKey(middle, probe) : found - hash;
      if (order < border) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #compareKey(index: number, probe: Entry): number {
    const at = this.pointers[index]!;
    const start = entryKeyStart(this.bytes, at);
    const end = start + readU16(this.bytes, at + 28);
    return compareBytes(this.bytes, start, end, probe.bytes, probe.keyStart, probe.keyEnd);
  }

  #compare(index: number, probe: Entry): number {
    const bytes = this.bytes;
    const at = this.pointers[index]!;
    const start = entryKeyStart(bytes, at);
    const end = start + readU16(bytes, at + 28);
    const keys = compareBytes(bytes, start, end, probe.bytes, probe.keyStart, probe.keyEnd);
    if (keys !== 0) return keys;
    const hasSubKey = (bytes[at + 26]! & entryFlags.subKey) !== 0;
    const plain = hasSubKey ? ranks.subKey : ranks.plain;
    const rank = bytes[at + 24]! >= ops.clearKey ? ranks.clear : plain;
    const probeRank = rankOf(probe);
    if (rank !== probeRank) return rank - probeRank;
    const subEnd = end + readU16(bytes, at + 30);
    return compareBytes(bytes, end, subEnd, probe.bytes, probe.keyEnd, probe.subKeyEnd);
  }
}
