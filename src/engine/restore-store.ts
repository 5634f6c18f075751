/*
 * Restores into a new directory, as users ask for them: options and defaults. What is done:
 * recovery/restore-run.ts.
 */
import { resolve } from 'node:path';
import { retentionDefault } from '../checkpoint/retention/retention-settings.ts';
import { registerCodecs, type CodecModule } from '../codec/compression-modules.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import type { CopyComponents, CopyLimits, CopyProgress } from '../recovery/copy-run.ts';
import { locationNames, type StoreLocation } from '../recovery/reader-moment.ts';
import type { Ownership } from '../recovery/ownership.ts';
import { runRestore, type RestorePart, type RestoreReport } from '../recovery/restore-run.ts';
import type { PositionChoice } from '../recovery/restore-join.ts';
import type { KeyGroupRange } from '../recovery/restore-parts.ts';
import { checkTarget, latest, type Target } from '../recovery/target.ts';
import { systemClock } from '../std/clock.ts';
import { badOption, directoryPath, knownOnly, oneOf, wholeNumber } from '../std/option-checks.ts';
import { systemRandom } from '../std/random.ts';
import { resolveChainOptions } from './chain-options.ts';
import { resolveLimits } from '../recovery/limited-run.ts';
import { resolveThreads } from './opening-options.ts';

/** Options that every copy of a store has. */
export interface CopyOptions {
  /** Ends the copy with ABORTED. @defaultValue none */
  readonly signal?: AbortSignal;
  /** Milliseconds after which it ends with TIMEOUT. @defaultValue 300000 */
  readonly timeoutMs?: number;
  /** Is told how far the copy is. @defaultValue none */
  readonly onProgress?: (progress: CopyProgress) => void;
}

/** One of several stores that are joined. */
export interface RestoreFrom extends StoreLocation {
  /** Its moment. @defaultValue that of the call */
  readonly target?: Target;
  /** Takes these of its key groups, half-open. @defaultValue those that it was made of; else all */
  readonly keyGroups?: KeyGroupRange;
}

/** Options of {@link restore}. */
export interface RestoreOptions extends CopyOptions {
  /**
   * The store to read, which another process may have open; or several, of one seed and number of key
   * groups, which become one: of each its own key groups.
   */
  readonly from: StoreLocation | readonly RestoreFrom[];
  /** Directory of the new store: it does not exist, or is empty. */
  readonly to: string;
  /** The moment to restore. @defaultValue 'latest' */
  readonly target?: Target;
  /** Takes only the states of these operators. @defaultValue all */
  readonly operators?: readonly string[];
  /** Of one store: takes only these key groups, half-open. @defaultValue all */
  readonly keyGroups?: KeyGroupRange;
  /**
   * Of several stores: what the positions of the sources are. `'equal'`: those of every store, which
   * have to be the same; `'union'`: those of all stores, where each reads sources of its own; a number:
   * those of that store of `from`, from 0. An object: these, whatever the stores have.
   * @defaultValue 'equal'
   */
  readonly positions?: PositionChoice;
  /**
   * Of several stores: the one of `from`, from 0, whose state holders are taken, since these belong to
   * no key group. @defaultValue they have to be the same where there are any
   */
  readonly holders?: number;
  /** Of several stores: key groups that none of them gives are left empty. @defaultValue false */
  readonly gaps?: boolean;
  /**
   * `'claim'`: the new store takes the place of its sources. Nobody may have them open, and all of them is
   * taken: no target, operators or key groups. When the new store is whole they are given up, never
   * open again (CLAIMED), and their files go. `'no-claim'`: they go on beside it.
   * @defaultValue 'no-claim'
   */
  readonly ownership?: Ownership;
  /** Worker threads at most. @defaultValue the machine's parallelism */
  readonly threadsMax?: number;
  /** Codecs of your own that the store was written with. @defaultValue none */
  readonly codecs?: readonly CodecModule[];
}

/** Options of {@link exportSavepoint}. */
export interface ExportSavepointOptions
  extends StoreLocation, CopyOptions, Pick<RestoreOptions, 'to' | 'threadsMax' | 'codecs'> {
  /** Name of the savepoint. */
  readonly savepoint: string;
  /** The timeline that the savepoint is on. @defaultValue the current one */
  readonly timeline?: number;
}

