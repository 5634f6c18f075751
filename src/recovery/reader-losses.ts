/*
 * What a reader says where no way leads to everything that was committed: the ways that there are and
 * what each would lose, as an opening says it, so that whoever looks first at a damaged store need not open it
 * to learn that. Reads only; a reader has no way to take one of them: `salvage` and `acceptLoss` do.
 */
import { recordName, type CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { TidemarkError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { toHex } from '../std/bytes.ts';
import { isOf, type Ancestry } from '../wal/ancestry.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { readLogMark } from '../wal/log-mark.ts';
import { readLowWater } from '../wal/low-water.ts';
import { findChainFault } from './chain-fault.ts';
import type { LimitedRun } from './limited-run.ts';
import { examinePaths, plainPath, type DamagedStore } from './losing-paths.ts';
import { ReadOnlyFiles } from './reader-files.ts';
import type { ReaderObjects } from './reader-objects.ts';
import {
  listRecordIds,
  logDirectoryOf,
  objectsOf,
  readEngineIdentity,
  readRecord,
  readStoreTimelines,
  type ReaderSource,
} from './reader-moment.ts';
import { isDamage, lossError } from './recovery-path.ts';
import type { CheckedTarget } from './target.ts';
import { verifyLink } from './verify-checkpoints.ts';
import { verifyTools } from './verify-tools.ts';

/** What was asked for, and what can end the search. */
export interface LossRequest {
  readonly target: CheckedTarget;
  readonly run: Pick<LimitedRun<never>, 'check'>;
}

/** The error of a reading with the ways that are left, where it is damage of an engine's store. */
export async function withLosingPaths(
  error: unknown,
  source: ReaderSource,
  { target, run }: LossRequest,
): Promise<unknown> {
  if (!(error instanceof TidemarkError) || error.kind !== 'corrupt') return error;
  const check = (): void => run.check();
  const checked = { ...source, fs: new ReadOnlyFiles(source.fs, false, check), check };
  try {
    const store = await findDamagedStore(checked, target.timeline);
    const { paths } = await examinePaths(store);
    return lossError(error, paths.map(plainPath));
  } catch (reason) {
    // Of a store whose identity or timelines are damaged nothing can be listed: that error says so.
    if (isDamage(reason, true)) return error;
    throw reason;
  }
}

async function findDamagedStore(
  source: ReaderSource,
  timeline: number | undefined,
): Promise<DamagedStore> {
  const { fs } = source;
  const identity = await readEngineIdentity(source);
  const ancestry = (await readStoreTimelines(source, identity)).chosen(timeline);
  const logDirectory = logDirectoryOf(source);
  const objects = objectsOf(source, fs);
  const { records, hasUnreadable } = await readableRecords(objects, identity, {
    ancestry,
    isLocal: source.store === undefined,
  });
  return {
    fs,
    logDirectory,
    ancestry,
    records,
    hasUnreadable,
    provedLsn: Math.max(0, ...records.map(({ lsn }) => lsn)),
    canLoad: (record) => isWhole(objects, record),
    lowWater: await orDamaged(() => readLowWater(fs, logDirectory), undefined),
    hadSegments: await hasHadSegments(fs, source.dir, identity, ancestry),
  };
}

/**
 * Records of the ancestry that can be read, newest first, down to one whose chain is whole: older ones go no
 * further. And whether a newer one cannot be read.
 */
async function readableRecords(
  objects: ReaderObjects,
  { storeId }: StoreIdentity,
  { ancestry, isLocal }: { readonly ancestry: Ancestry; readonly isLocal: boolean },
): Promise<{ records: CheckpointRecord[]; hasUnreadable: boolean }> {
  const records: CheckpointRecord[] = [];
  let hasUnreadable = false;
  for (const id of (await listRecordIds(objects)).toReversed()) {
    try {
      const record = await readRecord(objects, id, toHex(storeId));
      if (!isOf(ancestry, record)) continue;
      records.push(record);
      if (await isWhole(objects, record)) break;
    } catch (error) {
      if (!isDamage(error, isLocal)) throw error;
      if (records.length === 0) hasUnreadable = true;
    }
  }
  return { records, hasUnreadable };
}

/** As a reading checks it: links that fit, and every block by its checksum. */
async function isWhole(objects: ReaderObjects, record: CheckpointRecord): Promise<boolean> {
  if (findChainFault(record)) return false;
  const tools = verifyTools({ level: 'standard' });
  for (const link of record.chain) {
    const { faults } = await verifyLink(objects, link, objects.path(recordName(record.id)), tools);
    if (faults.length > 0) return false;
  }
  return true;
}

/** Whether the timeline's log has had a segment; a mark that cannot be read does not deny it. */
function hasHadSegments(
  fs: FileSystem,
  dir: string,
  { storeId }: StoreIdentity,
  { timeline }: Ancestry,
): Promise<boolean> {
  return orDamaged(async () => {
    const mark = await readLogMark(fs, dir, storeId);
    return (mark?.timeline ?? 0) >= timeline;
  }, true);
}

/** What stands in for a record that cannot be read. */
async function orDamaged<T>(read: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isDamage(error, true)) throw error;
    return otherwise;
  }
}
