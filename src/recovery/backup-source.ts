/*
 * What a backup copies: one reading of a store that another process may be writing to. Every record that
 * can be read, the snapshots that those name, the log as far back as it is kept and as far on as it may
 * be given out (F3). Nothing above that leaves the source (C2). Futures that were left come along: all of
 * them was proved before they were left (T1).
 */
import {
  checkpointPrefix,
  parseRecordName,
  recordName,
  snapshotPrefix,
  type CheckpointRecord,
} from '../checkpoint/checkpoint-record.ts';
import {
  CorruptionError,
  IncompatibleError,
  NotFoundError,
  type TidemarkError,
} from '../errors.ts';
import { encodeTimeline, timelineName } from '../checkpoint/timelines/timeline-record.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { toHex } from '../std/bytes.ts';
import { groupKinds } from '../wal/group-format.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { isOf } from '../wal/ancestry.ts';
import {
  listingOf,
  listLog,
  walkLog,
  type LogWalk,
  type SegmentFile,
} from '../wal/log-directory.ts';
import type { LogMark } from '../wal/log-mark.ts';
import { readLowWater, type LowWater } from '../wal/low-water.ts';
import { segmentHeaderBytes } from '../wal/segment-format.ts';
import { GroupScanner, readFileRange, type Border } from '../wal/segment-scan.ts';
import {
  listRecordIds,
  objectsOf,
  readLogMoment,
  readRecord,
  readStoreTimelines,
  type LogMoment,
  type ReaderSource,
} from './reader-moment.ts';
import type { ReaderObjects } from './reader-objects.ts';

/** A segment and how much of it is copied. */
export interface BackupSegment {
  readonly file: SegmentFile;
  /** Behind the last group that is copied; of any timeline that has the segment. */
  readonly end: Border;
  /**
   * `head`: it takes appends; `left`: it was the newest of a timeline that was left; `sealed`: another
   * one goes on behind it.
   */
  readonly role: 'head' | 'left' | 'sealed';
}

