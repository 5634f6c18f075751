/*
 * One reading of a store that another process may be writing to: its newest record and its log, read
 * without a lock and without a write. The log is listed after the record, so it holds at least the
 * record's position. F2: reader-agreement.ts. F3: what is above the proved LSN is known to the moment,
 * and marked by those who give it out. The state of a moment: state-moment.ts.
 */
import { resolve } from 'node:path';
import {
  checkpointPrefix,
  decodeRecord,
  parseRecordName,
  recordName,
  type CheckpointRecord,
} from '../checkpoint/checkpoint-record.ts';
import {
  CorruptionError,
  IncompatibleError,
  InvalidArgumentError,
  NotFoundError,
  type TidemarkError,
} from '../errors.ts';
import { timelinePrefix } from '../checkpoint/timelines/timeline-record.ts';
import { onlyFirst, readTimelines, type Timelines } from '../checkpoint/timelines/timelines.ts';
import type { FileStat, FileSystem } from '../fs/file-system.ts';
import type { TaskContext } from '../snapshot/task-context.ts';
import { badOption, directoryPath } from '../std/option-checks.ts';
import { toHex } from '../std/bytes.ts';
import type { Clock } from '../std/clock.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { checkPlace, placeOf } from '../store/store-place.ts';
import { yieldNow } from '../std/turns.ts';
import { assertKnown, isOf, type Ancestry } from '../wal/ancestry.ts';
import { assertEngine, directoryError, readIdentity, type StoreIdentity } from '../wal/identity.ts';
import { planOpening, type OpeningPlan } from '../wal/log-opening.ts';
import { readLowWater, type LowWater } from '../wal/low-water.ts';
import { checkBeginning } from './log-beginning.ts';
import { isDamage } from './recovery-path.ts';
import { Agreement } from './reader-agreement.ts';
import { ReadOnlyFiles } from './reader-files.ts';
import { DirectoryObjects, StoreObjects, type ReaderObjects } from './reader-objects.ts';

/** Where a store is. */
export interface StoreLocation {
  /** Directory of the store. */
  readonly dir: string;
  /**
   * Where snapshots and checkpoint records are, when not in the directory. Its owner opens and
   * closes it. @defaultValue files of `dir`
   */
  readonly store?: ObjectStore;
}

/** Names of the options of {@link StoreLocation}. */
export const locationNames: readonly (keyof StoreLocation)[] = ['dir', 'store'];

/** What a reader reads from. */
export interface ReaderSource {
  /** Refuses to write. */
  readonly fs: FileSystem;
  readonly clock: Clock;
  /** Absolute. */
  readonly dir: string;
  /** Holds snapshots and records; undefined: they are files of the directory. */
  readonly store: ObjectStore | undefined;
  /** Ends a call that was given limits, by throwing. */
  readonly check?: () => void;
}

export const readerContext: TaskContext = { yieldNow, cancelled: () => false };

/** Directory of the log of a store. */
export function logDirectoryOf(source: ReaderSource): string {
  return `${source.dir}/wal`;
}

/** Where to read; with a run of limits every call of the file system asks it first. */
export function sourceOf(
  on: Omit<ReaderSource, 'dir' | 'store'>,
  location: StoreLocation,
  run?: { check(): void },
): ReaderSource {
  const dir = directoryPath('dir', location.dir);
  const { store } = location;
  if (store !== undefined && typeof store?.list !== 'function') {
    throw badOption('store', 'must be an object store', store);
  }
  const { clock } = on;
  if (!run) return { fs: new ReadOnlyFiles(on.fs, false), clock, dir: resolve(dir), store };
  const check = (): void => run.check();
  return { fs: new ReadOnlyFiles(on.fs, false, check), clock, dir: resolve(dir), store, check };
}

export function objectsOf(source: ReaderSource, fs: FileSystem): ReaderObjects {
  const { store, check } = source;
  return store ? new StoreObjects(fs, store, check) : new DirectoryObjects(fs, source.dir);
}

/** Compares readings of a source, or of several at once, that failed. */
export function agreementOf(source: ReaderSource, ...others: readonly ReaderSource[]): Agreement {
  const prefixes = [checkpointPrefix, timelinePrefix];
  const directories = [source, ...others].flatMap((each) => {
    const kept = prefixes.map((prefix) => `${each.dir}/${prefix.slice(0, -1)}`);
    return kept.concat(logDirectoryOf(each));
  });
  return new Agreement({ fs: source.fs, directories });
}

