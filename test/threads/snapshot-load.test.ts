/*
 * Loading in parts: the same slices as in one task, by as many tasks at once as there are threads,
 * with nothing kept of a file that is damaged or given up.
 */
import { describe, expect, test } from 'vitest';
import { AbortedError } from '../../src/errors.ts';
import type { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { SlabPool, slabBytes } from '../../src/snapshot/slab-pool.ts';
import { loadSnapshot, type BuildDeltaOutput } from '../../src/snapshot/tasks.ts';
import { LoadQueue, loadWhole, type LoadedPart } from '../../src/threads/snapshot-load.ts';
import { InlinePool, type TaskPool } from '../../src/threads/task-pool.ts';
import type { TaskInput, TaskName, TaskOutput } from '../../src/threads/tasks.ts';
import { errorOf } from '../engine/engine-fixture.ts';
import { build, commitsOf, context, logOf } from '../snapshot/log-files.ts';
import { sliceTexts } from '../snapshot/runs.ts';
import { readFile, writeFile } from '../snapshot/log-builder.ts';

const path = '/d/staged';

async function snapshot(): Promise<{ fs: MemoryFileSystem; built: BuildDeltaOutput }> {
  const { fs, ranges } = await logOf([commitsOf(600)]);
  const built = await build(fs, { ranges, compression: { codec: 'none' }, sliceBytesMax: 1024 });
  return { fs, built };
}

/** A pool that says how many tasks of slices run at once, and can be told to do something before. */
class CountingPool implements TaskPool {
  readonly busyMs = undefined;
  readonly threadsMax: number;
  readonly #pool: InlinePool;
  readonly loads: (readonly number[])[] = [];
  active = 0;
  activeMax = 0;
  before: (count: number) => void = () => {};

  constructor(fs: MemoryFileSystem, threadsMax: number) {
    this.#pool = new InlinePool(fs);
    this.threadsMax = threadsMax;
  }

  async run<N extends TaskName>(
    name: N,
    input: TaskInput<N>,
    signal?: AbortSignal,
  ): Promise<TaskOutput<N>> {
    const { sliceIndexes = [] } = input as TaskInput<'loadSnapshot'>;
    if (sliceIndexes.length > 0) {
      this.loads.push(sliceIndexes);
      this.before(this.loads.length);
    }
    this.activeMax = Math.max(this.activeMax, ++this.active);
    try {
      return await this.#pool.run(name, input, signal);
    } finally {
      this.active--;
    }
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

/** Bytes of slabs that are out. */
class CountedSlabs extends SlabPool {
  bytes = 0;

  constructor() {
    super(2 ** 30);
  }

  override acquire(bytes: number): SharedArrayBuffer {
    this.bytes += slabBytes(bytes);
    return super.acquire(bytes);
  }

  override release(slab: SharedArrayBuffer): void {
    this.bytes -= slab.byteLength;
    super.release(slab);
  }
}

describe('a snapshot in parts', () => {
  test.each([1, 2, 3])(
    '%i threads: so many tasks at once, and the slices of one',
    async (threads) => {
      const { fs, built } = await snapshot();
      const whole = await loadSnapshot(fs, { path }, context);
      expect(whole.slices.length).toBeGreaterThan(8);
      const pool = new CountingPool(fs, threads);
      const slabs = new CountedSlabs();
      const parts: LoadedPart[] = [];
      const { sha256, bytes } = built;
      const file = { path, sha256, bytes, verification: 'standard' } as const;
      const onPart = (part: LoadedPart): void => void parts.push(part);
      const loaded = await loadWhole(file, { pool, slabs, partBytes: 1500, onPart });
      expect(sliceTexts(loaded.slices)).toEqual(sliceTexts(whole.slices));
      expect(loaded.header).toEqual(whole.header);
      expect(loaded.tables).toEqual(whole.tables);
      expect(pool.activeMax).toBe(threads);
      expect(pool.loads.length).toBe(parts.length);
      expect(pool.loads.length).toBeGreaterThan(3);
      expect(parts.reduce((sum, part) => sum + part.entryCount, 0)).toBe(built.entryCount);
      expect(parts.reduce((sum, part) => sum + part.dataBytes, 0)).toBe(built.dataBytes);
      // What is out is what the slices stand in: what was lent beside that came back.
      expect(slabs.bytes).toBe(
        loaded.slices.reduce((sum, { buffer }) => sum + buffer.byteLength, 0),
      );
    },
  );

  test('parts below the bound: one task takes them all', async () => {
    const { fs, built } = await snapshot();
    const pool = new CountingPool(fs, 2);
    const { bytes } = built;
    const slabs = new SlabPool(0);
    await loadWhole({ path }, { pool, slabs });
    expect(pool.loads).toHaveLength(1);
    // Of a file whose size is known one task reads the footer too.
    const parts: LoadedPart[] = [];
    const onPart = (part: LoadedPart): void => void parts.push(part);
    const loaded = await loadWhole({ path, bytes }, { pool, slabs, onPart });
    expect(pool.loads).toHaveLength(1);
    expect(loaded.slices).toHaveLength(built.slices.length);
    expect(parts).toMatchObject([{ entryCount: built.entryCount }]);
  });

  test('a damaged block in the middle: CORRUPT_SNAPSHOT, every slab is back, the rest is not read', async () => {
    const { fs, built } = await snapshot();
    const bytes = await readFile(fs, path);
    bytes[Math.floor(built.bytes / 3)]! ^= 1;
    await writeFile(fs, path, bytes);
    const pool = new CountingPool(fs, 1);
    const slabs = new CountedSlabs();
    const error = await errorOf(loadWhole({ path }, { pool, slabs, partBytes: 1 }));
    expect(error.code).toBe('CORRUPT_SNAPSHOT');
    expect(slabs.bytes).toBe(0);
    expect(pool.loads.length).toBeLessThan(built.slices.length);
  });

  test('another digest than is due: found by full, beside the slices', async () => {
    const { fs, built } = await snapshot();
    const on = { pool: new CountingPool(fs, 2), slabs: new CountedSlabs(), partBytes: 1 };
    const file = { path, sha256: 'f'.repeat(64), bytes: built.bytes };
    const error = await errorOf(loadWhole({ ...file, verification: 'full' }, on));
    expect(error).toMatchObject({ code: 'CORRUPT_SNAPSHOT', details: { actual: built.sha256 } });
    expect(on.slabs.bytes).toBe(0);
    await loadWhole({ ...file, verification: 'standard' }, on);
  });

  test('given up in the middle: the reason of the signal, and every slab is back', async () => {
    const { fs } = await snapshot();
    const pool = new CountingPool(fs, 2);
    const slabs = new CountedSlabs();
    const stop = new AbortController();
    const reason = new AbortedError('TIMEOUT', 'over');
    pool.before = (count) => {
      if (count === 3) stop.abort(reason);
    };
    const { signal } = stop;
    const error = await errorOf(loadWhole({ path }, { pool, slabs, signal, partBytes: 1 }));
    expect(error).toBe(reason);
    expect(slabs.bytes).toBe(0);
    expect(pool.loads.length).toBeLessThan(5);
  });
});

describe('a queue of loads', () => {
  test('more than may run at once: the heaviest first', async () => {
    const queue = new LoadQueue(2);
    const order: number[] = [];
    let active = 0;
    const load = (weight: number): Promise<void> =>
      queue.run(weight, async () => {
        order.push(weight);
        expect(++active).toBeLessThanOrEqual(2);
        await new Promise(setImmediate);
        active--;
      });
    await Promise.all([3, 1, 4, 1.5, 9, 2.6].map(load));
    expect(order).toEqual([9, 4, 3, 2.6, 1.5, 1]);
  });

  test('one that fails: its error, and the next one runs', async () => {
    const queue = new LoadQueue(1);
    const failing = queue.run(2, () => Promise.reject(new AbortedError('ABORTED', 'no')));
    const next = queue.run(1, async () => 'done');
    expect((await errorOf(failing)).code).toBe('ABORTED');
    expect(await next).toBe('done');
  });
});
