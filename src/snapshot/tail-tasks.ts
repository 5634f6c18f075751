/*
 * The tasks of a log tail that becomes an image in parts: `cutLog` finds places where the log can be
 * divided, `sortLog` sorts each piece, `mergeRuns` merges ranges of the sorted pieces into slices, and
 * `mergeSlices` those of several images, where the log is long. threads/tail-build.ts puts them together.
 *
 * A place to cut at is behind a group whose header holds: its CRC is seeded by the segment's salt and
 * the offset, so what only looks like one does not, and the header names the LSN and the chain value
 * that the next piece goes on from. The piece before it is checked against the same header.
 */
import type { HashSeed } from '../codec/hash.ts';
import { toStorageError } from '../errors.ts';
import type { FileHandle, FileSystem } from '../fs/file-system.ts';
import { decodeGroupHeader, groupAlignment, groupBytes } from '../wal/group-format.ts';
import { hole } from './log-fold.ts';
import { readLogRun, type RunLogRange } from './log-run.ts';
import { MergeIterator } from './merge-iterator.ts';
import { overlaps, type MergeRange } from './merge-ranges.ts';
import { collectSlices } from './merge-sink.ts';
import { cursorIn } from './merge-tasks.ts';
import type { TableRules } from './run-cursor.ts';
import { cursorOfRun, shareRun, type SharedRun } from './shared-run.ts';
import type { SliceDescriptor } from './slice.ts';
import type { TaskContext } from './task-context.ts';
import { startTask, type SparedMemory, type TaskMemory } from './task-memory.ts';

const WINDOW_BYTES = 64 * 1024;

/** Input of `cutLog`. */
export interface CutLogInput {
  /** Oldest first, without a gap. */
  readonly ranges: readonly RunLogRange[];
  /** Bytes that a piece has, about. */
  readonly pieceBytes: number;
}

/** Divides ranges of the log; joined in order, the pieces are the ranges. */
export async function cutLog(
  fs: FileSystem,
  { ranges, pieceBytes }: CutLogInput,
  context: TaskContext,
): Promise<RunLogRange[][]> {
  const { turns } = startTask({}, context);
  const pieces: RunLogRange[][] = [];
  let piece: RunLogRange[] = [];
  let bytes = 0;
  for (const range of ranges) {
    for (const part of await cutRange(fs, range, pieceBytes)) {
      // Nothing behind a fork point counts (T1).
      if (part !== range && part.firstLsn > (part.throughLsn ?? part.firstLsn)) continue;
      piece.push(part);
      bytes += part.end - part.start;
      if (turns.spend(WINDOW_BYTES)) await turns.pause();
      if (bytes < pieceBytes / 2) continue;
      pieces.push(piece);
      piece = [];
      bytes = 0;
    }
  }
  if (piece.length > 0) pieces.push(piece);
  return pieces;
}

