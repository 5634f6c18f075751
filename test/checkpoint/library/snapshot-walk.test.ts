/*
 * Walking files side by side: ranges joined are the files, clears of tables reach into the ranges
 * that they cover, and what is in memory does not grow with the files.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  closeSnapshotFiles,
  openSnapshotFiles,
} from '../../../src/checkpoint/library/snapshot-file.ts';
import { writeOutput } from '../../../src/checkpoint/library/snapshot-output.ts';
import { walkRanges } from '../../../src/checkpoint/library/snapshot-walk.ts';
import { MemoryFileSystem } from '../../../src/fs/memory-file-system.ts';
import { ops } from '../../../src/snapshot/entry-format.ts';
import { MergeIterator } from '../../../src/snapshot/merge-iterator.ts';
import { SlabPool } from '../../../src/snapshot/slab-pool.ts';
import { Turns } from '../../../src/snapshot/task-context.ts';
import type { Change, Commit } from '../../snapshot/log-builder.ts';
import { describeEntry, runOf, viewOf, type HashOf } from '../../snapshot/runs.ts';

const groupBits = 1;
const turns = new Turns({ yieldNow: () => Promise.resolve(), cancelled: () => false });
const spread: HashOf = (key) => Math.imul(key[0]! * 31 + key.length, 0x9e37_79b1) >>> 0;
const few: HashOf = (key) => (key[0]! % 3) * 0x3000_0000;

/** Counts the slabs that are out. */
class CountedSlabs extends SlabPool {
  out = 0;
  most = 0;

  constructor() {
    super(0);
  }

  override acquire(bytes: number): SharedArrayBuffer {
    this.most = Math.max(this.most, ++this.out);
    return super.acquire(bytes);
  }

  override release(slab: SharedArrayBuffer): void {
    this.out--;
    super.release(slab);
  }
}

interface Delta {
  readonly commits: readonly Commit[];
  readonly firstLsn: number;
}

/** Writes each delta into a file of small slices. */
async function writeFiles(
  fs: MemoryFileSystem,
  deltas: readonly Delta[],
  hashOf: HashOf,
  sliceBytesMax: number,
): Promise<string[]> {
  const paths: string[] = [];
  for (const [i, { commits, firstLsn }] of deltas.entries()) {
    const path = `/delta-${i}`;
    const lastTimestamp = commits.at(-1)!.timestamp;
    const run = runOf(commits, firstLsn, { hashOf, groupBits });
    const options = { base: false, lastTimestamp, rules: [], groupBits };
    const header = {
      kind: 'delta',
      storeId: new Uint8Array(16),
      timeline: 1,
      epoch: 1,
      fromLsn: firstLsn - 1,
      lastLsn: firstLsn - 1 + commits.length,
      lastTimestamp,
      seed: { low: 1, high: 2 },
      groupBits,
    } as const;
    await writeOutput(
      fs,
      { path, header, compression: { codec: 'none' }, parents: [] },
      { slabs: new SlabPool(0), turns, sliceBytesMax },
      (sink) => sink.drain(new MergeIterator([run], options)),
    );
    paths.push(path);
  }
  return paths;
}

const change: fc.Arbitrary<Change> = fc
  .record({
    table: fc.constantFrom(16, 17),
    op: fc.constantFrom(ops.put, ops.put, ops.put, ops.delete, ops.clearKey, ops.clearTable),
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
    value: fc.constantFrom('1', 'long value'),
  })
  .map(({ table, op, key, value }): Change => {
    if (op === ops.put) return { table, op, key, value };
    return { table, op, key: op === ops.clearTable ? '' : key };
  });
const commitList = fc.array(change, { minLength: 1, maxLength: 12 });

