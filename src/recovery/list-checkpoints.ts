/*
 * The checkpoints of a store, without its state: what `list` shows.
 */
import { withSystemFailures } from '../errors.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { systemClock } from '../std/clock.ts';
import { knownOnly } from '../std/option-checks.ts';
import { limitNames, withinLimits, type CallLimits } from './limited-call.ts';
import { inspectCheckpoints, type InspectedCheckpoint } from './inspect.ts';
import type { InspectionFault } from './inspect-log.ts';
import {
  locationNames,
  readEngineIdentity,
  sourceOf,
  type StoreLocation,
} from './reader-moment.ts';
import type { ReaderComponents } from './reader.ts';

/** Checkpoints of a store. */
export interface CheckpointList {
  /** Oldest first. */
  readonly checkpoints: readonly InspectedCheckpoint[];
  /** Records that cannot be read. */
  readonly faults: readonly InspectionFault[];
}

/**
 * Lists the checkpoints and savepoints of a store; another process may have it open.
 *
 * @throws InvalidArgumentError INVALID_OPTION, NOT_A_STORE
 * @throws CorruptionError CORRUPT_STORE
 * @throws AbortedError ABORTED, TIMEOUT
 */
export function listCheckpoints(options: StoreLocation & CallLimits): Promise<CheckpointList> {
  const on = { fs: nodeFileSystem, clock: systemClock };
  return withSystemFailures('listing checkpoints', () => listCheckpointsWith(options, on));
}

/** As {@link listCheckpoints}, over given components. */
export async function listCheckpointsWith(
  options: StoreLocation & CallLimits,
  components: ReaderComponents,
): Promise<CheckpointList> {
  knownOnly(options, [...locationNames, ...limitNames]);
  return withinLimits('list of checkpoints', options, components.clock, async (run) => {
    const source = sourceOf(components, options, run);
    const { storeId } = await readEngineIdentity(source);
    const faults: InspectionFault[] = [];
    return { checkpoints: await inspectCheckpoints(source, storeId, faults), faults };
  });
}
