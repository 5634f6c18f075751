/*
 * A restore into a new directory: the state of a store at a target becomes a second store, with an id
 * of its own, the same seed and key groups (so that the two can be joined), one base, the record of
 * it, and a log that goes on behind the target's LSN. The source is only read.
 *
 * Durability: see new-store.ts. Memory: a range of slices a thread (threads/merge-run.ts), and the
 * log behind the checkpoint as an image.
 */
import {
  snapshotName,
  type ChainPolicy,
  type CheckpointRecord,
} from '../checkpoint/checkpoint-record.ts';
import { compressionOf, rulesOf } from '../checkpoint/checkpointer-input.ts';
import type { RetentionSettings } from '../checkpoint/retention/retention-settings.ts';
import { compressionDefault } from '../codec/compression-setting.ts';
import { InvalidArgumentError } from '../errors.ts';
import type { SnapshotHeader } from '../snapshot/snapshot-format.ts';
import { readU32, toHex } from '../std/bytes.ts';
import { directoryPlace } from '../store/store-place.ts';
import { runMerge, type MergedSnapshot } from '../threads/merge-run.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { firstEpoch, firstPosition } from '../wal/start-log.ts';
import { CopyRun, type CopyComponents, type CopyLimits } from './copy-run.ts';
import { planMoment } from './moment-at.ts';
import { rateOf, ThreadMeter, type ThreadWork } from './recovery-work.ts';
import { NewStore } from './new-store.ts';
import { ReadOnlyFiles } from './reader-files.ts';
import {
  readInAgreement,
  readStoreIdentity,
  sourceOf,
  type ReaderSource,
  type StoreLocation,
} from './reader-moment.ts';
import { chooseParts, type ChosenParts, type WantedParts } from './restore-parts.ts';
import { openRestoreSource, type RestoreSource } from './restore-source.ts';
import { settleLog, stillUnproved, type SettledLog } from './settled-log.ts';
import type { CheckedTarget } from './target.ts';

/** What is to be restored, and where. */
export interface RestoreOrder extends WantedParts {
  readonly from: StoreLocation;
  /** Absolute. */
  readonly to: string;
  readonly target: CheckedTarget;
  readonly limits: CopyLimits;
  /** For the record where the source has none. */
  readonly defaults: { readonly policy: ChainPolicy; readonly retention: RetentionSettings };
}

/** What a restore did. */
export interface RestoreReport extends ThreadWork {
  /** Of the new store, absolute. */
  readonly dir: string;
  /** Of the new store, hexadecimal. */
  readonly storeId: string;
  /** Of the source, hexadecimal. */
  readonly sourceId: string;
  /** The last commit that was restored; 0: before the first. */
  readonly lsn: number;
  /** Time of that commit, microseconds; 0 before the first. */
  readonly timestamp: number;
  /** The checkpoint of the source that the restore started from; undefined: the log alone. */
  readonly checkpoint: number | undefined;
  /** Commits that were replayed behind that checkpoint. */
  readonly replayedCommits: number;
  /**
   * Commits that a writer had in the log at the call and has not proved to be durable since: they are
   * left out. 0 but for a writer that is stuck or has failed.
   */
  readonly unprovedCommits: number;
  /** Only some operators or key groups were taken. */
  readonly partial: boolean;
  /** In the new store's base. */
  readonly entryCount: number;
  /** Of the base's file. */
  readonly bytes: number;
  readonly milliseconds: number;
  /** Milliseconds of each phase; replaying includes finding the files and reading the log. */
  readonly phasesMs: { readonly plan: number; readonly replay: number; readonly write: number };
  /** Bytes of log that were replayed, and of snapshots and log that went into what was written. */
  readonly phasesBytes: { readonly replay: number; readonly write: number };
  /** What was written, in bytes of what was read, a second. */
  readonly bytesPerSecond: number;
  /** What a plan says of opening the source at that moment, which writes nothing. */
  readonly estimatedMs: number;
}

