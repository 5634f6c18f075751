/*
 * What a backup copies: one reading of a store that another process may be writing to. Every record that
 * can be read, the snapshots that those name, the log as far back as it is kept and as far on as it may
 * be given out (F3). Nothing above that leaves the source (C2).
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
import type { FileSystem } from '../fs/file-system.ts';
import { toHex } from '../std/bytes.ts';
import { groupKinds } from '../wal/group-format.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { walkLog, type SegmentFile } from '../wal/log-directory.ts';
import type { LogMark } from '../wal/log-mark.ts';
import type { LowWater } from '../wal/low-water.ts';
import { segmentHeaderBytes } from '../wal/segment-format.ts';
import { GroupScanner, readFileRange, type Border } from '../wal/segment-scan.ts';
import {
  listRecordIds,
  logDirectoryOf,
  objectsOf,
  readLogMoment,
  readRecord,
  type ReaderSource,
} from './reader-moment.ts';
import type { ReaderObjects } from './reader-objects.ts';

/** A segment and how much of it is copied. */
export interface BackupSegment {
  readonly file: SegmentFile;
  /** Behind the last group that is copied. */
  readonly end: Border;
}

/** An object and its size. */
export interface BackupObject {
  readonly name: string;
  readonly bytes: number;
}

/** What a store consists of at one reading. */
export interface BackupInventory {
  readonly objects: ReaderObjects;
  /** Oldest first. */
  readonly records: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  /** Object names of marks of dropped savepoints. */
  readonly dropped: readonly string[];
  readonly snapshots: readonly BackupObject[];
  /** Oldest first; the last is the one that takes appends. Empty: the log has had none yet. */
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
  const dropped = (await objects.list(checkpointPrefix))
    .map(({ name }) => name)
    .filter((name) => parseRecordName(name)?.dropped === true);
  const { records, isSure } = await readRecords(objects, toHex(identity.storeId));
  const sizes = new Map(
    (await objects.list(snapshotPrefix)).map(({ name, bytes }) => [name, bytes]),
  );
  const whole = records.filter(({ chain }) =>
    chain.every(({ name, bytes }) => sizes.get(name) === bytes),
  );
  const names = new Set(whole.flatMap(({ chain }) => chain.map(({ name }) => name)));
  const moment = await readLogMoment(source, source.fs, identity, {
    without: unusable(records, whole),
  });
  // The log is judged by the newest record: it has to be among those that are copied.
  if (moment.record?.id !== whole.at(-1)?.id) throw otherRecord(moment.record?.id ?? 0);
  if (moment.plan.damagedHistory) throw endsBeforeRecord(source, moment.lsn);
  const through = Math.max(settledLsn, moment.provedLsn);
  const { plan, lowWater } = moment;
  const directory = logDirectoryOf(source);
  const walk = await walkLog(source.fs, directory, plan.listing, lowWater?.segment ?? 0);
  const segments = await ends(source.fs, walk.segments, through);
  return {
    objects,
    records: await Promise.all(whole.map(({ id }) => bytesOf(objects, id))),
    dropped,
    snapshots: [...names].map((name) => ({ name, bytes: sizes.get(name) ?? 0 })),
    segments,
    mark: plan.mark,
    lowWater,
    lsn: segments.at(-1)?.end.lsn ?? 0,
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

/** Every segment ends where its successor says, the newest where it may be given out. */
async function ends(
  fs: FileSystem,
  files: readonly SegmentFile[],
  through: number,
): Promise<BackupSegment[]> {
  const segments: BackupSegment[] = [];
  for (const [i, file] of files.entries()) {
    const next = files[i + 1]?.header;
    if (next?.predecessor) {
      const { end: offset, lastLsn: lsn } = next.predecessor;
      segments.push({ file, end: { offset, lsn, chain: next.chain } });
    } else segments.push({ file, end: await endOfHead(fs, file, through) });
  }
  return segments;
}

/** The last border at or below an LSN; a seal mark is for a successor that is not copied. */
async function endOfHead(fs: FileSystem, file: SegmentFile, through: number): Promise<Border> {
  const { salt, firstLsn, chain } = file.header;
  const bytes = await readFileRange(fs, file.path, segmentHeaderBytes);
  const from = { offset: segmentHeaderBytes, lsn: firstLsn - 1, chain };
  const scanner = new GroupScanner(bytes, segmentHeaderBytes, salt, from);
  let end: Border = from;
  for (let group = scanner.next(); group !== undefined; group = scanner.next()) {
    if (group.kind === groupKinds.seal || scanner.border.lsn > through) break;
    end = scanner.border;
  }
  return end;
}

/** Another reading cures it. */
function otherRecord(id: number): NotFoundError {
  return new NotFoundError('CHECKPOINT_NOT_FOUND', `checkpoint ${id} came or went meanwhile`, {
    id,
  });
}

function endsBeforeRecord({ dir }: ReaderSource, lsn: number): CorruptionError {
  return new CorruptionError(
    'LOG_HOLE',
    `log ends before its newest checkpoint, at LSN ${lsn}: open the store once, then copy it: ${dir}`,
    { path: dir, lsn },
  );
}
