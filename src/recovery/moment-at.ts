/*
 * The state of a store at a target: the plan of restore-plan.ts, made from one reading of records and
 * log (F1, F2), and carried out into images. Every file that it needs is opened, and stays open, before
 * it is known to be whole: what is collected meanwhile is read all the same.
 */
import {
  CorruptionError,
  IncompatibleError,
  NotFoundError,
  type TidemarkError,
} from '../errors.ts';
import {
  checkpointPrefix,
  parseRecordName,
  snapshotPrefix,
  type CheckpointRecord,
} from '../checkpoint/checkpoint-record.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { toHex } from '../std/bytes.ts';
import { isOf, type Ancestry } from '../wal/ancestry.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { findKeptLog } from './kept-log.ts';
import {
  logDirectoryOf,
  objectsOf,
  readLogMoment,
  readRecord,
  readStoreTimelines,
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

/** What is asked for. */
export interface MomentRequest {
  readonly target: CheckedTarget;
  /** What is above it counts only as far as it is proved. @defaultValue the last of the moment */
  readonly through?: number;
  /** Checkpoints whose chains were found damaged. @defaultValue none */
  readonly without?: ReadonlyMap<number, TidemarkError>;
}

/** Plans the way to a target; `files` pins what it opens. */
export async function planMoment(
  source: ReaderSource,
  files: FileSystem,
  identity: StoreIdentity,
  { target, through = Number.MAX_SAFE_INTEGER, without = new Map() }: MomentRequest,
): Promise<PlannedMoment> {
  const timelines = await readStoreTimelines(source, identity);
  const { timeline } = target;
  const ancestry = timelines.chosen(timeline);
  const usable = await usableRecords(source, identity, ancestry);
  const reading = { without, timelines, timeline };
  const moment = await readLogMoment(source, files, identity, reading);
  const log = await findKeptLog(files, logDirectoryOf(source), moment);
  const now = source.clock.nowMicros();
  const lastLsn = Math.min(moment.lsn, Math.max(through, moment.provedLsn));
  const plan = await planRestore({
    fs: files,
    target,
    ...usable,
    without,
    log,
    lastLsn,
    now,
  });
  return { moment, plan };
}

/** What plans can start from. */
export interface UsableRecords {
  readonly records: CheckpointRecord[];
  /** Those of other futures. */
  readonly others: CheckpointRecord[];
  /** Ids of savepoints that were dropped. */
  readonly dropped: Set<number>;
  /** Those that can be read, and name what is not there: they say which commit is meant. */
  readonly broken: CheckpointRecord[];
  /** Those that cannot be read, by id, and why. */
  readonly unreadable: Map<number, TidemarkError>;
}

/** Where records are looked for. */
export interface RecordSource {
  list(prefix: string): Promise<readonly { readonly name: string; readonly bytes: number }[]>;
  read(id: number): Promise<CheckpointRecord | undefined>;
}

/**
 * Records that can be read, and name only snapshots that are there; oldest first. Those of an ancestry
 * are in its order.
 */
export function usableRecords(
  source: ReaderSource,
  { storeId }: StoreIdentity,
  ancestry: Ancestry,
): Promise<UsableRecords> {
  const objects = objectsOf(source, source.fs);
  const from: RecordSource = {
    list: (prefix) => objects.list(prefix),
    read: (id) => readRecord(objects, id, toHex(storeId)),
  };
  return usableRecordsOf(from, ancestry);
}

/** As {@link usableRecords}, wherever records are looked for. */
export async function usableRecordsOf(
  source: RecordSource,
  ancestry: Ancestry,
): Promise<UsableRecords> {
  const dropped = new Set<number>();
  const ids: number[] = [];
  for (const { name } of await source.list(checkpointPrefix)) {
    const parsed = parseRecordName(name);
    if (parsed?.dropped) dropped.add(parsed.id);
    else if (parsed) ids.push(parsed.id);
  }
  const sizes = new Map<string, number>();
  for (const { name, bytes } of await source.list(snapshotPrefix)) sizes.set(name, bytes);
  const records: CheckpointRecord[] = [];
  const others: CheckpointRecord[] = [];
  const broken: CheckpointRecord[] = [];
  const unreadable = new Map<number, TidemarkError>();
  for (const id of ids.toSorted((a, b) => a - b)) {
    const record = await orUnusable(source.read(id), (error) => unreadable.set(id, error));
    if (!record) continue;
    const isWhole = record.chain.every((link) => sizes.get(link.name) === link.bytes);
    if (isOf(ancestry, record)) (isWhole ? records : broken).push(record);
    else if (isWhole) others.push(record);
  }
  return { records, others, dropped, broken, unreadable };
}

/** `verify` reports what is damaged; here it is only no way. */
async function orUnusable<T>(
  read: Promise<T>,
  tell: (error: TidemarkError) => void,
): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof CorruptionError || error instanceof IncompatibleError) {
      tell(error);
      return undefined;
    }
    // It was collected since it was listed.
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}
