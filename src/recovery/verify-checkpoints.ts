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
import type { SnapshotFault, VerifySnapshotOutput } from '../snapshot/tasks.ts';
import { toHex } from '../std/bytes.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { findChainFault } from './chain-fault.ts';
import { DirectoryObjects, type ObjectFile, type ReaderObjects } from './reader-objects.ts';
import { readRecord } from './reader-moment.ts';
import { isDamage } from './recovery-path.ts';
import { faultOf, withoutPath } from './verify-log.ts';
import { fault, type PartReport, type StoreFault } from './verify-report.ts';
import { reaches, type VerifyTools } from './verify-tools.ts';

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

/** Checks every record by itself and against those before it, or only one of them. */
export async function verifyRecords(
  objects: ReaderObjects,
  identity: StoreIdentity,
  only?: number,
): Promise<RecordsReport> {
  const report: RecordsReport = { faults: [], notes: [], records: [] };
  for (const { name } of await objects.list(checkpointPrefix)) {
    const path = objects.path(name);
    const parsed = parseRecordName(name);
    if (!parsed) report.notes.push(fault(path, 'is no checkpoint record'));
    if (!parsed || parsed.dropped || (only !== undefined && parsed.id !== only)) continue;
    try {
      const record = await readRecord(objects, parsed.id, toHex(identity.storeId));
      // Along a timeline LSNs do not fall; after a restore in place the next one goes on below.
      const before = report.records.findLast(
        (other) => other.record.timeline === record.timeline,
      )?.record;
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

/** Bytes of slices that are checked in one go. */
const partBytes = 8 * 1024 * 1024;

/** What is wrong with a snapshot. */
export interface LinkFaults {
  readonly faults: readonly StoreFault[];
  /** It is the file that is bad: false where this release, or the machine, could not read it. */
  readonly isDamaged: boolean;
  /** Some of it stands behind checksums that hold: what was loaded of it is no better. */
  readonly ofContents: boolean;
}

export const noFaults: LinkFaults = { faults: [], isDamaged: false, ofContents: false };

function damage(faults: readonly StoreFault[], ofContents = false): LinkFaults {
  return { faults, isDamaged: faults.length > 0, ofContents };
}

/** Checks one snapshot as far as the level goes, and what its record says of it. */
export async function verifyLink(
  objects: ReaderObjects,
  link: ChainLink,
  recordPath: string,
  tools: VerifyTools,
): Promise<LinkFaults> {
  const path = objects.path(link.name);
  try {
    return await faultsOfLink(objects, link, recordPath, tools);
  } catch (error) {
    const isLocal = objects instanceof DirectoryObjects;
    const isDamaged = isDamage(error, isLocal);
    return { faults: [faultOf(error, path)], isDamaged, ofContents: false };
  }
}

async function faultsOfLink(
  objects: ReaderObjects,
  link: ChainLink,
  recordPath: string,
  tools: VerifyTools,
): Promise<LinkFaults> {
  const path = objects.path(link.name);
  const missing = damage([fault(path, `snapshot is missing, ${recordPath} names it`)]);
  if (!reaches(tools.level, 'basic')) return (await objects.has(link.name)) ? noFaults : missing;
  const file = await objects.file(link.name);
  if (!file) return missing;
  const stat = await file.fs.stat(file.path);
  if (stat && stat.bytes !== link.bytes) {
    const what = `snapshot has ${stat.bytes} bytes where ${link.bytes} are due`;
    return damage([fault(path, what, { offset: Math.min(stat.bytes, link.bytes) })]);
  }
  const { faults, found } = await verifyParts(file, link, tools);
  if (faults.length > 0 || !found) {
    const shown = distinct(faults);
    const told = shown.map(({ offset, what }) =>
      fault(path, withoutPath(what, file.path), { offset }),
    );
    return damage(
      told,
      shown.some(({ ofContents }) => ofContents === true),
    );
  }
  const { header, entryCount } = found;
  const agrees =
    header.kind === link.kind &&
    header.fromLsn === link.fromLsn &&
    header.lastLsn === link.lastLsn &&
    header.lastTimestamp === link.lastTimestamp &&
    entryCount === link.entryCount;
  if (agrees) return noFaults;
  return damage([fault(path, `snapshot is not what ${recordPath} says`, { offset: 0 })], true);
}

/** Head and digest first, then slices, a few at a time. */
async function verifyParts(
  { fs, path }: ObjectFile,
  { sha256, bytes }: ChainLink,
  { level, spend, verifyFile }: VerifyTools,
): Promise<Pick<VerifySnapshotOutput, 'faults' | 'found'>> {
  const head = await verifyFile(fs, { path, sha256, bytes, level, sliceIndexes: [] });
  if (level === 'full') await spend(bytes);
  const { found } = head;
  const faults = [...head.faults];
  let part: number[] = [];
  let inPart = 0;
  for (const [index, sliceBytes] of (found?.sliceBytes ?? []).entries()) {
    part.push(index);
    inPart += sliceBytes;
    if (inPart < partBytes && index + 1 < found!.sliceBytes.length) continue;
    const checks = { path, level, sliceIndexes: part, onlySlices: true };
    faults.push(...(await verifyFile(fs, checks)).faults);
    if (reaches(level, 'standard')) await spend(inPart);
    part = [];
    inPart = 0;
  }
  return { faults, found };
}

/** Of faults of one file, those that say where; the first where several share a place. */
function distinct(faults: readonly SnapshotFault[]): SnapshotFault[] {
  const placed = faults.filter(({ what }) => !what.startsWith('digest'));
  const shown = placed.length > 0 ? placed : faults;
  const seen = new Set<number>();
  return shown.filter(({ offset }) => !seen.has(offset) && seen.add(offset));
}
