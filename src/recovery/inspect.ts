/*
 * What a directory holds, as plain data: for people, and for programs that watch a store. Reads
 * like a reader (reader-moment.ts): no lock, no write. What is damaged is shown as far as it can be
 * read, with the fault beside it; saying exactly what is wrong is the task of verify.ts.
 */
import {
  checkpointPrefix,
  parseRecordName,
  snapshotPrefix,
  type ChainLink,
  type CheckpointKind,
  type ChainPolicy,
  type CheckpointTrigger,
  type LossNote,
  type MergeNote,
  type WrittenTotals,
} from '../checkpoint/checkpoint-record.ts';
import { assumedRates, estimateRestore } from '../checkpoint/restore-estimate.ts';
import { retainedRange, type RetainedRange } from '../checkpoint/retention/retained-range.ts';
import type { RetentionSettings } from '../checkpoint/retention/retention-settings.ts';
import { NotFoundError, TidemarkError, withSystemFailures } from '../errors.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { toHex } from '../std/bytes.ts';
import { knownOnly } from '../std/option-checks.ts';
import { systemClock } from '../std/clock.ts';
import type { StateKind } from '../state/table-definition.ts';
import { isOf } from '../wal/ancestry.ts';
import type { TornTail } from '../wal/log-opening.ts';
import { type InspectionFault, inspectSegments, type InspectedLog } from './inspect-log.ts';
import { limitNames, withinLimits, type CallLimits, type LimitedCall } from './limited-call.ts';
import { withLosingPaths } from './reader-losses.ts';
import { isMissing } from './reader-objects.ts';
import {
  listRecordIds,
  locationNames,
  objectsOf,
  readInAgreement,
  readLogMoment,
  type LogMoment,
  readRecord,
  readStoreIdentity,
  sourceOf,
  type ReaderSource,
  type StoreLocation,
} from './reader-moment.ts';
import { latest } from './target.ts';
import { openReaderWith, type Measure, type ReaderComponents } from './reader.ts';

export type { InspectedLog, InspectedSegment } from './inspect-log.ts';

/** A checkpoint, as its record says. */
export interface InspectedCheckpoint {
  readonly id: number;
  readonly kind: CheckpointKind;
  readonly timeline: number;
  readonly epoch: number;
  readonly lsn: number;
  /** Of the last commit in it, microseconds. */
  readonly timestamp: number;
  /** When it was made, microseconds. */
  readonly createdAt: number;
  /** Base first. */
  readonly chain: readonly ChainLink[];
  /** Bytes of the snapshots of the chain. */
  readonly chainBytes: number;
  readonly trigger: CheckpointTrigger;
  /** What a merge did, and why it chose so. */
  readonly merge: MergeNote | undefined;
  readonly savepoint: string | undefined;
  /** A savepoint that was dropped. */
  readonly dropped: boolean;
  readonly metadata: unknown;
  /** Commits that were given up before it; what it holds is what was left. */
  readonly loss: LossNote | undefined;
  /** Operators that were lost and had not been started anew. */
  readonly missing: readonly string[];
}

/** A state and what it holds. */
export interface InspectedTable {
  readonly operator: string;
  readonly state: string;
  readonly kind: StateKind;
  readonly itemsMax: number | undefined;
  /** The greatest that its values were written with; left out: 1. */
  readonly version?: number;
  /** Entries that are live: keys, sub-keys of maps, items of lists. */
  readonly entryCount: number;
  /** Bytes of keys, sub-keys and values as they are stored; of blobs without their chunks. */
  readonly bytes: number;
}

/** The state as of the last commit when it was read, which is after the log. */
export interface InspectedState {
  /** Last LSN in it: above that of the inspection when commits came meanwhile. */
  readonly lsn: number;
  /** Time of the last commit, microseconds. */
  readonly timestamp: number;
  readonly tables: readonly InspectedTable[];
  /** What blobs are made of; equal chunks are kept once. */
  readonly chunks: Measure;
  readonly positions: Readonly<Record<string, unknown>>;
}

/** What opening the store would cost, by the newest checkpoint's record. */
export interface InspectedRestore {
  /** Of the chain's snapshots, and of the log behind them. */
  readonly snapshotBytes: number;
  readonly logBytes: number;
  /** Estimated. */
  readonly seconds: number;
  /** False: nothing was measured when the record was made, and careful assumptions stand in. */
  readonly measured: boolean;
  readonly policy: ChainPolicy;
  readonly totals: WrittenTotals;
}