test.each([
  ['spread', spread],
  ['few', few],
])('any deltas, keys with %s hashes: merged range by range as in one go', async (_, hashOf) => {
  const property = fc.asyncProperty(
    fc.array(commitList, { minLength: 1, maxLength: 3 }),
    fc.integer({ min: 50, max: 300 }),
    async (lists, sliceBytesMax) => {
      let lsn = 1;
      const deltas = lists.map((changes): Delta => {
        const firstLsn = lsn;
        lsn += changes.length;
        return {
          firstLsn,
          commits: changes.map((one, i) => ({ timestamp: firstLsn + i, changes: [one] })),
        };
      });
      const fs = new MemoryFileSystem();
      const files = await openSnapshotFiles(
        fs,
        await writeFiles(fs, deltas, hashOf, sliceBytesMax),
      );
      const runs = deltas.map(({ commits, firstLsn }) =>
        runOf(commits, firstLsn, { hashOf, groupBits }),
      );
      const slabs = new CountedSlabs();
      const live: string[] = [];
      let before: { table: number; lastHash: number } | undefined;
      for await (const { table, firstHash, lastHash, cursors } of walkRanges(files, {
        slabs,
        turns,
      })) {
        if (before?.table === table) expect(firstHash).toBe(before.lastHash + 1);
        before = { table, lastHash };
        const options = { base: true, lastTimestamp: lsn, rules: [], groupBits };
        const merge = new MergeIterator(cursors, options);
        while (merge.next()) {
          expect(merge.table).toBe(table);
          expect(merge.hash).toBeGreaterThanOrEqual(firstHash);
          expect(merge.hash).toBeLessThanOrEqual(lastHash);
          live.push(describeEntry(merge));
        }
      }
      expect(live.sort()).toEqual(viewOf(runs, lsn, { rules: [], groupBits }));
      expect(slabs.out).toBe(0);
      await closeSnapshotFiles(files);
    },
  );
  await fc.assert(property, { seed: 8, numRuns: 150 });
});

test('large files of small slices: a slice or two of each in memory, and none when left early', async () => {
  const fs = new MemoryFileSystem();
  const deltas = [0, 1, 2].map((i): Delta => {
    const changes = Array.from({ length: 800 }, (_, j) => ({
      table: 16,
      op: ops.put,
      key: `${String.fromCodePoint(33 + ((i + j) % 90))}${'x'.repeat(j % 50)}`,
      value: 'some value',
    }));
    return { firstLsn: i + 1, commits: [{ timestamp: i + 1, changes }] };
  });
  const files = await openSnapshotFiles(fs, await writeFiles(fs, deltas, spread, 1000));
  const slices = files.reduce((sum, { reader }) => sum + reader.sliceCount, 0);
  expect(slices).toBeGreaterThan(60);
  const slabs = new CountedSlabs();
  let ranges = 0;
  for await (const range of walkRanges(files, { slabs, turns })) {
    expect(range.cursors).toHaveLength(3);
    ranges++;
  }
  expect(ranges).toBeGreaterThan(20);
  expect(slabs.most).toBeLessThanOrEqual(9);
  expect(slabs.out).toBe(0);
  for await (const _ of walkRanges(files, { slabs, turns })) break;
  expect(slabs.out).toBe(0);
  await closeSnapshotFiles(files);
});

test('a range of hashes inside a key group: its clear is read, however far before it stands', async () => {
  const fs = new MemoryFileSystem();
  const put = (key: string): Change => ({ table: 16, op: ops.put, key, value: 'v' });
  const commits: Commit[] = [
    { timestamp: 1, changes: ['a', 'b', 'c', 'd', 'e', 'f'].map(put) },
    { timestamp: 2, changes: [{ table: 16, op: ops.clearTable, key: '' }] },
    { timestamp: 3, changes: [put('a'), put('f')] },
  ];
  const inGroup: HashOf = (key) => (key[0]! - 96) * 0x1000_0000;
  const deltas = [{ commits, firstLsn: 1 }];
  const files = await openSnapshotFiles(fs, await writeFiles(fs, deltas, inGroup, 60));
  const walk = walkRanges(files, { slabs: new SlabPool(0), turns, firstHash: 0x5000_0000 });
  const found: number[] = [];
  for await (const { cursors } of walk) {
    while (cursors[0]!.next()) found.push(cursors[0]!.op);
  }
  expect(found[0]).toBe(ops.clearTable);
  expect(found).toContain(ops.put);
  await closeSnapshotFiles(files);
});
