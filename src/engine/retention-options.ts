/*
 * Options about how long the past is kept.
 */
import {
  noSchedule,
  retentionCountMost,
  retentionDefault,
  retentionMsMost,
  isRetentionNumber,
  scheduleNames,
  type RetentionSchedule,
  type RetentionSettings,
} from '../checkpoint/retention/retention-settings.ts';
import { badOption, knownOnly } from '../std/option-checks.ts';

/**
 * Which checkpoints are kept. Rules add up: what one of them keeps, stays. Beside them always stay:
 * savepoints until they are dropped, and what a recovery needs should any one snapshot or record be
 * damaged (the two newest bases, and the log from the older).
 */
export interface RetentionOptions {
  /** Newest checkpoints that stay, from 1. @defaultValue 5 */
  readonly checkpoints?: number;
  /** Checkpoints made in the last so many milliseconds stay. @defaultValue none */
  readonly ageMs?: number;
  /**
   * Of each of the last so many hours, days, weeks and months (calendar periods in UTC, the current
   * one included; weeks start on Monday) the newest checkpoint stays. @defaultValue none
   */
  readonly schedule?: Partial<RetentionSchedule>;
  /** Every commit of the last so many milliseconds stays restorable. @defaultValue no window */
  readonly windowMs?: number;
}

/** Options of the engine about retention. */
export interface EngineRetentionOptions {
  /**
   * How long the past is kept; false: everything stays. What goes is deleted by itself after a
   * checkpoint. @defaultValue { checkpoints: 5 }
   */
  readonly retention?: RetentionOptions | false;
  /**
   * Milliseconds between collections while no checkpoint is taken, 1 to 2147483647; false: only
   * after checkpoints. @defaultValue 3600000 (1 h)
   */
  readonly cleanupMs?: number | false;
}

/** Options about retention, in force. */
export interface ResolvedRetentionOptions {
  /** Undefined: everything stays. */
  readonly settings: RetentionSettings | undefined;
  /** Undefined: no collections by time. */
  readonly cleanupMs: number | undefined;
}

export const engineRetentionNames: readonly (keyof EngineRetentionOptions)[] = [
  'retention',
  'cleanupMs',
];

const retentionNames: readonly (keyof RetentionOptions)[] = [
  'checkpoints',
  'ageMs',
  'schedule',
  'windowMs',
];

export const cleanupMsDefault = 3_600_000;
/** Longest delay of a timer. */
const cleanupMsMost = 2_147_483_647;

/** Fills in the defaults; a bad value is INVALID_OPTION with its name. */
export function resolveRetentionOptions(options: EngineRetentionOptions): ResolvedRetentionOptions {
  const { retention, cleanupMs } = options;
  if (retention === false) {
    if (cleanupMs !== undefined && cleanupMs !== false) {
      throw badOption('cleanupMs', 'says when to collect, and retention is false', cleanupMs);
    }
    return { settings: undefined, cleanupMs: undefined };
  }
  return {
    settings: resolveRetention(retention === undefined ? {} : retention, retentionDefault),
    cleanupMs:
      cleanupMs === false
        ? undefined
        : whole('cleanupMs', cleanupMs ?? cleanupMsDefault, 1, cleanupMsMost),
  };
}

/** Settings from options, over those there are. */
export function resolveRetention(
  options: RetentionOptions,
  otherwise: RetentionSettings,
): RetentionSettings {
  if (typeof options !== 'object' || options === null) {
    throw badOption('retention', 'must be false or an object of rules', options);
  }
  knownOnly(options, retentionNames, 'retention');
  const { checkpoints, ageMs, windowMs, schedule } = options;
  return Object.freeze({
    checkpoints: whole(
      'retention.checkpoints',
      checkpoints ?? otherwise.checkpoints,
      1,
      retentionCountMost,
    ),
    ageMs: whole('retention.ageMs', ageMs ?? otherwise.ageMs, 0, retentionMsMost),
    windowMs: whole('retention.windowMs', windowMs ?? otherwise.windowMs, 0, retentionMsMost),
    schedule: schedule === undefined ? otherwise.schedule : resolveSchedule(schedule),
  });
}

function resolveSchedule(schedule: Partial<RetentionSchedule>): RetentionSchedule {
  knownOnly(schedule, scheduleNames, 'retention.schedule');
  const resolved = { ...noSchedule };
  for (const name of scheduleNames) {
    const count = schedule[name] ?? 0;
    resolved[name] = whole(`retention.schedule.${name}`, count, 0, retentionCountMost);
  }
  return Object.freeze(resolved);
}

function whole(name: string, value: unknown, least: number, most: number): number {
  if (isRetentionNumber(value, least, most)) return value;
  throw badOption(name, `must be a whole number from ${least} to ${most}`, value);
}
