/*
 * What a flight makes of its route's values, against the reference that computes them another way.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { dayOf, type FlightBatch, type Flights } from '../../src/demo/flights.ts';
import type { DayTotal, Delay, RouteStats } from '../../src/demo/model.ts';
import { computeReference } from '../../src/demo/reference.ts';
import { insertDelay, nextDay, nextStats } from '../../src/demo/updates.ts';

interface Flight {
  readonly at: number;
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

/** Flights in batches of at most so many rows. */
function flightsOf(rows: readonly Flight[], batchRows: number): Flights {
  async function* read(from: number, to: number): AsyncGenerator<FlightBatch> {
    for (let start = 0; start < rows.length; start += batchRows) {
      const end = Math.min(start + batchRows, rows.length);
      if (from >= end || to <= start) continue;
      const batch = rows.slice(start, end);
      yield {
        start,
        from: Math.max(from, start),
        to: Math.min(to, end),
        dates: Float64Array.from(batch, ({ at }) => at),
        delays: Int32Array.from(batch, ({ delay }) => delay),
        distances: Int32Array.from(batch, ({ distance }) => distance),
        origins: batch.map(({ origin }) => origin),
        destinations: batch.map(({ destination }) => destination),
      };
    }
  }
  return { rows: rows.length, read };
}

const flight: fc.Arbitrary<Flight> = fc.record({
  at: fc.integer({ min: 0, max: 5 * 86_400_000 }),
  delay: fc.integer({ min: -30, max: 30 }),
  distance: fc.integer({ min: 1, max: 5000 }),
  origin: fc.constantFrom('ATL', 'LAX'),
  destination: fc.constantFrom('JFK', 'SAV'),
});

describe('the values of a route', () => {
  test('random flights: the job and the reference agree on every state', async () => {
    const rows = fc.array(flight, { minLength: 1, maxLength: 1500, size: 'max' });
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 700 }), async (all, batchRows) => {
        const reference = await computeReference(flightsOf(all, batchRows), all.length);
        const stats = new Map<string, RouteStats>();
        const worst = new Map<string, readonly Delay[]>();
        const days = new Map<string, Map<string, DayTotal>>();
        for (const { at, delay, distance, origin, destination } of all) {
          const route = `${origin}-${destination}`;
          stats.set(route, nextStats(stats.get(route), delay, distance));
          worst.set(route, insertDelay(worst.get(route), delay, at));
          if (!days.has(route)) days.set(route, new Map());
          const totals = days.get(route)!;
          totals.set(dayOf(at), nextDay(totals.get(dayOf(at)), delay));
        }
        expect(reference.stats).toEqual(stats);
        expect(reference.worst).toEqual(worst);
        expect(reference.days).toEqual(days);
        for (const [airport, departures] of reference.departures) {
          const flown = all.filter(({ origin }) => origin === airport);
          expect(departures).toBe(flown.length);
          expect(reference.recent.get(airport)).toEqual(
            flown.slice(-10).map(({ at, destination, delay }) => ({ at, destination, delay })),
          );
        }
      }),
      { seed: 20_010_101, numRuns: 30 },
    );
  });

  test('fewer events than rows: the rest is not counted', async () => {
    const row = { at: 0, delay: 1, distance: 9, origin: 'ATL', destination: 'SAV' };
    const reference = await computeReference(flightsOf([row, row, row], 2), 2);
    expect(reference.stats.get('ATL-SAV')?.flights).toBe(2);
  });

  test('a first flight: minimum and maximum are its delay', () => {
    expect(nextStats(undefined, -7, 100)).toEqual({
      flights: 1,
      delaySum: -7,
      delaySquareSum: 49,
      delayMin: -7,
      delayMax: -7,
      distanceSum: 100,
    });
  });

  test('a delay that is none of the worst: the same array', () => {
    const full = Array.from({ length: 10 }, (_, index) => ({ delay: 20 - index, at: index }));
    expect(insertDelay(full, 11, 99)).toBe(full);
  });

  test('a delay among the worst: the array that was stored is not changed', () => {
    const stored = Object.freeze([{ delay: 5, at: 1 }]);
    expect(insertDelay(stored, 6, 2)).toEqual([
      { delay: 6, at: 2 },
      { delay: 5, at: 1 },
    ]);
  });
});