/** What a directory holds. */
export interface StoreInspection {
  readonly dir: string;
  readonly kind: 'engine' | 'log';
  readonly format: number;
  /** Hexadecimal. */
  readonly storeId: string;
  readonly keyGroups: number;
  /** The current timeline; undefined when that cannot be told. */
  readonly timeline: number | undefined;
  /** Timelines of which something is there, ascending. */
  readonly timelines: readonly number[];
  /** Last LSN; undefined when the log cannot be read. */
  readonly lsn: number | undefined;
  /** LSN up to which everything is proved to be durable. */
  readonly provedLsn: number | undefined;
  /** What the next opening will cut, because it is above the proved LSN and does not verify. */
  readonly tornTail: TornTail | undefined;
  /** The log ends before the newest checkpoint. */
  readonly damagedHistory: boolean;
  /** LSNs of checkpoints before which an opening found the log to end; commits behind may be lost. */
  readonly lostBehind: readonly number[];
  /** Oldest first. */
  readonly checkpoints: readonly InspectedCheckpoint[];
  readonly log: InspectedLog;
  /** How long the past is kept, by the newest checkpoint's record; undefined: everything stays. */
  readonly retention: RetentionSettings | undefined;
  /** What can be restored, as far as the log and the records could be read; undefined for a log. */
  readonly retained: RetainedRange | undefined;
  /** Undefined without a checkpoint, and when it cannot be read. */
  readonly restore: InspectedRestore | undefined;
  /** Undefined for a log, and when the state cannot be read. */
  readonly state: InspectedState | undefined;
  readonly totals: {
    /** Bytes of the files of the log. */
    readonly logBytes: number;
    /** Bytes of all snapshots, named by a record or not. */
    readonly snapshotBytes: number;
    readonly snapshotCount: number;
    readonly recordBytes: number;
  };
  /** Why parts are missing above; `verifyStore` finds all that is wrong. */
  readonly faults: readonly InspectionFault[];
}

/** Options of {@link inspectStore}. */
export interface InspectOptions extends StoreLocation, CallLimits {}

/**
 * Reads what a directory holds; another process may have it open.
 * @throws InvalidArgumentError INVALID_OPTION, NOT_A_STORE
 * @throws CorruptionError CORRUPT_STORE
 * @throws AbortedError ABORTED, TIMEOUT
 */
export function inspectStore(options: InspectOptions): Promise<StoreInspection> {
  const on = { fs: nodeFileSystem, clock: systemClock };
  return withSystemFailures('inspecting a store', () => inspectStoreWith(options, on));
}

/** As {@link inspectStore}, over given components. */
export async function inspectStoreWith(
  options: InspectOptions,
  components: ReaderComponents,
): Promise<StoreInspection> {
  knownOnly(options, [...locationNames, ...limitNames]);
  return withinLimits('inspection', options, components.clock, (run) =>
    inspect(sourceOf(components, options, run), components, run),
  );
}

async function inspect(
  source: ReaderSource,
  components: ReaderComponents,
  run: LimitedCall,
): Promise<StoreInspection> {
  const identity = await readStoreIdentity(source);
  const faults: InspectionFault[] = [];
  const moment = await orFault(faults, () =>
    readInAgreement(source, () => readLogMoment(source, source.fs, identity)).catch(
      async (error: unknown) => {
        throw identity.kind === 'engine'
          ? await withLosingPaths(error, source, { target: latest, run })
          : error;
      },
    ),
  );
  const isEngine = identity.kind === 'engine';
  const checkpoints = isEngine ? await inspectCheckpoints(source, identity.storeId, faults) : [];
  const state =
    isEngine && moment
      ? await orFault(faults, () => inspectState(source, components, { faults, run }))
      : undefined;
  const log = await inspectSegments(source, moment, faults);
  return {
    dir: source.dir,
    kind: identity.kind,
    format: identity.format,
    storeId: toHex(identity.storeId),
    keyGroups: identity.keyGroups,
    timeline: moment?.ancestry.timeline,
    timelines: timelinesOf(log, checkpoints, moment),
    lsn: moment?.lsn,
    provedLsn: moment?.provedLsn,
    tornTail: moment?.plan.tornTail,
    damagedHistory: moment?.plan.damagedHistory ?? false,
    lostBehind: moment?.plan.mark?.lostBehind ?? [],
    checkpoints,
    log,
    retention: moment?.record?.retention,
    retained: isEngine ? retainedRange(ofMoment(checkpoints, moment), firstLsnOf(log)) : undefined,
    restore: moment && inspectRestore(moment),
    state,
    totals: await inspectTotals(source, log, isEngine),
    faults: distinctFaults(faults),
  };
}

/** Damage becomes a fault; other errors are thrown. */
export async function orFault<T>(
  faults: InspectionFault[],
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    const shown =
      error instanceof TidemarkError && (error.kind === 'corrupt' || error.kind === 'incompatible');
    if (!shown) throw error;
    faults.push({ code: error.code, message: error.message });
    return undefined;
  }
}

