import { describe, expect, test } from 'vitest';
import type { BuiltInCodecName } from '../../src/codec/compression.ts';
import { TidemarkError } from '../../src/errors.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { slicesCursor } from '../../src/snapshot/log-fold.ts';
import {
  buildDelta,
  buildTail,
  loadSnapshot,
  verifySnapshot,
  type TaskContext,
} from '../../src/snapshot/tasks.ts';
import { put, readFile, writeFile, writeLog } from './log-builder.ts';
import { build, commitsOf, context, logOf, shared } from './log-files.ts';
import { Model } from './model.ts';
import { sliceTexts, viewOf } from './runs.ts';

async function errorOf(task: Promise<unknown>): Promise<TidemarkError> {
  const error: unknown = await task.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TidemarkError);
  return error as TidemarkError;
}

describe('buildDelta', () => {
  test.each<BuiltInCodecName>(['none', 'lz4', 'snappy', 'zstd', 'gzip', 'brotli'])(
    'codec %s: the image is the file, and the view that of the replayed log',
    async (codec) => {
      const commits = commitsOf(300);
      const { fs, ranges } = await logOf([commits]);
      const output = await build(fs, { ranges, compression: { codec }, sliceBytesMax: 1 << 20 });
      expect(output).toMatchObject({ lastLsn: 300, lastTimestamp: 3000, commitCount: 300 });
      expect(output.logBytes).toBe(ranges[0]!.end - ranges[0]!.start);
      const model = new Model();
      for (const commit of commits) model.apply(commit);
      const view = viewOf([slicesCursor(output.slices)], 3000, shared);
      expect(view).toEqual(model.view(3000, new Map()));
      const { sha256, bytes } = output;
      const verification = 'full';
      const input = { path: '/d/staged', sha256, bytes, verification } as const;
      const loaded = await loadSnapshot(fs, input, context);
      expect(sliceTexts(loaded.slices)).toEqual(sliceTexts(output.slices));
      expect(loaded.tables).toEqual(output.tables);
      expect(loaded.header).toMatchObject({ kind: 'delta', fromLsn: 0, lastLsn: 300, epoch: 2 });
      expect((await fs.stat('/d/staged'))?.bytes).toBe(bytes);
    },
  );

  test('blocks that compress: the file is smaller than its entries', async () => {
    const { fs, ranges } = await logOf([commitsOf(300)]);
    const raw = await build(fs, { ranges, compression: { codec: 'none' }, sliceBytesMax: 1 << 20 });
    const stagedPath = '/d/other';
    const packed = await build(fs, { ranges, stagedPath, sliceBytesMax: 1 << 20 });
    expect(packed.dataBytes).toBe(raw.dataBytes);
    expect(packed.bytes).toBeLessThan(raw.bytes);
    expect(raw.bytes).toBeGreaterThan(raw.dataBytes);
  });

  test('entries larger than a block, and slices of many blocks: loaded as they were built', async () => {
    const changes = Array.from({ length: 9 }, (_, i) =>
      put(16, `k${i}`, Buffer.alloc(50_000 * (i % 3), `value ${i}`).toString()),
    );
    const { fs, ranges } = await logOf([[{ timestamp: 1, changes }]]);
    for (const [i, codec] of (['none', 'lz4'] as const).entries()) {
      const stagedPath = `/d/staged${i}`;
      const output = await build(fs, {
        ranges,
        compression: { codec },
        stagedPath,
        sliceBytesMax: 1 << 24,
      });
      const loaded = await loadSnapshot(fs, { path: stagedPath, verification: 'full' }, context);
      expect(sliceTexts(loaded.slices)).toEqual(sliceTexts(output.slices));
    }
  });

  test('twenty segments: the same bytes as one, although runs are folded on the way', async () => {
    const commits = commitsOf(200);
    const parts = Array.from({ length: 20 }, (_, i) => commits.slice(i * 10, i * 10 + 10));
    const many = await logOf(parts);
    const one = await logOf([commits]);
    const options = { base: true };
    const fromMany = await build(many.fs, { ...options, ranges: many.ranges });
    const fromOne = await build(one.fs, { ...options, ranges: one.ranges });
    expect(fromMany.sha256).toBe(fromOne.sha256);
    expect(fromMany).toMatchObject({ commitCount: 200, lastLsn: 200 });
    expect(fromMany.spareSlabs.length).toBeGreaterThan(0);
  });

  test('no commits: an empty snapshot that ends where it starts', async () => {
    const { fs, ranges } = await logOf([commitsOf(3)]);
    const input = { ranges, fromLsn: 3, fromTimestamp: 30, lastLsn: 3 };
    const output = await build(fs, input);
    expect(output).toMatchObject({ entryCount: 0, lastLsn: 3, lastTimestamp: 30, commitCount: 0 });
    const loaded = await loadSnapshot(fs, { path: '/d/staged' }, context);
    expect(loaded.header).toMatchObject({ fromLsn: 3, lastLsn: 3, lastTimestamp: 30 });
  });

  test('a part of the log: LSNs outside it are left out', async () => {
    const { fs, ranges } = await logOf([commitsOf(10), commitsOf(10, 11)]);
    const output = await build(fs, { ranges, fromLsn: 4, lastLsn: 15, rules: [] });
    expect(output).toMatchObject({ commitCount: 11, lastLsn: 15, lastTimestamp: 150 });
  });

  test('a timeline that forked inside a segment: the abandoned commits are left out', async () => {
    const { fs, ranges } = await logOf([commitsOf(10)]);
    const forked = { ...ranges[0]!, throughLsn: 6 };
    expect(await build(fs, { ranges: [forked] })).toMatchObject({ lastLsn: 6, commitCount: 6 });
  });

  test('a gap between segments, or an end that is not due: LOG_HOLE', async () => {
    const { fs, ranges } = await logOf([commitsOf(5), commitsOf(5, 6), commitsOf(5, 11)]);
    const gap = await errorOf(build(fs, { ranges: [ranges[0]!, ranges[2]!] }));
    expect(gap).toMatchObject({ code: 'LOG_HOLE', details: { expected: 6, actual: 11 } });
    const short = await errorOf(build(fs, { ranges, lastLsn: 16 }));
    expect(short).toMatchObject({ code: 'LOG_HOLE', details: { expected: 16, actual: 15 } });
    const late = await errorOf(build(fs, { ranges: [ranges[1]!], fromLsn: 0 }));
    expect(late).toMatchObject({ code: 'LOG_HOLE', details: { expected: 1, actual: 6 } });
    expect(await fs.stat('/d/staged')).toBeUndefined();
  });

  test('a base that does not start at the beginning: INVARIANT', async () => {
    const { fs, ranges } = await logOf([commitsOf(5)]);
    const error = await errorOf(build(fs, { ranges, base: true, fromLsn: 2 }));
    expect(error.code).toBe('INVARIANT');
  });
});

