/*
 * A restore into a new directory: the state of a store at a target, or parts of several stores, become
 * another store, with an id of its own, the same seed and key groups (so that they can be joined),
 * one base, the record of it, and a log that goes on behind the greatest LSN. Sources are only read.
 *
 * Durability: see new-store.ts. Memory: a range of slices a thread (threads/merge-run.ts), and the
 * log behind each checkpoint as an image.
 */
import { compressionOf, rulesOf } from '../checkpoint/checkpointer-input.ts';
import { compressionDefault } from '../codec/compression-setting.ts';
import { IncompatibleError } from '../errors.ts';
import { toHex } from '../std/bytes.ts';
import { runMerge, type MergedSnapshot } from '../threads/merge-run.ts';
import type { StoreIdentity } from '../wal/identity.ts';
import { assertOutside } from './empty-directory.ts';
import { CopyRun, type CopyComponents, type CopyLimits } from './copy-run.ts';
import { aroundDamage, readingChain, type Without } from './around-damage.ts';
import { planMoment } from './moment-at.ts';
import { rateOf, ThreadMeter, type ThreadWork } from './recovery-work.ts';
import { NewStore } from './new-store.ts';
import { HeldStore, type Ownership } from './ownership.ts';
import { ReadOnlyFiles } from './reader-files.ts';
import {
  readAllInAgreement,
  readInAgreement,
  readEngineIdentity,
  sourceOf,
  type ReaderSource,
  type StoreLocation,
} from './reader-moment.ts';
import { skippedFault, type SkippedFault } from './recovery-path.ts';
import {
  checkGroups,
  chooseParts,
  groupsLeftOut,
  momentOf,
  type ChosenParts,
  type KeyGroupRange,
  type WantedParts,
} from './restore-parts.ts';
import {
  headerOf,
  newIdentity,
  recordOf,
  type ReadStore,
  type RestoreDefaults,
} from './restore-record.ts';
import { openRestoreSource, type RestoreSource } from './restore-source.ts';
import { settleLog, stillUnproved, type SettledLog } from './settled-log.ts';
import type { CheckedTarget } from './target.ts';

/** A store, and what of it is to be restored. */
export interface RestorePart {
  readonly location: StoreLocation;
  readonly target: CheckedTarget;
  /** Undefined: all. */
  readonly keyGroups: KeyGroupRange | undefined;
}

/** What is to be restored, and where. */
export interface RestoreOrder extends WantedParts {
  readonly from: readonly RestorePart[];
  /** Key groups that no store gives are left empty. */
  readonly gaps: boolean;
  readonly ownership: Ownership;
  /** Absolute. */
  readonly to: string;
  readonly limits: CopyLimits;
  readonly defaults: RestoreDefaults;
}

/** What was taken of a store. */
export interface RestoredSource {
  /** Absolute. */
  readonly dir: string;
  /** Hexadecimal. */
  readonly storeId: string;
  /** Those that were asked for; else those that the store was made with. */
  readonly keyGroups: KeyGroupRange;
  /** Along which it was read. */
  readonly timeline: number;
  /** The last commit that was restored; 0: before the first. */
  readonly lsn: number;
  /** Time of that commit, microseconds; 0 before the first. */
  readonly timestamp: number;
  /** The checkpoint that the restore started from; undefined: the log alone. */
  readonly checkpoint: number | undefined;
  /** Damage of newer checkpoints, which it did without: nothing of the state is missing. */
  readonly damage: readonly SkippedFault[];
  /** Commits that were replayed behind that checkpoint. */
  readonly replayedCommits: number;
  /**
   * Commits that a writer had in the log at the call and has not proved to be durable since: they are
   * left out. 0 but for a writer that is stuck or has failed.
   */
  readonly unprovedCommits: number;
}