/** Restores; the directory holds a whole store when this resolves, and none when it rejects. */
export async function runRestore(order: RestoreOrder, on: CopyComponents): Promise<RestoreReport> {
  const startedAt = on.clock.monotonicMs();
  const source = sourceOf(on, order.from);
  const identity = await readStoreIdentity(source);
  if (identity.kind !== 'engine') {
    const message = `directory holds a log, no engine: ${source.dir}`;
    throw new InvalidArgumentError('NOT_A_STORE', message, { path: source.dir });
  }
  const run = new CopyRun('restore', order.limits, on);
  let store: NewStore | undefined;
  try {
    run.check();
    run.progress('plan');
    const settled = await settle(order, { source, fs: on.fs, identity }, run);
    // A target that is not there makes no directory.
    await readInAgreement(source, () => planOnly(source, identity, order.target, settled));
    store = await NewStore.begin(on, order.to);
    const made = await make(order, { on, run, source, identity, settled, store });
    return { ...made, milliseconds: on.clock.monotonicMs() - startedAt };
  } catch (error) {
    // Before the files go that they write to.
    await run.close();
    // What cannot be removed now stays behind its mark, and the next restore removes it.
    await store?.undo().catch(() => {});
    throw run.failure(error);
  } finally {
    await run.close();
    await store?.release();
  }
}

async function planOnly(
  source: ReaderSource,
  identity: StoreIdentity,
  target: CheckedTarget,
  { lsn }: SettledLog,
): Promise<void> {
  const files = new ReadOnlyFiles(source.fs, true);
  try {
    await planMoment(source, files, identity, { target, through: lsn });
  } finally {
    await files.close();
  }
}

interface Making {
  readonly on: CopyComponents;
  readonly run: CopyRun;
  readonly source: ReaderSource;
  readonly identity: StoreIdentity;
  readonly settled: SettledLog;
  readonly store: NewStore;
}

/** What a checkpoint names is proved; other targets wait for the proof of what is in the log. */
async function settle(
  { target }: RestoreOrder,
  input: Parameters<typeof settleLog>[0],
  run: CopyRun,
): Promise<SettledLog> {
  const { kind } = target;
  if (kind !== 'checkpoint' && kind !== 'savepoint') return settleLog(input, run);
  return { lsn: Number.MAX_SAFE_INTEGER, unprovedCommits: 0 };
}

async function make(
  order: RestoreOrder,
  making: Making,
): Promise<Omit<RestoreReport, 'milliseconds'>> {
  const { run, source, settled, store } = making;
  const threads = new ThreadMeter(run.pool);
  const created = newIdentity(making);
  const made = await readInAgreement(source, () => writeBase(order, making, created));
  run.check();
  const { state, chosen, base } = made;
  const { plan } = state;
  const { plan: planMs = 0, replay = 0, write = 0 } = run.phasesMs();
  const work = threads.over(replay + write);
  const readBytes = plan.snapshotBytes + plan.logBytes;
  const record = recordOf(order, { ...making, ...made, created });
  await store.publishSnapshot(made.stagedPath, record.chain[0]!.name);
  await store.finish(created, record);
  return {
    dir: store.dir,
    storeId: record.storeId,
    sourceId: toHex(making.identity.storeId),
    lsn: record.lsn,
    timestamp: record.timestamp,
    checkpoint: plan.record?.id,
    replayedCommits: plan.lsn - (plan.record?.lsn ?? 0),
    unprovedCommits: order.target.kind === 'latest' ? stillUnproved(settled, plan.lsn) : 0,
    partial: chosen.parts !== undefined,
    entryCount: base.entryCount,
    bytes: base.bytes,
    phasesMs: { plan: planMs, replay, write },
    phasesBytes: { replay: plan.logBytes, write: readBytes },
    bytesPerSecond: rateOf(readBytes, write),
    estimatedMs: plan.seconds * 1000,
    ...work,
  };
}

/** Another store, whose keys have the same hashes. */
function newIdentity({ on, identity }: Making): StoreIdentity {
  const storeId = new Uint8Array(16);
  on.random.fill(storeId);
  return { ...identity, storeId, place: directoryPlace };
}

