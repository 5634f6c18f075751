/*
 * Repair of a store that nobody has open: opens it by the best way there is, writes the state anew as
 * one base, and takes away what is damaged and not needed any more. Salvage: what is left of a store
 * as a second one, with the first untouched. Both say before and after what is lost.
 *
 * Durability: nothing is touched before a copy of everything is whole (given-up.ts). The base and its
 * record are durable before a damaged record goes, records before snapshots (R1); a crash in between
 * leaves a store that opens, and the next repair finishes.
 */
import { resolve } from 'node:path';
import {
  checkpointPrefix,
  parseRecordName,
  recordName,
  snapshotPrefix,
} from '../checkpoint/checkpoint-record.ts';
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { storeCall } from '../checkpoint/store-call.ts';
import type { CodecModule } from '../codec/compression-modules.ts';
import { InvalidArgumentError } from '../errors.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { assertOutside } from '../recovery/empty-directory.ts';
import {
  limitNames,
  withinLimits,
  type CallLimits,
  type LimitedCall,
} from '../recovery/limited-call.ts';
import { describeLost, type LostDetails } from '../recovery/lost-commits.ts';
import { rebuildRecords } from '../recovery/rebuild-records.ts';
import {
  locationNames,
  logDirectoryOf,
  readStoreIdentity,
  sourceOf,
  type ReaderSource,
  type StoreLocation,
} from '../recovery/reader-moment.ts';
import type { LosingPath, LostCommits } from '../recovery/recovery-path.ts';
import { runSalvage, type SalvagedState } from '../recovery/salvage-run.ts';
import { survey, type StoreSurvey } from '../recovery/survey.ts';
import { verifyStoreWith, type StoreFault } from '../recovery/verify.ts';
import { systemClock } from '../std/clock.ts';
import { badOption, directoryPath, knownOnly } from '../std/option-checks.ts';
import { systemRandom } from '../std/random.ts';
import { toHex } from '../std/bytes.ts';
import { FileObjectStore } from '../store/file-store.ts';
import { lockDirectory } from '../wal/log.ts';
import { optionsOf } from './merge-store.ts';
import { keepCopy, putRebuilt } from './repair-records.ts';
import { examineStoreWith, openEngineWith, type EngineComponents } from './open-engine.ts';
import { keyGroupsDefault, type EngineOptions } from './options.ts';

/**
 * Options of {@link repairStore}. Its limits count until what is left of the store is being written; then it
 * is finished. A copy that was kept until then stays.
 */
export interface RepairOptions extends StoreLocation, CallLimits {
  /** Only says what is damaged, and what a repair would lose. @defaultValue false */
  readonly dryRun?: boolean;
  /** Loses operators rather than commits, where only their states are damaged. @defaultValue false */
  readonly optimistic?: boolean;
  /** Codecs of your own that the store was written with. @defaultValue none */
  readonly codecs?: readonly CodecModule[];
}

/** Options of {@link salvageStore}. */
export interface SalvageOptions extends Omit<RepairOptions, 'dryRun'> {
  /** Directory of the second store: it does not exist, or is empty. */
  readonly to: string;
}

/** What is lost of a store, or would be. */
export interface StoreLoss {
  /** The checkpoint that the state is made from; undefined: the log alone. */
  readonly from: number | undefined;
  /** Last LSN of the state. */
  readonly reachedLsn: number;
  /** Commits; undefined: none. */
  readonly lost: LostCommits | undefined;
  /** What is known of those commits. */
  readonly details: LostDetails | undefined;
  /** Operators. */
  readonly missing: readonly string[];
}

/** What a repair found and did, or would do. */
export interface RepairReport {
  readonly dir: string;
  readonly dryRun: boolean;
  /** What was damaged before. */
  readonly faults: readonly StoreFault[];
  /** Undefined: nothing is lost. */
  readonly loss: StoreLoss | undefined;
  /** Where every way loses: all that there are, the best first. */
  readonly paths: readonly LosingPath[];
  /** Small files that were damaged and are made anew, by name; in a dry run those that would be. */
  readonly rebuilt: readonly string[];
  /** Directory with all files as they were; undefined: nothing was touched. */
  readonly keptIn: string | undefined;
  /** The checkpoint that holds the state now. */
  readonly checkpoint: number | undefined;
  /** Names of damaged objects that were taken away. */
  readonly removed: readonly string[];
  /** What is still damaged: the past of the log, which goes with retention. */
  readonly remaining: readonly StoreFault[];
}

/** What a salvage found and did. */
export interface SalvageReport extends SalvagedState {
  readonly dir: string;
  readonly to: string;
  /** Small files that are damaged, and were made anew in memory to read the rest by. */
  readonly rebuilt: readonly string[];
  /** What is known of commits that are lost. */
  readonly details: LostDetails | undefined;
}

/** Nothing is committed while a store is mended. */
const littleLog = { segmentBytesMax: 65_536, undurableBytesMax: 8192 } as const;

const machine: EngineComponents = {
  fs: nodeFileSystem,
  clock: systemClock,
  random: systemRandom,
  threads: true,
};

