/*
 * The state of a store at a target: the plan of restore-plan.ts, made from one reading of records and
 * log (F1, F2), and carried out into images. Every file that it needs is opened, and stays open, before
 * it is known to be whole: what is collected meanwhile is read all the same.
 */
import { CorruptionError, IncompatibleError, NotFoundError } from '../errors.ts';
import {
  checkpointPrefix,
  parseRecordName,
  snapshotPrefix,
  type CheckpointRecord,
} from '../checkpoint/checkpoint-record.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { toHex } from '../std/bytes.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { findKeptLog } from './kept-log.ts';
import {
  listRecordIds,
  logDirectoryOf,
  objectsOf,
  readLogMoment,
  readRecord,
  type LogMoment,
  type ReaderSource,
} from './reader-moment.ts';
import { planRestore, type RestorePlan } from './restore-plan.ts';
import type { CheckedTarget } from './target.ts';

/** One reading of a store, and the way to a target in it. */
export interface PlannedMoment {
  readonly moment: LogMoment;
  readonly plan: RestorePlan;
}

/** Plans the way to a target at or below `through`; `files` pins what it opens. */
export async function planMoment(
  source: ReaderSource,
  files: FileSystem,
  identity: StoreIdentity,
  target: CheckedTarget,
  through: number = Number.MAX_SAFE_INTEGER,
): Promise<PlannedMoment> {
  const { records, dropped } = await usableRecords(source, identity);
  const moment = await readLogMoment(source, files, identity);
  const log = await findKeptLog(files, logDirectoryOf(source), moment);
  const now = source.clock.nowMicros();
  const lastLsn = Math.min(moment.lsn, through);
  const plan = await planRestore({ fs: files, target, records, dropped, log, lastLsn, now });
  return { moment, plan };
}

/** Records that can be read, and name only snapshots that are there; oldest first. */
export async function usableRecords(
  source: ReaderSource,
  { storeId }: StoreIdentity,
): Promise<{ records: CheckpointRecord[]; dropped: Set<number> }> {
  const objects = objectsOf(source, source.fs);
  const dropped = new Set<number>();
  for (const { name } of await objects.list(checkpointPrefix)) {
    const parsed = parseRecordName(name);
    if (parsed?.dropped) dropped.add(parsed.id);
  }
  const sizes = new Map<string, number>();
  for (const { name, bytes } of await objects.list(snapshotPrefix)) sizes.set(name, bytes);
  const records: CheckpointRecord[] = [];
  for (const id of await listRecordIds(objects)) {
    const record = await orUnusable(readRecord(objects, id, toHex(storeId)));
    if (record?.chain.every((link) => sizes.get(link.name) === link.bytes)) records.push(record);
  }
  return { records, dropped };
}

/** `verify` reports what is damaged; here it is only no way. */
async function orUnusable<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof CorruptionError || error instanceof IncompatibleError) return undefined;
    // It was collected since it was listed.
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}
