/*
 * Every way in which a state can differ from what is expected shows, and equal states show none.
 */
import { describe, expect, test } from 'vitest';

import { compareState, type Comparison } from '../../src/demo/compare.ts';

type Entries = readonly (readonly [string, unknown])[];

/** Compares what iterating gives, and what reading gives, with what is expected. */
function compare(expected: Entries, entries: Entries, reads: Entries = entries): Comparison {
  const read = new Map(reads);
  return compareState({
    state: 'routes.stats',
    entries: () => entries,
    expected: () => expected.map(([key, value]) => [key, value, read.get(key)] as const),
  });
}

const two: Entries = [
  ['ATL-SAV', { flights: 1 }],
  ['LAX-JFK', [{ delay: 3, at: 0 }]],
];

describe('comparing a state', () => {
  test('equal entries in another order: no difference', () => {
    expect(compare(two, two.toReversed())).toEqual({
      state: 'routes.stats',
      entries: 2,
      differences: 0,
      shown: [],
    });
  });

  test('nothing expected and nothing held: no difference', () => {
    expect(compare([], [])).toMatchObject({ entries: 0, differences: 0 });
  });

  test('a lost entry: found by reading and by iterating', () => {
    const { differences, shown } = compare(two, two.slice(1));
    expect(differences).toBe(2);
    expect(shown).toEqual([
      { key: 'ATL-SAV', how: 'reading', expected: { flights: 1 }, actual: undefined },
      { key: 'ATL-SAV', how: 'iterating', expected: { flights: 1 }, actual: undefined },
    ]);
  });

  test('an entry that is found by its key only: found by iterating', () => {
    const { shown } = compare(two, two.slice(1), two);
    expect(shown.map(({ key, how }) => [key, how])).toEqual([['ATL-SAV', 'iterating']]);
  });

  test('an entry that is given by iterating only: found by reading', () => {
    const { shown } = compare(two, two, two.slice(1));
    expect(shown.map(({ key, how }) => [key, how])).toEqual([['ATL-SAV', 'reading']]);
  });

  test('an entry too many: found by iterating', () => {
    const { differences, shown } = compare(two, [...two, ['ORD-BOS', 1]]);
    expect(differences).toBe(1);
    expect(shown).toEqual([{ key: 'ORD-BOS', how: 'iterating', expected: undefined, actual: 1 }]);
  });

  test('the same entry twice: the second is one too many', () => {
    const { shown } = compare(two, [...two, two[0]!]);
    expect(shown.map(({ key, how }) => [key, how])).toEqual([['ATL-SAV', 'iterating']]);
  });

  test('a wrong value: found by reading and by iterating', () => {
    const { differences } = compare(two, [['ATL-SAV', { flights: 2 }], two[1]!]);
    expect(differences).toBe(2);
  });

  test('a value with a field too many: a difference', () => {
    const { differences } = compare(two, [['ATL-SAV', { flights: 1, extra: 0 }], two[1]!]);
    expect(differences).toBe(2);
  });

  test('more differences than are shown: all are counted', () => {
    const many = Array.from({ length: 100 }, (_, index) => [`route ${index}`, index] as const);
    const { differences, shown } = compare(many, []);
    expect(differences).toBe(200);
    expect(shown).toHaveLength(5);
  });
});