/** Cuts one range behind the first groups that end at or behind multiples of a size. */
async function cutRange(
  fs: FileSystem,
  range: RunLogRange,
  pieceBytes: number,
): Promise<RunLogRange[]> {
  // Two halves of a piece are not worth a task each.
  if (range.end - range.start < 2 * pieceBytes) return [range];
  const { path } = range;
  try {
    const handle = await fs.open(path, 'read');
    try {
      const parts: RunLogRange[] = [];
      let rest = range;
      while (rest.end - rest.start >= 2 * pieceBytes) {
        const next = await startBehind(handle, rest, rest.start + pieceBytes);
        if (!next) break;
        parts.push({ ...rest, end: next.start });
        rest = next;
      }
      return [...parts, rest];
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw toStorageError(error, 'read', path);
  }
}

/** What of a range is left behind the first group found from an offset on; undefined: nothing. */
async function startBehind(
  handle: FileHandle,
  range: RunLogRange,
  from: number,
): Promise<RunLogRange | undefined> {
  const window = new Uint8Array(WINDOW_BYTES);
  let at = Math.ceil(from / groupAlignment) * groupAlignment;
  while (at < range.end) {
    const bytes = window.subarray(0, Math.min(WINDOW_BYTES, range.end - at));
    const read = await handle.read(bytes, at);
    for (let i = 0; i < read; i += groupAlignment) {
      // Decoding begins with the magic, so nearly all places cost one comparison.
      const header = decodeGroupHeader(bytes, i, range.salt, at + i);
      if (typeof header === 'string') continue;
      const start = at + i + groupBytes(header.bodyBytes);
      if (start >= range.end) return undefined;
      const firstLsn = header.firstLsn + header.recordCount;
      return { ...range, start, firstLsn, chain: header.chain };
    }
    // A header can stand across the border of two windows.
    if (read < WINDOW_BYTES) break;
    at += WINDOW_BYTES - 8 * groupAlignment;
  }
  return undefined;
}

/** Input of `sortLog`. */
export interface SortLogInput extends TaskMemory {
  /** A piece of the log: oldest first, without a gap. */
  readonly ranges: readonly RunLogRange[];
  /** Commits at or below it are left out. */
  readonly fromLsn: number;
  readonly seed: HashSeed;
  readonly groupBits: number;
}

/** Output of `sortLog`. */
export interface SortLogOutput extends SparedMemory {
  /** Oldest first. */
  readonly runs: readonly SharedRun[];
  readonly commitCount: number;
  readonly entryCount: number;
  /** `fromLsn` when there is no commit. */
  readonly lastLsn: number;
  /** Of the last commit; 0 when there is none. */
  readonly lastTimestamp: number;
  /** Bytes of the ranges. */
  readonly logBytes: number;
}

/** Reads a piece of the log as sorted runs in shared memory. */
export async function sortLog(
  fs: FileSystem,
  input: SortLogInput,
  context: TaskContext,
): Promise<SortLogOutput> {
  const { slabs, turns } = startTask(input, context);
  const { seed, groupBits, fromLsn, ranges } = input;
  const taken: SharedArrayBuffer[] = [];
  const allocate = (bytes: number): Uint8Array => {
    const slab = slabs.acquire(bytes);
    taken.push(slab);
    return new Uint8Array(slab, 0, bytes);
  };
  const throughLsn = Number.MAX_SAFE_INTEGER;
  const options = { seed, groupBits, afterLsn: fromLsn, throughLsn, allocate };
  const runs: SharedRun[] = [];
  const sum = { commitCount: 0, entryCount: 0, lastLsn: fromLsn, lastTimestamp: 0, logBytes: 0 };
  for (const range of ranges) {
    const run = await readLogRun(fs, range, options, turns);
    sum.logBytes += range.end - range.start;
    if (run.commitCount === 0) continue;
    if (run.firstLsn !== sum.lastLsn + 1) throw hole(range, sum.lastLsn + 1, run.firstLsn);
    ({ lastLsn: sum.lastLsn, lastTimestamp: sum.lastTimestamp } = run);
    sum.commitCount += run.commitCount;
    sum.entryCount += run.entryCount;
    runs.push(shareRun(run, slabs));
  }
  // Stored bytes of compressed groups, and ranges without a commit that counts.
  const kept = new Set(runs.map(({ frames }) => frames));
  for (const slab of taken) if (!kept.has(slab)) slabs.release(slab);
  return { ...sum, runs, spareSlabs: slabs.drain() };
}

/** Input of `mergeRuns`. */
export interface MergeRunsInput extends TaskMemory {
  /** Oldest first. */
  readonly runs: readonly SharedRun[];
  readonly range: MergeRange;
  /** Of the last LSN of all runs. */
  readonly lastTimestamp: number;
  readonly groupBits: number;
  readonly rules: TableRules;
  readonly sliceBytesMax?: number;
}

/** Merges a range of sorted runs into slices of a delta. */
export async function mergeRuns(
  _fs: FileSystem,
  input: MergeRunsInput,
  context: TaskContext,
): Promise<MergeSlicesOutput> {
  const { runs, range, lastTimestamp, groupBits, rules } = input;
  const tools = startTask(input, context);
  const cursors = runs.map((run) => cursorOfRun(run, range));
  const merge = new MergeIterator(cursors, { base: false, lastTimestamp, groupBits, rules });
  const spans = runs.flatMap(({ tables }) => tables).filter((span) => overlaps(span, range));
  const inputBytes = spans.reduce((sum, { dataBytes }) => sum + dataBytes, 0);
  const slices = await collectSlices({ merge, inputBytes: Math.ceil(inputBytes) }, tools);
  return { slices, spareSlabs: tools.slabs.drain() };
}

/** Input of `mergeSlices`. */
export interface MergeSlicesInput extends TaskMemory {
  /** Slices of each input that overlap the range, oldest input first, in order. */
  readonly inputs: readonly (readonly SliceDescriptor[])[];
  readonly range: MergeRange;
  /** Of the last LSN of the whole merge. */
  readonly lastTimestamp: number;
  readonly groupBits: number;
  readonly rules: TableRules;
  readonly sliceBytesMax?: number;
}

/** Output of `mergeSlices`. */
export interface MergeSlicesOutput extends SparedMemory {
  readonly slices: readonly SliceDescriptor[];
}

/** Merges a range of images into slices of a delta: `mergeRange` without a file. */
export async function mergeSlices(
  _fs: FileSystem,
  input: MergeSlicesInput,
  context: TaskContext,
): Promise<MergeSlicesOutput> {
  const { inputs, range, lastTimestamp, groupBits, rules } = input;
  const tools = startTask(input, context);
  const cursors = inputs.map((slices) => cursorIn(slices, range));
  const merge = new MergeIterator(cursors, { base: false, lastTimestamp, groupBits, rules });
  const inputBytes = inputs.flat().reduce((sum, slice) => sum + slice.dataBytes, 0);
  const slices = await collectSlices({ merge, inputBytes }, tools);
  return { slices, spareSlabs: tools.slabs.drain() };
}
