/*
 * Several ranges of the log as inputs of one merge, oldest first. A segment is one run; past eight
 * of them, runs are folded into slices in memory on the way, so that memory is bounded by eight
 * segments and what their commits leave, never by the length of the log. That is exact because
 * merging is associative.
 */
import type { HashSeed } from '../codec/hash.ts';
import { CorruptionError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { readLogRun, type RunLogRange } from './log-run.ts';
import { MergeIterator } from './merge-iterator.ts';
import { collectSlices, type SinkTools } from './merge-sink.ts';
import type { RunCursor, TableRules } from './run-cursor.ts';
import { SliceCursor } from './slice-cursor.ts';
import { Slice, type SliceDescriptor } from './slice.ts';

const RUNS_MAX = 8;

/** The part of the log that a task reads, and how it is read. */
export interface LogInput {
  /** Oldest first, without a gap. */
  readonly ranges: readonly RunLogRange[];
  /**
   * Commits at or below it are left out; the first that counts must be the next.
   *
   * @defaultValue the LSN before the first range, or 0 without a range
   */
  readonly fromLsn?: number;
  /** Timestamp of `fromLsn`: that of the output when no commit follows. @defaultValue 0 */
  readonly fromTimestamp?: number;
  /** Commits above it are left out, and the last must be this one. @defaultValue all that are there */
  readonly lastLsn?: number;
  readonly seed: HashSeed;
  readonly groupBits: number;
  readonly rules: TableRules;
}

/** Inputs for a merge, and what they hold. */
export interface LogFold {
  readonly inputs: RunCursor[];
  /** About what the entries of the inputs take in slices. */
  readonly inputBytes: number;
  readonly fromLsn: number;
  readonly lastLsn: number;
  readonly lastTimestamp: number;
  readonly commitCount: number;
  /** Bytes of the ranges. */
  readonly logBytes: number;
  /** Slabs that the inputs read from; they can be released after the merge. */
  readonly slabs: SharedArrayBuffer[];
}

/** Reads the ranges as sorted runs. */
export async function foldLog(fs: FileSystem, input: LogInput, tools: SinkTools): Promise<LogFold> {
  const { seed, groupBits, rules } = input;
  const fromLsn = input.fromLsn ?? (input.ranges[0]?.firstLsn ?? 1) - 1;
  const throughLsn = input.lastLsn ?? Number.MAX_SAFE_INTEGER;
  const limits = { seed, groupBits, afterLsn: fromLsn, throughLsn };
  const folded: RunCursor[] = [];
  const slabs: SharedArrayBuffer[] = [];
  let runs: RunCursor[] = [];
  let inputBytes = 0;
  let lastLsn = fromLsn;
  let lastTimestamp = input.fromTimestamp ?? 0;
  let commitCount = 0;
  let logBytes = 0;
  for (const range of input.ranges) {
    if (runs.length === RUNS_MAX) {
      const options = { base: false, lastTimestamp, rules, groupBits };
      const merge = new MergeIterator(runs, options);
      const slices = await collectSlices({ merge, inputBytes }, tools);
      folded.push(slicesCursor(slices));
      slabs.push(...slices.map((slice) => slice.buffer));
      runs = [];
    }
    const run = await readLogRun(fs, range, limits, tools.turns);
    logBytes += range.end - range.start;
    if (run.commitCount === 0) continue;
    if (run.firstLsn !== lastLsn + 1) throw hole(range, lastLsn + 1, run.firstLsn);
    ({ lastLsn, lastTimestamp } = run);
    commitCount += run.commitCount;
    runs.push(run.cursor);
    inputBytes += run.dataBytes;
  }
  if (input.lastLsn !== undefined && lastLsn !== input.lastLsn) throw cutShort(input, lastLsn);
  const inputs = [...folded, ...runs];
  return { inputs, fromLsn, lastLsn, lastTimestamp, commitCount, logBytes, inputBytes, slabs };
}

/** Reads slices, which are in order, from the first entry to the last. */
export function slicesCursor(slices: readonly SliceDescriptor[]): RunCursor {
  return new SliceCursor(
    slices.map((descriptor) => ({
      slice: new Slice(descriptor),
      from: 0,
      to: descriptor.entryCount,
    })),
  );
}

/** The error of a log that does not go on with the LSN that is due. */
export function hole(range: RunLogRange, expected: number, actual: number): CorruptionError {
  const { path, start: offset } = range;
  return new CorruptionError(
    'LOG_HOLE',
    `the log continues at LSN ${actual} where ${expected} is due: ${path}`,
    { path, offset, lsn: expected, expected, actual },
  );
}

function cutShort(input: LogInput, actual: number): CorruptionError {
  const expected = input.lastLsn;
  const path = input.ranges.at(-1)?.path;
  return new CorruptionError('LOG_HOLE', `the log ends at LSN ${actual} where ${expected} is due`, {
    path,
    lsn: expected,
    expected,
    actual,
  });
}
