/*
 * Checkpoint records and the snapshots that they name. A snapshot is checked once, however many
 * records name it, and each damage gives one fault: the digest of a file counts only where nothing
 * with a place was found in it.
 */
import {
  checkpointPrefix,
  parseRecordName,
  recordName,
  type ChainLink,
  type CheckpointRecord,
} from '../checkpoint/checkpoint-record.ts';
import { NotFoundError } from '../errors.ts';
import { loadSnapshot, verifySnapshot } from '../snapshot/tasks.ts';
import type { SnapshotFault } from '../snapshot/tasks.ts';
import { toHex } from '../std/bytes.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { findChainFault } from './chain-fault.ts';
import type { ReaderObjects } from './reader-objects.ts';
import { readerContext, readRecord } from './reader-moment.ts';
import { faultOf, withoutPath } from './verify-log.ts';
import { fault, type PartReport, type StoreFault } from './verify-report.ts';

/** Records that could be read, oldest first. */
export interface RecordsReport extends PartReport {
  readonly records: VerifiedRecord[];
}

/** A record that could be read. */
export interface VerifiedRecord {
  readonly path: string;
  readonly record: CheckpointRecord;
  /** It has no fault of its own. */
  readonly sound: boolean;
}

/** Checks every record by itself and against those before it. */
export async function verifyRecords(
  objects: ReaderObjects,
  identity: StoreIdentity,
): Promise<RecordsReport> {
  const report: RecordsReport = { faults: [], notes: [], records: [] };
  for (const { name } of await objects.list(checkpointPrefix)) {
    const path = objects.path(name);
    const parsed = parseRecordName(name);
    if (!parsed) report.notes.push(fault(path, 'is no checkpoint record'));
    if (!parsed || parsed.dropped) continue;
    try {
      const record = await readRecord(objects, parsed.id, toHex(identity.storeId));
      const before = report.records.at(-1)?.record;
      const what = recordFault(record, before, identity);
      if (what !== undefined) report.faults.push(fault(path, what, { offset: 0, lsn: record.lsn }));
      report.records.push({ path, record, sound: what === undefined });
    } catch (error) {
      // One that went away since it was listed is none.
      if (!(error instanceof NotFoundError)) report.faults.push(faultOf(error, path));
    }
  }
  return report;
}

/** Why a sound record does not fit the store or the record before it. */
function recordFault(
  record: CheckpointRecord,
  before: CheckpointRecord | undefined,
  { keyGroups }: StoreIdentity,
): string | undefined {
  const chain = findChainFault(record);
  if (chain) return `snapshot ${chain.what}: ${chain.link.name}`;
  if (record.keyGroups !== keyGroups) {
    return `record has ${record.keyGroups} key groups, the store ${keyGroups}`;
  }
  if (record.position.lsn !== record.lsn) {
    return `position is at LSN ${record.position.lsn}, the record at ${record.lsn}`;
  }
  if (record.parent >= record.id) return `parent ${record.parent} is not before the record`;
  if (before && before.lsn > record.lsn) {
    return `record is at LSN ${record.lsn}, ${recordName(before.id)} before it at ${before.lsn}`;
  }
  return undefined;
}

/** Checks one snapshot: every byte, and what its record says of it. */
export async function verifyLink(
  objects: ReaderObjects,
  link: ChainLink,
  recordPath: string,
): Promise<StoreFault[]> {
  const path = objects.path(link.name);
  try {
    const file = await objects.file(link.name);
    if (!file) return [fault(path, `snapshot is missing, ${recordPath} names it`)];
    const stat = await file.fs.stat(file.path);
    if (stat && stat.bytes !== link.bytes) {
      const what = `snapshot has ${stat.bytes} bytes where ${link.bytes} are due`;
      return [fault(path, what, { offset: Math.min(stat.bytes, link.bytes) })];
    }
    const { sha256, bytes } = link;
    const input = { path: file.path, sha256, bytes, full: true };
    const { faults } = await verifySnapshot(file.fs, input, readerContext);
    if (faults.length > 0) return distinct(faults, file.path, path);
    const { header, tables } = await loadSnapshot(
      file.fs,
      { path: file.path, sliceIndexes: [], verification: 'basic' },
      readerContext,
    );
    const entryCount = tables.reduce((sum, table) => sum + table.entryCount, 0);
    const agrees =
      header.kind === link.kind &&
      header.fromLsn === link.fromLsn &&
      header.lastLsn === link.lastLsn &&
      header.lastTimestamp === link.lastTimestamp &&
      entryCount === link.entryCount;
    return agrees ? [] : [fault(path, `snapshot is not what ${recordPath} says`, { offset: 0 })];
  } catch (error) {
    return [faultOf(error, path)];
  }
}

/** Of faults of one file, those that say where; the first where several share a place. */
function distinct(faults: readonly SnapshotFault[], file: string, path: string): StoreFault[] {
  const placed = faults.filter(({ what }) => !what.startsWith('digest'));
  const shown = placed.length > 0 ? placed : faults;
  const seen = new Set<number>();
  return shown
    .filter(({ offset }) => !seen.has(offset) && seen.add(offset))
    .map(({ offset, what }) => fault(path, withoutPath(what, file), { offset }));
}