/** As {@link readStoreIdentity}, of an engine's store: a directory of a log alone is NOT_A_STORE too. */
export async function readEngineIdentity(source: ReaderSource): Promise<StoreIdentity> {
  const identity = await readStoreIdentity(source);
  assertEngine(identity, source.dir);
  return identity;
}

/** The identity of a store; NOT_A_STORE where there is none, STORE_MISMATCH for another place. */
export async function readStoreIdentity(source: ReaderSource): Promise<StoreIdentity> {
  const { fs, dir } = source;
  let stat: FileStat | undefined;
  try {
    stat = await fs.stat(dir);
  } catch (error) {
    throw directoryError(error, 'look at', dir);
  }
  const identity = stat && (await readIdentity(fs, dir));
  if (identity) {
    if (identity.kind === 'engine') checkPlace(identity.place, placeOf(source.store, dir), dir);
    return identity;
  }
  const why = stat ? 'it has no store.json' : 'it does not exist';
  throw new InvalidArgumentError('NOT_A_STORE', `directory is no store, ${why}: ${dir}`, {
    path: dir,
  });
}

/** Reads the log of a store, and the newest record, without loading any state. */
export interface LogMoment {
  readonly identity: StoreIdentity;
  /** All timelines of the store, as they were before anything else was read. */
  readonly timelines: Timelines;
  /** Of the timeline of the moment. */
  readonly ancestry: Ancestry;
  readonly record: CheckpointRecord | undefined;
  /** Newer records that cannot be read or used, newest first. */
  readonly skipped: readonly TidemarkError[];
  readonly lowWater: LowWater | undefined;
  readonly plan: OpeningPlan;
  /** Last LSN of the moment. */
  readonly lsn: number;
  readonly provedLsn: number;
}

/** The ids of all records, oldest first. */
export async function listRecordIds(objects: ReaderObjects): Promise<number[]> {
  const ids: number[] = [];
  for (const { name } of await objects.list(checkpointPrefix)) {
    const parsed = parseRecordName(name);
    if (parsed && !parsed.dropped) ids.push(parsed.id);
  }
  return ids.sort((a, b) => a - b);
}

/** Reads a record; one that has gone is CHECKPOINT_NOT_FOUND, which another reading cures. */
export async function readRecord(
  objects: ReaderObjects,
  id: number,
  storeId: string,
): Promise<CheckpointRecord> {
  const name = recordName(id);
  const path = objects.path(name);
  const bytes = await objects.get(name);
  if (!bytes)
    throw new NotFoundError('CHECKPOINT_NOT_FOUND', `there is no checkpoint ${id}`, { id });
  const record = decodeRecord(bytes, path);
  if (record.id !== id) {
    throw new CorruptionError('CORRUPT_RECORD', `checkpoint record is of another id: ${path}`, {
      path,
      offset: 0,
      expected: id,
      actual: record.id,
    });
  }
  if (record.storeId !== storeId) {
    throw new IncompatibleError(
      'STORE_MISMATCH',
      `checkpoint is of another store: ${path}: ${record.storeId}, directory is of ${storeId}`,
      { path, expected: storeId, actual: record.storeId },
    );
  }
  return record;
}

/** The timelines of a store. */
export function readStoreTimelines(
  source: ReaderSource,
  { kind, storeId }: StoreIdentity,
): Promise<Timelines> {
  if (kind === 'log') return Promise.resolve(onlyFirst);
  return readTimelines(objectsOf(source, source.fs), toHex(storeId));
}

/** What a reading does without, and of which timeline it is. */
export interface LogReading {
  /** Checkpoints whose chains were found damaged. @defaultValue none */
  readonly without?: ReadonlyMap<number, TidemarkError>;
  /** Timelines as they were read before. @defaultValue read now */
  readonly timelines?: Timelines;
  /** @defaultValue the current one */
  readonly timeline?: number | undefined;
}

/**
 * One reading of record and log. Records that cannot be read are passed over, as an opening does
 * (recover.ts), and so are those that `without` says cannot be used, with the damage.
 */
