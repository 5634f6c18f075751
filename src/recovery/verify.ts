/*
 * Checks a store as far as a level goes, and reports every fault instead of stopping at the first:
 * identity, every record, every snapshot that a record names, every segment of the log; or only what one
 * checkpoint stands on. Reads only, beside a writer too: a part that shows faults is read until two
 * readings of it agree (F2), and what a record names counts only while the record is there (F1).
 */
import { snapshotPrefix } from '../checkpoint/checkpoint-record.ts';
import { timelineName } from '../checkpoint/timelines/timeline-record.ts';
import { CorruptionError } from '../errors.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { systemClock } from '../std/clock.ts';
import type { Verification } from '../snapshot/tasks.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { listLog } from '../wal/log-directory.ts';
import { LimitedRun } from './limited-run.ts';
import { checkpointNotFound } from './not-found.ts';
import { readingsMax } from './reader-agreement.ts';
import {
  listRecordIds,
  logDirectoryOf,
  objectsOf,
  readStoreIdentity,
  readStoreTimelines,
  sourceOf,
  type ReaderSource,
} from './reader-moment.ts';
import type { ReaderComponents } from './reader.ts';
import { noFaults, verifyLink, verifyRecords, type RecordsReport } from './verify-checkpoints.ts';
import { emptyLogReport, faultOf, type LogReport } from './verify-log.ts';
import { checkVerifyOptions, type VerifyOptions } from './verify-options.ts';
import { verifyLogs } from './verify-timelines.ts';
import { fault, type StoreFault, type StoreVerification } from './verify-report.ts';
import { verifyTools, type VerifyTools } from './verify-tools.ts';

export type { StoreFault, StoreVerification } from './verify-report.ts';
export type { VerifyOptions } from './verify-options.ts';

/**
 * Checks what a directory holds; another process may have it open. Damage is returned, never thrown.
 *
 * @example
 * const { faults } = await verifyStore({ dir: './state', level: 'full' });
 * for (const { path, what } of faults) console.log(path, what);
 *
 * @throws InvalidArgumentError INVALID_OPTION; NOT_A_STORE when there is nothing to check
 * @throws NotFoundError CHECKPOINT_NOT_FOUND
 * @throws IncompatibleError UNSUPPORTED_FORMAT when the whole store is of a newer version
 * @throws AbortedError ABORTED, TIMEOUT
 */
export function verifyStore(options: VerifyOptions): Promise<StoreVerification> {
  return verifyStoreWith(options, { fs: nodeFileSystem, clock: systemClock });
}

/** As {@link verifyStore}, over given components. */
export async function verifyStoreWith(
  options: VerifyOptions,
  components: ReaderComponents,
): Promise<StoreVerification> {
  const { level, checkpoint, limits } = checkVerifyOptions(options);
  const source = sourceOf(components, options);
  const run = new LimitedRun<VerifyPhase>('verification', limits, components.clock);
  try {
    return await verifyDuring(source, run, { level, checkpoint });
  } catch (error) {
    throw run.failure(error);
  } finally {
    run.end();
  }
}

/** What a verification is doing. */
export type VerifyPhase = 'verify';

/** What is asked for, and tools that take the place of the usual ones. */
export interface VerifyWork {
  readonly level: Verification;
  readonly checkpoint: number | undefined;
  /** Holds the verification up after so many bytes. @defaultValue it goes at full speed */
  readonly pace?: (bytes: number) => Promise<void>;
  readonly verifyFile?: VerifyTools['verifyFile'];
  /** Hears of each snapshot that is damaged, once two readings agree on it. */
  readonly onDamage?: (damage: SnapshotDamage) => void;
}

/** A snapshot whose file is bad. */
export interface SnapshotDamage {
  readonly name: string;
  readonly faults: readonly StoreFault[];
  /** What was loaded of it is no better. */
  readonly ofContents: boolean;
}

