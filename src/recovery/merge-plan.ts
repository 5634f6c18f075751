/*
 * What a merge of a store's chain would do, read without a lock and without a write: the policy of
 * the newest record over its chain, and the overlap of its snapshots.
 */
import { sampleOverlap } from '../checkpoint/chain-overlap.ts';
import { planMerge, type MergePlan } from '../checkpoint/chain-policy.ts';
import type {
  ChainLink,
  CheckpointRecord,
  MergeStrategy,
} from '../checkpoint/checkpoint-record.ts';
import { mergeStrategies } from '../checkpoint/record-notes.ts';
import {
  assumedRates,
  estimateRestore,
  type RestoreEstimate,
} from '../checkpoint/restore-estimate.ts';
import { nodeFileSystem } from '../fs/node-file-system.ts';
import { knownOnly, oneOf } from '../std/option-checks.ts';
import { systemClock } from '../std/clock.ts';
import { limitNames, withinLimits, type CallLimits } from './limited-call.ts';
import { locationNames, sourceOf, type ReaderSource, type StoreLocation } from './reader-moment.ts';
import { readStateMoment, releaseMoment } from './state-moment.ts';
import type { ReaderComponents } from './reader.ts';

/** Options of `planStoreMerge`. */
export interface MergePlanOptions extends StoreLocation, CallLimits {
  /** @defaultValue that of the newest record */
  readonly strategy?: MergeStrategy;
}

/** What a merge would do. */
export interface StoreMergePlan {
  /** For people. */
  readonly why: string;
  /** Undefined: there is nothing to merge. */
  readonly plan: MergePlan | undefined;
  /** Base first; empty without a checkpoint. */
  readonly chain: readonly ChainLink[];
  /** In force when the newest record was made; undefined without one. */
  readonly settings: Pick<CheckpointRecord, 'policy' | 'retention' | 'compression'> | undefined;
  /** Cost of a restore as things are, and after the merge. */
  readonly before: RestoreEstimate;
  readonly after: RestoreEstimate;
}

/**
 * Plans a merge; another process may have the store open.
 * @throws InvalidArgumentError INVALID_OPTION, NOT_A_STORE
 * @throws CorruptionError when the newest moment cannot be read
 * @throws AbortedError ABORTED, TIMEOUT
 */
export function planStoreMerge(options: MergePlanOptions): Promise<StoreMergePlan> {
  return planStoreMergeWith(options, { fs: nodeFileSystem, clock: systemClock });
}

/** As {@link planStoreMerge}, over given components. */
export async function planStoreMergeWith(
  options: MergePlanOptions,
  components: ReaderComponents,
): Promise<StoreMergePlan> {
  knownOnly(options, [...locationNames, ...limitNames, 'strategy']);
  const { strategy } = options;
  if (strategy !== undefined) oneOf('strategy', strategy, mergeStrategies);
  return withinLimits('plan of a merge', options, components.clock, (run) =>
    planMergeOf(sourceOf(components, options, run), strategy),
  );
}

async function planMergeOf(
  source: ReaderSource,
  strategy: MergeStrategy | undefined,
): Promise<StoreMergePlan> {
  const moment = await readStateMoment(source);
  try {
    const { record, plan: log, images } = moment;
    const logBytes = log.ranges.reduce((sum, range) => sum + range.end - range.start, 0);
    const links = record?.chain ?? [];
    const rates = record?.rates ?? assumedRates;
    const cost = (snapshotBytes: number): RestoreEstimate =>
      estimateRestore(snapshotBytes, logBytes, rates);
    const bytes = links.reduce((sum, link) => sum + link.bytes, 0);
    const before = cost(bytes);
    const settings = record && settingsOf(record);
    const nothing = (why: string): StoreMergePlan => {
      return { why, plan: undefined, chain: links, settings, before, after: before };
    };
    if (!record) return nothing('there is no checkpoint');
    // The last image is that of the log.
    const distinctShare = sampleOverlap(images.slice(0, links.length));
    const chain = { links, logBytes, rates, totals: record.totals, distinctShare };
    const { policy } = record;
    const plan = planMerge(chain, strategy === undefined ? policy : { ...policy, strategy }, true);
    if (!('start' in plan)) return nothing(plan.why);
    const after = cost(bytes - plan.inputBytes + plan.outputBytes);
    return { why: plan.why, plan, chain: links, settings, before, after };
  } finally {
    await releaseMoment(moment);
  }
}

function settingsOf(record: CheckpointRecord): StoreMergePlan['settings'] {
  const { policy, retention, compression } = record;
  return { policy, retention, compression };
}
