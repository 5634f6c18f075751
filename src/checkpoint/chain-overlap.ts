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
    for (const place of image.slicesBelow(hashEnd)) {
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
  // Checkpoints ask for the whole chain, plans for every run of it.
  const totals = sumsBefore(total);
  let whole: Float64Array | undefined;
  let runs: Float64Array[] | undefined;
  return (start, count) => {
    const end = start + count;
    const all = totals[end]! - totals[start]!;
    if (all === 0) return 1;
    if (start > 0) {
      runs ??= sumsOfRuns(replaced);
      return (all - runs[start]![end]!) / all;
    }
    whole ??= keptInBase(tombstones, replaced, replacedTombstones);
    return (all + whole[end]!) / all;
  };
}

/** [n]: the sum of the first n; exact, of whole bytes. */
function sumsBefore(values: Float64Array): Float64Array {
  const sums = new Float64Array(values.length + 1);
  values.forEach((value, i) => {
    sums[i + 1] = sums[i]! + value;
  });
  return sums;
}

/** [start][end]: what goes of the run, over all pairs of a link and a later one; exact as well. */
function sumsOfRuns(pairs: readonly Float64Array[]): Float64Array[] {
  const { length } = pairs;
  const sums = matrix(length + 1);
  for (let end = 1; end <= length; end++) {
    let ofLast = 0;
    for (let start = end - 1; start >= 0; start--) {
      ofLast += pairs[start]![end - 1]!;
      sums[start]![end] = sums[start]![end - 1]! + ofLast;
    }
  }
  return sums;
}

/** [end]: what a base of so many links has less than they have; tombstones go, counted once. */
function keptInBase(
  tombstones: Float64Array,
  replaced: readonly Float64Array[],
  replacedTombstones: readonly Float64Array[],
): Float64Array {
  const kept = new Float64Array(tombstones.length + 1);
  for (let last = 0; last < tombstones.length; last++) {
    let less = tombstones[last]!;
    for (let link = 0; link < last; link++) {
      less += replaced[link]![last]! - replacedTombstones[link]![last]!;
    }
    kept[last + 1] = kept[last]! - less;
  }
  return kept;
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
