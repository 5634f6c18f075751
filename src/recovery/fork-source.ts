/*
 * What a fork takes of its parent, at one reading of a store that another process may be writing to:
 * the checkpoints of the current ancestry whose snapshots are all there, the log as far back as it is
 * kept and as far on as it may be given out (F3), and where that ends: there the fork's own timeline
 * begins (T3). Reads only.
 */
import {
  checkpointPrefix,
  droppedName,
  parseRecordName,
  recordName,
  snapshotPrefix,
  type CheckpointRecord,
} from '../checkpoint/checkpoint-record.ts';
import type { TimelineRecord } from '../checkpoint/timelines/timeline-record.ts';
import type { Timelines } from '../checkpoint/timelines/timelines.ts';
import {
  CorruptionError,
  IncompatibleError,
  NotFoundError,
  type TidemarkError,
} from '../errors.ts';
import { decodeCommitHeader } from '../snapshot/commit-format.ts';
import { toHex } from '../std/bytes.ts';
import { isOf, type Ancestry, type TimelineFork } from '../wal/ancestry.ts';
import { chainStart } from '../wal/chain-value.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { listLog, walkLog, type SegmentFile } from '../wal/log-directory.ts';
import type { LogMark } from '../wal/log-mark.ts';
import type { LogRange } from '../wal/log-position.ts';
import { readRecords } from '../wal/log-records.ts';
import type { LowWater } from '../wal/low-water.ts';
import { segmentHeaderBytes } from '../wal/segment-format.ts';
import type { Border } from '../wal/segment-scan.ts';
import { assertUntrimmed, endOfHead, endsBeforeRecord } from './backup-source.ts';
import {
  listRecordIds,
  logDirectoryOf,
  objectsOf,
  readLogMoment,
  readRecord,
  readStoreTimelines,
  type LogMoment,
  type ReaderSource,
} from './reader-moment.ts';
import type { ReaderObjects } from './reader-objects.ts';

/** A segment, and how many bytes of it the fork needs. */
export interface ForkSegment {
  readonly file: SegmentFile;
  readonly end: number;
  /**
   * Where groups end of a segment that is copied: the one that takes appends, and those that a rewind
   * left, which hold the beginning of a future that the fork has not got. Undefined: it is sealed, and
   * shared; or the fork begins inside a group.
   */
  readonly border: Border | undefined;
  readonly isShared: boolean;
}

/** What a fork consists of at first. */
export interface ForkInventory {
  readonly objects: ReaderObjects;
  /** Oldest first. */
  readonly records: readonly CheckpointRecord[];
  /** Ids of those that are savepoints that were dropped. */
  readonly dropped: readonly number[];
  readonly snapshots: readonly { readonly name: string; readonly bytes: number }[];
  /** Of the current ancestry. */
  readonly timelines: readonly TimelineRecord[];
  /** Oldest first. */
  readonly segments: readonly ForkSegment[];
  readonly mark: LogMark | undefined;
  readonly lowWater: LowWater | undefined;
  /** The current timeline of the parent, where the fork leaves it. */
  readonly fork: TimelineFork;
  /** Of its last commit, microseconds; 0 before the first. */
  readonly timestamp: number;
  /** Greatest epoch that was given. */
  readonly epoch: number;
  /** The number of the fork's first timeline. */
  readonly timeline: number;
  /** What of the store a fork does not take along: timelines that were left, records without a use. */
  readonly leftOut: readonly string[];
}