function inspectRestore({ record, plan }: LogMoment): InspectedRestore | undefined {
  if (!record) return undefined;
  const { rates, policy, totals, chain } = record;
  const snapshotBytes = chain.reduce((sum, link) => sum + link.bytes, 0);
  const logBytes = plan.ranges.reduce((sum, range) => sum + range.end - range.start, 0);
  const { seconds } = estimateRestore(snapshotBytes, logBytes, rates ?? assumedRates);
  return { snapshotBytes, logBytes, seconds, measured: rates !== undefined, policy, totals };
}

/** All records that can be read, oldest first; the others become faults. */
export async function inspectCheckpoints(
  source: ReaderSource,
  storeId: Uint8Array,
  faults: InspectionFault[],
): Promise<InspectedCheckpoint[]> {
  const objects = objectsOf(source, source.fs);
  const dropped = new Set<number>();
  for (const { name } of await objects.list(checkpointPrefix)) {
    const parsed = parseRecordName(name);
    if (parsed?.dropped) dropped.add(parsed.id);
  }
  const found: InspectedCheckpoint[] = [];
  for (const id of await listRecordIds(objects)) {
    const record = await orFault(faults, () => orGone(readRecord(objects, id, toHex(storeId))));
    if (!record) continue;
    const { kind, timeline, epoch, lsn, timestamp, createdAt, chain, savepoint, metadata } = record;
    const { trigger, merge, loss, missing = [] } = record;
    found.push({
      id,
      kind,
      timeline,
      epoch,
      lsn,
      timestamp,
      createdAt,
      chain,
      chainBytes: chain.reduce((sum, link) => sum + link.bytes, 0),
      trigger,
      merge,
      savepoint,
      dropped: dropped.has(id),
      metadata,
      loss,
      missing,
    });
  }
  return found;
}

/** A record that went away since it was listed is none. */
async function orGone<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (isMissing(error) || error instanceof NotFoundError) return undefined;
    throw error;
  }
}

async function inspectState(
  { dir, store }: ReaderSource,
  components: ReaderComponents,
  { faults, run }: { readonly faults: InspectionFault[]; readonly run: LimitedCall },
): Promise<InspectedState> {
  const limits = { signal: run.signal, timeoutMs: Number.MAX_SAFE_INTEGER };
  const reader = await openReaderWith({ dir, ...(store && { store }), ...limits }, components);
  try {
    for (const { code, what } of reader.damage) faults.push({ code, message: what });
    const tables = reader.definitions().map((definition): InspectedTable => {
      run.check();
      const { operator, state, kind, itemsMax, version } = definition;
      const { entryCount, bytes } = reader.measure(operator, state);
      const table = { operator, state, kind, itemsMax, entryCount, bytes };
      return version === undefined ? table : Object.assign(table, { version });
    });
    const { lsn, timestamp } = reader;
    return {
      lsn,
      timestamp,
      tables,
      chunks: reader.measureChunks(),
      positions: reader.positions(),
    };
  } finally {
    await reader.close();
  }
}

function firstLsnOf({ segments }: InspectedLog): number {
  return segments.find(({ status }) => status === 'log')?.firstLsn ?? 1;
}

/** Checkpoints in the past of the moment. */
function ofMoment(
  checkpoints: readonly InspectedCheckpoint[],
  moment: LogMoment | undefined,
): readonly InspectedCheckpoint[] {
  return moment ? checkpoints.filter((one) => isOf(moment.ancestry, one)) : checkpoints;
}

function timelinesOf(
  log: InspectedLog,
  checkpoints: readonly InspectedCheckpoint[],
  moment: LogMoment | undefined,
): number[] {
  const timelines = new Set<number>(moment ? [moment.ancestry.timeline] : []);
  for (const { timeline } of [...log.segments, ...checkpoints]) timelines.add(timeline);
  return [...timelines].sort((a, b) => a - b);
}

async function inspectTotals(
  source: ReaderSource,
  log: InspectedLog,
  isEngine: boolean,
): Promise<StoreInspection['totals']> {
  const objects = objectsOf(source, source.fs);
  const snapshots = isEngine ? await objects.list(snapshotPrefix) : [];
  const records = isEngine ? await objects.list(checkpointPrefix) : [];
  const sum = (sizes: readonly { readonly bytes: number }[]): number =>
    sizes.reduce((total, { bytes }) => total + bytes, 0);
  const files = [...log.segments, ...log.temporary];
  return {
    logBytes: sum(files.map(({ fileBytes }) => ({ bytes: fileBytes }))),
    snapshotBytes: sum(snapshots),
    snapshotCount: snapshots.length,
    recordBytes: sum(records),
  };
}

/** The same damage may have been met on several ways. */
function distinctFaults(faults: readonly InspectionFault[]): InspectionFault[] {
  const seen = new Set<string>();
  return faults.filter(({ message }) => !seen.has(message) && seen.add(message));
}