export const copyNames: readonly (keyof CopyOptions)[] = ['signal', 'timeoutMs', 'onProgress'];
const restoreNames: readonly string[] = [
  ...copyNames,
  'from',
  'to',
  'target',
  'operators',
  'keyGroups',
  'positions',
  'holders',
  'gaps',
  'ownership',
  'threadsMax',
  'codecs',
] satisfies readonly (keyof RestoreOptions)[];

/** What copies run on unless a test says otherwise. */
export const machine: CopyComponents = {
  fs: nodeFileSystem,
  clock: systemClock,
  random: systemRandom,
  threads: true,
};

/**
 * Makes a second store out of the state that a store had at a moment: all of it, or only some operators
 * or key groups; or out of key groups of several stores. It has an id of its own, the same seed and
 * key groups, positions of the sources as of that moment, and goes on behind that moment's LSN, of
 * several stores behind the greatest. Sources are only read, without a lock. When this resolves, the
 * new store is durable; when it rejects, or the machine stops in the middle, the directory does not
 * open as a store.
 *
 * Nothing is given out that a writer of a source has not proved to be durable.
 *
 * @example
 * const { lsn } = await restore({
 *   from: { dir: './state' },
 *   to: './state-of-yesterday',
 *   target: { timestamp: new Date('2026-11-20T14:02:37Z') },
 * });
 *
 * @throws InvalidArgumentError INVALID_OPTION, NOT_A_STORE; POSITIONS_DIFFER, HOLDERS_DIFFER where
 *   several stores differ and nothing is chosen
 * @throws ConflictError STATE_EXISTS: `to` is not empty; LOCKED: somebody else works there, or has a
 *   source open that is to be claimed; CLAIMED: a source was
 * @throws IncompatibleError STORE_MISMATCH for stores of different seeds or numbers of key groups;
 *   SCHEMA_CHANGED where they define a state differently
 * @throws NotFoundError OUT_OF_RETENTION, CHECKPOINT_NOT_FOUND, SAVEPOINT_NOT_FOUND; STATE_NOT_FOUND
 *   for an operator that was not there
 * @throws CorruptionError when two readings of the source agree on damage
 * @throws StorageError IO, NO_SPACE
 * @throws AbortedError ABORTED, TIMEOUT
 */
export function restore(options: RestoreOptions): Promise<RestoreReport> {
  return restoreWith(options, machine);
}

/** As {@link restore}, over given components. */
export async function restoreWith(
  options: RestoreOptions,
  on: CopyComponents,
): Promise<RestoreReport> {
  knownOnly(options, restoreNames);
  const { operators, codecs = [] } = options;
  const from = checkFrom(options);
  const order = {
    from,
    to: resolve(directoryPath('to', options.to)),
    operators: operators === undefined ? undefined : checkOperators(operators),
    ...checkChoices(options, from.length),
    ownership: checkClaim(options, from),
    limits: copyLimits(options, options.threadsMax),
    defaults: { policy: resolveChainOptions({}).policy, retention: retentionDefault },
  };
  await registerCodecs(codecs);
  return runRestore(order, on);
}

/**
 * Writes the state of a savepoint into one directory that opens anywhere: a {@link restore} whose
 * target is the savepoint.
 *
 * @throws as {@link restore}; NotFoundError SAVEPOINT_NOT_FOUND
 */
export function exportSavepoint(options: ExportSavepointOptions): Promise<RestoreReport> {
  return exportSavepointWith(options, machine);
}

/** As {@link exportSavepoint}, over given components. */
export async function exportSavepointWith(
  options: ExportSavepointOptions,
  on: CopyComponents,
): Promise<RestoreReport> {
  const own = ['to', 'threadsMax', 'codecs', 'savepoint', 'timeline'];
  knownOnly(options, [...locationNames, ...copyNames, ...own]);
  const { dir, store, savepoint, timeline, ...rest } = options;
  const from = store === undefined ? { dir } : { dir, store };
  // Checked here, so that an error names this call's own option.
  checkTarget({ savepoint }, 'savepoint');
  if (timeline !== undefined) wholeNumber('timeline', timeline, 1);
  const target = timeline === undefined ? { savepoint } : { savepoint, timeline };
  return restoreWith({ ...rest, from, target }, on);
}

