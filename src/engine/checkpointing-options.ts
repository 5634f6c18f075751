/*
 * Options about when checkpoints are taken by themselves.
 */
import type { CheckpointTriggers } from '../checkpoint/checkpoint-triggers.ts';
import { badOption, knownOnly, wholeNumber } from '../std/option-checks.ts';

/** Named settings: 50,000 entries or 4 h, 10,000 or 1 h, 5,000 or 15 min. */
export type CheckpointingPreset = 'low' | 'medium' | 'high';

/** What may be committed before a checkpoint is taken; the first bound that is reached counts. */
export interface CheckpointingOptions {
  /** Changes of keys. @defaultValue no bound */
  readonly entries?: number;
  /** @defaultValue no bound */
  readonly commits?: number;
  /** Bytes of log. @defaultValue 67108864 (64 MiB) */
  readonly logBytes?: number;
  /** Milliseconds since the first commit behind the last checkpoint. @defaultValue 60000 */
  readonly intervalMs?: number;
  /** Takes a checkpoint when the engine is closed, so that the next opening has no log to replay. @defaultValue false */
  readonly onClose?: boolean;
}

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;

const presets: Readonly<Record<CheckpointingPreset, CheckpointTriggers>> = {
  low: triggersOf({ entries: 50_000, intervalMs: 240 * MINUTE_MS }),
  medium: triggersOf({ entries: 10_000, intervalMs: 60 * MINUTE_MS }),
  high: triggersOf({ entries: 5000, intervalMs: 15 * MINUTE_MS }),
};

/** In force unless something is said; docs/adr/0024-what-is-merged-and-when.md. */
export const checkpointingDefault: CheckpointTriggers = triggersOf({
  logBytes: 64 * MIB,
  intervalMs: MINUTE_MS,
});

const names: readonly string[] = [
  'entries',
  'commits',
  'logBytes',
  'intervalMs',
  'onClose',
] satisfies readonly (keyof CheckpointingOptions)[];

const checkpointingForms = "must be false, 'low', 'medium', 'high' or an object";

/** Triggers in force; undefined: none, not even when memtables fill up. */
export function resolveCheckpointing(
  option: false | CheckpointingPreset | CheckpointingOptions | undefined,
): CheckpointTriggers | undefined {
  if (option === undefined) return checkpointingDefault;
  if (option === false) return undefined;
  if (typeof option === 'string') {
    if (Object.hasOwn(presets, option)) return presets[option];
    throw badOption('checkpointing', checkpointingForms, option);
  }
  if (typeof option !== 'object' || option === null) {
    throw badOption('checkpointing', checkpointingForms, option);
  }
  knownOnly(option, names, 'checkpointing');
  for (const name of ['entries', 'commits', 'logBytes', 'intervalMs'] as const) {
    const value = option[name];
    if (value !== undefined) wholeNumber(`checkpointing.${name}`, value, 1);
  }
  const { onClose } = option;
  if (onClose !== undefined && typeof onClose !== 'boolean') {
    throw badOption('checkpointing.onClose', 'must be true or false', onClose);
  }
  const { entries, commits, logBytes, intervalMs } = option;
  const bounded = [entries, commits, logBytes, intervalMs].some((value) => value !== undefined);
  // Bounds that somebody gave stand alone; the defaults stay beside `onClose`.
  return bounded ? triggersOf(option) : { ...checkpointingDefault, onClose: onClose ?? false };
}

function triggersOf(option: CheckpointingOptions): CheckpointTriggers {
  const { entries, commits, logBytes, intervalMs, onClose = false } = option;
  return Object.freeze({ entries, commits, logBytes, intervalMs, onClose });
}
