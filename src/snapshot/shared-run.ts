/*
 * A sorted log run in shared memory: the frames of the log as they were read, and the columns that say
 * in which order their entries are. One thread sorts it, others read ranges of it in place. Two slabs:
 * the frames; timestamps f64[recordCount], hashes, offsets and records u32[entryCount].
 */
import { readU32 } from '../std/bytes.ts';
import { LogRunCursor, type LogRunColumns } from './log-run-cursor.ts';
import type { LogRun } from './log-run.ts';
import type { MergeBorder, MergeRange, SliceSpan } from './merge-ranges.ts';
import type { RunCursor } from './run-cursor.ts';
import type { SlabPool } from './slab-pool.ts';

/** Entries of one table in a run; half-open places. */
export interface RunTable extends SliceSpan {
  readonly from: number;
  readonly to: number;
}

/** A run as plain data, which threads pass to each other. */
export interface SharedRun {
  readonly frames: SharedArrayBuffer;
  readonly framesBytes: number;
  readonly columns: SharedArrayBuffer;
  readonly entryCount: number;
  readonly recordCount: number;
  readonly firstLsn: number;
  /** In order. */
  readonly tables: readonly RunTable[];
}

/** Puts the columns of a run beside its frames, which stand in a slab already. */
export function shareRun(run: LogRun, slabs: SlabPool): SharedRun {
  const { bytes, hashes, offsets, records, timestamps, firstLsn } = run.columns;
  const entryCount = offsets.length;
  const recordCount = timestamps.length;
  const columns = slabs.acquire(recordCount * 8 + entryCount * 12);
  const shared = {
    frames: bytes.buffer as SharedArrayBuffer,
    framesBytes: bytes.length,
    columns,
    entryCount,
    recordCount,
    firstLsn,
  };
  const target = columnsOf(shared);
  target.timestamps.set(timestamps);
  target.hashes.set(hashes);
  target.offsets.set(offsets);
  target.records.set(records);
  return { ...shared, tables: tablesOf(run) };
}

/** Reads the entries of a run that stand in a range, in order. */
export function cursorOfRun(run: SharedRun, range: MergeRange): RunCursor {
  const columns = columnsOf(run);
  const from = placeOf(run, columns.hashes, range.from);
  const to = placeOf(run, columns.hashes, range.to);
  return new LogRunCursor(columns, from, Math.max(from, to));
}

/** Gives the memory of runs back; nobody reads them any more. */
export function slabsOfRun({ frames, columns }: SharedRun): readonly SharedArrayBuffer[] {
  return [frames, columns];
}

function columnsOf(run: Omit<SharedRun, 'tables'>): LogRunColumns {
  const { frames, framesBytes, columns, entryCount, recordCount, firstLsn } = run;
  const hashesAt = recordCount * 8;
  const bytes = entryCount * 4;
  return {
    bytes: new Uint8Array(frames, 0, framesBytes),
    timestamps: new Float64Array(columns, 0, recordCount),
    hashes: new Uint32Array(columns, hashesAt, entryCount),
    offsets: new Uint32Array(columns, hashesAt + bytes, entryCount),
    records: new Uint32Array(columns, hashesAt + 2 * bytes, entryCount),
    firstLsn,
  };
}

/** Where the tables of a run stand, found by halving. */
function tablesOf({ columns, dataBytes }: LogRun): RunTable[] {
  const { bytes, offsets, hashes } = columns;
  const tables: RunTable[] = [];
  for (let from = 0; from < offsets.length;) {
    const table = readU32(bytes, offsets[from]!);
    const to = firstPlace(from, offsets.length, (i) => readU32(bytes, offsets[i]!) > table);
    const share = (dataBytes * (to - from)) / offsets.length;
    const [firstHash, lastHash] = [hashes[from]!, hashes[to - 1]!];
    tables.push({ table, from, to, firstHash, lastHash, dataBytes: share });
    from = to;
  }
  return tables;
}

/** The first entry at or behind a border. */
function placeOf({ tables, entryCount }: SharedRun, hashes: Uint32Array, at: MergeBorder): number {
  const found = tables.find(({ table }) => table >= at.table);
  if (!found) return entryCount;
  if (found.table > at.table) return found.from;
  return firstPlace(found.from, found.to, (i) => hashes[i]! >= at.hash);
}

/** The first place where it holds; it holds for all behind one for which it does. */
function firstPlace(from: number, to: number, holds: (place: number) => boolean): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
