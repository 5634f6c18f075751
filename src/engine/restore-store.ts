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
import { runRestore, type RestoreReport } from '../recovery/restore-run.ts';
import type { KeyGroupRange } from '../recovery/restore-parts.ts';
import { checkTarget, latest, type Target } from '../recovery/target.ts';
import { systemClock } from '../std/clock.ts';
import { badOption, directoryPath, knownOnly, wholeNumber } from '../std/option-checks.ts';
import { systemRandom } from '../std/random.ts';
import { resolveChainOptions } from './chain-options.ts';
import { resolveLimits, resolveThreads } from './opening-options.ts';

/** Options that every copy of a store has. */
export interface CopyOptions {
  /** Ends the copy with ABORTED. @defaultValue none */
  readonly signal?: AbortSignal;
  /** Milliseconds after which it ends with TIMEOUT. @defaultValue 300000 */
  readonly timeoutMs?: number;
  /** Is told how far the copy is. @defaultValue none */
  readonly onProgress?: (progress: CopyProgress) => void;
}

/** Options of {@link restore}. */
export interface RestoreOptions extends CopyOptions {
  /** The store to read; another process may have it open. */
  readonly from: StoreLocation;
  /** Directory of the new store: it does not exist, or is empty. */
  readonly to: string;
  /** The moment to restore. @defaultValue 'latest' */
  readonly target?: Target;
  /** Takes only the states of these operators. @defaultValue all */
  readonly operators?: readonly string[];
  /** Takes only these key groups, half-open. @defaultValue all */
  readonly keyGroups?: KeyGroupRange;
  /** Worker threads at most. @defaultValue the machine's parallelism */
  readonly threadsMax?: number;
  /** Codecs of your own that the store was written with. @defaultValue none */
  readonly codecs?: readonly CodecModule[];
}

/** Options of {@link exportSavepoint}. */
export interface ExportSavepointOptions
  extends StoreLocation, Omit<RestoreOptions, 'from' | 'target' | 'operators' | 'keyGroups'> {
  /** Name of the savepoint. */
  readonly savepoint: string;
}

export const copyNames: readonly (keyof CopyOptions)[] = ['signal', 'timeoutMs', 'onProgress'];
const restoreNames: readonly string[] = [
  ...copyNames,
  'from',
  'to',
  'target',
  'operators',
  'keyGroups',
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
 * or key groups. It has an id of its own, the same seed and key groups, positions of the sources as
 * of that moment, and goes on behind that moment's LSN. The source is only read, without a lock. When
 * this resolves, the new store is durable; when it rejects, or the machine stops in the middle, the
 * directory does not open as a store.
 *
 * Nothing is given out that a writer of the source has not proved to be durable.
 *
 * @example
 * const { lsn } = await restore({
 *   from: { dir: './state' },
 *   to: './state-of-yesterday',
 *   target: { timestamp: new Date('2026-11-20T14:02:37Z') },
 * });
 *
 * @throws InvalidArgumentError INVALID_OPTION, NOT_A_STORE
 * @throws ConflictError STATE_EXISTS: `to` is not empty; LOCKED: somebody else works there
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
  const { from, operators, keyGroups, codecs = [] } = options;
  knownOnly(from, locationNames, 'from');
  const target = options.target === undefined ? latest : checkTarget(options.target, 'target');
  const order = {
    from,
    to: resolve(directoryPath('to', options.to)),
    target,
    operators: operators === undefined ? undefined : checkOperators(operators),
    keyGroups: keyGroups === undefined ? undefined : checkKeyGroups(keyGroups),
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
  const own = ['to', 'threadsMax', 'codecs', 'savepoint'];
  knownOnly(options, [...locationNames, ...copyNames, ...own]);
  const { dir, store, savepoint, ...rest } = options;
  const from = store === undefined ? { dir } : { dir, store };
  // Checked here, so that an error names this call's own option.
  checkTarget({ savepoint }, 'savepoint');
  return restoreWith({ ...rest, from, target: { savepoint } }, on);
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

function checkKeyGroups(keyGroups: KeyGroupRange): KeyGroupRange {
  knownOnly(keyGroups, ['from', 'to'], 'keyGroups');
  const from = wholeNumber('keyGroups.from', keyGroups.from, 0);
  return { from, to: wholeNumber('keyGroups.to', keyGroups.to, from + 1) };
}
