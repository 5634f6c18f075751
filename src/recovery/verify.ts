/*
 * Checks a store whole, and reports every fault instead of stopping at the first: identity, every
 * record, every snapshot that a record names, every segment of the log. Reads only, beside a writer
 * too: a part that shows faults is read until two readings of it agree (F2), and what a record names
 * counts only while the record is there (F1).
 */
import { snapshotPrefix } from '../checkpoint/checkpoint-record.ts';
import { CorruptionError } from '../errors.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { knownOnly } from '../std/option-checks.ts';
import { systemClock } from '../std/clock.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { readingsMax } from './reader-agreement.ts';
import {
  locationNames,
  logDirectoryOf,
  objectsOf,
  readStoreIdentity,
  sourceOf,
  type ReaderSource,
  type StoreLocation,
} from './reader-moment.ts';
import type { ReaderComponents } from './reader.ts';
import { verifyLink, verifyRecords, type RecordsReport } from './verify-checkpoints.ts';
import { faultOf, verifyLog, type LogReport } from './verify-log.ts';
import { fault, type StoreFault, type StoreVerification } from './verify-report.ts';

export type { StoreFault, StoreVerification } from './verify-report.ts';

/**
 * Checks everything that a directory holds; another process may have it open. Damage is returned,
 * never thrown.
 * @throws InvalidArgumentError INVALID_OPTION; NOT_A_STORE when there is nothing to check
 * @throws IncompatibleError UNSUPPORTED_FORMAT when the whole store is of a newer version
 */
export function verifyStore(location: StoreLocation): Promise<StoreVerification> {
  return verifyStoreWith(location, { fs: nodeFileSystem, clock: systemClock });
}

/** As {@link verifyStore}, over given components. */
export async function verifyStoreWith(
  location: StoreLocation,
  components: ReaderComponents,
): Promise<StoreVerification> {
  knownOnly(location, locationNames);
  const source = sourceOf(components, location);
  let identity: StoreIdentity;
  try {
    identity = await readStoreIdentity(source);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return withoutIdentity(source, faultOf(error, `${source.dir}/store.json`));
  }
  const { records, snapshots, log } = await agreed(source, identity);
  const { lsn, provedLsn, trimmedBelow, segmentCount, groupCount, recordCount, logBytes } = log;
  return {
    dir: source.dir,
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

interface SnapshotsReport {
  readonly faults: StoreFault[];
  readonly notes: StoreFault[];
  count: number;
  bytes: number;
}

interface Reports {
  readonly records: RecordsReport;
  readonly snapshots: SnapshotsReport;
  readonly log: LogReport;
}

/** Reads until there is no fault, or two readings give the same faults. */
async function agreed(source: ReaderSource, identity: StoreIdentity): Promise<Reports> {
  let previous: string | undefined;
  let checked: ReadonlyMap<string, readonly StoreFault[]> = new Map();
  for (let reading = 1; ; reading++) {
    const objects = objectsOf(source, source.fs);
    const isEngine = identity.kind === 'engine';
    const records: RecordsReport = isEngine
      ? await verifyRecords(objects, identity)
      : { faults: [], notes: [], records: [] };
    const { report: snapshots, known } = await verifySnapshots(source, records, checked);
    checked = known;
    const directory = logDirectoryOf(source);
    const { storeId } = identity;
    const sound = records.records.filter((record) => record.sound);
    const log = await verifyLog({
      fs: source.fs,
      directory,
      storeDirectory: source.dir,
      storeId,
      hasBeginning: !isEngine || records.records.length > 0,
      records: sound,
    });
    const faults = [...records.faults, ...snapshots.faults, ...log.faults];
    const evidence = JSON.stringify(faults);
    if (faults.length === 0 || evidence === previous) return { records, snapshots, log };
    previous = evidence;
    if (reading < readingsMax) continue;
    const what = `store changed under each of ${readingsMax} readings, faults are of the last one`;
    log.notes.push(fault(source.dir, what));
    return { records, snapshots, log };
  }
}

/** Checks every snapshot that a record names, but those that were found sound before. */
async function verifySnapshots(
  source: ReaderSource,
  { records }: RecordsReport,
  before: ReadonlyMap<string, readonly StoreFault[]>,
): Promise<{ report: SnapshotsReport; known: Map<string, readonly StoreFault[]> }> {
  const objects = objectsOf(source, source.fs);
  const report: SnapshotsReport = { faults: [], notes: [], count: 0, bytes: 0 };
  const known = new Map<string, readonly StoreFault[]>();
  const named = new Set<string>();
  for (const { path, record } of records) {
    for (const link of record.chain) {
      if (named.has(link.name)) continue;
      named.add(link.name);
      const faults = before.get(link.name) ?? (await verifyLink(objects, link, path));
      if (faults.length === 0) known.set(link.name, faults);
      report.faults.push(...faults);
      report.count++;
      report.bytes += link.bytes;
    }
  }
  for (const { name } of await objects.list(snapshotPrefix)) {
    if (named.has(name) || records.length === 0) continue;
    report.notes.push(fault(objects.path(name), 'no checkpoint record names this snapshot'));
  }
  return { report, known };
}

/** Without its identity nothing of a store can be told from another's. */
function withoutIdentity(source: ReaderSource, found: StoreFault): StoreVerification {
  return {
    dir: source.dir,
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