/** What a restore took. */
export interface RestoreWork extends ThreadWork {
  /** Milliseconds of each phase; replaying includes finding the files and reading the log. */
  readonly phasesMs: { readonly plan: number; readonly replay: number; readonly write: number };
  /** Bytes of log that were replayed, and of snapshots and log that went into what was written. */
  readonly phasesBytes: { readonly replay: number; readonly write: number };
  /** What was written, in bytes of what was read, a second. */
  readonly bytesPerSecond: number;
  /** What plans say of opening the sources at their moments, which writes nothing. */
  readonly estimatedMs: number;
}

/** What a restore did. */
export interface RestoreReport extends RestoreWork {
  /** Of the new store, absolute. */
  readonly dir: string;
  /** Of the new store, hexadecimal. */
  readonly storeId: string;
  /** The last commit of the new store: the greatest of the sources; 0: before the first. */
  readonly lsn: number;
  /** Time of the last commit, microseconds; 0 before the first. */
  readonly timestamp: number;
  /** In the order of `from`. */
  readonly sources: readonly RestoredSource[];
  /** Key groups that none of the sources gave, in order: of a part of a split, those of the others. */
  readonly missingKeyGroups: readonly KeyGroupRange[];
  /** Only some operators or key groups were taken. */
  readonly partial: boolean;
  /** In the new store's base. */
  readonly entryCount: number;
  /** Of the base's file. */
  readonly bytes: number;
  readonly milliseconds: number;
}

/** Restores; the directory holds a whole store when this resolves, and none when it rejects. */
export async function runRestore(order: RestoreOrder, on: CopyComponents): Promise<RestoreReport> {
  const startedAt = on.clock.monotonicMs();
  const found = await findStores(order, on);
  const run = new CopyRun('restore', order.limits, on);
  let store: NewStore | undefined;
  const held: HeldStore[] = [];
  try {
    run.check();
    run.progress('plan');
    if (order.ownership === 'claim') {
      for (const { source } of found) held.push(await HeldStore.take(on.fs, source.dir));
    }
    const stores: SettledStore[] = [];
    // A target that is not there makes no directory.
    for (const each of found)
      stores.push(await settleStore({ ...each, isHeld: held.length > 0 }, on, run));
    const { keyGroups } = found[0]!.identity;
    const groups = stores.map((each) => each.groups);
    const isOne = stores.length === 1;
    const name = (i: number): string => (isOne ? 'keyGroups' : `from[${i}].keyGroups`);
    checkGroups(groups, keyGroups, { gaps: order.gaps || isOne, name });
    store = await NewStore.begin(on, order.to);
    const made = await make(order, { on, run, stores, store });
    const { storeId: by, dir } = made;
    for (const [i, { storeId }] of made.sources.entries()) {
      await held[i]?.giveUp({ storeId, by, dir });
    }
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
    for (const each of held) await each.release();
  }
}

/** A store that is to be read. */
interface FoundStore {
  readonly source: ReaderSource;
  readonly identity: StoreIdentity;
  readonly target: CheckedTarget;
  /** Undefined: those that it was made of, when it is one of several; else all. */
  readonly keyGroups: KeyGroupRange | undefined;
  readonly isOneOfSeveral: boolean;
  /** Its lock is held: nobody writes. @defaultValue false */
  readonly isHeld?: boolean;
}

interface SettledStore extends FoundStore {
  readonly settled: SettledLog;
  /** What is taken: of a store by itself everything, also what it has outside of its own groups. */
  readonly groups: KeyGroupRange;
  /** What is said to be taken. */
  readonly toldGroups: KeyGroupRange;
}

/** Opens nothing but identities: stores that do not fit together are refused before anything is done. */
async function findStores({ from, to }: RestoreOrder, on: CopyComponents): Promise<FoundStore[]> {
  const found: FoundStore[] = [];
  const isOneOfSeveral = from.length > 1;
  for (const { location, target, keyGroups } of from) {
    const source = sourceOf(on, location);
    assertOutside(to, source.dir);
    const identity = await readEngineIdentity(source);
    found.push({ source, identity, target, keyGroups, isOneOfSeveral });
  }
  for (const other of found) checkTogether(found[0]!, other);
  return found;
}

