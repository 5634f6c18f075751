/*
 * How the run shows while it goes on: a progress bar with notes above it on a terminal, and a few
 * plain lines where there is none.
 */
import { MultiBar, Presets } from 'cli-progress';

import type { Reading } from './meter.ts';
import { countText } from './text.ts';

/** Plain lines of progress in one run. */
const plainSteps = 5;

/** Shows progress; must be stopped before anything else is printed. */
export interface Display {
  update(reading: Reading): void;
  /** Shows a line that stays. */
  note(text: string): void;
  stop(): void;
}

/** Where a display writes to. */
export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Starts the display that suits the output. */
export function startDisplay(output: NodeJS.WriteStream, events: number): Display {
  return output.isTTY ? barDisplay(output, events) : plainDisplay(output, events);
}

function barDisplay(stream: NodeJS.WriteStream, events: number): Display {
  const bars = new MultiBar(
    {
      stream,
      format: '{bar} {percentage}% | {row} events | {rates}',
      hideCursor: true,
      barsize: 24,
      fps: 10,
    },
    Presets.shades_classic,
  );
  const bar = bars.create(events, 0, { row: '0', rates: '' });
  return {
    update: (reading) =>
      bar.update(reading.row, { row: countText(reading.row), rates: ratesText(reading) }),
    note: (text) => bars.log(`${text}\n`),
    stop: () => bars.stop(),
  };
}

/** Lines where the output is no terminal. */
export function plainDisplay(output: Output, events: number): Display {
  let shown = 0;
  return {
    update(reading) {
      const step = Math.floor((reading.row / events) * plainSteps);
      if (step <= shown) return;
      shown = step;
      output.write(`${countText(reading.row)} events | ${ratesText(reading)}\n`);
    },
    note: (text) => output.write(`${text}\n`),
    stop: () => undefined,
  };
}

function ratesText(reading: Reading): string {
  return [
    `${countText(reading.eventsPerSecond)} events/s`,
    `${countText(reading.commitsPerSecond)} commits/s`,
    `checkpoints ${reading.checkpoints}`,
    `kills ${reading.kills}`,
  ].join(' | ');
}
