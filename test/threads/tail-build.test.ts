/*
 * The log as an image, in parts: the entries that one task makes of it, byte for byte, however it is
 * cut; the same errors; and nothing kept of one that fails or is given up.
 */
import { array, assert, asyncProperty, integer, record } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AbortedError } from '../../src/errors.ts';
import type { FileSystem } from '../../src/fs/file-system.ts';
import { SlabPool } from '../../src/snapshot/slab-pool.ts';
import type { SliceDescriptor } from '../../src/snapshot/slice.ts';
import { cutLog } from '../../src/snapshot/tail-tasks.ts';
import { buildTail, type RunLogRange } from '../../src/snapshot/tasks.ts';
import { buildTailInParts, type ReplayedPiece } from '../../src/threads/tail-build.ts';
import { InlinePool, type TaskPool } from '../../src/threads/task-pool.ts';
import type { TaskInput, TaskName, TaskOutput } from '../../src/threads/tasks.ts';
import { errorOf } from '../engine/engine-fixture.ts';
import { commitsOf, context, logOf, shared } from '../snapshot/log-files.ts';
import { readFile, writeFile } from '../snapshot/log-builder.ts';

const { seed, groupBits, rules } = shared;
const settings = { seed, groupBits, rules };

/** A pool of so many threads, of which tasks run inline. */
class WidePool implements TaskPool {
  readonly busyMs = undefined;
  readonly threadsMax: number;
  readonly #pool: InlinePool;
  readonly names: TaskName[] = [];
  before: (name: TaskName) => void = () => {};

  constructor(fs: FileSystem, threadsMax = 3) {
    this.#pool = new InlinePool(fs);
    this.threadsMax = threadsMax;
  }

  run<N extends TaskName>(
    name: N,
    input: TaskInput<N>,
    signal?: AbortSignal,
  ): Promise<TaskOutput<N>> {
    this.names.push(name);
    this.before(name);
    return this.#pool.run(name, input, signal);
  }