export async function readLogMoment(
  source: ReaderSource,
  files: FileSystem,
  identity: StoreIdentity,
  reading: LogReading = {},
): Promise<LogMoment> {
  const { storeId } = identity;
  const { without = new Map<number, TidemarkError>() } = reading;
  const timelines = reading.timelines ?? (await readStoreTimelines(source, identity));
  const ancestry = timelines.chosen(reading.timeline);
  const found =
    identity.kind === 'log'
      ? noRecord
      : await newestRecord(source, toHex(storeId), { without, ancestry });
  const { record, skipped, provedKnown } = found;
  const directory = logDirectoryOf(source);
  try {
    const lowWater = await readLowWater(files, directory);
    const isLeft = ancestry.timeline !== ancestry.newest;
    if (isLeft && !record && (lowWater?.lsn ?? 1) > 1) throw gone(ancestry);
    if (identity.kind === 'engine') checkBeginning(directory, lowWater, record);
    const checkpoint = record?.position;
    const storeDirectory = source.dir;
    const logGivenUp = record?.loss !== undefined;
    const input = {
      storeDirectory,
      storeId,
      ancestry,
      checkpoint,
      provedKnown,
      lowWater,
      logGivenUp,
    };
    const plan = await planOpening(files, directory, input);
    if (skipped.length > 0) checkMadeUp(plan, provedKnown, directory);
    // What a timeline begins with was proved before it began (T1).
    const shared = ancestry.fork?.lsn ?? 0;
    const provedLsn = Math.max(plan.proved.lsn, record?.lsn ?? 0, shared);
    const { lastLsn: lsn } = plan;
    return { identity, timelines, ancestry, record, skipped, lowWater, plan, lsn, provedLsn };
  } catch (error) {
    // What is wrong is the checkpoint, of which the log cannot make up for the loss.
    throw skipped.length > 0 && error instanceof CorruptionError ? skipped[0] : error;
  }
}

/** A timeline that was left, and has been collected since. */
function gone({ timeline }: Ancestry): NotFoundError {
  const message = `nothing of timeline ${timeline} is kept any more`;
  return new NotFoundError('TIMELINE_NOT_FOUND', message, { timeline });
}

interface NewestRecord {
  readonly record: CheckpointRecord | undefined;
  readonly skipped: readonly TidemarkError[];
  /** LSN of the newest record that can be read, whether it can be used or not. */
  readonly provedKnown: number;
}

const noRecord: NewestRecord = { record: undefined, skipped: [], provedKnown: 0 };

async function newestRecord(
  source: ReaderSource,
  storeId: string,
  {
    without,
    ancestry,
  }: { readonly without: ReadonlyMap<number, TidemarkError>; readonly ancestry: Ancestry },
): Promise<NewestRecord> {
  const objects = objectsOf(source, source.fs);
  const skipped: TidemarkError[] = [];
  let provedKnown = 0;
  for (const id of (await listRecordIds(objects)).toReversed()) {
    let record: CheckpointRecord;
    try {
      record = await readRecord(objects, id, storeId);
    } catch (error) {
      if (!isDamage(error, source.store === undefined)) throw error;
      skipped.push(error);
      continue;
    }
    assertKnown(ancestry, record.timeline, objects.path(recordName(id)));
    if (!isOf(ancestry, record)) continue;
    provedKnown = Math.max(provedKnown, record.lsn);
    const damage = without.get(id);
    if (damage === undefined) return { record, skipped, provedKnown };
    skipped.push(damage);
  }
  return { record: undefined, skipped, provedKnown };
}

/** The log has to hold what was passed over. */
function checkMadeUp(plan: OpeningPlan, provedKnown: number, path: string): void {
  const isGone = plan.damagedHistory || plan.segments.length === 0;
  if (plan.lastLsn >= provedKnown && !isGone) return;
  throw new CorruptionError('LOG_HOLE', `log ends before a checkpoint that is damaged: ${path}`, {
    path,
    lsn: plan.lastLsn + 1,
  });
}

/** Reads until two readings agree on a failure, or one succeeds. */
export function readInAgreement<T>(source: ReaderSource, read: () => Promise<T>): Promise<T> {
  return readAllInAgreement([source], read);
}

/** As {@link readInAgreement}, for a reading of several sources. */
export async function readAllInAgreement<T>(
  sources: readonly ReaderSource[],
  read: () => Promise<T>,
): Promise<T> {
  const [first, ...others] = sources;
  const agreement = agreementOf(first!, ...others);
  for (;;) {
    try {
      return await read();
    } catch (error) {
      await agreement.failed(error);
    }
  }
}
