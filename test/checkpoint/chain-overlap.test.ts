/*
 * The sample of a chain says how much of a run of snapshots stays.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sampleOverlap } from '../../src/checkpoint/chain-overlap.ts';
import { Entry } from '../../src/snapshot/entry.ts';
import { ops } from '../../src/snapshot/entry-format.ts';
import { Image } from '../../src/snapshot/image.ts';
import { SlabPool } from '../../src/snapshot/slab-pool.ts';
import { SliceBuilder } from '../../src/snapshot/slice-builder.ts';

const slabs = new SlabPool(0);

/** An image of keys by number, spread over the hashes; negative numbers are tombstones. */
function imageOf(keys: readonly number[]): Image {
  const builder = new SliceBuilder(slabs, 1 << 24, 1 << 16);
  const entry = new Entry();
  for (const key of keys.toSorted((a, b) => Math.abs(a) - Math.abs(b))) {
    const bytes = new TextEncoder().encode(String(Math.abs(key)).padStart(8, '0'));
    Object.assign(entry, { table: 16, hash: Math.abs(key) * 100_000, lsn: 1, timestamp: 1, bytes });
    entry.op = key < 0 ? ops.delete : ops.put;
    Object.assign(entry, { keyStart: 0, keyEnd: 8, subKeyEnd: 8, valueEnd: 8 });
    builder.append(entry);
  }
  const slice = builder.finish();
  return new Image(slice ? [slice] : [], { slabs, groupBits: 7 });
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);

test('disjoint snapshots: everything stays', () => {
  const share = sampleOverlap([imageOf(range(1, 100)), imageOf(range(100, 200))]);
  expect(share(0, 2)).toBe(1);
});

test('the same keys again and again: one of them stays', () => {
  const share = sampleOverlap([1, 2, 3, 4].map(() => imageOf(range(1, 50))));
  expect([share(0, 4), share(1, 2), share(1, 3), share(2, 1)]).toEqual([0.25, 0.5, 1 / 3, 1]);
});

test('tombstones: stay in a delta, go in a base with what they hide', () => {
  const base = imageOf(range(1, 11));
  const deletes = imageOf(range(1, 6).map((key) => -key));
  const share = sampleOverlap([base, deletes, imageOf([1])]);
  expect(share(0, 2)).toBe(5 / 15);
  expect(share(0, 3)).toBe(6 / 16);
  expect(share(1, 2)).toBe(5 / 6);
});

test('more entries than a sample takes: the share is of a range of hashes, and close', () => {
  const share = sampleOverlap([imageOf(range(1, 20_000)), imageOf(range(1, 10_000))]);
  expect(Math.abs(share(0, 2) - 2 / 3)).toBeLessThan(0.34);
  expect(share(0, 2)).toBeLessThan(1);
});

test('empty snapshots: nothing to share', () => {
  expect(sampleOverlap([imageOf([]), imageOf([])])(0, 2)).toBe(1);
});

test('any chain: what stays of a run is the newest of each key, in a base without tombstones', () => {
  const link = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 8 });
  const chains = fc.array(fc.tuple(link, fc.nat(3)), { minLength: 2, maxLength: 7 });
  fc.assert(
    fc.property(chains, (drafts) => {
      // Every so many of a link is a tombstone.
      const chain = drafts.map(([keys, every]) =>
        keys.map((key, i) => (every > 0 && i % every === 0 ? -key : key)),
      );
      const share = sampleOverlap(chain.map(imageOf));
      for (let start = 0; start < chain.length; start++) {
        for (let count = 1; start + count <= chain.length; count++) {
          const run = chain.slice(start, start + count);
          const newest = new Map(run.flat().map((key) => [Math.abs(key), key]));
          const kept = [...newest.values()].filter((key) => start > 0 || key > 0).length;
          const all = run.flat().length;
          expect(share(start, count)).toBe(all === 0 ? 1 : kept / all);
        }
      }
    }),
    { seed: 72, numRuns: 200 },
  );
});

test('slices behind the sample: are not looked at, table by table', () => {
  const builder = new SliceBuilder(slabs, 1 << 24, 1 << 16);
  const made = [16, 17].flatMap((table) => {
    const entry = new Entry();
    const bytes = new TextEncoder().encode('00000001');
    return [5, 0xffff_fff0].map((hash) => {
      Object.assign(entry, { table, hash, lsn: 1, timestamp: 1, bytes, op: ops.put });
      Object.assign(entry, { keyStart: 0, keyEnd: 8, subKeyEnd: 8, valueEnd: 8 });
      builder.append(entry);
      return builder.finish()!;
    });
  });
  const image = new Image(made, { slabs, groupBits: 7 });
  const below = [...image.slicesBelow(6)].map(({ facts }) => [facts.table, facts.firstHash]);
  expect(below).toEqual([
    [16, 5],
    [17, 5],
  ]);
  expect([...image.slicesBelow(5)]).toEqual([]);
  expect([...image.slicesBelow(0x1_0000_0000)]).toHaveLength(4);
});