  count(name: TaskName): number {
    return this.names.filter((one) => one === name).length;
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

/** Bytes that are out; slabs that come from tasks are counted by `take`. */
class CountedSlabs extends SlabPool {
  released = 0;

  constructor() {
    super(0);
  }

  override release(slab: SharedArrayBuffer): void {
    this.released += slab.byteLength;
    super.release(slab);
  }
}

/** All entries of slices, as bytes, a text for each table. */
function entriesOf(slices: readonly SliceDescriptor[]): Map<number, string> {
  const texts = new Map<number, string>();
  let last = { table: 0, lastHash: 0 };
  for (const slice of slices) {
    const { table, firstHash, buffer, dataBytes } = slice;
    expect(table > last.table || (table === last.table && firstHash >= last.lastHash)).toBe(true);
    last = slice;
    const bytes = Buffer.from(new Uint8Array(buffer, 0, dataBytes)).toString('hex');
    texts.set(table, (texts.get(table) ?? '') + bytes);
  }
  return texts;
}

const input = (
  ranges: readonly RunLogRange[],
): { ranges: readonly RunLogRange[] } & typeof settings => ({ ranges, ...settings });

describe('a log in parts', () => {
  test('random logs, cut anywhere: the entries that one task makes', async () => {
    const property = asyncProperty(
      array(integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 5 }),
      record({
        pieceBytes: integer({ min: 200, max: 6000 }),
        batchBytes: integer({ min: 500, max: 30_000 }),
      }),
      record({ after: integer({ min: 0, max: 20 }), short: integer({ min: 0, max: 20 }) }),
      async (counts, sizes, { after, short }) => {
        let firstLsn = 1;
        const segments = counts.map((count) => {
          const commits = commitsOf(count, firstLsn);
          firstLsn += count;
          return commits;
        });
        const { fs, ranges } = await logOf(segments);
        const all = firstLsn - 1;
        const fromLsn = Math.min(after, all);
        const lastLsn = Math.max(fromLsn, all - short);
        const log = { ...input(ranges), fromLsn, lastLsn, fromTimestamp: fromLsn * 10 };
        const { spareSlabs: _, slices, ...whole } = await buildTail(fs, log, context);
        const pool = new WidePool(fs);
        const on = { pool, slabs: new SlabPool(0), ...sizes };
        const { slices: parts, ...built } = await buildTailInParts(log, on);
        expect(entriesOf(parts)).toEqual(entriesOf(slices));
        expect(built).toEqual(whole);
      },
    );
    await assert(property, { seed: 11, numRuns: 25 });
  });

  test('one large segment: cut, read by several tasks, and merged by several', async () => {
    const { fs, ranges } = await logOf([commitsOf(400)]);
    const pool = new WidePool(fs);
    const pieces: ReplayedPiece[] = [];
    const onPiece = (piece: ReplayedPiece): void => void pieces.push(piece);
    const slabs = new CountedSlabs();
    const built = await buildTailInParts(input(ranges), { pool, slabs, pieceBytes: 8000, onPiece });
    expect(pool.count('sortLog')).toBeGreaterThan(4);
    expect(pool.count('mergeRuns')).toBeGreaterThan(2);
    expect(pool.count('mergeSlices')).toBe(0);
    expect(pieces).toHaveLength(pool.count('sortLog'));
    const logBytes = ranges[0]!.end - ranges[0]!.start;
    expect(pieces.reduce((sum, piece) => sum + piece.logBytes, 0)).toBe(logBytes);
    expect(built).toMatchObject({ commitCount: 400, lastLsn: 400, lastTimestamp: 4000, logBytes });
    // The log goes back when it has been merged.
    expect(slabs.released).toBeGreaterThanOrEqual(logBytes);
  });

  test('a log longer than a batch: images of batches, merged in the end', async () => {
    const { fs, ranges } = await logOf([commitsOf(400)]);
    const whole = await buildTail(fs, input(ranges), context);
    const pool = new WidePool(fs);
    const slabs = new CountedSlabs();
    const on = { pool, slabs, pieceBytes: 4000, batchBytes: 20_000 };
    const built = await buildTailInParts(input(ranges), on);
    expect(entriesOf(built.slices)).toEqual(entriesOf(whole.slices));
    const merges = pool.names.map((name) => name === 'mergeRuns');
    expect(merges.indexOf(true)).toBeLessThan(pool.names.lastIndexOf('sortLog'));
    expect(pool.count('mergeSlices')).toBeGreaterThan(0);
  });

  test.each([
    ['one thread', 1, 1000],
    ['a short log', 3, undefined],
  ])('%s: one task', async (_what, threadsMax, pieceBytes) => {
    const { fs, ranges } = await logOf([commitsOf(100)]);
    const pool = new WidePool(fs, threadsMax);
    const on = {
      pool,
      slabs: new SlabPool(0),
      ...(pieceBytes === undefined ? {} : { pieceBytes }),
    };
    await buildTailInParts(input(ranges), on);
    expect(pool.names).toEqual(['buildTail']);
  });

  test('behind a fork point: the abandoned commits are left out', async () => {
    const { fs, ranges } = await logOf([commitsOf(200)]);
    const forked = { ...ranges[0]!, throughLsn: 60 };
    const log = input([forked]);
    const whole = await buildTail(fs, log, context);
    const pool = new WidePool(fs);
    const built = await buildTailInParts(log, { pool, slabs: new SlabPool(0), pieceBytes: 3000 });
    expect(entriesOf(built.slices)).toEqual(entriesOf(whole.slices));
    expect(built).toMatchObject({ commitCount: 60, lastLsn: 60 });
    expect(pool.count('sortLog')).toBeGreaterThan(1);
  });

  test.each([
    ['a byte in the middle', (bytes: Uint8Array) => void (bytes[bytes.length >> 1]! ^= 1)],
    ['a byte near the end', (bytes: Uint8Array) => void (bytes[bytes.length - 700]! ^= 1)],
  ])('%s is damaged: the error of one task, and nothing is kept', async (_what, damage) => {
    const { fs, ranges } = await logOf([commitsOf(300)]);
    const [range] = ranges;
    const bytes = await readFile(fs, range!.path);
    damage(bytes);
    await writeFile(fs, range!.path, bytes);
    const expected = await errorOf(buildTail(fs, input(ranges), context));
    const pool = new WidePool(fs);
    const on = { pool, slabs: new SlabPool(0), pieceBytes: 4000 };
    const error = await errorOf(buildTailInParts(input(ranges), on));
    expect(error.code).toBe('CORRUPT_FRAME');
    expect([error.message, error.details]).toEqual([expected.message, expected.details]);
    expect(pool.names.slice(-1)).toEqual(['buildTail']);
    expect(pool.count('sortLog')).toBeGreaterThan(2);
  });

  test('a segment that is missing: LOG_HOLE, as one task says it', async () => {
    const { fs, ranges } = await logOf([commitsOf(100), commitsOf(100, 101), commitsOf(100, 201)]);
    const log = input([ranges[0]!, ranges[2]!]);
    const on = { pool: new WidePool(fs), slabs: new SlabPool(0), pieceBytes: 5000 };
    const error = await errorOf(buildTailInParts(log, on));
    expect(error).toMatchObject({ code: 'LOG_HOLE', details: { expected: 101, actual: 201 } });
  });

  test.each(['sortLog', 'mergeRuns', 'mergeSlices'] as const)(
    'given up in %s: the reason of the signal, and what had been read goes back',
    async (task) => {
      const { fs, ranges } = await logOf([commitsOf(400)]);
      const pool = new WidePool(fs, 2);
      const slabs = new CountedSlabs();
      const stop = new AbortController();
      const reason = new AbortedError('TIMEOUT', 'over');
      pool.before = (name) => {
        if (name === task && pool.count(name) === 2) stop.abort(reason);
      };
      const { signal } = stop;
      const on = { pool, slabs, signal, pieceBytes: 6000, batchBytes: 30_000 };
      const error = await errorOf(buildTailInParts(input(ranges), on));
      expect(error).toBe(reason);
      expect(slabs.released).toBeGreaterThan(0);
      expect(pool.count(task)).toBeLessThan(5);
    },
  );
});

describe('where a log is cut', () => {
  test('pieces: joined they are the ranges, each begins behind a group', async () => {
    const { fs, ranges } = await logOf([commitsOf(150), commitsOf(3, 151), commitsOf(100, 154)]);
    const pieces = await cutLog(fs, { ranges, pieceBytes: 2500 }, context);
    expect(pieces.length).toBeGreaterThan(8);
    let lsn = 1;
    for (const part of pieces.flat()) {
      expect(part.firstLsn).toBeGreaterThanOrEqual(lsn);
      lsn = part.firstLsn;
      // It reads by itself, from the chain value that it is given.
      const built = await buildTail(fs, { ...input([part]), fromLsn: part.firstLsn - 1 }, context);
      expect(built.commitCount).toBeGreaterThan(0);
      lsn += built.commitCount;
    }
    expect(lsn).toBe(254);
    const bytes = (all: readonly RunLogRange[]): number =>
      all.reduce((sum, { start, end }) => sum + end - start, 0);
    expect(bytes(pieces.flat())).toBe(bytes(ranges));
  });

  test('small segments: several in a piece', async () => {
    const segments = Array.from({ length: 12 }, (_, i) => commitsOf(5, 1 + i * 5));
    const { fs, ranges } = await logOf(segments);
    const pieces = await cutLog(fs, { ranges, pieceBytes: 4000 }, context);
    expect(pieces.flat()).toEqual(ranges);
    expect(pieces.length).toBeLessThan(6);
    expect(pieces.length).toBeGreaterThan(1);
  });
});
