/*
 * How much the snapshots of a chain overlap, from a sample of their entries. Hashes are keyed by a
 * random seed, so the entries of one range of hashes are a fair sample of all, and the same keys are
 * in it in every snapshot. Exact when a snapshot holds no more entries than the sample takes.
 *
 * Of a run of snapshots only the newest entry of a key stays, and in a base no tombstone does. So
 * for each entry it is enough to know in which later snapshot its key comes next.
 */
import { checksum } from '../codec/checksum.ts';
import { readU16, readU32 } from '../std/bytes.ts';
import { TidemarkError } from '../errors.ts';
import type { ColdSlice } from '../snapshot/cold-slice.ts';
import { Entry, entryKeyStart } from '../snapshot/entry.ts';
import { ops } from '../snapshot/entry-format.ts';
import type { Image, ImageSlice } from '../snapshot/image.ts';
import type { Slice } from '../snapshot/slice.ts';
import type { DistinctShare } from './chain-policy.ts';

/** Entries of a snapshot that a sample takes, about: it is taken on the main thread. */
const SAMPLE_MAX = 1024;
const HASHES = 0x1_0000_0000;

/** One entry of the sample. */
interface Seen {
  readonly link: number;
  readonly bytes: number;
  readonly isTombstone: boolean;
}

/** Samples the images of a chain, base first. */
export function sampleOverlap(images: readonly Image[]): DistinctShare {
  const length = images.length;
  const hashEnd = sampleEnd(images);
  const total = new Float64Array(length);
  const tombstones = new Float64Array(length);
  /** [link][next]: bytes of entries of `link` whose key comes next in `next`. */
  const replaced = matrix(length);
  const replacedTombstones = matrix(length);
  const newest = new Map<string, Seen>();
  images.forEach((image, link) => {
    for (const place of image.slices) {
      if (place.firstHash >= hashEnd) continue;
      eachOf(place, hashEnd, (key, bytes, isTombstone) => {
        total[link]! += bytes;
        if (isTombstone) tombstones[link]! += bytes;
        const before = newest.get(key);
        if (before && before.link !== link) {
          replaced[before.link]![link]! += before.bytes;
          if (before.isTombstone) replacedTombstones[before.link]![link]! += before.bytes;
        }
        newest.set(key, { link, bytes, isTombstone });
      });
    }
  });
  return (start, count) => {
    const end = start + count;
    let all = 0;
    let kept = 0;
    for (let link = start; link < end; link++) {
      all += total[link]!;
      kept += total[link]!;
      if (start === 0) kept -= tombstones[link]!;
      for (let next = link + 1; next < end; next++) {
        kept -= replaced[link]![next]!;
        if (start === 0) kept += replacedTombstones[link]![next]!;
      }
    }
    return all === 0 ? 1 : kept / all;
  };
}

function matrix(length: number): Float64Array[] {
  return Array.from({ length }, () => new Float64Array(length));
}

/** Hashes below it are in the sample. */
function sampleEnd(images: readonly Image[]): number {
  const most = Math.max(1, ...images.map((image) => image.entryCount));
  return Math.min(HASHES, Math.ceil((HASHES * SAMPLE_MAX) / most));
}

type Take = (key: string, bytes: number, isTombstone: boolean) => void;

function eachOf({ slice, cold }: ImageSlice, hashEnd: number, take: Take): void {
  if (slice) {
    eachSampled(slice, hashEnd, take);
    return;
  }
  try {
    if (cold) eachInFile(cold, hashEnd, take);
  } catch (error) {
    // Who watches the file has heard of it, and a sample goes without what cannot be read.
    if (!(error instanceof TidemarkError)) throw error;
  }
}

function eachInFile(slice: ColdSlice, hashEnd: number, take: Take): void {
  const { table, entryCount } = slice.record;
  const end = hashEnd >= HASHES ? entryCount : slice.hashStart(hashEnd);
  const entry = new Entry();
  for (let index = 0; index < Math.min(end, 4 * SAMPLE_MAX); index++) {
    slice.read(index, entry);
    const { bytes, keyStart, subKeyEnd, valueEnd, hash, op } = entry;
    const key = `${table} ${hash} ${checksum(bytes, keyStart, subKeyEnd)}`;
    take(key, valueEnd, op !== ops.put && op !== ops.merge);
  }
}

function eachSampled(slice: Slice, hashEnd: number, take: Take): void {
  const { table, entryCount } = slice.descriptor;
  const end = hashEnd >= HASHES ? entryCount : slice.hashStart(hashEnd);
  // One key with a million sub-keys must not make a sample of a million entries.
  for (let index = 0; index < Math.min(end, 4 * SAMPLE_MAX); index++) {
    const at = slice.pointers[index]!;
    const keyStart = entryKeyStart(slice.bytes, at);
    const keyEnd = keyStart + readU16(slice.bytes, at + 28) + readU16(slice.bytes, at + 30);
    const op = slice.bytes[at + 24]!;
    const key = `${table} ${slice.hashes[index]} ${checksum(slice.bytes, keyStart, keyEnd)}`;
    take(key, readU32(slice.bytes, at), op !== ops.put && op !== ops.merge);
  }
}
