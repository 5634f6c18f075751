/*
 * The demo: runs the job over real flights, kills it again and again, and proves that what is left is
 * exactly what a single pass without kills gives. Exit status 1 on any difference.
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { openEngine } from '../engine/index.ts';
import type { Comparison } from './compare.ts';
import { compareStates } from './compare-states.ts';
import { startDisplay } from './display.ts';
import { openFlights, type Flights } from './flights.ts';
import { runLife, type Life } from './job-process.ts';
import { planKills } from './kill-plan.ts';
import { Meter, type Totals } from './meter.ts';
import { parseOptions, type DemoOptions } from './options.ts';
import { computeReference } from './reference.ts';
import { rewindAndCheck } from './rewind.ts';
import { jobStates } from './states.ts';
import {
  comparisonTable,
  differenceLines,
  livesTable,
  restoreText,
  totalsTable,
} from './summary.ts';
import { countText, durationText } from './text.ts';

interface JobRun {
  readonly lives: readonly Life[];
  readonly totals: Totals;
  readonly ms: number;
}

async function main(options: DemoOptions, signal: AbortSignal): Promise<boolean> {
  const flights = await openFlights();
  const events = Math.min(options.events ?? flights.rows, flights.rows);
  const dir = await chooseDirectory(options.dir);
  console.log(
    `${countText(events)} flights, ${options.kills} kills, seed ${options.seed}, store in ${dir}`,
  );
  let same = false;
  try {
    const run = await runJob(dir, events, options, signal);
    console.log(`\n${livesTable(run.lives)}\n${totalsTable(events, run.ms, run.totals)}\n`);
    const { restoreSeconds: restoreSecondsMax, rewind: date } = options;
    same = await check(dir, flights, events, restoreSecondsMax);
    if (same && date !== undefined) {
      same = await rewindAndCheck(flights, { dir, events, date, restoreSecondsMax });
    }
  } finally {
    // A store that differs is left to be looked at.
    const keep = options.dir !== undefined || options.keep || !(same || signal.aborted);
    if (!keep) await rm(dir, { recursive: true, force: true });
    else console.log(`The store is left in ${dir}`);
  }
  return same;
}

/** A temporary directory, or the given one, which must be empty: an old store has other rows. */
async function chooseDirectory(given: string | undefined): Promise<string> {
  if (given === undefined) return mkdtemp(join(tmpdir(), 'tidemark-demo-'));
  const dir = resolve(given);
  await mkdir(dir, { recursive: true });
  if ((await readdir(dir)).length > 0) throw new Error(`the directory is not empty: ${dir}`);
  return dir;
}

/** Runs the job to its end, through all its kills. */
async function runJob(
  dir: string,
  events: number,
  options: DemoOptions,
  signal: AbortSignal,
): Promise<JobRun> {
  const kills = planKills(events, options.kills, options.seed);
  const restoreSecondsMax = options.restoreSeconds;
  const keepPast = options.rewind !== undefined;
  const meter = new Meter();
  const display = startDisplay(process.stdout, events);
  const started = performance.now();
  const lives: Life[] = [];
  const report = {
    opened: ({ row, openMs, replayedCommits }): void => {
      requireNothingLost(lives, row);
      meter.opened(row);
      if (lives.length === 0) return;
      display.note(
        `recovered in ${durationText(openMs)}: ${countText(replayedCommits)} commits replayed, ` +
          `going on at event ${countText(row)}`,
      );
    },
    progress: (progress): void => {
      meter.progress(progress, performance.now() - started);
      display.update(meter.read());
    },
  } satisfies Parameters<typeof runLife>[2];
  try {
    for (const kill of [...kills, undefined]) {
      const settings = { dir, events, restoreSecondsMax, keepPast };
      const life = await runLife(settings, kill, report, signal);
      lives.push(life);
      if (life.killedWhile === undefined) continue;
      meter.killed();
      display.update(meter.read());
      display.note(killText(life));
    }
  } finally {
    display.stop();
  }
  return { lives, totals: meter.totals, ms: performance.now() - started };
}

function killText({ killedWhile, progress }: Life): string {
  const where = progress ? ` near event ${countText(progress.durableRow)}` : '';
  return `killed while ${killedWhile}${where}`;
}

/** What was acknowledged before a kill must be there after it. */
function requireNothingLost(lives: readonly Life[], row: number): void {
  const acknowledged = Math.max(0, ...lives.map(({ progress }) => progress?.durableRow ?? 0));
  if (row >= acknowledged) return;
  throw new Error(`commits were acknowledged up to event ${acknowledged}, recovered were ${row}`);
}

/** Compares the store with a pass that does not use the engine; prints what it finds. */
async function check(
  dir: string,
  flights: Flights,
  events: number,
  restoreSecondsMax: number,
): Promise<boolean> {
  const started = performance.now();
  const reference = await computeReference(flights, events);
  const computedMs = performance.now() - started;
  const opening = performance.now();
  await using engine = await openEngine({ dir, restoreSecondsMax, retention: false });
  const openMs = performance.now() - opening;
  const comparisons = compareStates(jobStates(engine), reference);
  const comparedMs = performance.now() - started - computedMs;
  console.log(comparisonTable(comparisons));
  console.log(
    `reference computed in ${durationText(computedMs)}, opened and compared in ` +
      durationText(comparedMs),
  );
  console.log(restoreText(engine.stats().restore, openMs));
  const row = engine.positions['flights'];
  if (row !== events) console.log(`the committed position is ${String(row)} instead of ${events}`);
  for (const line of differenceLines(comparisons)) console.log(line);
  const same = row === events && comparisons.every(({ differences }) => differences === 0);
  console.log(verdict(comparisons, same));
  return same;
}

function verdict(comparisons: readonly Comparison[], same: boolean): string {
  const entries = comparisons.reduce((sum, comparison) => sum + comparison.entries, 0);
  return same
    ? `Identical: all ${countText(entries)} entries are those of a pass that was never killed.`
    : 'DIFFERENT from a pass that was never killed.';
}

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => interrupted.abort());
}
try {
  const same = await main(parseOptions(process.argv.slice(2)), interrupted.signal);
  process.exitCode = same ? 0 : 1;
} catch (error) {
  console.error(interrupted.signal.aborted ? 'interrupted' : error);
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
}