/** Limits of a copy, checked. */
export function copyLimits(options: CopyOptions, threads: number | undefined): CopyLimits {
  return { ...resolveLimits(options), threadsMax: resolveThreads(threads) };
}

function checkOperators(operators: readonly string[]): readonly string[] {
  const sound =
    Array.isArray(operators) &&
    operators.length > 0 &&
    operators.every((name) => typeof name === 'string');
  if (sound) return operators;
  throw badOption('operators', 'must be a list of names with at least one', operators);
}

function checkFrom(options: RestoreOptions): RestorePart[] {
  const { from, keyGroups } = options;
  const target = options.target === undefined ? latest : checkTarget(options.target, 'target');
  if (!Array.isArray(from)) {
    knownOnly(from, locationNames, 'from');
    return [{ location: from as StoreLocation, target, keyGroups: checkKeyGroups(keyGroups) }];
  }
  const several = from as readonly RestoreFrom[];
  if (several.length === 0) throw badOption('from', 'must name a store', undefined);
  if (keyGroups !== undefined) {
    throw badOption('keyGroups', 'stands in each of from when there are several', undefined);
  }
  return several.map((each, i) => {
    const path = `from[${i}]`;
    knownOnly(each, [...locationNames, 'target', 'keyGroups'], path);
    const { target: own, keyGroups: groups, ...location } = each;
    return {
      location,
      target: own === undefined ? target : checkTarget(own, `${path}.target`),
      keyGroups: checkKeyGroups(groups, `${path}.keyGroups`),
    };
  });
}

/** Checks the form of key groups; `path` is how errors name them. */
export function checkKeyGroups(
  keyGroups: KeyGroupRange | undefined,
  path = 'keyGroups',
): KeyGroupRange | undefined {
  if (keyGroups === undefined) return undefined;
  knownOnly(keyGroups, ['from', 'to'], path);
  const from = wholeNumber(`${path}.from`, keyGroups.from, 0);
  return { from, to: wholeNumber(`${path}.to`, keyGroups.to, from + 1) };
}

/** A claim of a store, whose files are in its directory. */
export function checkOwnership(
  ownership: Ownership | undefined,
  { store }: StoreLocation,
): Ownership {
  const found = oneOf('ownership', ownership ?? 'no-claim', ['no-claim', 'claim'] as const);
  if (found === 'no-claim' || store === undefined) return found;
  throw badOption('ownership', 'needs a store whose snapshots are in its directory', found);
}

/** Only what is taken whole, and up to its end, can be given up. */
function checkClaim(options: RestoreOptions, from: readonly RestorePart[]): Ownership {
  for (const { location, target, keyGroups } of from) {
    const ownership = checkOwnership(options.ownership, location);
    if (ownership === 'no-claim') continue;
    const { operators, gaps } = options;
    const isLast = target.kind === 'latest' && target.timeline === undefined;
    const isWhole = keyGroups === undefined && operators === undefined && gaps !== true;
    if (isLast && isWhole) continue;
    throw badOption('ownership', 'needs all of each store, up to its last commit', ownership);
  }
  return options.ownership ?? 'no-claim';
}

/** What is chosen where stores may differ. */
function checkChoices(
  { positions = 'equal', holders, gaps = false }: RestoreOptions,
  count: number,
): { positions: PositionChoice; holders: number | undefined; gaps: boolean } {
  if (typeof gaps !== 'boolean') throw badOption('gaps', 'must be true or false', gaps);
  return {
    positions: checkPositions(positions, count),
    holders: holders === undefined ? undefined : wholeNumber('holders', holders, 0, count - 1),
    gaps,
  };
}

function checkPositions(positions: PositionChoice, count: number): PositionChoice {
  if (positions === 'equal' || positions === 'union') return positions;
  if (typeof positions === 'number') return wholeNumber('positions', positions, 0, count - 1);
  if (typeof positions !== 'object' || positions === null || Array.isArray(positions)) {
    const why = "must be 'equal', 'union', the number of a store, or an object of positions";
    throw badOption('positions', why, positions);
  }
  for (const [source, position] of Object.entries(positions)) {
    if (position !== undefined && position !== null) continue;
    throw badOption(`positions.${source}`, 'must be a position: leave out what has none', position);
  }
  return { ...positions };
}
