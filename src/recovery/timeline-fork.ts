/*
 * Where in the log a new timeline leaves another one: the last border between groups at or before an
 * LSN, marks included, and the end of the group that holds it. No checkpoint at or before the LSN has
 * a position behind that border. Reads only.
 */
import { CorruptionError } from '../errors.ts';
import { decodeCommitHeader } from '../snapshot/commit-format.ts';
import { must } from '../std/assert.ts';
import type { TimelineFork } from '../wal/ancestry.ts';
import type { LogPosition, LogRange } from '../wal/log-position.ts';
import { readRecords } from '../wal/log-records.ts';
import { parseSegmentName } from '../wal/segment-format.ts';
import { GroupScanner, readFileRange, type Border } from '../wal/segment-scan.ts';
import { findKeptLog } from './kept-log.ts';
import { logDirectoryOf, type LogMoment, type ReaderSource } from './reader-moment.ts';
import type { RestorePlan } from './restore-plan.ts';

/** A place to leave a timeline. */
export interface FoundFork {
  readonly fork: TimelineFork;
  /** Time of its commit, microseconds; 0 before the first. */
  readonly timestamp: number;
}

/** A restore in place. */
export interface Rewound {
  /** The timeline that was current, and its last commit. */
  readonly from: { readonly timeline: number; readonly lsn: number };
  /** The commit that the new timeline goes on behind, and the timeline that it was taken from. */
  readonly to: { readonly timeline: number; readonly lsn: number };
}

/** Finds the place behind the last commit of a plan. */
export async function findFork(
  source: ReaderSource,
  moment: LogMoment,
  { lsn, record }: Pick<RestorePlan, 'lsn' | 'record'>,
): Promise<FoundFork> {
  const log = await findKeptLog(source.fs, logDirectoryOf(source), moment);
  // A checkpoint of that LSN may stand behind marks, or where the next segment begins. The log is
  // read on from its position, so the timeline begins at no other.
  if (record?.lsn === lsn && log.ranges.some(({ path }) => holds(path, record.position))) {
    const { position, timestamp } = record;
    const fork = { parent: position.timeline, lsn, position, end: position.offset };
    return { fork, timestamp };
  }
  // A checkpoint of that LSN can stand at the start of the next segment, which has to stay in the log.
  const range = log.ranges.findLast(({ firstLsn }) => firstLsn <= lsn + 1);
  if (!range) {
    // A plan leads there without a log only from a checkpoint of that LSN.
    const { position, timeline, timestamp } = must(record, 'a checkpoint holds the moment');
    const at = { ...position, segment: 0, offset: 0 };
    return { fork: { parent: timeline, lsn, position: at, end: 0 }, timestamp };
  }
  const { before, behind } = await bordersAt(source, range, lsn);
  const { number, timeline } = segmentAt(range.path);
  const position = { ...before, segment: number, timeline };
  const fork = { parent: timeline, lsn, position, end: behind.offset };
  const timestamp = record?.lsn === lsn ? record.timestamp : await timestampOf(source, range, lsn);
  return { fork, timestamp };
}

function segmentAt(path: string): { readonly number: number; readonly timeline: number } {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return must(parseSegmentName(name), 'a segment has a name');
}

function holds(path: string, { segment, timeline }: LogPosition): boolean {
  const at = segmentAt(path);
  return at.number === segment && at.timeline === timeline;
}

/** The last border at or before an LSN, and the one behind the group that holds it. */
async function bordersAt(
  { fs }: ReaderSource,
  range: LogRange,
  lsn: number,
): Promise<{ before: Border; behind: Border }> {
  const { path, salt, start, end, firstLsn, chain } = range;
  const bytes = await readFileRange(fs, path, start, end);
  const scanner = new GroupScanner(bytes, start, salt, { offset: start, lsn: firstLsn - 1, chain });
  let before = scanner.border;
  while (scanner.border.offset < end && scanner.next()) {
    if (scanner.border.lsn > lsn) break;
    before = scanner.border;
  }
  const { border, fault } = scanner;
  if (fault !== undefined || border.lsn < lsn) {
    const { offset } = border;
    const why = `log group ${fault ?? 'is missing'}: ${path}`;
    throw new CorruptionError('CORRUPT_FRAME', why, { path, offset, lsn: border.lsn + 1 });
  }
  return { before, behind: before.lsn === lsn ? before : border };
}

async function timestampOf({ fs }: ReaderSource, range: LogRange, lsn: number): Promise<number> {
  // Behind no commit that is in the log, and no checkpoint: before the first one.
  if (lsn < range.firstLsn) return 0;
  for await (const { bytes } of readRecords(fs, [range], lsn)) {
    return decodeCommitHeader(bytes, 0, bytes.length).timestamp;
  }
  return 0;
}
