/*
 * The closing tables: what every kill cost, what the run wrote, and whether the results are those of
 * a job that was never killed.
 */
import { inspect } from 'node:util';

import Table from 'cli-table3';

import type { RestoreStats } from '../engine/index.ts';
import type { Comparison } from './compare.ts';
import type { Life } from './job-process.ts';
import type { Totals } from './meter.ts';
import { eventsPerCommit } from './model.ts';
import { bytesText, countText, durationText } from './text.ts';

/** No line between two rows. */
const noRules = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

/** Lives of the job: each row is one, with what it recovered from the life before it. */
export function livesTable(lives: readonly Life[]): string {
  const table = new Table({
    chars: noRules,
    head: [
      'life',
      'recovery',
      'estimated',
      'replayed commits',
      'chain',
      'from event',
      'acknowledged',
      'ended',
    ],
    style: { head: [], border: [] },
    colAligns: ['right', 'right', 'right', 'right', 'right', 'right', 'right', 'left'],
  });
  for (const [index, { opened, progress, killedWhile }] of lives.entries()) {
    table.push([
      index + 1,
      ...(opened
        ? [
            durationText(opened.openMs),
            opened.estimatedMs === undefined ? '–' : durationText(opened.estimatedMs),
            countText(opened.replayedCommits),
            chainText(opened.chain),
            countText(opened.row),
          ]
        : ['–', '–', '–', '–', '–']),
      progress ? countText(progress.durableRow) : '–',
      killedWhile ? `killed while ${killedWhile}` : 'done',
    ]);
  }
  return table.toString();
}

/** What the whole run did; bytes of a killed life as last reported before the kill. */
export function totalsTable(events: number, jobMs: number, totals: Totals): string {
  const table = new Table({
    chars: noRules,
    style: { head: [], border: [] },
    colAligns: ['left', 'right'],
  });
  table.push(
    ['events', countText(events)],
    ['time with kills and recoveries', durationText(jobMs)],
    ['events/s with kills and recoveries', countText(events / (jobMs / 1000))],
    ['commits', countText(Math.ceil(events / eventsPerCommit))],
    ['checkpoints', countText(totals.checkpoints)],
    ['written by the log', bytesText(totals.logBytes)],
    ['written by checkpoints', bytesText(totals.checkpointBytes)],
  );
  return table.toString();
}

/** Entries and differences of every state. */
export function comparisonTable(comparisons: readonly Comparison[]): string {
  const table = new Table({
    chars: noRules,
    head: ['state', 'entries', 'differences'],
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'right'],
  });
  for (const { state, entries, differences } of comparisons) {
    table.push([state, countText(entries), countText(differences)]);
  }
  return table.toString();
}

/** The first differences, a line each. */
export function differenceLines(comparisons: readonly Comparison[]): string[] {
  return comparisons.flatMap(({ state, shown }) =>
    shown.map(
      ({ key, how, expected, actual }) =>
        `${state} ${key}, by ${how}: expected ${valueText(expected)}, found ${valueText(actual)}`,
    ),
  );
}

/** What the last opening took, beside what it was estimated to take and what it may. */
export function restoreText(restore: RestoreStats, openMs: number): string {
  const { seconds, secondsMax, state, bytes } = restore;
  const budget = secondsMax === undefined ? 'no budget' : `budget ${secondsMax} s: ${state}`;
  const estimate = `estimated ${durationText(seconds * 1000)} for ${bytesText(bytes)}`;
  return `restore of the end: took ${durationText(openMs)}, ${estimate}, ${budget}`;
}

function valueText(value: unknown): string {
  return value === undefined ? 'nothing' : inspect(value, { breakLength: Infinity, depth: 4 });
}

function chainText(snapshots: number): string {
  if (snapshots === 0) return 'none';
  if (snapshots === 1) return 'base';
  return `base + ${snapshots - 1}`;
}
