/*
 * Forks, as users ask for them: options and defaults. What is done: recovery/fork-run.ts.
 */
import { resolve } from 'node:path';
import type { CopyComponents } from '../recovery/copy-run.ts';
import { runFork, type ForkReport } from '../recovery/fork-run.ts';
import type { Ownership } from '../recovery/ownership.ts';
import { locationNames, type StoreLocation } from '../recovery/reader-moment.ts';
import type { LogWriter } from '../wal/log-writer.ts';
import { directoryPath, knownOnly } from '../std/option-checks.ts';
import {
  checkOwnership,
  copyLimits,
  copyNames,
  machine,
  type CopyOptions,
} from './restore-store.ts';

/** Options of {@link fork}. */
export interface ForkOptions extends CopyOptions {
  /** The parent; another process may have it open. */
  readonly from: StoreLocation;
  /** Directory of the fork: it does not exist, or is empty. */
  readonly to: string;
  /**
   * `'claim'`: the fork takes the parent's place. The parent must not be open, and its snapshots have to be
   * files of its directory; when the fork is whole it is given up, never opens again (CLAIMED), and its
   * files go. `'no-claim'`: both go on.
   * @defaultValue 'no-claim'
   */
  readonly ownership?: Ownership;
}

/**
 * Makes a second store that has everything of a store, its checkpoints and its log as far back as they are
 * kept, and goes its own way from the last commit on. It has an id of its own, the same seed and key
 * groups. Files that are never written again are shared where the file system gives a file a second
 * name, so that a fork of a large store takes no time and no space; else they are copied. Either store
 * can be collected, damaged by nothing but the disk, or deleted without the other. The parent is only read,
 * without a lock. When this resolves, the fork is durable; when it rejects, or the machine stops in
 * the middle, the directory does not open as a store.
 *
 * Nothing is given out that a writer of the parent has not proved to be durable.
 *
 * @example
 * const { lsn, sharedBytes } = await fork({ from: { dir: './state' }, to: './what-if' });
 *
 * @throws InvalidArgumentError INVALID_OPTION, NOT_A_STORE
 * @throws ConflictError STATE_EXISTS: `to` is not empty; LOCKED: somebody else works there, or has a
 *   parent open that is to be claimed; CLAIMED: the parent was
 * @throws CorruptionError when two readings of the parent agree on damage
 * @throws StorageError IO, NO_SPACE
 * @throws AbortedError ABORTED, TIMEOUT
 */
export function fork(options: ForkOptions): Promise<ForkReport> {
  return forkWith(options, machine);
}

/** As {@link fork}, over given components. */
export async function forkWith(options: ForkOptions, on: CopyComponents): Promise<ForkReport> {
  knownOnly(options, [...copyNames, 'from', 'to', 'ownership']);
  const { from } = options;
  knownOnly(from, locationNames, 'from');
  const to = resolve(directoryPath('to', options.to));
  const ownership = checkOwnership(options.ownership, from);
  return runFork({ from, to, limits: copyLimits(options, 1), ownership }, on);
}

/** Forks the store of an engine that is open, up to what its writer has sealed at the call. */
export async function forkOpen(
  from: StoreLocation,
  { to, options, writer }: OpenFork,
  on: CopyComponents,
): Promise<ForkReport> {
  knownOnly(options, copyNames);
  const limits = copyLimits(options, 1);
  const target = resolve(directoryPath('to', to));
  const { lsn: durableLsn } = await writer.cut();
  return runFork({ from, to: target, limits, durableLsn, ownership: 'no-claim' }, on);
}

/** A fork that an open engine is asked for. */
interface OpenFork {
  readonly to: string;
  readonly options: CopyOptions;
  readonly writer: Pick<LogWriter, 'cut'>;
}