function checkTogether(a: FoundStore, b: FoundStore): void {
  const seeds = [a, b].map(({ identity }) => toHex(identity.seed));
  const counts = [a, b].map(({ identity }) => identity.keyGroups);
  const what = seeds[0] === seeds[1] ? 'numbers of key groups' : 'seeds of the key hash';
  if (seeds[0] === seeds[1] && counts[0] === counts[1]) return;
  throw new IncompatibleError(
    'STORE_MISMATCH',
    `stores have different ${what}, and cannot be joined: ${a.source.dir}, ${b.source.dir}; put the entries of one into the other with a program`,
    {
      stores: [a.source.dir, b.source.dir],
      expected: seeds[0],
      actual: seeds[1],
      keyGroups: counts,
    },
  );
}

/** How far the log of a store may be given out, and what is taken of it. */
async function settleStore(
  found: FoundStore,
  on: CopyComponents,
  run: CopyRun,
): Promise<SettledStore> {
  const { source, identity, target, keyGroups, isOneOfSeveral } = found;
  const settled = await settle(found, on, run);
  const { record } = await readInAgreement(source, async () => {
    const files = new ReadOnlyFiles(source.fs, true);
    try {
      const through = settled.lsn;
      return (await planMoment(source, files, identity, { target, through })).plan;
    } finally {
      await files.close();
    }
  });
  const all = { from: 0, to: identity.keyGroups };
  const toldGroups = keyGroups ?? record?.origin?.keyGroups ?? all;
  const groups = isOneOfSeveral ? toldGroups : (keyGroups ?? all);
  return { ...found, settled, groups, toldGroups };
}

/** What a checkpoint names is proved; other targets wait for the proof of what is in the log. */
async function settle(
  { source, identity, target: { kind, number }, isHeld = false }: FoundStore,
  { fs }: CopyComponents,
  run: CopyRun,
): Promise<SettledLog> {
  if (kind !== 'checkpoint' && kind !== 'savepoint') {
    const wanted = kind === 'lsn' ? { wanted: number } : {};
    return settleLog({ source, fs, identity, isHeld, ...wanted }, run);
  }
  return { lsn: Number.MAX_SAFE_INTEGER, unprovedCommits: 0 };
}

interface Making {
  readonly on: CopyComponents;
  readonly run: CopyRun;
  readonly stores: readonly SettledStore[];
  readonly store: NewStore;
}

async function make(
  order: RestoreOrder,
  making: Making,
): Promise<Omit<RestoreReport, 'milliseconds'>> {
  const { on, run, stores, store } = making;
  const threads = new ThreadMeter(run.pool);
  const created = newIdentity(stores[0]!.identity, on.random);
  const sources = stores.map(({ source }) => source);
  const made = await readAllInAgreement(sources, () =>
    aroundDamage((without) => writeBase(order, making, { created, without })),
  );
  run.check();
  const { chosen, base, read } = made;
  const work = workOf(run, threads, read);
  const partial = order.operators !== undefined || !isComplete(stores);
  const { defaults } = order;
  const when = momentOf(made.read);
  const parts = { created, stores: read, when, chosen, base, partial, defaults };
  const record = recordOf({ ...parts, clock: on.clock });
  await store.publishSnapshot(made.stagedPath, record.chain[0]!.name);
  await store.finish(created, record);
  return {
    dir: store.dir,
    storeId: record.storeId,
    ...when,
    sources: stores.map((each, i) => describe(each, read[i]!, made.without)),
    missingKeyGroups: groupsLeftOut(
      stores.map(({ toldGroups }) => toldGroups),
      created.keyGroups,
    ),
    partial,
    entryCount: base.entryCount,
    bytes: base.bytes,
    ...work,
  };
}

function workOf(run: CopyRun, threads: ThreadMeter, read: readonly OpenStore[]): RestoreWork {
  const { plan = 0, replay = 0, write = 0 } = run.phasesMs();
  const plans = read.map(({ state }) => state.plan);
  const logBytes = plans.reduce((sum, each) => sum + each.logBytes, 0);
  const bytes = plans.reduce((sum, each) => sum + each.snapshotBytes, logBytes);
  return {
    phasesMs: { plan, replay, write },
    phasesBytes: { replay: logBytes, write: bytes },
    bytesPerSecond: rateOf(bytes, write),
    estimatedMs: plans.reduce((sum, { seconds }) => sum + seconds * 1000, 0),
    ...threads.over(replay + write),
  };
}