interface MadeBase {
  readonly state: RestoreSource;
  readonly chosen: ChosenParts;
  readonly base: MergedSnapshot;
  readonly stagedPath: string;
}

/** Reads the source and writes all of it that is wanted into one base. */
async function writeBase(
  order: RestoreOrder,
  { on, run, source, identity, settled, store }: Making,
  made: StoreIdentity,
): Promise<MadeBase> {
  const { fs } = on;
  const { target, operators, keyGroups } = order;
  run.progress('replay');
  const stagedPath = store.stagedPath('base');
  const state = await openRestoreSource(
    {
      source,
      fs,
      identity,
      target,
      through: settled.lsn,
      stagedPath: () => store.stagedPath('input'),
    },
    run,
  );
  try {
    const chosen = await chooseParts(state, { operators, keyGroups }, run);
    const { tables, parts, amendments } = chosen;
    const { snapshotBytes, logBytes, record } = state.plan;
    const bytesTotal = snapshotBytes + logBytes;
    run.progress('write', 0, bytesTotal);
    const base = await runMerge(run.pool, {
      sources: [...state.inputs, { slices: amendments }],
      stagedPath,
      header: headerOf(made, state),
      rules: rulesOf(tables),
      compression: compressionOf(record?.compression ?? compressionDefault, tables),
      ...(parts && { parts }),
      threadsMax: run.threadsMax,
      keepSlices: false,
      signal: run.signal,
      slabs: run.slabs,
      onRange: ({ rangesDone, rangeCount, entryCount }) => {
        const bytes = Math.round((bytesTotal * rangesDone) / rangeCount);
        run.progress('write', bytes, bytesTotal, entryCount);
      },
    });
    return { state, chosen, base, stagedPath };
  } finally {
    state.close();
  }
}

function headerOf({ storeId, seed }: StoreIdentity, state: RestoreSource): SnapshotHeader {
  return {
    kind: 'base',
    storeId,
    timeline: firstPosition(0).timeline,
    epoch: firstEpoch,
    fromLsn: 0,
    lastLsn: state.plan.lsn,
    lastTimestamp: state.lastTimestamp,
    seed: { low: readU32(seed, 0), high: readU32(seed, 4) },
    groupBits: state.groupBits,
  };
}

/** The only record of the new store, with the settings of the source. */
function recordOf(
  { defaults }: RestoreOrder,
  { on, identity, created, state, chosen, base }: Making & MadeBase & { created: StoreIdentity },
): CheckpointRecord {
  const id = 1;
  const { plan, lastTimestamp } = state;
  const { record, lsn } = plan;
  const { sha256, bytes, entryCount, dataBytes } = base;
  const name = snapshotName(sha256, id);
  const position = firstPosition(lsn);
  return {
    id,
    storeId: toHex(created.storeId),
    timeline: position.timeline,
    epoch: firstEpoch,
    parent: 0,
    kind: 'base',
    lsn,
    timestamp: lastTimestamp,
    fromTimestamp: 0,
    createdAt: on.clock.nowMicros(),
    position,
    chain: [
      {
        name,
        kind: 'base',
        sha256,
        bytes,
        entryCount,
        dataBytes,
        fromLsn: 0,
        lastLsn: lsn,
        lastTimestamp,
      },
    ],
    logBytes: 0,
    trigger: 'restore',
    totals: { logBytes: 0, checkpointBytes: bytes, mergeBytes: 0, baseLogBytes: 0 },
    policy: record?.policy ?? defaults.policy,
    rates: record?.rates,
    merge: undefined,
    retention: record ? record.retention : defaults.retention,
    tables: chosen.tables,
    blobs: chosen.blobs,
    compression: record?.compression ?? compressionDefault,
    keyGroups: identity.keyGroups,
    savepoint: undefined,
    metadata: undefined,
    origin: {
      storeId: toHex(identity.storeId),
      timeline: record?.timeline ?? firstPosition(lsn).timeline,
      lsn,
      partial: chosen.parts !== undefined,
    },
  };
}