/**
 * Repairs a store that no process has open, as far as that is possible, and says what is lost by it. A
 * sound store is not touched.
 *
 * @example
 * const { loss } = await repairStore({ dir: './state', dryRun: true });
 * console.log(loss ? `from LSN ${loss.reachedLsn + 1} on` : 'nothing would be lost');
 *
 * @throws InvalidArgumentError INVALID_OPTION, NOT_A_STORE; LockedError LOCKED
 * @throws CorruptionError CORRUPT_STORE without an identity; what the opening is refused with where no
 *   way is left: nothing was changed
 * @throws AbortedError ABORTED, TIMEOUT: nothing was changed, and a copy may have been kept
 */
export function repairStore(options: RepairOptions): Promise<RepairReport> {
  return repairStoreWith(options, machine);
}

/** As {@link repairStore}, over given components. */
export async function repairStoreWith(
  options: RepairOptions,
  on: EngineComponents,
): Promise<RepairReport> {
  knownOnly(options, [...locationNames, ...limitNames, 'dryRun', 'optimistic', 'codecs']);
  const { dryRun = false } = options;
  if (typeof dryRun !== 'boolean') throw badOption('dryRun', 'must be true or false', dryRun);
  return withinLimits('repair', options, on.clock, (run) => repair(options, on, run));
}

async function repair(
  options: RepairOptions,
  on: EngineComponents,
  run: LimitedCall,
): Promise<RepairReport> {
  const { dryRun = false, optimistic = false } = options;
  const location = locationOf(options);
  const { fs, files } = await rebuildRecords(on, location, { run });
  // As it would be with what can be made anew.
  const seen = { ...on, fs };
  const { source, where } = await locate(options, seen, run);
  const { signal } = run;
  const { faults: others } = await verifyStoreWith({ ...location, signal }, seen);
  const found = await examineStoreWith(where, seen, (input, { objects }) => survey(input, objects));
  const loss = await lossOf(source, found, optimistic);
  const { paths, refused } = found;
  const { dir } = source;
  const rebuilt = files.map(({ name }) => name);
  const faults = [...files.map((file) => file.fault), ...others];
  const report = { dir, dryRun, faults, loss, paths, rebuilt };
  const untouched = { keptIn: undefined, checkpoint: undefined, removed: [], remaining: faults };
  if (refused && !loss) throw refused;
  if (dryRun || (faults.length === 0 && !refused)) return { ...report, ...untouched };
  run.check();
  const before = files.length > 0 ? await putRebuilt(dir, location, on) : undefined;
  if (others.length === 0 && !refused) {
    return { ...report, ...untouched, keptIn: before, remaining: [] };
  }
  const settings = settingsOf(found);
  const keptIn = before ?? (refused ? undefined : await keepCopy(dir, location, on));
  run.check();
  const accept = { acceptLoss: true, optimistic };
  const engine = await openEngineWith({ ...where, ...settings, ...accept }, on);
  // It writes from here on.
  run.end();
  let checkpoint: number;
  try {
    checkpoint = (await engine.checkpoint({ kind: 'base' })).id;
  } finally {
    await engine.close();
  }
  const removed = await clear(options, on, { faults: others, newest: checkpoint });
  const remaining = (await verifyStoreWith(location, on)).faults;
  const given = engine.recovery.loss?.keptIn;
  return { ...report, keptIn: keptIn ?? given, checkpoint, removed, remaining };
}

/**
 * Makes a second store of what is left of one that no process has open, by the way that loses least;
 * the first one is only read. The second has an id of its own.
 *
 * @throws InvalidArgumentError INVALID_OPTION, NOT_A_STORE; LockedError LOCKED
 * @throws ConflictError STATE_EXISTS: `to` is not empty
 * @throws CorruptionError where nothing is left
 * @throws AbortedError ABORTED, TIMEOUT: `to` is as it was
 */
export function salvageStore(options: SalvageOptions): Promise<SalvageReport> {
  return salvageStoreWith(options, machine);
}

/** As {@link salvageStore}, over given components. */
export async function salvageStoreWith(
  options: SalvageOptions,
  on: EngineComponents,
): Promise<SalvageReport> {
  knownOnly(options, [...locationNames, ...limitNames, 'to', 'optimistic', 'codecs']);
  const to = resolve(directoryPath('to', options.to));
  return withinLimits('salvage', options, on.clock, (run) => salvage({ ...options, to }, on, run));
}

