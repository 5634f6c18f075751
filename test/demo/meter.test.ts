/*
 * The sums over the lives of the job, and the rates of the last second.
 */
import { describe, expect, test } from 'vitest';

import type { Progress } from '../../src/demo/messages.ts';
import { Meter } from '../../src/demo/meter.ts';

function progressOf(durableRow: number, commits: number): Progress {
  const bytes = { logBytes: commits * 10, checkpointBytes: commits };
  const checkpoints = { checkpointing: false, checkpoints: commits };
  return { durableRow, events: commits * 1000, commits, ...checkpoints, ...bytes };
}

describe('a meter', () => {
  test('nothing reported: all zero', () => {
    expect(new Meter().read()).toEqual({
      row: 0,
      eventsPerSecond: 0,
      commitsPerSecond: 0,
      checkpoints: 0,
      kills: 0,
    });
  });

  test('two lives: the reports of the second are added to the last of the first', () => {
    const meter = new Meter();
    meter.progress(progressOf(3000, 3), 100);
    meter.progress(progressOf(5000, 5), 200);
    meter.killed();
    meter.opened(6000);
    expect(meter.read()).toMatchObject({ row: 6000, kills: 1, checkpoints: 5 });
    meter.progress(progressOf(8000, 2), 300);
    expect(meter.read()).toMatchObject({ row: 8000, kills: 1, checkpoints: 7 });
    expect(meter.totals).toEqual({
      events: 7000,
      commits: 7,
      checkpoints: 7,
      logBytes: 70,
      checkpointBytes: 7,
    });
  });

  test('reports over half a second: the rate since the start', () => {
    const meter = new Meter();
    meter.progress(progressOf(10_000, 10), 500);
    expect(meter.read()).toMatchObject({ eventsPerSecond: 20_000, commitsPerSecond: 20 });
  });

  test('reports over many seconds: the rate of the last one', () => {
    const meter = new Meter();
    meter.progress(progressOf(10_000, 10), 1000);
    meter.progress(progressOf(20_000, 20), 2000);
    meter.progress(progressOf(80_000, 80), 3000);
    expect(meter.read()).toMatchObject({ eventsPerSecond: 60_000, commitsPerSecond: 60 });
  });
});
