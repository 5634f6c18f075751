/*
 * How long the past of a store is kept, as settings in force. The engine makes them from its options
 * and writes them into each checkpoint record, so that `gc` and `inspect` can say what holds.
 *
 * Rules add up: what one of them keeps, stays. Zero means that a rule keeps nothing.
 */

/** How many calendar periods, in UTC, keep the newest checkpoint that was made in each. */
export interface RetentionSchedule {
  readonly hourly: number;
  readonly daily: number;
  /** Weeks start on Monday. */
  readonly weekly: number;
  readonly monthly: number;
}

/** Settings of retention in force. */
export interface RetentionSettings {
  /** Newest checkpoints that stay; at least 1. Several records of one LSN count once. */
  readonly checkpoints: number;
  /** Checkpoints made so many milliseconds ago, or less, stay. */
  readonly ageMs: number;
  readonly schedule: RetentionSchedule;
  /** Every commit of the last so many milliseconds stays restorable. */
  readonly windowMs: number;
}

/** Checkpoints that stay unless the options say otherwise. */
export const checkpointsKeptDefault = 5;

/** Longest duration of a setting: about a hundred years, so that microseconds stay exact. */
export const retentionMsMost: number = 100 * 366 * 86_400_000;
/** Most checkpoints or periods that a setting counts. */
export const retentionCountMost = 1_000_000;

export const scheduleNames = ['hourly', 'daily', 'weekly', 'monthly'] as const;

export const noSchedule: RetentionSchedule = { hourly: 0, daily: 0, weekly: 0, monthly: 0 };

export const retentionDefault: RetentionSettings = {
  checkpoints: checkpointsKeptDefault,
  ageMs: 0,
  schedule: noSchedule,
  windowMs: 0,
};

/** Whether a number can be one of the settings. */
export function isRetentionNumber(value: unknown, least: number, most: number): value is number {
  return Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most;
}

/** The settings in a record; undefined: none that are whole. */
export function retentionFromPlain(body: unknown): RetentionSettings | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { checkpoints, ageMs, windowMs, schedule } = body as Record<string, unknown>;
  if (typeof schedule !== 'object' || schedule === null) return undefined;
  const { hourly, daily, weekly, monthly } = schedule as Record<string, unknown>;
  const periods = [hourly, daily, weekly, monthly];
  const sound =
    isRetentionNumber(checkpoints, 1, retentionCountMost) &&
    isRetentionNumber(ageMs, 0, retentionMsMost) &&
    isRetentionNumber(windowMs, 0, retentionMsMost) &&
    periods.every((count) => isRetentionNumber(count, 0, retentionCountMost));
  if (!sound) return undefined;
  return {
    checkpoints,
    ageMs,
    windowMs,
    schedule: {
      hourly: Number(hourly),
      daily: Number(daily),
      weekly: Number(weekly),
      monthly: Number(monthly),
    },
  };
}