/** As {@link verifyStore}, as part of a run that can be ended and tells its progress. */
export async function verifyDuring(
  source: ReaderSource,
  run: LimitedRun<VerifyPhase>,
  { level, checkpoint, pace, verifyFile, onDamage }: VerifyWork,
): Promise<StoreVerification> {
  run.check();
  const bytesTotal = await bytesOf(source);
  let bytes = 0;
  const spend = async (spent: number): Promise<void> => {
    run.check();
    bytes += spent;
    // A part that is read again, and files that come meanwhile, are not in the total.
    run.progress('verify', Math.min(bytes, bytesTotal), bytesTotal);
    await pace?.(spent);
  };
  run.progress('verify', 0, bytesTotal);
  const tools = verifyTools({ level, spend, ...(verifyFile && { verifyFile }) });
  return verifySource(source, { tools, checkpoint, onDamage });
}

/** What is to be checked, and how. */
export interface VerifyOrder {
  readonly tools: VerifyTools;
  /** Only what this checkpoint stands on; undefined: everything. */
  readonly checkpoint: number | undefined;
  readonly onDamage?: VerifyWork['onDamage'];
}

/** Checks a store; the options have been checked. */
export async function verifySource(
  source: ReaderSource,
  order: VerifyOrder,
): Promise<StoreVerification> {
  let identity: StoreIdentity;
  try {
    identity = await readStoreIdentity(source);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return withoutIdentity(source, order, faultOf(error, `${source.dir}/store.json`));
  }
  const { records, snapshots, log, isAgreed } = await agreed(source, identity, order);
  if (isAgreed) for (const damage of snapshots.damaged) order.onDamage?.(damage);
  const { lsn, provedLsn, trimmedBelow, segmentCount, groupCount, recordCount, logBytes } = log;
  return {
    dir: source.dir,
    level: order.tools.level,
    checkpoint: order.checkpoint,
    faults: [...records.faults, ...snapshots.faults, ...log.faults],
    notes: [...records.notes, ...snapshots.notes, ...log.notes],
    checkpointCount: records.records.length,
    snapshotCount: snapshots.count,
    snapshotBytes: snapshots.bytes,
    segmentCount,
    groupCount,
    recordCount,
    logBytes,
    lsn,
    provedLsn,
    trimmedBelow,
  };
}

/** Bytes of the files that are looked into. */
async function bytesOf(source: ReaderSource): Promise<number> {
  let bytes = 0;
  for (const object of await objectsOf(source, source.fs).list(snapshotPrefix)) {
    bytes += object.bytes;
  }
  const directory = logDirectoryOf(source);
  for (const { name } of (await listLog(source.fs, directory)).segments) {
    bytes += (await source.fs.stat(`${directory}/${name}`))?.bytes ?? 0;
  }
  return bytes;
}

interface SnapshotsReport {
  readonly faults: StoreFault[];
  readonly notes: StoreFault[];
  readonly damaged: SnapshotDamage[];
  count: number;
  bytes: number;
}

interface Reports {
  readonly records: RecordsReport;
  readonly snapshots: SnapshotsReport;
  readonly log: LogReport;
  /** There is no fault, or two readings have shown the same ones. */
  readonly isAgreed: boolean;
}

/** Reads until there is no fault, or two readings give the same faults. */
async function agreed(
  source: ReaderSource,
  identity: StoreIdentity,
  order: VerifyOrder,
): Promise<Reports> {
  let previous: string | undefined;
  let checked: ReadonlySet<string> = new Set();
  for (let reading = 1; ; reading++) {
    const { records, snapshots } = await checkpointsOf(source, identity, order, checked);
    checked = snapshots.sound;
    const log = await logOf(source, identity, order, records);
    const faults = [...records.faults, ...snapshots.report.faults, ...log.faults];
    const evidence = JSON.stringify(faults);
    const found = { records, snapshots: snapshots.report, log };
    if (faults.length === 0 || evidence === previous) return { ...found, isAgreed: true };
    previous = evidence;
    if (reading < readingsMax) continue;
    const what = `store changed under each of ${readingsMax} readings, faults are of the last one`;
    log.notes.push(fault(source.dir, what));
    return { ...found, isAgreed: false };
  }
}