async function salvage(
  options: SalvageOptions,
  on: EngineComponents,
  run: LimitedCall,
): Promise<SalvageReport> {
  const { to, optimistic = false } = options;
  const location = locationOf(options);
  assertOutside(to, resolve(location.dir));
  const assumed = { random: on.random, keyGroups: keyGroupsDefault };
  const { fs, files } = await rebuildRecords(on, location, { run, assumed });
  const seen = { ...on, fs };
  const { source, where } = await locate(options, seen, run);
  const found = await examineStoreWith(where, seen, (input, { objects }) => survey(input, objects));
  const given = { ...where, ...settingsOf(found), acceptLoss: true, optimistic };
  const components = { ...on, backgroundThreads: 1 };
  const saved = await examineStoreWith(given, seen, (input, loss) =>
    runSalvage(input, loss, { to, components }),
  );
  // The second store is whole by now, whatever the limits say.
  const whole = sourceOf(seen, locationOf(options));
  const details = saved.lost && (await detailsOf(whole, saved.lost, found));
  const rebuilt = files.map(({ name }) => name);
  return { dir: source.dir, to, ...saved, details, rebuilt };
}

/** The store, which has to be there: an opening would make it. */
async function locate(
  options: RepairOptions | SalvageOptions,
  { fs, clock }: EngineComponents,
  run: LimitedCall,
): Promise<{ source: ReaderSource; where: EngineOptions }> {
  const { optimistic = false, codecs } = options;
  if (typeof optimistic !== 'boolean') {
    throw badOption('optimistic', 'must be true or false', optimistic);
  }
  const source = sourceOf({ fs, clock }, locationOf(options), run);
  const identity = await readStoreIdentity(source);
  if (identity.kind !== 'engine') {
    const message = `directory holds a log, no engine: ${source.dir}`;
    throw new InvalidArgumentError('NOT_A_STORE', message, { path: source.dir });
  }
  const own = codecs === undefined ? {} : { codecs };
  // The run has the time that is given; an opening would have one of its own.
  const limits = { signal: run.signal, timeoutMs: Number.MAX_SAFE_INTEGER };
  const settings = { ...littleLog, checkpointing: false, ...limits } as const;
  return { source, where: { ...locationOf(options), ...own, ...settings } };
}

function locationOf({ dir, store }: StoreLocation): StoreLocation {
  return store === undefined ? { dir } : { dir, store };
}

/** What the one who writes the store has set. */
function settingsOf({ record }: StoreSurvey): Partial<EngineOptions> {
  return record ? optionsOf(record) : {};
}

async function lossOf(
  source: ReaderSource,
  found: StoreSurvey,
  optimistic: boolean,
): Promise<StoreLoss | undefined> {
  const { refused, paths, partial, record } = found;
  if (!refused) return undefined;
  const best = paths.at(0);
  if (optimistic && partial && (!best || best.lost)) {
    const { missing, lsn: reachedLsn } = partial;
    return { from: record?.id, reachedLsn, lost: undefined, details: undefined, missing };
  }
  if (!best) return undefined;
  const { checkpoint: from, lsn: reachedLsn, lost } = best;
  const details = lost && (await detailsOf(source, lost, found));
  return { from, reachedLsn, lost, details, missing: [] };
}

function detailsOf(
  source: ReaderSource,
  lost: LostCommits,
  { record, ancestry }: StoreSurvey,
): Promise<LostDetails> {
  const range = { ...lost, ancestry };
  return describeLost(source.fs, logDirectoryOf(source), range, record?.tables ?? []);
}

/** Takes away records that cannot be used, then the damaged snapshots that no record names. */
async function clear(
  options: StoreLocation,
  on: EngineComponents,
  { faults, newest }: { readonly faults: readonly StoreFault[]; readonly newest: number },
): Promise<string[]> {
  const { fs, random } = on;
  const { store } = options;
  const source = sourceOf(on, locationOf(options));
  const { dir } = source;
  const { storeId } = await readStoreIdentity(source);
  const lock = await lockDirectory(fs, dir);
  try {
    const objects = store ?? new FileObjectStore(fs, dir, random);
    const records = new CheckpointStore(objects, toHex(storeId));
    const isDamaged = (name: string): boolean => faults.some(({ path }) => path.endsWith(name));
    const removed: string[] = [];
    const remove = async (name: string): Promise<void> => {
      await storeCall('delete', name, () => objects.delete(name));
      removed.push(name);
    };
    const named = new Set<string>();
    for (const { name } of await objects.list(checkpointPrefix)) {
      const parsed = parseRecordName(name);
      if (!parsed || parsed.dropped) continue;
      const { id } = parsed;
      const record = isDamaged(recordName(id)) ? undefined : await records.read(id);
      const isUsable = record?.chain.every((link) => !isDamaged(link.name)) ?? false;
      // A savepoint says which commit it names, and another checkpoint may lead there.
      const stays = id >= newest || isUsable || record?.savepoint !== undefined;
      if (!stays) await remove(name);
      else for (const link of record?.chain ?? []) named.add(link.name);
    }
    const left = await objects.list(snapshotPrefix);
    for (const { name } of left) if (isDamaged(name) && !named.has(name)) await remove(name);
    // A collection behind the new base may have been there first.
    const there = new Set(left.map(({ name }) => name));
    for (const { path } of faults) {
      const at = path.lastIndexOf(snapshotPrefix);
      const name = path.slice(at);
      if (at >= 0 && !there.has(name) && !removed.includes(name)) removed.push(name);
    }
    return removed;
  } finally {
    await lock.release();
  }
}
