/*
 * Options and outcome of a merge that somebody asks for.
 */
import type { MergePlan, NoMerge } from '../checkpoint/chain-policy.ts';
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts';
import { mergeStrategies, type MergeStrategy } from '../checkpoint/record-notes.ts';
import { badOption, knownOnly } from '../std/option-checks.ts';

/** Options of one merge. */
export interface MergeCallOptions {
  /** @defaultValue the engine's */
  readonly strategy?: MergeStrategy;
  /** Plans only. @defaultValue false */
  readonly dryRun?: boolean;
}

/** What a merge did, or would do. */
export interface MergeOutcome {
  /** For people. */
  readonly why: string;
  /** The record of what was merged; undefined when nothing was. */
  readonly record: CheckpointRecord | undefined;
  /** What would be merged; undefined when nothing would, or when it was done. */
  readonly plan: MergePlan | undefined;
}

export function mergeCall(
  options: MergeCallOptions,
  otherwise: MergeStrategy,
): { strategy: MergeStrategy; dryRun: boolean } {
  knownOnly(options, ['strategy', 'dryRun'], 'merge');
  const { strategy = otherwise, dryRun = false } = options;
  if (!mergeStrategies.includes(strategy)) {
    throw badOption('strategy', `must be one of ${mergeStrategies.join(', ')}`, strategy);
  }
  if (typeof dryRun !== 'boolean') throw badOption('dryRun', 'must be true or false', dryRun);
  return { strategy, dryRun };
}

export function mergeOutcome(found: CheckpointRecord | MergePlan | NoMerge): MergeOutcome {
  if ('chain' in found) {
    return { why: found.merge?.why ?? '', record: found, plan: undefined };
  }
  if ('start' in found) return { why: found.why, record: undefined, plan: found };
  return { why: found.why, record: undefined, plan: undefined };
}
