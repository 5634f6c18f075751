/*
 * What a restore to a target would do and cost, without doing it, and without a lock.
 */
import { withSystemFailures } from '../errors.ts';
import type { ChainLink } from '../checkpoint/checkpoint-record.ts';
import type { RetainedRange } from '../checkpoint/retention/retained-range.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { systemClock } from '../std/clock.ts';
import { knownOnly } from '../std/option-checks.ts';
import { limitNames, withinLimits, type CallLimits } from './limited-call.ts';
import { planMoment } from './moment-at.ts';
import { ReadOnlyFiles } from './reader-files.ts';
import {
  locationNames,
  readInAgreement,
  readStoreIdentity,
  sourceOf,
  type StoreLocation,
} from './reader-moment.ts';
import type { ReaderComponents } from './reader.ts';
import type { RestorePlan } from './restore-plan.ts';
import { checkTarget, type Target } from './target.ts';

/** Options of {@link planStoreRestore}. */
export interface PlanRestoreOptions extends StoreLocation, CallLimits {
  /** @defaultValue 'latest' */
  readonly at?: Target;
}

/** What a restore would do. */
export interface StoreRestorePlan {
  /** The last commit of the moment; 0: before the first. */
  readonly lsn: number;
  /** Undefined: from the log alone. */
  readonly checkpoint: number | undefined;
  readonly checkpointLsn: number;
  /** Base first. */
  readonly chain: readonly ChainLink[];
  readonly snapshotBytes: number;
  /** Commits that would be replayed. */
  readonly replayedCommits: number;
  /** Bytes of the log that would be read; whole segments behind the checkpoint. */
  readonly logBytes: number;
  /** Estimated. */
  readonly seconds: number;
  /** False: nothing was measured yet, and careful assumptions stand in. */
  readonly measured: boolean;
  /** Everything that can be restored. */
  readonly retained: RetainedRange;
}

/**
 * Says what a restore to a moment would do and cost. Another process may have the store open.
 *
 * @throws InvalidArgumentError NOT_A_STORE, INVALID_OPTION
 * @throws NotFoundError OUT_OF_RETENTION, CHECKPOINT_NOT_FOUND, SAVEPOINT_NOT_FOUND
 * @throws AbortedError ABORTED, TIMEOUT
 */
export function planStoreRestore(options: PlanRestoreOptions): Promise<StoreRestorePlan> {
  const on = { fs: nodeFileSystem, clock: systemClock };
  return withSystemFailures('planning a restore', () => planStoreRestoreWith(options, on));
}

/** As {@link planStoreRestore}, over given components. */
export async function planStoreRestoreWith(
  options: PlanRestoreOptions,
  components: ReaderComponents,
): Promise<StoreRestorePlan> {
  knownOnly(options, [...locationNames, ...limitNames, 'at']);
  const target = checkTarget(options.at ?? 'latest', 'at');
  return withinLimits('plan', options, components.clock, async (run) => {
    const source = sourceOf(components, options, run);
    const identity = await readStoreIdentity(source);
    return readInAgreement(source, async () => {
      const files = new ReadOnlyFiles(source.fs, true);
      try {
        const { plan } = await planMoment(source, files, identity, { target });
        return describePlan(plan);
      } finally {
        await files.close();
      }
    });
  });
}

/** A plan as it is given out. */
export function describePlan(plan: RestorePlan): StoreRestorePlan {
  const { lsn, record, snapshotBytes, logBytes, seconds, measured, retained } = plan;
  return {
    lsn,
    checkpoint: record?.id,
    checkpointLsn: record?.lsn ?? 0,
    chain: record?.chain ?? [],
    snapshotBytes,
    replayedCommits: lsn - (record?.lsn ?? 0),
    logBytes,
    seconds,
    measured,
    retained,
  };
}
