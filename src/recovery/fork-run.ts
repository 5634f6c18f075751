/*
 * A fork: a second store with an id of its own that has everything of its parent, up to the last
 * commit, and goes its own way from there on a timeline of its own (T3). Snapshots and sealed segments are
 * shared, by a second name of the same file where the file system has that, else copied; neither is
 * ever written again up to where it counts. The segment that takes appends is copied up to the fork's
 * point. Records are small, and are written anew with the fork's id.
 *
 * Durability, in this order, each step synced before the next: the mark RESTORING (new-store.ts);
 * snapshots; records of timelines and checkpoints; the log, its low-water record and its mark; then the
 * identity, with which the store is whole; then the mark goes. A crash before the identity leaves a
 * directory that every opening refuses and the next attempt clears. Names of shared files go with
 * it; the parent has its own.
 */
import { badOption } from '../std/option-checks.ts';
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { pinsOf } from '../checkpoint/retention/retention-pins.ts';
import { encodeTimeline, timelineName } from '../checkpoint/timelines/timeline-record.ts';
import { encodeRecord, parseSnapshotName, recordName } from '../checkpoint/checkpoint-record.ts';
import { CorruptionError } from '../errors.ts';
import { toHex } from '../std/bytes.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import type { FileHandle } from '../fs/file-system.ts';
import { chainStart } from '../wal/chain-value.ts';
import { assertOutside } from './empty-directory.ts';
import { finishSegment } from './backup-target.ts';
import { CopyRun, type CopyComponents, type CopyLimits } from './copy-run.ts';
import {
  droppedMarks,
  readForkInventory,
  type ForkInventory,
  type ForkSegment,
} from './fork-source.ts';
import { NewStore } from './new-store.ts';
import { HeldStore, type Ownership } from './ownership.ts';
import {
  readInAgreement,
  readEngineIdentity,
  sourceOf,
  type ReaderSource,
  type StoreLocation,
} from './reader-moment.ts';
import { newIdentity } from './restore-record.ts';
import { settleLog, stillUnproved, type SettledLog } from './settled-log.ts';
import { FileSharer } from './share-files.ts';

/** What is to be forked, and where to. */
export interface ForkOrder {
  readonly from: StoreLocation;
  /** Absolute. */
  readonly to: string;
  readonly limits: CopyLimits;
  /** Durable for certain, since the caller is the writer. @defaultValue what the log proves counts */
  readonly durableLsn?: number;
  readonly ownership: Ownership;
}

/** What a fork did. */
export interface ForkReport {
  /** Of the fork, absolute. */
  readonly dir: string;
  /** Of the fork, hexadecimal. */
  readonly storeId: string;
  /** Of the parent, hexadecimal. */
  readonly parentId: string;
  /** The last commit that both have; 0: none. */
  readonly lsn: number;
  /** Time of that commit, microseconds; 0 before the first. */
  readonly timestamp: number;
  /** The fork's own timeline. */
  readonly timeline: number;
  readonly checkpoints: number;
  /** Snapshots and segments that both stores have a name of, and their bytes. */
  readonly sharedFiles: number;
  readonly sharedBytes: number;
  /** Those that were copied: the segment that takes appends, and all where files cannot be shared. */
  readonly copiedFiles: number;
  readonly copiedBytes: number;
  /**
   * Commits that a writer had in the log at the call and has not proved to be durable since: they are
   * not in the fork. 0 but for a writer that is stuck or has failed.
   */
  readonly unprovedCommits: number;
  readonly milliseconds: number;
}

/** Forks; the directory holds a whole store when this resolves, and none when it rejects. */
export async function runFork(order: ForkOrder, on: CopyComponents): Promise<ForkReport> {
  const startedAt = on.clock.monotonicMs();
  const source = sourceOf(on, order.from);
  assertOutside(order.to, source.dir);
  const parent = await readEngineIdentity(source);
  const run = new CopyRun('fork', order.limits, on);
  let store: NewStore | undefined;
  let held: HeldStore | undefined;
  try {
    run.check();
    run.progress('plan');
    if (order.ownership === 'claim') held = await HeldStore.take(on.fs, source.dir);
    const isHeld = held !== undefined;
    const settled = await settle(order, { source, identity: parent, fs: on.fs, isHeld }, run);
    // What cannot be read makes no directory.
    const inventory = await readInAgreement(source, () =>
      readForkInventory(source, parent, settled.lsn),
    );
    if (isHeld) refuseLeftOut(inventory.leftOut, settled.unprovedCommits);
    store = await NewStore.begin(on, order.to);
    const making = { on, run, source, parent, store, created: newIdentity(parent, on.random) };
    const made = await make(making, settled);
    const { parentId: storeId, storeId: by, dir } = made;
    await held?.giveUp({ storeId, by, dir });
    return { ...made, milliseconds: on.clock.monotonicMs() - startedAt };
  } catch (error) {
    // What cannot be removed now stays behind its mark, and the next attempt removes it.
    await store?.undo().catch(() => {});
    throw run.failure(error);
  } finally {
    await run.close();
    await store?.release();
    await held?.release();
  }
}

