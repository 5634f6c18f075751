/*
 * When a checkpoint is taken by itself. Pure: the engine and the paper replay of `tune` ask the same
 * function. A checkpoint is due when any of the bounds is reached by what was committed since the
 * last one was begun; nothing committed, nothing due.
 */
import type { CheckpointTrigger } from './record-notes.ts';

/** Bounds of what may be committed before a checkpoint; undefined: no bound. */
export interface CheckpointTriggers {
  readonly entries: number | undefined;
  readonly commits: number | undefined;
  readonly logBytes: number | undefined;
  readonly intervalMs: number | undefined;
  /** Takes one when the engine is closed. */
  readonly onClose: boolean;
}

/** What was committed since the last checkpoint was begun. */
export interface SinceCheckpoint {
  readonly entries: number;
  readonly commits: number;
  readonly logBytes: number;
  /** Since the first of those commits. */
  readonly milliseconds: number;
}

/** The bound that was reached, if one was. */
export function dueTrigger(
  since: SinceCheckpoint,
  triggers: CheckpointTriggers,
  budgetLogBytes: number,
): CheckpointTrigger | undefined {
  if (since.commits === 0) return undefined;
  const { entries, commits, logBytes, intervalMs } = triggers;
  if (entries !== undefined && since.entries >= entries) return 'entries';
  if (commits !== undefined && since.commits >= commits) return 'commits';
  if (logBytes !== undefined && since.logBytes >= logBytes) return 'logBytes';
  if (intervalMs !== undefined && since.milliseconds >= intervalMs) return 'time';
  if (since.logBytes >= budgetLogBytes) return 'budget';
  return undefined;
}
