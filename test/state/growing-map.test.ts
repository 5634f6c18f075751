/*
 * The map of memtables against a JS Map: whatever is done to it, at every size at which it changes its
 * form, and with keys whose hashes are the same.
 */
import { array, assert, boolean, constantFrom, integer, property, record } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GrowingMap } from '../../src/state/growing-map.ts';
import { HashBucket } from '../../src/state/hash-bucket.ts';
import { keyHash, type MapKey } from '../../src/state/key-hash.ts';

const sorted = (entries: Iterable<[MapKey, number]>): [string, number][] =>
  [...entries]
    .map(([key, value]): [string, number] => [`${typeof key} ${key}`, value])
    .sort(([a], [b]) => (a < b ? -1 : 1));

const keys: readonly ((number: number) => MapKey)[] = [
  (number) => `key-${number}`,
  (number) => number,
  (number) => number * 2 ** 32 + number,
  (number) => number / 7,
  (number) => BigInt(number) + (1n << 70n),
];

describe.each(keys.map((keyOf) => ({ keyOf, shape: String(keyOf(12)) })))(
  'keys like $shape',
  ({ keyOf }) => {
    test('24,000 that come, change and go: as in a Map', () => {
      const map = new GrowingMap<number>();
      const model = new Map<MapKey, number>();
      let differences = 0;
      for (let i = 0; i < 24_000; i++) {
        const key = keyOf((i * 7919) % 24_007);
        map.set(key, i);
        model.set(key, i);
        const other = keyOf((i * 104_729) % 24_007);
        if (i % 3 === 0) differences += map.delete(other) === model.delete(other) ? 0 : 1;
        else differences += map.get(other) === model.get(other) ? 0 : 1;
        differences += map.size === model.size ? 0 : 1;
      }
      expect(differences).toBe(0);
      expect(sorted(map.entries())).toEqual(sorted(model));
      for (const key of model.keys()) differences += map.delete(key) ? 0 : 1;
      expect(differences).toBe(0);
      expect([...map.entries()]).toEqual([]);
      map.set(keyOf(1), 1);
      expect([map.get(keyOf(1)), map.get(keyOf(2)), map.size]).toEqual([1, undefined, 1]);
    });
  },
);

test('keys of every type with one text: each its own entry', () => {
  const map = new GrowingMap<number>();
  for (let i = 0; i < 200_000; i++) map.set(`filling ${i}`, i);
  const alike: MapKey[] = ['1', 1, 1n, 'true', true, ''];
  for (const [i, key] of alike.entries()) map.set(key, i);
  expect(alike.map((key) => map.get(key))).toEqual([0, 1, 2, 3, 4, 5]);
  expect(map.get('-0')).toBeUndefined();
  // Each bucket has been split by now.
  let differences = 0;
  for (let i = 0; i < 200_000; i++) differences += map.get(`filling ${i}`) === i ? 0 : 1;
  expect([differences, map.size]).toEqual([0, 200_006]);
});

test('an iteration while the map grows and shrinks: no entry twice, and those that stay', () => {
  const map = new GrowingMap<number>();
  for (let i = 0; i < 30_000; i++) map.set(i, i);
  const seen = new Set<MapKey>();
  const wrong: MapKey[] = [];
  let at = 30_000;
  for (const [key, value] of map.entries()) {
    if (seen.has(key) || value !== key) wrong.push(key);
    seen.add(key);
    if (at < 90_000) map.set(at, at++);
    if (at % 4 === 0 && at < 60_000) map.delete(at - 30_000 + 1);
  }
  for (let i = 0; i < 30_000; i += 2) if (!seen.has(i)) wrong.push(i);
  expect(wrong).toEqual([]);
});

test('a bucket of keys that hash alike: found, changed, deleted and moved as others are', () => {
  const few = integer({ min: 0, max: 40 });
  const step = record({
    key: few,
    hash: constantFrom(0, 1, -1, 0x1_0000),
    deletes: boolean(),
  });
  assert(
    property(array(step, { maxLength: 300 }), (steps) => {
      const bucket = new HashBucket<number>(0);
      const model = new Map<MapKey, number>();
      for (const [i, { key, hash, deletes }] of steps.entries()) {
        const name = `${hash} ${key}`;
        if (deletes) expect(bucket.delete(name, hash)).toBe(model.delete(name));
        else {
          expect(bucket.set(name, hash, i)).toBe(!model.has(name));
          model.set(name, i);
        }
        expect(bucket.get(name, hash)).toBe(model.get(name));
        expect(bucket.size).toBe(model.size);
      }
      expect(sorted(bucket.entries())).toEqual(sorted(model));
      const parts = [new HashBucket<number>(0), new HashBucket<number>(0)];
      bucket.moveTo(parts, 16);
      expect(sorted([...parts[0]!.entries(), ...parts[1]!.entries()])).toEqual(sorted(model));
      expect([...parts[1]!.entries()].every(([key]) => !/^[01] /.test(String(key)))).toBe(true);
    }),
    { seed: 5, numRuns: 200 },
  );
});

test('hashes: every character of a long text counts', () => {
  const long = 'x'.repeat(4000);
  const hashes = new Set<number>();
  for (let at = 0; at < long.length; at++) {
    hashes.add(keyHash(`${long.slice(0, at)}y${long.slice(at + 1)}`));
  }
  // Of 4000 hashes of 32 bits, two are the same by chance about once in five hundred runs.
  expect(hashes.size).toBeGreaterThan(3990);
});