/** A claim gives the source up: nothing of it may be left out of the fork. */
function refuseLeftOut(leftOut: readonly string[], unprovedCommits: number): void {
  const more = unprovedCommits === 0 ? [] : [`${unprovedCommits} commits that are not proved`];
  const lost = [...leftOut, ...more];
  if (lost.length === 0) return;
  const why = `would lose what a fork does not take along (${lost.join(', ')})`;
  throw badOption('ownership', why, 'claim', { leftOut: lost });
}

/** The writer itself knows what is durable; others wait for its proof. */
async function settle(
  { durableLsn }: ForkOrder,
  input: Parameters<typeof settleLog>[0],
  run: CopyRun,
): Promise<SettledLog> {
  if (durableLsn === undefined) return settleLog(input, run);
  return { lsn: durableLsn, unprovedCommits: 0 };
}

interface Making {
  readonly on: CopyComponents;
  readonly run: CopyRun;
  readonly source: ReaderSource;
  readonly parent: StoreIdentity;
  readonly created: StoreIdentity;
  readonly store: NewStore;
}

async function make(
  making: Making,
  settled: SettledLog,
): Promise<Omit<ForkReport, 'milliseconds'>> {
  const { on, source, parent, created, store } = making;
  const sharer = new FileSharer(on, source.fs, making.run);
  // Files that are collected meanwhile make a reading fail: what is shared by then stays.
  const found = await readInAgreement(source, async () => {
    const inventory = await readForkInventory(source, parent, settled.lsn);
    const unpin = pin(making, inventory);
    try {
      await shareFiles(making, inventory, sharer);
    } finally {
      for (const unset of unpin) unset();
    }
    return inventory;
  });
  await store.putObjects(recordsOf(making, found));
  await store.finishFork(created, found);
  const { fork, timestamp, timeline, records } = found;
  return {
    dir: store.dir,
    storeId: toHex(created.storeId),
    parentId: toHex(parent.storeId),
    lsn: fork.lsn,
    timestamp,
    timeline,
    checkpoints: records.length,
    ...sharer.totals,
    unprovedCommits: stillUnproved(settled, fork.lsn),
  };
}

/** Snapshots, then segments; their directories are synced behind them. */
async function shareFiles(
  { run, store }: Making,
  { objects, snapshots, segments }: ForkInventory,
  sharer: FileSharer,
): Promise<void> {
  const total = segments.reduce((sum, { end }) => sum + end, 0);
  sharer.expect(snapshots.reduce((sum, { bytes }) => sum + bytes, total));
  await store.makeDirectories(['snapshots', 'wal']);
  for (const { name, bytes } of snapshots) {
    run.check();
    const file = await objects.file(name);
    if (!file) throw gone(objects.path(name));
    const sha256 = parseSnapshotName(name)?.sha256;
    await sharer.share(file, { path: `${store.dir}/${name}`, bytes, sha256 });
  }
  for (const segment of segments) {
    const { file, end, isShared } = segment;
    run.check();
    const target = { path: `${store.dir}/wal/${file.name}`, bytes: end };
    const from = { fs: sharer.sourceFs, path: file.path };
    if (isShared) await sharer.share(from, target);
    else await sharer.copy(from, { ...target, finish: (handle) => finishCopy(handle, segment) });
  }
  await store.syncDirectories(['snapshots', 'wal']);
}

/** A copied segment is as long as its header says, and proved to its end where groups end there. */
function finishCopy(handle: FileHandle, { file, end, border }: ForkSegment): Promise<void> {
  const none = { offset: end, lsn: 0, chain: chainStart };
  return finishSegment(handle, file, border ?? none, border !== undefined);
}

/** The small objects of the fork, by name, in the order in which they are put. */
function recordsOf(
  { created, parent, on }: Making,
  found: ForkInventory,
): (readonly [name: string, bytes: Uint8Array])[] {
  const { fork, timestamp: forkTimestamp, timeline: id, epoch } = found;
  const storeId = toHex(created.storeId);
  const from = { timeline: fork.parent, lsn: fork.lsn };
  const times = { forkTimestamp, createdAt: on.clock.nowMicros() };
  const first = { id, storeId, fork, ...times, epoch, from, store: toHex(parent.storeId) };
  const timelines = [...found.timelines.map((record) => ({ ...record, storeId })), first];
  return [
    ...timelines.map((record) => [timelineName(record.id), encodeTimeline(record)] as const),
    ...found.records.map((record) => [recordName(record.id), encodeOwn(record, storeId)] as const),
    ...droppedMarks(found).map((name) => [name, new Uint8Array(0)] as const),
  ];
}

/** A record of the fork; what it names says which store made it. */
function encodeOwn(record: CheckpointRecord, storeId: string): Uint8Array {
  const chain = record.chain.map((link) => ({ storeId: record.storeId, ...link }));
  return encodeRecord({ ...record, storeId, chain });
}

/** Keeps a collection of this process away from what is being shared. */
function pin({ on: { fs }, source: { dir } }: Making, found: ForkInventory): (() => void)[] {
  const pins = pinsOf(fs, dir);
  const reason = 'a fork of this process';
  const first = found.segments[0]?.file.header.firstLsn ?? 0;
  return [
    pins.add({ lsn: first, reason }),
    ...found.records.map(({ id }) => pins.add({ recordId: id, reason })),
  ];
}

/** The same reading a second time says whether it is damage. */
function gone(path: string): CorruptionError {
  return new CorruptionError('BROKEN_CHAIN', `snapshot is missing: ${path}`, { path });
}
