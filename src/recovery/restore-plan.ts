/*
 * From a target to the way to its state: which commit it means, which checkpoint to start from, which
 * bytes of the log to read behind it, and what that costs. Reads records and, for a time, headers of
 * commits; loads no state and writes nothing.
 *
 * | target                                   | commit                          | where it is not      |
 * |------------------------------------------|---------------------------------|----------------------|
 * | latest                                   | the last of the moment          | –                    |
 * | lsn N                                    | N; exclusive: N - 1             | OUT_OF_RETENTION     |
 * | timestamp T                              | the last at or before T; exclusive: before T | OUT_OF_RETENTION |
 * | checkpoint, savepoint                    | that of its record; exclusive: the one before | CHECKPOINT_NOT_FOUND, SAVEPOINT_NOT_FOUND |
 *
 * A checkpoint whose record cannot be read, or whose snapshots are not all there, is no way. Where it is
 * what was asked for, its commit is reached from an older one, or the damage is the error.
 */
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { assumedRates, estimateRestore } from '../checkpoint/restore-estimate.ts';
import { retainedRange, type RetainedRange } from '../checkpoint/retention/retained-range.ts';
import { CorruptionError, NotFoundError, type TidemarkError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { decodeCommitHeader } from '../snapshot/commit-format.ts';
import type { LogRange } from '../wal/log-position.ts';
import { readRecords } from '../wal/log-records.ts';
import { segmentName } from '../wal/segment-format.ts';
import type { KeptLog } from './kept-log.ts';
import { checkpointNotFound, savepointNotFound } from './not-found.ts';
import type { CheckedTarget } from './target.ts';

/** What a plan is made from: one reading of a store. */
export interface PlanInput {
  readonly fs: FileSystem;
  readonly target: CheckedTarget;
  /** Checkpoints that can be used, oldest first. */
  readonly records: readonly CheckpointRecord[];
  /** Ids of those whose chains were found damaged since: no way starts from them. @defaultValue none */
  readonly without?: ReadonlyMap<number, TidemarkError>;
  /** Checkpoints of futures that were given up, which no way leads from. @defaultValue none */
  readonly others?: readonly CheckpointRecord[];
  /** Ids of savepoints that were dropped. */
  readonly dropped: ReadonlySet<number>;
  /** Checkpoints whose snapshots are not all there: they only say which commit is meant. */
  readonly broken: readonly CheckpointRecord[];
  /** Checkpoints whose records cannot be read, and why. */
  readonly unreadable: ReadonlyMap<number, TidemarkError>;
  readonly log: KeptLog;
  /** Last LSN of the reading. */
  readonly lastLsn: number;
  /** Time of the reading, microseconds. */
  readonly now: number;
}

/** The way to the state of a moment. */
export interface RestorePlan {
  /** The last commit of the moment; 0: before the first. */
  readonly lsn: number;
  /** Time of the target, by which expiry is judged, when it names a time; microseconds. */
  readonly time: number | undefined;
  /** The checkpoint to start from; undefined: the log alone. */
  readonly record: CheckpointRecord | undefined;
  /** The log behind the checkpoint; it may go on behind the commit. */
  readonly ranges: readonly LogRange[];
  readonly snapshotBytes: number;
  /** Of `ranges`. */
  readonly logBytes: number;
  /** Estimated. */
  readonly seconds: number;
  /** False: nothing was measured when the record was made, and careful assumptions stand in. */
  readonly measured: boolean;
  readonly retained: RetainedRange;
}

/** Works out the way to a target. */
export async function planRestore(input: PlanInput): Promise<RestorePlan> {
  const retained = retainedRange(input.records, input.log.firstLsn);
  const lsn = await findLsn(input, retained);
  const record = input.records.findLast(
    (candidate) => candidate.lsn <= lsn && !input.without?.has(candidate.id),
  );
  const from = record?.lsn ?? 0;
  if (lsn > from && input.log.firstLsn > from + 1) {
    throw brokenTarget(input, lsn) ?? outOfRetention(input, retained);
  }
  const ranges = lsn > from ? rangesBehind(input.log, record, lsn) : [];
  const snapshotBytes = record?.chain.reduce((sum, link) => sum + link.bytes, 0) ?? 0;
  const logBytes = ranges.reduce((sum, range) => sum + range.end - range.start, 0);
  const rates = record?.rates ?? assumedRates;
  const { seconds } = estimateRestore(snapshotBytes, logBytes, rates);
  const { target } = input;
  const time = target.kind === 'timestamp' ? target.number - (target.inclusive ? 0 : 1) : undefined;
  const measured = record?.rates !== undefined;
  return { lsn, time, record, ranges, snapshotBytes, logBytes, seconds, measured, retained };
}

async function findLsn(input: PlanInput, retained: RetainedRange): Promise<number> {
  const { target, lastLsn } = input;
  if (target.kind === 'latest') return lastLsn;
  if (target.kind === 'timestamp') return findByTime(input, retained);
  const named = target.kind === 'lsn' ? target.number : findRecord(input).lsn;
  const lsn = target.inclusive ? named : named - 1;
  if (lsn < 0 || lsn > lastLsn) throw outOfRetention(input, retained);
  return lsn;
}

/** The damage of a checkpoint that would have been the only way. */
function brokenTarget({ broken, without }: PlanInput, lsn: number): TidemarkError | undefined {
  const damaged = [...(without?.values() ?? [])].find((error) => error instanceof CorruptionError);
  const record = broken.find((candidate) => candidate.lsn === lsn);
  if (damaged || !record) return damaged;
  return new CorruptionError(
    'BROKEN_CHAIN',
    `snapshots of checkpoint ${record.id} are missing or cut short, and nothing leads to its LSN ${lsn}`,
    { checkpoint: record.id, lsn },
  );
}

function findRecord(input: PlanInput): CheckpointRecord {
  const { target, others = [], dropped, broken, unreadable } = input;
  const { kind, number, name } = target;
  const records = [...input.records, ...broken].toSorted((a, b) => a.id - b.id);
  const isMeant = ({ id, savepoint }: CheckpointRecord): boolean =>
    kind === 'savepoint' ? savepoint === name && !dropped.has(id) : id === number;
  const found = records.findLast(isMeant);
  if (found) return found;
  const other = others.findLast(isMeant)?.timeline;
  if (kind === 'savepoint') {
    const kept = records.filter(({ id }) => !dropped.has(id));
    const names = kept.flatMap(({ savepoint }) => savepoint ?? []);
    // It may be one of those that cannot be read.
    const more = unreadable.size > 0 ? { unreadable: [...unreadable.keys()] } : {};
    throw savepointNotFound(name, names, { timeline: other, ...more });
  }
  const damage = unreadable.get(number);
  if (damage) throw damage;
  const ids = records.map(({ id }) => id);
  throw checkpointNotFound(number, ids, { timeline: other });
}

/** The last commit at or before a time. */
async function findByTime(input: PlanInput, retained: RetainedRange): Promise<number> {
  const { fs, target, records, log, now } = input;
  const time = target.inclusive ? target.number : target.number - 1;
  const base = records.findLast(({ timestamp }) => timestamp <= time);
  if (base?.timestamp === time) return base.lsn;
  const from = base?.lsn ?? 0;
  // What came between the checkpoint and the log that is kept is not known any more.
  if (time > now || log.firstLsn > from + 1) throw outOfRetention(input, retained);
  let found = base?.lsn;
  for await (const { lsn, bytes } of readRecords(
    fs,
    rangesBehind(log, base, undefined),
    from + 1,
  )) {
    if (lsn > input.lastLsn) break;
    if (decodeCommitHeader(bytes, 0, bytes.length).timestamp > time) break;
    found = lsn;
  }
  if (found === undefined) throw outOfRetention(input, retained);
  return found;
}

/** The log behind a checkpoint, through the segment that holds an LSN. */
function rangesBehind(
  { ranges }: KeptLog,
  record: CheckpointRecord | undefined,
  lsn: number | undefined,
): LogRange[] {
  const from = record?.lsn ?? 0;
  const found: LogRange[] = [];
  ranges.forEach((range, i) => {
    const next = ranges[i + 1]?.firstLsn;
    if (next !== undefined && next <= from + 1) return;
    if (lsn !== undefined && range.firstLsn > lsn) return;
    found.push(record && holdsPosition(range, record) ? behindPosition(range, record) : range);
  });
  return found;
}

function holdsPosition({ path }: LogRange, { position }: CheckpointRecord): boolean {
  return path.endsWith(`/${segmentName(position.segment, position.timeline)}`);
}

/** What stands in the segment behind the checkpoint's position. */
function behindPosition(range: LogRange, { position }: CheckpointRecord): LogRange {
  const { offset, lsn, chain } = position;
  return { ...range, start: offset, firstLsn: lsn + 1, chain };
}

function outOfRetention(input: PlanInput, retained: RetainedRange): NotFoundError {
  const { target, lastLsn, now } = input;
  const { fromLsn, fromTimestamp, oldestLsn, oldestTimestamp } = retained;
  const named = nameOf(target);
  const isToCome = target.kind === 'timestamp' && target.number > now;
  const every = fromLsn === undefined ? 'no commit by itself' : `every commit from LSN ${fromLsn}`;
  const records = oldestLsn === undefined ? 'no checkpoint' : `checkpoints from LSN ${oldestLsn}`;
  return new NotFoundError(
    'OUT_OF_RETENTION',
    `${named} ${isToCome ? 'is still to come' : 'cannot be restored'}: what is kept is ${every} to ${lastLsn}, and ${records}`,
    { target: named, fromLsn, fromTimestamp, lastLsn, oldestLsn, oldestTimestamp },
  );
}

/** A time as a date too: microseconds that were meant as milliseconds are one of January 1970. */
function nameOf({ kind, name, number }: CheckedTarget): string {
  if (kind === 'savepoint') return `savepoint ${name}`;
  if (kind !== 'timestamp') return `${kind} ${number}`;
  const date = new Date(Math.floor(number / 1000));
  const shown = Number.isNaN(date.getTime()) ? '' : ` (${date.toISOString()})`;
  return `timestamp ${number}${shown}`;
}
