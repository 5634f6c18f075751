/*
 * Runs, slices and images of changes, made without a log and with any hash, so that tests choose
 * which keys collide.
 */
import { compareEntries, Entry, groupStart } from '../../src/snapshot/entry.ts';
import { entryFlags, ops } from '../../src/snapshot/entry-format.ts';
import { MergeIterator, type MergeOptions } from '../../src/snapshot/merge-iterator.ts';
import { RunCursor } from '../../src/snapshot/run-cursor.ts';
import { SlabPool } from '../../src/snapshot/slab-pool.ts';
import { SliceBuilder } from '../../src/snapshot/slice-builder.ts';
import type { SliceDescriptor } from '../../src/snapshot/slice.ts';
import { toBytes, type Change, type Commit } from './log-builder.ts';
import { describe, hex } from './model.ts';

/** Gives a key its hash. */
export type HashOf = (key: Uint8Array) => number;

export class ArrayCursor extends RunCursor {
  readonly #entries: readonly Entry[];
  #at = 0;

  constructor(entries: readonly Entry[]) {
    super();
    this.#entries = entries;
  }

  next(): boolean {
    const entry = this.#entries[this.#at++];
    if (entry) this.assign(entry);
    return entry !== undefined;
  }
}

export function entryOf(change: Change, lsn: number, timestamp: number, hash: number): Entry {
  const entry = new Entry();
  const key = toBytes(change.key);
  const subKey = toBytes(change.subKey ?? '');
  const value = toBytes(change.value ?? '');
  entry.table = change.table;
  entry.hash = hash;
  entry.lsn = lsn;
  entry.timestamp = timestamp;
  entry.op = change.op;
  entry.operator = change.operator ?? 0;
  entry.flags = change.subKey === undefined ? 0 : entryFlags.subKey;
  entry.expiry = change.expiry ?? 0;
  entry.eventTime = change.eventTime ?? 0;
  entry.bytes = Buffer.concat([key, subKey, value]);
  entry.keyEnd = key.length;
  entry.subKeyEnd = key.length + subKey.length;
  entry.valueEnd = entry.bytes.length;
  return entry;
}

/** The sorted run of commits whose first has the given LSN. */
export function runOf(
  commits: readonly Commit[],
  firstLsn: number,
  { hashOf, groupBits }: { hashOf: HashOf; groupBits: number },
): ArrayCursor {
  const entries: Entry[] = [];
  commits.forEach(({ timestamp, changes }, i) => {
    for (const change of changes) {
      const groups = change.op === ops.clearTable ? 2 ** groupBits : 1;
      for (let group = 0; group < groups; group++) {
        const hash =
          change.op === ops.clearTable ? groupStart(group, groupBits) : hashOf(toBytes(change.key));
        entries.push(entryOf(change, firstLsn + i, timestamp, hash));
      }
    }
  });
  entries.sort((a, b) => compareEntries(a, b) || a.lsn - b.lsn);
  return new ArrayCursor(entries);
}

/** All slices of a merge. */
export function slicesOf(merge: RunCursor, sliceBytesMax = 256): SliceDescriptor[] {
  const builder = new SliceBuilder(new SlabPool(0), sliceBytesMax, 0);
  const slices: SliceDescriptor[] = [];
  const close = (): void => {
    const slice = builder.finish();
    if (slice) slices.push(slice);
  };
  while (merge.next()) {
    if (!builder.fits(merge)) close();
    builder.append(merge);
  }
  close();
  return slices;
}

/** As `slicesOf`, but entries that meet nothing are taken in runs, as tasks do it. */
export function slicesByRuns(merge: MergeIterator, sliceBytesMax = 256): SliceDescriptor[] {
  const builder = new SliceBuilder(new SlabPool(0), sliceBytesMax, 0);
  const slices: SliceDescriptor[] = [];
  const close = (): void => {
    const slice = builder.finish();
    if (slice) slices.push(slice);
  };
  for (;;) {
    const run = merge.plainRun();
    if (run) {
      const count = builder.appendRun(run.slice, run.from, run.to);
      if (count === 0) close();
      else merge.take(count);
      continue;
    }
    if (!merge.next()) break;
    if (!builder.fits(merge)) close();
    builder.append(merge);
  }
  close();
  return slices;
}

/** Bytes of the entries and of the index of slices, without what the slab has to spare. */
export function sliceTexts(slices: readonly SliceDescriptor[]): string[] {
  return slices.map(({ buffer, ...counts }) => {
    const index = counts.entryCount * 8 + (counts.bucketCount + 1) * 4;
    const end = Math.ceil(counts.dataBytes / 8) * 8 + index;
    return `${JSON.stringify(counts)} ${hex(new Uint8Array(buffer, 0, end))}`;
  });
}

export function describeEntry(entry: Entry): string {
  const text = (start: number, end: number): string => hex(entry.bytes.slice(start, end));
  const hasSubKey = (entry.flags & entryFlags.subKey) !== 0;
  const { table, lsn, timestamp, expiry, eventTime, operator } = entry;
  return describe({
    table,
    key: text(entry.keyStart, entry.keyEnd),
    subKey: hasSubKey ? text(entry.keyEnd, entry.subKeyEnd) : undefined,
    lsn,
    timestamp,
    expiry,
    eventTime,
    operator,
    value: text(entry.subKeyEnd, entry.valueEnd),
  });
}

/** What readers see of runs, oldest first, at a time, sorted. */
export function viewOf(
  inputs: readonly RunCursor[],
  time: number,
  options: Pick<MergeOptions, 'rules' | 'groupBits'>,
): string[] {
  const merge = new MergeIterator(inputs, {
    base: true,
    view: true,
    lastTimestamp: time,
    ...options,
  });
  const live: string[] = [];
  while (merge.next()) live.push(describeEntry(merge));
  return live.sort();
}