function describe(
  { target, settled, toldGroups }: SettledStore,
  read: OpenStore,
  without: Without,
): RestoredSource {
  const { plan, lastTimestamp } = read.state;
  return {
    dir: read.dir,
    storeId: toHex(read.identity.storeId),
    keyGroups: toldGroups,
    timeline: read.state.ancestry.timeline,
    lsn: plan.lsn,
    timestamp: lastTimestamp,
    checkpoint: plan.record?.id,
    damage: [...without.of(read.dir).values()].map((error) => skippedFault(error, read.dir)),
    replayedCommits: plan.lsn - (plan.record?.lsn ?? 0),
    unprovedCommits: target.kind === 'latest' ? stillUnproved(settled, plan.lsn) : 0,
  };
}

/** Groups are disjoint. */
function isComplete(stores: readonly SettledStore[]): boolean {
  const taken = stores.reduce((sum, { groups }) => sum + groups.to - groups.from, 0);
  return taken === stores[0]!.identity.keyGroups;
}

interface OpenStore extends ReadStore {
  readonly dir: string;
  /** Its snapshots are files of this machine. */
  readonly isLocal: boolean;
  readonly state: RestoreSource;
}

/** Runs what reads the chains of all sources; damage is that of the chain whose file it names. */
function readingChains<T>(read: readonly OpenStore[], act: () => Promise<T>): Promise<T> {
  const chains = read.flatMap(({ dir, isLocal, state: { plan, inputs } }) => {
    const paths = inputs.flatMap((input) => ('path' in input ? [input.path] : []));
    return plan.record ? [{ store: dir, id: plan.record.id, isLocal, paths }] : [];
  });
  return readingChain(chains, act);
}

interface MadeBase {
  readonly read: readonly OpenStore[];
  readonly chosen: ChosenParts;
  readonly base: MergedSnapshot;
  readonly stagedPath: string;
  readonly without: Without;
}

/** Reads the sources and writes all of them that is wanted into one base. */
async function writeBase(
  order: RestoreOrder,
  { on: { fs }, run, stores, store }: Making,
  { created, without }: { readonly created: StoreIdentity; readonly without: Without },
): Promise<MadeBase> {
  run.progress('replay');
  const stagedPath = store.stagedPath('base');
  const read: OpenStore[] = [];
  try {
    for (const { source, identity, target, settled, groups } of stores) {
      const inputPath = (): string => store.stagedPath('input');
      const what = { source, fs, identity, target, through: settled.lsn, stagedPath: inputPath };
      const state = await openRestoreSource({ ...what, without }, run);
      read.push({ identity, groups, dir: source.dir, isLocal: source.store === undefined, state });
    }
    return await readingChains(read, async () => {
      const chosen = await chooseParts(read, order, run);
      const base = await mergeInto(stagedPath, { run, read, chosen, created });
      return { read, chosen, base, stagedPath, without };
    });
  } finally {
    for (const { state } of read) state.close();
  }
}

function mergeInto(
  stagedPath: string,
  {
    run,
    read,
    chosen,
    created,
  }: Pick<MadeBase, 'read' | 'chosen'> & { readonly run: CopyRun; readonly created: StoreIdentity },
): Promise<MergedSnapshot> {
  const { tables, inputs, parts } = chosen;
  const first = read[0]!.state;
  const bytesTotal = read.reduce((sum, { state: { plan } }) => {
    return sum + plan.snapshotBytes + plan.logBytes;
  }, 0);
  run.progress('write', 0, bytesTotal);
  return runMerge(run.pool, {
    sources: inputs,
    stagedPath,
    header: headerOf(created, first, momentOf(read)),
    rules: rulesOf(tables),
    compression: compressionOf(first.plan.record?.compression ?? compressionDefault, tables),
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
}
