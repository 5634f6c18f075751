/*
 * `tidemark gc DIR [--dry-run]`: deletes what retention does not keep, or prints the plan: each
 * object, keep or delete, and why. Without `--dry-run` it takes the lock of the directory: an engine
 * that has it open collects by itself.
 */
import { InvalidArgumentError as BadArgument } from 'commander';
import {
  collectStore,
  type CollectionReport,
  type RetentionOptions,
  type RetentionPlan,
  type RetentionSchedule,
  type RetentionSettings,
} from '../engine/index.ts';
import { status, storeOf, type CommonOptions } from './common.ts';
import type { Output } from './output.ts';
import { formatBytes, formatTime, toJson } from './render.ts';

/** Options of the verb. */
export interface GcOptions extends CommonOptions {
  readonly dryRun?: boolean;
  /** Newest checkpoints that stay. */
  readonly keep?: number;
  /** Milliseconds. */
  readonly age?: number;
  readonly window?: number;
  readonly schedule?: Partial<RetentionSchedule>;
}

export async function gc(output: Output, dir: string, options: GcOptions): Promise<number> {
  const { keep, age, window, schedule, dryRun = false } = options;
  const retention: RetentionOptions = {
    ...(keep === undefined ? {} : { checkpoints: keep }),
    ...(age === undefined ? {} : { ageMs: age }),
    ...(window === undefined ? {} : { windowMs: window }),
    ...(schedule === undefined ? {} : { schedule }),
  };
  const given = Object.keys(retention).length > 0 ? { retention } : {};
  const report = await collectStore({ dir, dryRun, ...storeOf(options), ...given });
  if (options.json) await output.line(toJson({ ...report }));
  else await print(output, report);
  return status.fine;
}

async function print(output: Output, { dryRun, plan }: CollectionReport): Promise<void> {
  const { lines, hold, settings, retained, keptBytes, deletedBytes } = plan;
  await output.table(
    ['object', 'action', 'bytes', 'why'],
    lines.map(({ name, action, bytes, why }) => [shortName(name), action, formatBytes(bytes), why]),
  );
  await output.line();
  await output.line(`retention   ${describeRetention(settings)}`);
  if (hold !== undefined) await output.line(`everything stays: ${hold}`);
  await output.line(`restorable  ${describeRetained(retained)}`);
  const count = lines.filter(({ action }) => action === 'delete').length;
  const kept = `${lines.length - count} objects (${formatBytes(keptBytes)})`;
  const gone = `${count} (${formatBytes(deletedBytes)})`;
  await output.line(
    dryRun ? `would keep ${kept}, delete ${gone}` : `kept ${kept}, deleted ${gone}`,
  );
}

/** Settings in words; also of `inspect`. */
export function describeRetention(settings: RetentionSettings | undefined): string {
  if (!settings) return 'off: everything stays';
  const { checkpoints, ageMs, windowMs, schedule } = settings;
  const periods = Object.entries(schedule).filter(([, count]) => count > 0);
  return [
    `newest ${checkpoints}`,
    ...(ageMs > 0 ? [`age ${describeMs(ageMs)}`] : []),
    ...periods.map(([name, count]) => `${name} ${count}`),
    ...(windowMs > 0 ? [`window ${describeMs(windowMs)}`] : []),
  ].join(', ');
}

/** What can be restored, in words. */
export function describeRetained(retained: RetentionPlan['retained']): string {
  const { fromLsn, fromTimestamp, oldestLsn, oldestTimestamp, checkpointCount } = retained;
  const every =
    fromLsn === undefined
      ? 'no commit but those of checkpoints'
      : fromLsn === 0
        ? 'every commit'
        : `every commit from LSN ${fromLsn} (${formatTime(fromTimestamp ?? 0)}) on`;
  if (oldestLsn === undefined) return every;
  const oldest = `the oldest at LSN ${oldestLsn} (${formatTime(oldestTimestamp ?? 0)})`;
  return `${every}; ${checkpointCount} checkpoints, ${oldest}`;
}

const unitsMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** Milliseconds of a duration such as 90s, 15m, 24h, 7d, 4w. */
export function parseDuration(text: string): number {
  const match = /^(\d+)(ms|s|m|h|d|w)$/.exec(text);
  const milliseconds = match
    ? Number(match[1]) * unitsMs[match[2] as keyof typeof unitsMs]
    : Number.NaN;
  if (Number.isSafeInteger(milliseconds)) return milliseconds;
  throw new BadArgument('It must be a number with a unit: 500ms, 90s, 15m, 24h, 7d or 4w.');
}

/** A schedule such as hourly=24,daily=7. */
export function parseSchedule(text: string): Partial<RetentionSchedule> {
  const schedule: Record<string, number> = {};
  for (const part of text.split(',')) {
    const match = /^(hourly|daily|weekly|monthly)=(\d{1,7})$/.exec(part);
    const name = match?.[1];
    if (name === undefined || name in schedule) {
      throw new BadArgument('It must be like hourly=24,daily=7,weekly=4,monthly=12.');
    }
    schedule[name] = Number(match?.[2]);
  }
  return schedule;
}

function describeMs(milliseconds: number): string {
  for (const unit of ['w', 'd', 'h', 'm', 's'] as const) {
    if (milliseconds % unitsMs[unit] === 0) return `${milliseconds / unitsMs[unit]}${unit}`;
  }
  return `${milliseconds}ms`;
}

/** Snapshots by the start of their digest and their id: whole names make no table. */
function shortName(name: string): string {
  return name.replace(/([0-9a-f]{8})[0-9a-f]{56}/, '$1…');
}
