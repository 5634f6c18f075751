/*
 * A backup: brings a copy up to a store that another process may have open, and takes from it what the
 * store has given up. Only what the copy lacks is read. The copy opens as the same store, at or above
 * every commit that was acknowledged before the call. Order of what is written: backup-target.ts.
 *
 * Files that are collected meanwhile make a reading fail; then it is made again, and what has been
 * copied stays. In this process what is copied is pinned.
 */
import { pinsOf } from '../checkpoint/retention/retention-pins.ts';
import { parseRecordName } from '../checkpoint/checkpoint-record.ts';
import { ConflictError, CorruptionError } from '../errors.ts';
import { toHex } from '../std/bytes.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { assertOutside } from './empty-directory.ts';
import { readInventory, type BackupInventory } from './backup-source.ts';
import { BackupTarget } from './backup-target.ts';
import { CopyRun, type CopyComponents, type CopyLimits, type CopyProgress } from './copy-run.ts';
import {
  readInAgreement,
  readEngineIdentity,
  sourceOf,
  type ReaderSource,
  type StoreLocation,
} from './reader-moment.ts';
import { settleLog, stillUnproved } from './settled-log.ts';
import { verifyStoreWith } from './verify.ts';

/** What is to be copied, and where to. */
export interface BackupOrder {
  readonly from: StoreLocation;
  /** Absolute. */
  readonly to: string;
  /** Checks every byte of the copy at the end. */
  readonly verify: boolean;
  readonly limits: CopyLimits;
}

/** What a backup did. */
export interface BackupReport {
  /** Of the copy, absolute. */
  readonly dir: string;
  /** Of both, hexadecimal. */
  readonly storeId: string;
  /** The last commit in the copy. */
  readonly lsn: number;
  /**
   * Commits that a writer had in the log at the call and has not proved to be durable since: they are
   * not in the copy. 0 but for a writer that is stuck or has failed.
   */
  readonly unprovedCommits: number;
  readonly copiedSnapshots: number;
  readonly copiedRecords: number;
  /** Of snapshots and log. */
  readonly copiedBytes: number;
  /** Objects and segments that the source has given up. */
  readonly droppedFiles: number;
  /** Bytes of the copy that were checked; undefined: it was not asked for. */
  readonly verifiedBytes: number | undefined;
  readonly milliseconds: number;
}

export async function runBackup(order: BackupOrder, on: CopyComponents): Promise<BackupReport> {
  const startedAt = on.clock.monotonicMs();
  const source = sourceOf(on, order.from);
  assertOutside(order.to, source.dir);
  if (order.to === source.dir) {
    const message = `the copy would be the store itself: ${order.to}`;
    throw new ConflictError('STATE_EXISTS', message, { path: order.to });
  }
  const identity = await readEngineIdentity(source);
  const run = new CopyRun('backup', order.limits, on);
  let target: BackupTarget | undefined;
  try {
    run.check();
    run.progress('plan');
    const settled = await settleLog({ source, fs: on.fs, identity }, run);
    target = await BackupTarget.begin(on, order.to, identity);
    const copied = await copyContent({ on, run, source, identity, target }, settled.lsn);
    run.check();
    const { inventory, snapshots, bytes } = copied;
    const copiedRecords = await target.publish(inventory);
    const droppedFiles = await target.drop(inventory);
    const verifiedBytes = order.verify ? await verify(order.to, on, run) : undefined;
    return {
      dir: order.to,
      storeId: toHex(identity.storeId),
      lsn: inventory.lsn,
      unprovedCommits: stillUnproved(settled, inventory.lsn),
      copiedSnapshots: snapshots,
      copiedRecords,
      copiedBytes: bytes,
      droppedFiles,
      verifiedBytes,
      milliseconds: on.clock.monotonicMs() - startedAt,
    };
  } catch (error) {
    throw run.failure(error);
  } finally {
    await run.close();
    await target?.release();
  }
}

interface Copying {
  readonly on: CopyComponents;
  readonly run: CopyRun;
  readonly source: ReaderSource;
  readonly identity: StoreIdentity;
  readonly target: BackupTarget;
}

interface Copied {
  readonly inventory: BackupInventory;
  readonly snapshots: number;
  readonly bytes: number;
}

/** Copies snapshots and log: all that is read of the source. */
async function copyContent(copying: Copying, settledLsn: number): Promise<Copied> {
  const { on, run, source, identity, target } = copying;
  let bytes = 0;
  let snapshots = 0;
  const inventory = await readInAgreement(source, async () => {
    const found = await readInventory(source, identity, settledLsn);
    const unpin = pin(on, source, found);
    try {
      const missing = await target.missingSnapshots(found);
      const log = await target.missingLogBytes(found);
      const total = bytes + log + missing.reduce((sum, object) => sum + object.bytes, 0);
      const tick = (more: number): void => {
        run.check();
        bytes += more;
        run.progress('copy', bytes, total);
      };
      run.progress('copy', bytes, total);
      for (const { name } of missing) {
        const file = await found.objects.file(name);
        if (!file) throw gone(found.objects.path(name));
        await target.copySnapshot(file.fs, file.path, name, tick);
        snapshots++;
      }
      await target.copyLog(source.fs, found, tick);
      return found;
    } finally {
      for (const unset of unpin) unset();
    }
  });
  return { inventory, snapshots, bytes };
}

/** Keeps a collection of this process away from what is being copied. */
function pin(
  { fs }: CopyComponents,
  { dir }: ReaderSource,
  { records, segments }: BackupInventory,
): (() => void)[] {
  const pins = pinsOf(fs, dir);
  const reason = 'a backup of this process';
  const first = segments[0]?.file.header.firstLsn ?? 0;
  return [
    pins.add({ lsn: first, reason }),
    ...records.map(({ name }) => pins.add({ recordId: parseRecordName(name)?.id ?? 0, reason })),
  ];
}

/** The same reading a second time says whether it is damage. */
function gone(path: string): CorruptionError {
  return new CorruptionError('BROKEN_CHAIN', `snapshot is missing: ${path}`, { path });
}

async function verify(dir: string, on: CopyComponents, run: CopyRun): Promise<number> {
  run.progress('verify');
  const { signal } = run;
  const onProgress = ({ bytes, bytesTotal }: CopyProgress): void =>
    run.progress('verify', bytes, bytesTotal);
  const check = { dir, signal, onProgress };
  const { faults, snapshotBytes, logBytes } = await verifyStoreWith(check, on);
  const [first] = faults;
  if (!first) {
    const bytes = snapshotBytes + logBytes;
    run.progress('verify', bytes, bytes);
    return bytes;
  }
  throw new CorruptionError(
    'CORRUPT_STORE',
    `copy is damaged in ${faults.length} places, the first: ${first.what}: ${first.path}`,
    { path: first.path, offset: first.offset, faults },
  );
}