/** Reads what there is, up to what is proved or `settledLsn`, whichever is more. */
export async function readForkInventory(
  source: ReaderSource,
  identity: StoreIdentity,
  settledLsn: number,
): Promise<ForkInventory> {
  const timelines = await readStoreTimelines(source, identity);
  const ancestry = timelines.ancestry();
  const objects = objectsOf(source, source.fs);
  const found = await readUsable(objects, identity, ancestry);
  const without = found.unusable;
  const moment = await readLogMoment(source, source.fs, identity, { without, timelines });
  const { record, plan, lowWater } = moment;
  // The log is judged by the newest record: it has to be among those that the fork gets.
  if (record?.id !== found.records.at(-1)?.id) throw otherRecord(record?.id ?? 0);
  if (plan.damagedHistory) throw endsBeforeRecord(source, moment.lsn);
  const { fs } = source;
  const directory = logDirectoryOf(source);
  const walk = await walkLog(fs, directory, plan.listing, lowWater?.segment ?? 0);
  await assertUntrimmed(fs, directory, walk, lowWater);
  const fork = await forkAt(source, walk.segments, moment, settledLsn);
  const segments = sharesOf(walk.segments, fork);
  const own = new Set(ancestry.parts.map((part) => part.timeline));
  const { ids } = timelines;
  return {
    objects,
    ...found,
    timelines: timelines.records.filter(({ id }) => own.has(id)),
    segments,
    mark: plan.mark,
    lowWater,
    fork,
    timestamp: await timestampAt(source, segments, { record, lsn: fork.lsn }),
    epoch: Math.max(plan.epochMax, record?.epoch ?? 0, ancestry.epoch),
    timeline: ids.at(-1)! + 1,
    leftOut: await leftOutOf(source, walk.segments, timelines, found, lowWater),
  };
}

interface UsableRecords extends Pick<ForkInventory, 'records' | 'dropped' | 'snapshots'> {
  readonly unusable: ReadonlyMap<number, TidemarkError>;
  readonly unreadable: readonly number[];
  /** Ids of those of futures that were left. */
  readonly left: readonly number[];
}

/** What a fork does not take along: futures that were left, and checkpoints that it has no use for. */
async function leftOutOf(
  { fs, dir }: ReaderSource,
  walked: readonly SegmentFile[],
  timelines: Timelines,
  { unusable, unreadable, left }: UsableRecords,
  lowWater: LowWater | undefined,
): Promise<string[]> {
  const futures = new Set<number>();
  const numbers = new Set(walked.map(({ header }) => header.number));
  const { segments } = await listLog(fs, `${dir}/wal`);
  for (const { number, timeline } of segments) {
    const isKept = number >= (lowWater?.segment ?? 0);
    if (isKept && !numbers.has(number) && timeline !== timelines.current) futures.add(timeline);
  }
  // A future may go on in the very segment that was left.
  for (const [i, file] of walked.entries()) {
    const next = walked[i + 1]?.header;
    if (!next?.predecessor || next.timeline === file.header.timeline) continue;
    const all = { through: Number.MAX_SAFE_INTEGER, provedLsn: 0 };
    const { lsn } = await endOfHead(fs, file, all);
    if (lsn > next.predecessor.lastLsn) futures.add(file.header.timeline);
  }
  const checkpoints = [...unusable.keys(), ...unreadable, ...left];
  return [
    ...[...futures].map((id) => `timeline ${id}`),
    ...checkpoints.map((id) => `checkpoint ${id}`),
  ];
}

/** Records of the current ancestry that can be read and whose snapshots are all there. */
async function readUsable(
  objects: ReaderObjects,
  { storeId }: StoreIdentity,
  ancestry: Ancestry,
): Promise<UsableRecords> {
  const marks = (await objects.list(checkpointPrefix)).map(({ name }) => parseRecordName(name));
  const dropped = new Set(marks.flatMap((mark) => (mark?.dropped ? [mark.id] : [])));
  const read: CheckpointRecord[] = [];
  const unreadable: number[] = [];
  const left: number[] = [];
  for (const id of await listRecordIds(objects)) {
    const record = await orNothing(readRecord(objects, id, toHex(storeId)));
    if (record === undefined) unreadable.push(id);
    else if (record && isOf(ancestry, record)) read.push(record);
    else if (record) left.push(id);
  }
  const sizes = new Map<string, number>();
  for (const { name, bytes } of await objects.list(snapshotPrefix)) sizes.set(name, bytes);
  const records: CheckpointRecord[] = [];
  const unusable = new Map<number, TidemarkError>();
  const snapshots = new Map<string, number>();
  for (const record of read) {
    const { chain, id } = record;
    if (chain.every(({ name, bytes }) => sizes.get(name) === bytes)) {
      records.push(record);
      for (const { name, bytes } of chain) snapshots.set(name, bytes);
      continue;
    }
    const path = recordName(id);
    const what = `checkpoint lacks a snapshot: ${path}`;
    unusable.set(id, new CorruptionError('BROKEN_CHAIN', what, { path }));
  }
  return {
    records,
    unusable,
    unreadable,
    left,
    dropped: records.map(({ id }) => id).filter((id) => dropped.has(id)),
    snapshots: [...snapshots].map(([name, bytes]) => ({ name, bytes })),
  };
}

