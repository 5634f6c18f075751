/*
 * Whether a slice is what its descriptor says: entries well formed and in order, hashes those of
 * the keys, pointers, directory and flags those of the entries. What full verification checks; the
 * slice may hold anything, so every entry is checked before it is read.
 */
import { hashBytes, type HashSeed } from '../codec/hash.ts';
import { compareEntries, Entry, entryFault, readEntry } from './entry.ts';
import { ops } from './entry-format.ts';
import { Slice, type SliceDescriptor } from './slice.ts';
import type { Turns } from './task-context.ts';

/** A fault and its place among the bytes of the slice's entries. */
export interface SliceFault {
  readonly offset: number;
  readonly what: string;
}

/** The first fault of a slice, or undefined; without a seed hashes are not compared with their keys. */
export async function findSliceFault(
  descriptor: SliceDescriptor,
  seed: HashSeed | undefined,
  turns: Turns,
): Promise<SliceFault | undefined> {
  const slice = new Slice(descriptor);
  const { dataBytes, entryCount, table } = descriptor;
  let entry = new Entry();
  let before = new Entry();
  let at = 0;
  let hasKeyClears = false;
  let hasTableClears = false;
  for (let index = 0; index < entryCount; index++) {
    const fault = (what: string): SliceFault => ({ offset: at, what: `entry ${index} ${what}` });
    const malformed = entryFault(slice.bytes, at, dataBytes);
    if (malformed !== undefined) return fault(malformed);
    readEntry(slice.bytes, at, table, entry);
    if (slice.pointers[index] !== at) return fault('is not where the index points');
    if (slice.hashes[index] !== entry.hash) return fault('has another hash in the index');
    if (seed !== undefined && entry.op !== ops.clearTable) {
      const hash = hashBytes(entry.bytes, entry.keyStart, entry.keyEnd, seed);
      if (hash !== entry.hash) return fault('has a hash that is not its key’s');
    }
    if (index > 0 && compareEntries(before, entry) >= 0) return fault('is out of order');
    hasKeyClears ||= entry.op === ops.clearKey;
    hasTableClears ||= entry.op === ops.clearTable;
    if (turns.spend(entry.valueEnd - at)) await turns.pause();
    at = entry.valueEnd;
    [before, entry] = [entry, before];
  }
  if (at !== dataBytes) return { offset: at, what: 'has bytes behind its last entry' };
  const keyClears = hasKeyClears === descriptor.hasKeyClears;
  if (!keyClears || hasTableClears !== descriptor.hasTableClears) {
    return { offset: 0, what: 'has other clears than its flags say' };
  }
  return directoryFault(slice);
}

function directoryFault(slice: Slice): SliceFault | undefined {
  const { firstHash, lastHash, bucketShift, entryCount, dataBytes } = slice.descriptor;
  const fault = (what: string): SliceFault => ({ offset: dataBytes, what });
  if (slice.hashes[0] !== firstHash || slice.hashes[entryCount - 1] !== lastHash) {
    return fault('has other hashes than its range says');
  }
  let filled = 0;
  for (let i = 0; i < entryCount; i++) {
    const bucket = (slice.hashes[i]! - firstHash) >>> bucketShift;
    while (filled <= bucket) {
      if (slice.directory[filled++] !== i) return fault('has a wrong directory');
    }
  }
  for (; filled < slice.directory.length; filled++) {
    if (slice.directory[filled] !== entryCount) return fault('has a wrong directory');
  }
  return undefined;
}
