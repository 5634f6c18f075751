/*
 * Ranges of a merge: they cover everything once, and stand at key groups.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  countOverlapping,
  overlapping,
  overlaps,
  planRanges,
  planRangesIn,
  type SliceSpan,
} from '../../src/snapshot/merge-ranges.ts';

const greatest = 0xffff_ffff;
const span = (
  table: number,
  firstHash: number,
  lastHash: number,
  dataBytes: number,
): SliceSpan => ({
  table,
  firstHash,
  lastHash,
  dataBytes,
});

test('nothing to merge, or little: one range of everything', () => {
  expect(planRanges([], 7, 1000)).toHaveLength(1);
  expect(planRanges([span(1, 0, 5, 10), span(16, 0, greatest, 900)], 7, 1000)).toHaveLength(1);
});

test('a large table: cut at key groups, into parts of about the target', () => {
  const ranges = planRanges([span(16, 0, greatest, 1000)], 2, 250);
  expect(ranges.map(({ to }) => [to.table, to.hash])).toEqual([
    [16, 0x4000_0000],
    [16, 0x8000_0000],
    [16, 0xc000_0000],
    [Infinity, 0],
  ]);
});

test('one key group above the target: a range of its own, never cut', () => {
  const ranges = planRanges([span(16, 5, 5, 5000), span(16, 0x4000_0000, greatest, 100)], 2, 250);
  expect(ranges.map(({ to }) => to.hash)).toEqual([0x4000_0000, 0]);
});

test('small tables: as many together as the target takes, cut between them', () => {
  const spans = [16, 17, 18, 19, 20].map((table) => span(table, 5, greatest, 400));
  const ranges = planRanges(spans, 16, 1000);
  expect(ranges.map(({ to }) => [to.table, to.hash])).toEqual([
    [18, 0],
    [20, 0],
    [Infinity, 0],
  ]);
});

test('slices in order: those that overlap a range are found by halving as one by one', () => {
  const borders = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat(40)), {
    minLength: 4,
    maxLength: 30,
  });
  fc.assert(
    fc.property(borders, (given) => {
      const sorted = given.toSorted(([a, x], [b, y]) => a - b || x - y);
      const spans: SliceSpan[] = [];
      for (let i = 1; i < sorted.length; i++) {
        const [[table, first], [other, last]] = [sorted[i - 1]!, sorted[i]!];
        // The next one may start at the hash at which this one ends.
        if (table === other) spans.push(span(table, first, last, 1));
      }
      for (const [table, hash] of given) {
        for (const width of [1, 7, 100]) {
          const from = { table, hash };
          const to = width === 100 ? { table: table + 1, hash: 3 } : { table, hash: hash + width };
          const range = { from, to };
          expect(overlapping(spans, range, (one) => one)).toEqual(
            spans.filter((one) => overlaps(one, range)),
          );
        }
      }
    }),
    { seed: 71, numRuns: 300 },
  );
});

test('without key groups: cut between tables only', () => {
  const ranges = planRanges([span(16, 0, greatest, 1000), span(17, 0, greatest, 1000)], 0, 500);
  expect(ranges.map(({ to }) => to.table)).toEqual([17, Infinity]);
});

test('any slices: ranges follow each other without a gap, borders at key groups, every slice met', () => {
  const spans = fc.array(
    fc.record({
      table: fc.integer({ min: 1, max: 20 }),
      firstHash: fc.nat(greatest),
      width: fc.nat(greatest),
      dataBytes: fc.integer({ min: 1, max: 100_000 }),
    }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(
      spans,
      fc.integer({ min: 0, max: 9 }),
      fc.integer({ min: 1, max: 50_000 }),
      (given, bits, target) => {
        const made = given.map(({ table, firstHash, width, dataBytes }) =>
          span(table, firstHash, Math.min(greatest, firstHash + width), dataBytes),
        );
        const ranges = planRanges(made, bits, target);
        expect([ranges[0]!.from.table, ranges.at(-1)!.to.table]).toEqual([0, Infinity]);
        ranges.forEach(({ from, to }, i) => {
          if (i > 0) expect(from).toEqual(ranges[i - 1]!.to);
          expect(to.table > from.table || to.hash > from.hash).toBe(true);
          if (to.hash !== 0) expect(to.hash % 2 ** (32 - bits)).toBe(0);
        });
        for (const one of made) expect(ranges.some((range) => overlaps(one, range))).toBe(true);
      },
    ),
    { seed: 20_261_121, numRuns: 200 },
  );
});

test('ranges that a slice has a part in: as many as overlap it, gaps between parts or not', () => {
  const hash = fc.integer({ min: 0, max: greatest });
  const spanArbitrary = fc
    .record({ table: fc.integer({ min: 14, max: 18 }), a: hash, b: hash })
    .map(({ table, a, b }) => span(table, Math.min(a, b), Math.max(a, b), 1000));
  const parts = [
    { from: { table: 15, hash: 0x4000_0000 }, to: { table: 16, hash: 0x2000_0000 } },
    { from: { table: 16, hash: 0x8000_0000 }, to: { table: 18, hash: 0 } },
  ];
  const whole = [{ from: { table: 0, hash: 0 }, to: { table: Infinity, hash: 0 } }];
  fc.assert(
    fc.property(fc.array(spanArbitrary, { maxLength: 12 }), fc.boolean(), (spans, cut) => {
      const ranges = planRangesIn(cut ? parts : whole, spans, 4, 700);
      for (const one of spans) {
        const expected = ranges.filter((range) => overlaps(one, range)).length;
        expect(countOverlapping(ranges, one)).toBe(expected);
      }
    }),
    { seed: 7, numRuns: 200 },
  );
});