/** Null: collected since it was listed; undefined: damaged, which `verify` reports and a fork leaves behind. */
async function orNothing<T>(read: Promise<T>): Promise<T | null | undefined> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    if (error instanceof CorruptionError) return undefined;
    if (error instanceof IncompatibleError) return undefined;
    throw error;
  }
}

/** Where the log that may be given out ends, which is between two groups. */
async function forkAt(
  source: ReaderSource,
  segments: readonly SegmentFile[],
  { plan, provedLsn, ancestry }: LogMoment,
  settledLsn: number,
): Promise<TimelineFork> {
  const parent = ancestry.timeline;
  // A timeline without a segment stands where it left the one before, and so does the fork.
  const { fork: standing } = plan.listing;
  if (standing) return { ...standing, parent };
  const newest = segments.at(-1);
  if (!newest) {
    const nowhere = { lsn: 0, segment: 0, timeline: parent, offset: 0, chain: chainStart };
    return { parent, lsn: 0, position: nowhere, end: 0 };
  }
  const { number: segment, timeline } = newest.header;
  const through = Math.max(settledLsn, provedLsn);
  const border = await endOfHead(source.fs, newest, { through, provedLsn: through });
  const position = { ...border, segment, timeline };
  return { parent, lsn: border.lsn, position, end: border.offset };
}

/** Every segment ends where its successor says, the newest where the fork begins. */
function sharesOf(files: readonly SegmentFile[], fork: TimelineFork): ForkSegment[] {
  return files.map((file, i) => {
    const next = files[i + 1]?.header;
    if (!next?.predecessor) {
      const { position, lsn, end } = fork;
      return { file, end, border: position.lsn === lsn ? position : undefined, isShared: false };
    }
    const { end, lastLsn } = next.predecessor;
    if (next.timeline === file.header.timeline) {
      return { file, end, border: undefined, isShared: true };
    }
    const border = { offset: end, lsn: lastLsn, chain: next.chain };
    return { file, end, border, isShared: false };
  });
}

async function timestampAt(
  { fs }: ReaderSource,
  segments: readonly ForkSegment[],
  { record, lsn }: { readonly record: CheckpointRecord | undefined; readonly lsn: number },
): Promise<number> {
  if (lsn === (record?.lsn ?? 0)) return record?.timestamp ?? 0;
  const holder = segments.findLast(({ file }) => file.header.firstLsn <= lsn);
  const ranges = holder ? [rangeOf(holder)] : [];
  for await (const { bytes } of readRecords(fs, ranges, lsn)) {
    return decodeCommitHeader(bytes, 0, bytes.length).timestamp;
  }
  throw otherRecord(record?.id ?? 0);
}

function rangeOf({ file: { path, header }, end }: ForkSegment): LogRange {
  const { salt, firstLsn, chain } = header;
  return { path, salt, start: segmentHeaderBytes, end, firstLsn, chain };
}

/** Another reading cures it. */
function otherRecord(id: number): NotFoundError {
  return new NotFoundError('CHECKPOINT_NOT_FOUND', `checkpoint ${id} came or went meanwhile`, {
    id,
  });
}

/** Object names of the marks of dropped savepoints. */
export function droppedMarks({ dropped }: ForkInventory): string[] {
  return dropped.map(droppedName);
}
