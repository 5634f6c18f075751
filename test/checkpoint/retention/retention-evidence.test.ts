/*
 * What is kept as evidence of damage in the log: the low-water record does not rise over it, whatever
 * else goes.
 */
import { describe, expect, test } from 'vitest';
import { planRetention } from '../../../src/checkpoint/retention/retention-plan.ts';
import type { TimelineRecord } from '../../../src/checkpoint/timelines/timeline-record.ts';
import { Timelines } from '../../../src/checkpoint/timelines/timelines.ts';
import { CorruptionError } from '../../../src/errors.ts';
import { chainStart } from '../../../src/wal/chain-value.ts';
import { lineOf, segmentOf, threeBases } from './retention-fixture.ts';

const one = { checkpoints: 1 };

describe('the log of a future that goes', () => {
  /** Timeline 3 is the current one, and has all of the first; timeline 2 left that at LSN 5. */
  const timelines = new Timelines([leaving(2, 5, 1), leaving(3, 1000, 1000)]);
  const future = { name: 'wal/0000000002-00000002.wal', bytes: 1000, number: 2, timeline: 2 };

  const planned = (walkedFrom: number, change: object = {}) => {
    const input = threeBases().input({ settings: one });
    const { segments } = input.inventory.log;
    const own = segments.map(({ name, bytes, number, timeline, firstLsn }) => {
      return {
        name,
        bytes,
        number,
        timeline,
        firstLsn: number < walkedFrom ? undefined : firstLsn,
      };
    });
    const brokenBy = walkedFrom > 1 ? 'a header is damaged' : undefined;
    const log = { lowWater: undefined, segments: [{ ...future, firstLsn: undefined }, ...own] };
    const inventory = { ...input.inventory, timelines, log: { ...log, brokenBy }, ...change };
    return planRetention({ ...input, inventory });
  };

  test('the walk is whole: it goes, and the low-water record rises with the log', () => {
    const plan = planned(1);
    expect(lineOf(plan, future.name)).toMatch(/^delete expired/);
    expect(plan.lowWater).toEqual({ timeline: 1, lsn: 31, segment: 4 });
  });

  test('the walk is broken above what is needed: all below stays, and the record does not rise', () => {
    const plan = planned(6);
    expect(lineOf(plan, segmentOf(5))).toBe('keep damaged: a header is damaged');
    expect(lineOf(plan, future.name)).toBe('keep damaged: a header is damaged');
    expect(plan.lowWater).toBeUndefined();
  });

  test('its record cannot be read: it stays, below the low-water record too', () => {
    const fault = new CorruptionError('CORRUPT_RECORD', 'x', { path: 'x', offset: 0 });
    const damaged = new Timelines([leaving(3, 1000, 1000)], new Map([[2, fault]]));
    const plan = planned(1, { timelines: damaged });
    expect(plan.lowWater?.segment).toBe(4);
    const { log } = threeBases().input().inventory;
    const segments = [{ ...future, firstLsn: undefined }, ...log.segments];
    const after = { ...log, segments, lowWater: plan.lowWater };
    const next = planned(1, { timelines: damaged, log: after });
    expect(lineOf(next, segmentOf(1))).toMatch(/^delete leftover/);
    expect(lineOf(next, future.name)).toMatch(/^keep damaged: is of timeline 2/);
  });
});

/** The record of a timeline that left the first one. */
function leaving(id: number, lsn: number, segment: number): TimelineRecord {
  const position = { lsn, segment, timeline: 1, offset: 128, chain: chainStart };
  const fork = { parent: 1, lsn, position, end: 128 };
  const times = { forkTimestamp: 0, createdAt: 0, epoch: 1 };
  return { id, storeId: '', fork, ...times, from: { timeline: 1, lsn } };
}
