/*
 * The schedule of retention: of each of the last so many hours, days, weeks and months, the newest
 * checkpoint that was made in it. Calendar periods in UTC, the current one counted as the first;
 * weeks start on Monday. A period in which nothing was made keeps nothing.
 */
import type { CheckpointRecord } from '../checkpoint-record.ts';
import { scheduleNames, type RetentionSchedule } from './retention-settings.ts';

const HOUR_MICROS = 3_600_000_000;
const DAY_MICROS = 24 * HOUR_MICROS;

type PeriodName = (typeof scheduleNames)[number];

/** Number of the period that a time is in; the next period has the next number. */
const periodOf: Readonly<Record<PeriodName, (micros: number) => number>> = {
  hourly: (micros) => Math.floor(micros / HOUR_MICROS),
  daily: (micros) => Math.floor(micros / DAY_MICROS),
  // The first of January 1970 was a Thursday: its week had begun three days before.
  weekly: (micros) => Math.floor((Math.floor(micros / DAY_MICROS) + 3) / 7),
  monthly: (micros) => {
    const date = new Date(micros / 1000);
    return date.getUTCFullYear() * 12 + date.getUTCMonth();
  },
};

const nouns: Readonly<Record<PeriodName, string>> = {
  hourly: 'hour',
  daily: 'day',
  weekly: 'week',
  monthly: 'month',
};

/** Ids that a schedule keeps, with the period of each; `records` are oldest first. */
export function keptBySchedule(
  records: readonly Pick<CheckpointRecord, 'id' | 'createdAt'>[],
  schedule: RetentionSchedule,
  now: number,
): { readonly id: number; readonly text: string }[] {
  const kept: { id: number; text: string }[] = [];
  for (const name of scheduleNames) {
    const count = schedule[name];
    if (count === 0) continue;
    const current = periodOf[name](now);
    const seen = new Set<number>();
    for (const { id, createdAt } of records.toReversed()) {
      const period = periodOf[name](createdAt);
      // A clock that was set back makes checkpoints of the future: they count as of now.
      const counted = Math.min(period, current);
      if (counted <= current - count || seen.has(counted)) continue;
      seen.add(counted);
      kept.push({ id, text: `the newest of its ${nouns[name]}, one of the last ${count}` });
    }
  }
  return kept;
}