/** Records, those that are asked for, and the snapshots that they name. */
async function checkpointsOf(
  source: ReaderSource,
  identity: StoreIdentity,
  { tools, checkpoint }: VerifyOrder,
  before: ReadonlySet<string>,
): Promise<{ records: RecordsReport; snapshots: CheckedSnapshots }> {
  const objects = objectsOf(source, source.fs);
  if (checkpoint !== undefined) await assertThere(source, checkpoint);
  const records: RecordsReport =
    identity.kind === 'engine'
      ? await verifyRecords(objects, identity, checkpoint)
      : { faults: [], notes: [], records: [] };
  const snapshots = await verifySnapshots(source, records, { tools, before });
  if (checkpoint === undefined) await noteUnnamed(source, records, snapshots);
  return { records, snapshots };
}

async function assertThere(source: ReaderSource, checkpoint: number): Promise<void> {
  const checkpoints = await listRecordIds(objectsOf(source, source.fs));
  if (!checkpoints.includes(checkpoint)) throw checkpointNotFound(checkpoint, checkpoints);
}

/** The log; what one checkpoint stands on has nothing of it. */
async function logOf(
  source: ReaderSource,
  identity: StoreIdentity,
  { tools, checkpoint }: VerifyOrder,
  { records }: RecordsReport,
): Promise<LogReport> {
  if (checkpoint !== undefined) return emptyLogReport();
  const { kind, storeId } = identity;
  const objects = objectsOf(source, source.fs);
  return verifyLogs({
    timelines: await readStoreTimelines(source, identity),
    timelinePath: (id) => objects.path(timelineName(id)),
    fs: source.fs,
    tools,
    directory: logDirectoryOf(source),
    storeDirectory: source.dir,
    storeId,
    ofEngine: kind === 'engine',
    hasBeginning: kind === 'log' || records.length > 0,
    records: records.filter((record) => record.sound),
  });
}

interface CheckedSnapshots {
  readonly report: SnapshotsReport;
  /** Names of those that have no fault. */
  readonly sound: ReadonlySet<string>;
  /** Names that a record has. */
  readonly named: ReadonlySet<string>;
}

/** Checks every snapshot that a record names, but those that were found sound before. */
async function verifySnapshots(
  source: ReaderSource,
  { records }: RecordsReport,
  { tools, before }: { readonly tools: VerifyTools; readonly before: ReadonlySet<string> },
): Promise<CheckedSnapshots> {
  const objects = objectsOf(source, source.fs);
  const report: SnapshotsReport = { faults: [], notes: [], damaged: [], count: 0, bytes: 0 };
  const sound = new Set<string>();
  const named = new Set<string>();
  for (const { path, record } of records) {
    for (const link of record.chain) {
      if (named.has(link.name)) continue;
      named.add(link.name);
      const { faults, isDamaged, ofContents } = before.has(link.name)
        ? noFaults
        : await verifyLink(objects, link, path, tools);
      if (faults.length === 0) sound.add(link.name);
      report.faults.push(...faults);
      if (isDamaged) report.damaged.push({ name: link.name, faults, ofContents });
      report.count++;
      report.bytes += link.bytes;
    }
  }
  return { report, sound, named };
}

async function noteUnnamed(
  source: ReaderSource,
  { records }: RecordsReport,
  { report, named }: CheckedSnapshots,
): Promise<void> {
  if (records.length === 0) return;
  const objects = objectsOf(source, source.fs);
  for (const { name } of await objects.list(snapshotPrefix)) {
    if (named.has(name)) continue;
    report.notes.push(fault(objects.path(name), 'no checkpoint record names this snapshot'));
  }
}

/** Without its identity nothing of a store can be told from another's. */
function withoutIdentity(
  source: ReaderSource,
  { tools, checkpoint }: VerifyOrder,
  found: StoreFault,
): StoreVerification {
  return {
    dir: source.dir,
    level: tools.level,
    checkpoint,
    faults: [found],
    notes: [],
    checkpointCount: 0,
    snapshotCount: 0,
    snapshotBytes: 0,
    segmentCount: 0,
    groupCount: 0,
    recordCount: 0,
    logBytes: 0,
    lsn: undefined,
    provedLsn: undefined,
    trimmedBelow: undefined,
  };
}