/** A checkpoint record. */
export interface BackupRecord {
  readonly timeline: number;
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** An object and its size. */
export interface BackupObject {
  readonly name: string;
  readonly bytes: number;
}

/** The record of a timeline. */
export interface BackupTimeline {
  readonly id: number;
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What a store consists of at one reading. */
export interface BackupInventory {
  readonly objects: ReaderObjects;
  /** Oldest first. */
  readonly records: readonly BackupRecord[];
  /** Object names of marks of dropped savepoints. */
  readonly dropped: readonly string[];
  readonly snapshots: readonly BackupObject[];
  /** Of the timelines, by id. */
  readonly timelines: readonly BackupTimeline[];
  /** By number; the last is the one that takes appends, if there is one. */
  readonly segments: readonly BackupSegment[];
  readonly mark: LogMark | undefined;
  readonly lowWater: LowWater | undefined;
  /** The last commit that is copied. */
  readonly lsn: number;
  /** Every record could be read: what none of them names is not needed. */
  readonly isSure: boolean;
}

/** Reads what there is, up to what is proved or `settledLsn`, whichever is more. */
export async function readInventory(
  source: ReaderSource,
  identity: StoreIdentity,
  settledLsn: number,
): Promise<BackupInventory> {
  const objects = objectsOf(source, source.fs);
  const timelines = await readStoreTimelines(source, identity);
  const [fault] = timelines.faults.values();
  if (fault) throw fault;
  const dropped = (await objects.list(checkpointPrefix))
    .map(({ name }) => name)
    .filter((name) => parseRecordName(name)?.dropped === true);
  const { records: read, isSure } = await readRecords(objects, toHex(identity.storeId));
  const sizes = new Map(
    (await objects.list(snapshotPrefix)).map(({ name, bytes }) => [name, bytes]),
  );
  const isWhole = ({ chain }: CheckpointRecord): boolean =>
    chain.every(({ name, bytes }) => sizes.get(name) === bytes);
  // A record that was collected since goes before its snapshots (R1): it lacks nothing.
  const listed = new Set(read.every(isWhole) ? [] : await listRecordIds(objects));
  const records = read.filter((record) => isWhole(record) || listed.has(record.id));
  const whole = records.filter(isWhole);
  const names = new Set(whole.flatMap(({ chain }) => chain.map(({ name }) => name)));
  const moment = await readLogMoment(source, source.fs, identity, {
    without: unusable(records, whole),
    timelines,
  });
  // The log is judged by the newest record: it has to be among those that are copied.
  const newest = whole.findLast((record) => isOf(moment.ancestry, record));
  if (moment.record?.id !== newest?.id) throw otherRecord(moment.record?.id ?? 0);
  if (moment.plan.damagedHistory) throw endsBeforeRecord(source, moment.lsn);
  const through = Math.max(settledLsn, moment.provedLsn);
  const { plan, lowWater } = moment;
  const segments = await segmentsOf(source, moment, through);
  const head = segments.at(-1);
  return {
    objects,
    records: await Promise.all(
      whole.map(async ({ id, timeline }) => ({ timeline, ...(await bytesOf(objects, id)) })),
    ),
    timelines: timelines.records.map((record) => {
      return { id: record.id, name: timelineName(record.id), bytes: encodeTimeline(record) };
    }),
    dropped,
    snapshots: [...names].map((name) => ({ name, bytes: sizes.get(name) ?? 0 })),
    segments,
    mark: plan.mark,
    lowWater,
    lsn: head?.role === 'head' ? head.end.lsn : (plan.listing.fork?.lsn ?? 0),
    isSure: isSure && whole.length === records.length,
  };
}

/** Records whose snapshots are not all there are passed over, as by an opening. */
function unusable(
  records: readonly CheckpointRecord[],
  whole: readonly CheckpointRecord[],
): Map<number, TidemarkError> {
  const found = new Map<number, TidemarkError>();
  for (const record of records) {
    if (whole.includes(record)) continue;
    const path = recordName(record.id);
    const what = `checkpoint lacks a snapshot: ${path}`;
    found.set(record.id, new CorruptionError('BROKEN_CHAIN', what, { path }));
  }
  return found;
}

async function readRecords(
  objects: ReaderObjects,
  storeId: string,
): Promise<{ records: CheckpointRecord[]; isSure: boolean }> {
  const records: CheckpointRecord[] = [];
  let isSure = true;
  for (const id of await listRecordIds(objects)) {
    try {
      records.push(await readRecord(objects, id, storeId));
    } catch (error) {
      // Collected since it was listed; or damaged, which `verify` reports and a copy leaves out.
      if (error instanceof NotFoundError) continue;
      if (!(error instanceof CorruptionError || error instanceof IncompatibleError)) throw error;
      isSure = false;
    }
  }
  return { records, isSure };
}

async function bytesOf(
  objects: ReaderObjects,
  id: number,
): Promise<{ name: string; bytes: Uint8Array }> {
  const name = recordName(id);
  const bytes = await objects.get(name);
  if (!bytes) throw otherRecord(id);
  return { name, bytes };
}

/**
 * The segments of all timelines. Each ends where a successor says that it goes on furthest; the newest
 * one where it may be given out, that of a timeline that was left where its last group ends.
 */
async function segmentsOf(
  { fs, dir }: ReaderSource,
  { timelines, ancestry, lowWater, plan }: LogMoment,
  through: number,
): Promise<BackupSegment[]> {
  const directory = `${dir}/wal`;
  const found = new Map<number, BackupSegment>();
  const all = await listLog(fs, directory);
  const first = lowWater?.segment ?? 0;
  for (const id of timelines.ids) {
    const own = listingOf(all, timelines.ancestry(id), directory);
    const segments = own.segments.filter(({ number }) => number >= first);
    const walk = await walkLog(fs, directory, { ...own, segments }, first);
    await assertUntrimmed(fs, directory, walk, lowWater);
    for (const [i, file] of walk.segments.entries()) {
      const { number, timeline } = file.header;
      const next = walk.segments[i + 1]?.header;
      const known = found.get(number);
      if (next?.predecessor) {
        const { end: offset, lastLsn: lsn } = next.predecessor;
        const end = { offset, lsn, chain: next.chain };
        if (offset > (known?.end.offset ?? 0)) found.set(number, { file, end, role: 'sealed' });
      } else if (timeline === id) {
        const role = id === ancestry.timeline ? 'head' : 'left';
        // Of a timeline that was left nobody knows how far it was proved.
        const last =
          role === 'head'
            ? { through, provedLsn: plan.damagedHistory ? 0 : through }
            : { through: Number.MAX_SAFE_INTEGER, provedLsn: 0 };
        found.set(number, { file, end: await endOfHead(fs, file, last), role });
      }
    }
  }
  return [...found.values()].sort((a, b) => a.file.header.number - b.file.header.number);
}

/** A trim moves the low-water record before it takes a segment (R2): another reading finds both. */
export async function assertUntrimmed(
  fs: FileSystem,
  directory: string,
  { missing }: LogWalk,
  lowWater: LowWater | undefined,
): Promise<void> {
  if (!missing) return;
  const now = await readLowWater(fs, directory);
  if (now?.lsn === lowWater?.lsn) return;
  const path = `${directory}/${missing.name}`;
  throw new CorruptionError('LOG_HOLE', `segment was trimmed meanwhile: ${path}`, { path });
}

/**
 * The last border at or below an LSN; a seal mark is for a successor that is not copied. Openings pass
 * over damage below their checkpoint (L8), a copy of the log cannot: it would end there, without what
 * is behind it.
 *
 * @throws CorruptionError CORRUPT_FRAME: the groups end before the LSN up to which they are proved
 */
export async function endOfHead(
  fs: FileSystem,
  file: SegmentFile,
  { through, provedLsn }: { readonly through: number; readonly provedLsn: number },
): Promise<Border> {
  const { salt, firstLsn, chain } = file.header;
  const bytes = await readFileRange(fs, file.path, segmentHeaderBytes);
  const from = { offset: segmentHeaderBytes, lsn: firstLsn - 1, chain };
  const scanner = new GroupScanner(bytes, segmentHeaderBytes, salt, from);
  let end: Border = from;
  for (let group = scanner.next(); group !== undefined; group = scanner.next()) {
    if (group.kind === groupKinds.seal || scanner.border.lsn > through) return end;
    end = scanner.border;
  }
  if (end.lsn >= provedLsn) return end;
  throw new CorruptionError(
    'CORRUPT_FRAME',
    `log is damaged behind LSN ${end.lsn}, below LSN ${provedLsn} that is proved: ${file.path}`,
    { path: file.path, offset: end.offset, lsn: end.lsn + 1, proved: provedLsn },
  );
}

/** Another reading cures it. */
function otherRecord(id: number): NotFoundError {
  return new NotFoundError('CHECKPOINT_NOT_FOUND', `checkpoint ${id} came or went meanwhile`, {
    id,
  });
}

/** The log lacks what its newest checkpoint holds. */
export function endsBeforeRecord({ dir }: ReaderSource, lsn: number): CorruptionError {
  return new CorruptionError(
    'LOG_HOLE',
    `log ends before its newest checkpoint, at LSN ${lsn}: open the store once, then copy it: ${dir}`,
    { path: dir, lsn },
  );
}
