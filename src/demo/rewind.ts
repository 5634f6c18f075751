/*
 * `--rewind DATE`: takes the store back in place to the last commit before the first flight of a day,
 * compares every entry with a pass that ends at that row, and looks at the future that was left.
 */
import { openEngine, type Engine } from '../engine/index.ts';
import { compareStates } from './compare-states.ts';
import type { Flights } from './flights.ts';
import { eventsPerCommit } from './model.ts';
import { computeReference } from './reference.ts';
import { jobStates } from './states.ts';
import { comparisonTable, differenceLines } from './summary.ts';
import { countText, durationText } from './text.ts';

/** What is gone back in. */
export interface RewindOrder {
  readonly dir: string;
  /** Rows that the store holds. */
  readonly events: number;
  /** Midnight of the day, milliseconds. */
  readonly date: number;
  readonly restoreSecondsMax: number;
}

/** Goes back and compares; prints what it finds. */
export async function rewindAndCheck(flights: Flights, order: RewindOrder): Promise<boolean> {
  const { dir, events, date, restoreSecondsMax } = order;
  const day = new Date(date).toISOString().slice(0, 10);
  const first = await firstRowFrom(flights, events, date);
  // Each commit holds as many events: its LSN says the row behind it.
  const lsn = Math.floor(first / eventsPerCommit);
  const row = lsn * eventsPerCommit;
  const started = performance.now();
  const options = { dir, restoreSecondsMax, retention: false } as const;
  await using engine = await openEngine({ ...options, recoverTo: { lsn } });
  const openMs = performance.now() - started;
  console.log(
    `\n${day} begins at event ${countText(first)}: back to commit ${countText(lsn)}, ` +
      `event ${countText(row)}, in ${durationText(openMs)}; now on timeline ${engine.recovery.timeline}`,
  );
  const comparisons = compareStates(jobStates(engine), await computeReference(flights, row));
  console.log(comparisonTable(comparisons));
  for (const line of differenceLines(comparisons)) console.log(line);
  const isThere = (engine.positions['flights'] ?? 0) === row;
  if (!isThere) console.log(`the position is ${String(engine.positions['flights'])}, not ${row}`);
  const left = await leftRow(engine);
  const isLeft = left === events;
  console.log(`the future that was left still ends at event ${String(left)}`);
  const same = isThere && isLeft && comparisons.every(({ differences }) => differences === 0);
  console.log(
    same
      ? `Identical: the store is as it was before ${day}.`
      : `DIFFERENT from a pass that ends before ${day}.`,
  );
  return same;
}

/** The position at the end of the timeline that was left. */
async function leftRow(engine: Engine): Promise<unknown> {
  const { rewound } = engine.recovery;
  // The day begins behind the last commit: nothing was left.
  if (!rewound) return engine.positions['flights'];
  const view = await engine.viewAt({ timeline: rewound.from.timeline });
  try {
    return view.positions['flights'];
  } finally {
    await view.close();
  }
}

/** The first row of a day or a later one; the rows are in the order of their departures. */
async function firstRowFrom(flights: Flights, events: number, date: number): Promise<number> {
  for await (const batch of flights.read(0, events)) {
    for (let row = batch.from; row < batch.to; row++) {
      if (batch.dates[row - batch.start]! >= date) return row;
    }
  }
  return events;
}
