/*
 * A merge of a store that no process has open: opens it for writing with all cores in the background,
 * merges, closes. The settings of the one who writes the store stay in its records.
 */
import { availableParallelism } from 'node:os';
import type { MergeStrategy } from '../checkpoint/record-notes.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { planStoreMerge, type StoreMergePlan } from '../recovery/merge-plan.ts';
import { systemClock } from '../std/clock.ts';
import { systemRandom } from '../std/random.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { MergeOutcome } from './merge-call.ts';
import { openEngineWith } from './open-engine.ts';
import type { EngineOptions } from './options.ts';

/** Options of `mergeStore`. */
export interface MergeStoreOptions {
  readonly dir: string;
  /** Where snapshots and records are. @defaultValue files in the directory */
  readonly store?: ObjectStore;
  /** @defaultValue that of the newest record */
  readonly strategy?: MergeStrategy;
  /** @defaultValue the machine's parallelism */
  readonly threadsMax?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Merges a run of the chain into one snapshot, as the strategy chooses.
 *
 * @throws InvalidArgumentError NOT_A_STORE, INVALID_OPTION
 * @throws LockedError LOCKED when a process has the store open
 * @throws AbortedError ABORTED, TIMEOUT: the old chain stays
 */
export async function mergeStore(options: MergeStoreOptions): Promise<MergeOutcome> {
  const { dir, store, strategy, threadsMax = availableParallelism(), ...limits } = options;
  const where = store === undefined ? { dir } : { dir, store };
  // Also finds out that there is a store: opening one would make it.
  const { settings } = await planStoreMerge(where);
  const kept = settings === undefined ? {} : optionsOf(settings);
  const merge = { ...kept.merge, ...limits, threadsMax };
  const components = {
    fs: nodeFileSystem,
    clock: systemClock,
    random: systemRandom,
    threads: true,
    backgroundThreads: threadsMax,
  };
  const engine = await openEngineWith(
    { ...where, ...kept, merge, checkpointing: false, threadsMax },
    components,
  );
  try {
    return await engine.merge(strategy === undefined ? {} : { strategy });
  } finally {
    await engine.close();
  }
}

/** What the one who writes the store has set, so that the record of the merge says the same. */
export function optionsOf({
  policy,
  retention,
  compression,
}: NonNullable<StoreMergePlan['settings']>): Partial<EngineOptions> {
  const { strategy, restoreSecondsMax, restoreBytesMax, ...rest } = policy;
  return {
    ...rest,
    merge: { strategy },
    retention: retention ?? false,
    compression,
    ...(restoreSecondsMax === undefined ? {} : { restoreSecondsMax }),
    ...(restoreBytesMax === undefined ? {} : { restoreBytesMax }),
  };
}