describe('buildTail', () => {
  test('a log: the slices that a delta would have, and no file', async () => {
    const { fs, ranges } = await logOf([commitsOf(40), commitsOf(20, 41)]);
    const tail = await buildTail(fs, { ...shared, ranges }, context);
    const delta = await build(fs, { ranges });
    expect(sliceTexts(tail.slices)).toEqual(sliceTexts(delta.slices));
    expect(tail).toMatchObject({ lastLsn: 60, lastTimestamp: 600, commitCount: 60 });
    expect(tail.logBytes).toBe(delta.logBytes);
  });
});

describe('parents', () => {
  test('digests of parents: they come back when the delta is loaded', async () => {
    const { fs, ranges } = await logOf([commitsOf(4)]);
    const parents = ['ab'.repeat(32), '01'.repeat(32)];
    await build(fs, { ranges, parents });
    expect((await loadSnapshot(fs, { path: '/d/staged' }, context)).parents).toEqual(parents);
  });
});

describe('slabs', () => {
  test('slabs that were lent: used for the slices, and the others come back', async () => {
    const { fs, ranges } = await logOf([commitsOf(4)]);
    const first = await build(fs, { ranges });
    const lent = first.slices.map((slice) => slice.buffer);
    const unused = new SharedArrayBuffer(1 << 20);
    const spareSlabs = [...lent, unused];
    const second = await build(fs, { ranges, spareSlabs, stagedPath: '/d/second' });
    expect(new Set(second.slices.map((slice) => slice.buffer))).toEqual(new Set(lent));
    expect(second.spareSlabs).toEqual([unused]);
  });
});

describe('failure', () => {
  test('cancelled at any turn: ABORTED, and no file is left', async () => {
    const value = 'x'.repeat(100_000);
    const changes = Array.from({ length: 60 }, (_, i) => put(16, `k${i}`, value));
    const { fs, ranges } = await logOf([[{ timestamp: 1, changes }], commitsOf(3, 2)]);
    let turns = 0;
    const count: TaskContext = { yieldNow: async () => void turns++, cancelled: () => false };
    const input = { ...shared, ranges, stagedPath: '/d/staged' };
    await buildDelta(fs, input, count);
    await fs.unlink('/d/staged');
    expect(turns).toBeGreaterThan(5);
    for (let last = 0; last < turns; last++) {
      let seen = 0;
      const cancelling = { yieldNow: async () => void seen++, cancelled: () => seen > last };
      expect((await errorOf(buildDelta(fs, input, cancelling))).code).toBe('ABORTED');
      expect(await fs.stat('/d/staged')).toBeUndefined();
    }
  });

  test('cancelled before it starts: ABORTED, nothing is read', async () => {
    const cancelled = { yieldNow: async () => {}, cancelled: () => true };
    const input = { path: '/none', level: 'full' } as const;
    expect((await errorOf(verifySnapshot(new MemoryFileSystem(), input, cancelled))).code).toBe(
      'ABORTED',
    );
  });

  test('no space: NO_SPACE, and no file is left', async () => {
    const fs = new MemoryFileSystem({ capacityBytes: 30_000 });
    await fs.makeDirectory('/d');
    const value = 'x'.repeat(20_000);
    const ranges = await writeLog(fs, '/d', [[{ timestamp: 1, changes: [put(16, 'k', value)] }]]);
    expect((await errorOf(build(fs, { ranges, compression: { codec: 'none' } }))).code).toBe(
      'NO_SPACE',
    );
    expect(await fs.stat('/d/staged')).toBeUndefined();
    expect(fs.freeBytes('/d')).toBeGreaterThan(9000);
  });

  test('a staged file that exists: IO, and it stays as it was', async () => {
    const { fs, ranges } = await logOf([commitsOf(4)]);
    await writeFile(fs, '/d/staged', new Uint8Array([1]));
    const details = { errno: 'EEXIST', path: '/d/staged' };
    expect(await errorOf(build(fs, { ranges }))).toMatchObject({ code: 'IO', details });
    expect(await readFile(fs, '/d/staged')).toEqual(new Uint8Array([1]));
  });

  test('a snapshot that is not there: IO', async () => {
    const error = await errorOf(loadSnapshot(new MemoryFileSystem(), { path: '/none' }, context));
    expect(error).toMatchObject({ code: 'IO', details: { errno: 'ENOENT' } });
  });
});
