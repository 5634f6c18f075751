/*
 * The input: what is read is what the file holds, from any row on, across row groups.
 */
import { describe, expect, test } from 'vitest';

import { dayOf, openFlights, type FlightBatch } from '../../src/demo/flights.ts';

/** Rows of one of the file's row groups, but for the last. */
const groupRows = 272_727;

async function readAll(from: number, to: number): Promise<FlightBatch[]> {
  const batches = [];
  for await (const batch of (await openFlights()).read(from, to)) batches.push(batch);
  return batches;
}

function rowOf(batch: FlightBatch, row: number): unknown[] {
  const index = row - batch.start;
  const { dates, delays, distances, origins, destinations } = batch;
  const at = new Date(dates[index]!).toISOString();
  return [at, delays[index], distances[index], origins[index], destinations[index]];
}

describe('reading flights', () => {
  test('the file: three million rows', async () => {
    expect((await openFlights()).rows).toBe(3_000_000);
  });

  test('the first rows: one batch with their values', async () => {
    const batches = await readAll(0, 2);
    expect(batches.map(({ start, from, to }) => [start, from, to])).toEqual([[0, 0, 2]]);
    expect(rowOf(batches[0]!, 0)).toEqual(['2001-01-01T00:01:00.000Z', 33, 2176, 'LAS', 'PHL']);
    expect(rowOf(batches[0]!, 1)).toEqual(['2001-01-01T00:01:00.000Z', 19, 215, 'ATL', 'SAV']);
  });

  test('rows on both sides of a border of row groups: two batches that meet there', async () => {
    const batches = await readAll(groupRows - 2, groupRows + 3);
    expect(batches.map(({ start, from, to }) => [start, from, to])).toEqual([
      [0, groupRows - 2, groupRows],
      [groupRows, groupRows, groupRows + 3],
    ]);
    expect(batches[0]!.dates.at(-1)).toBeLessThanOrEqual(batches[1]!.dates[0]!);
  });

  test('a row in the middle: only its row group is read', async () => {
    const row = 5 * groupRows + 17;
    const batches = await readAll(row, row + 1);
    expect(batches.map(({ start, from, to }) => [start, from, to])).toEqual([
      [5 * groupRows, row, row + 1],
    ]);
  });

  test('the last row: the last batch ends with it', async () => {
    const batches = await readAll(2_999_999, 3_000_000);
    expect(batches).toHaveLength(1);
    expect(rowOf(batches[0]!, 2_999_999)[0]).toBe('2001-07-01T00:00:00.000Z');
    expect(batches[0]!.origins).toHaveLength(3_000_000 - batches[0]!.start);
  });

  test('no rows: no batches', async () => {
    expect(await readAll(3_000_000, 3_000_000)).toHaveLength(0);
    expect(await readAll(5, 5)).toHaveLength(0);
  });
});

describe('the day of a moment', () => {
  test('midnight: the day that begins', () => {
    expect(dayOf(Date.UTC(2001, 0, 31))).toBe('2001-01-31');
  });

  test('the last millisecond: the day that ends', () => {
    expect(dayOf(Date.UTC(2001, 1, 1) - 1)).toBe('2001-01-31');
  });
});
