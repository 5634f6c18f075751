/*
 * Merges in ranges: the same state however they are cut, from images and from files, in one thread
 * or several; bounded memory; and nothing left behind by one that ends early.
 */
import { describe, expect, test } from 'vitest';
import { AbortedError } from '../../src/errors.ts';
import type { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { slicesCursor } from '../../src/snapshot/log-fold.ts';
import { SlabPool } from '../../src/snapshot/slab-pool.ts';
import { loadSnapshot, type BuildDeltaOutput, type RunLogRange } from '../../src/snapshot/tasks.ts';
import { runMerge, type MergedSnapshot, type MergeOrder } from '../../src/threads/merge-run.ts';
import { InlinePool, type TaskPool } from '../../src/threads/task-pool.ts';
import type { TaskInput, TaskName, TaskOutput } from '../../src/threads/tasks.ts';
import { build, commitsOf, context, logOf, shared } from '../snapshot/log-files.ts';
import { Model } from '../snapshot/model.ts';
import { sliceTexts, viewOf } from '../snapshot/runs.ts';

const lastTimestamp = 6000;
const model = new Model();
for (const commit of commitsOf(600)) model.apply(commit);
const expected = model.view(lastTimestamp, new Map());

interface Store {
  readonly fs: MemoryFileSystem;
  readonly ranges: RunLogRange[];
  readonly built: BuildDeltaOutput[];
  readonly paths: string[];
}

/** A base of 400 commits and four deltas of fifty. */
async function store(): Promise<Store> {
  const parts = [commitsOf(400)];
  for (let n = 0; n < 4; n++) parts.push(commitsOf(50, 401 + n * 50));
  const { fs, ranges } = await logOf(parts);
  const paths = ranges.map((_, i) => `/d/${i}`);
  const built: BuildDeltaOutput[] = [];
  for (const [i, range] of ranges.entries()) {
    built.push(await build(fs, { ranges: [range], base: i === 0, stagedPath: paths[i]! }));
  }
  return { fs, ranges, built, paths };
}

function orderOf(from: Partial<MergeOrder> & Pick<MergeOrder, 'sources'>): MergeOrder {
  const { seed, groupBits, storeId, timeline, epoch, rules, compression } = shared;
  const place = { storeId, timeline, epoch, seed, groupBits };
  return {
    stagedPath: '/d/merged',
    header: { ...place, kind: 'base', fromLsn: 0, lastLsn: 600, lastTimestamp },
    rules,
    compression,
    threadsMax: 1,
    keepSlices: true,
    sliceBytesMax: 4096,
    slabs: new SlabPool(0),
    ...from,
  };
}

async function viewOfFile(fs: MemoryFileSystem, path: string): Promise<unknown> {
  const { slices } = await loadSnapshot(fs, { path, verification: 'full' }, context);
  return viewOf([slicesCursor(slices)], lastTimestamp, shared);
}

/** Counts what is under way, and can hold or fail tasks. */
class WatchedPool implements TaskPool {
  readonly busyMs = undefined;
  readonly threadsMax = 1;
  readonly #pool: InlinePool;
  readonly calls: TaskName[] = [];
  active = 0;
  activeMax = 0;
  before: (name: TaskName, count: number) => void | Promise<void> = () => {};
  after: (output: unknown) => void = () => {};

  constructor(fs: MemoryFileSystem) {
    this.#pool = new InlinePool(fs);
  }

  async run<N extends TaskName>(
    name: N,
    input: TaskInput<N>,
    signal?: AbortSignal,
  ): Promise<TaskOutput<N>> {
    const isRange = name === 'mergeRange';
    this.calls.push(name);
    if (isRange) this.activeMax = Math.max(this.activeMax, ++this.active);
    try {
      await this.before(name, this.calls.filter((call) => call === name).length);
      const output = await this.#pool.run(name, input, signal);
      this.after(output);
      return output;
    } finally {
      if (isRange) this.active--;
    }
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

describe('the state', () => {
  test('one range: the bytes of a base that was built from the whole log', async () => {
    const { fs, ranges, built } = await store();
    const sources = built.map(({ slices }) => ({ slices }));
    const merged = await runMerge(new InlinePool(fs), orderOf({ sources }));
    const whole = await build(fs, { ranges, base: true, stagedPath: '/d/whole' });
    expect([merged.sha256, merged.bytes, merged.rangeCount]).toEqual([
      whole.sha256,
      whole.bytes,
      1,
    ]);
    expect(merged.tables).toEqual(whole.tables);
    expect(sliceTexts([...merged.slices])).toEqual(sliceTexts(whole.slices));
  });

  test('many ranges, from images or files, in one thread or three: the same file', async () => {
    const { fs, built, paths } = await store();
    const digests = new Set<string>();
    for (const fromFiles of [false, true]) {
      for (const threadsMax of [1, 3]) {
        const sources = fromFiles
          ? paths.map((path, i) => ({ path, bytes: built[i]!.bytes, sha256: built[i]!.sha256 }))
          : built.map(({ slices }) => ({ slices }));
        const pool = new WatchedPool(fs);
        const order = orderOf({ sources, threadsMax, rangeBytes: 5000, keepSlices: !fromFiles });
        const merged = await runMerge(pool, order);
        expect(merged.rangeCount).toBeGreaterThan(5);
        expect(pool.activeMax).toBe(threadsMax);
        expect(await viewOfFile(fs, '/d/merged')).toEqual(expected);
        if (!fromFiles) {
          expect(viewOf([slicesCursor(merged.slices)], lastTimestamp, shared)).toEqual(expected);
        }
        expect(merged.slices.length > 0).toBe(!fromFiles);
        digests.add(merged.sha256);
        await fs.unlink('/d/merged');
      }
    }
    expect(digests.size).toBe(1);
  });

  test('deltas into one delta, in ranges: continues the base as they did', async () => {
    const { fs, built } = await store();
    const { header } = orderOf({ sources: [] });
    const kind = 'delta' as const;
    const between = await runMerge(
      new InlinePool(fs),
      orderOf({
        sources: built.slice(1).map(({ slices }) => ({ slices })),
        header: { ...header, kind, fromLsn: 400 },
        rangeBytes: 2000,
        stagedPath: '/d/delta',
      }),
    );
    const cursors = [built[0]!.slices, between.slices].map(slicesCursor);
    expect(viewOf(cursors, lastTimestamp, shared)).toEqual(expected);
  });

  test('nothing to merge: an empty snapshot', async () => {
    const { fs } = await store();
    const merged = await runMerge(new InlinePool(fs), orderOf({ sources: [{ slices: [] }] }));
    expect([merged.entryCount, merged.slices]).toEqual([0, []]);
    expect(await viewOfFile(fs, '/d/merged')).toEqual([]);
  });
});

describe('memory', () => {
  test('from files: bounded by the ranges under way, however many there are', async () => {
    const { fs, paths } = await store();
    const pool = new WatchedPool(fs);
    const slabs = new TrackedSlabs();
    pool.after = (output) => slabs.track(output);
    const sources = paths.map((path) => ({ path }));
    const order = orderOf({ sources, threadsMax: 2, keepSlices: false, sliceBytesMax: 2048 });
    const merged = await runMerge(pool, { ...order, rangeBytes: 3000, slabs });
    expect(merged.rangeCount).toBeGreaterThan(15);
    // Inputs have slices of 4 KiB here, five sources, and three ranges of output wait at most.
    expect(slabs.bytesMax).toBeLessThan(sources.length * 3 * 8192 + 3 * 3 * 8192);
    expect(slabs.bytesInAll).toBeGreaterThan(2 * slabs.bytesMax);
    await new Promise(setImmediate);
    expect(slabs.bytes).toBe(0);
  });
});

/** Knows of every slab that tasks gave out, until it is released. */
class TrackedSlabs extends SlabPool {
  readonly #held = new Set<SharedArrayBuffer>();
  bytes = 0;
  bytesMax = 0;
  bytesInAll = 0;

  constructor() {
    super(0);
  }

  track(output: unknown): void {
    const { slices = [], packed = [] } = (output ?? {}) as {
      slices?: readonly { buffer: SharedArrayBuffer }[];
      packed?: readonly { buffer: SharedArrayBuffer }[];
    };
    for (const { buffer } of [...slices, ...packed]) {
      this.#held.add(buffer);
      this.bytes += buffer.byteLength;
      this.bytesInAll += buffer.byteLength;
    }
    this.bytesMax = Math.max(this.bytesMax, this.bytes);
  }

  override release(slab: SharedArrayBuffer): void {
    if (this.#held.delete(slab)) this.bytes -= slab.byteLength;
    super.release(slab);
  }
}

describe('ends early', () => {
  async function endsClean(
    act: (
      pool: WatchedPool,
      order: (more: Partial<MergeOrder>) => Promise<MergedSnapshot>,
    ) => Promise<void>,
  ): Promise<void> {
    const { fs, built } = await store();
    const before = (await fs.list('/d')).length;
    const pool = new WatchedPool(fs);
    const sources = built.map(({ slices }) => ({ slices }));
    const order = (more: Partial<MergeOrder>): Promise<MergedSnapshot> =>
      runMerge(pool, orderOf({ sources, rangeBytes: 5000, threadsMax: 2, ...more }));
    await act(pool, order);
    expect(await fs.list('/d')).toHaveLength(before);
    expect(pool.active).toBe(0);
  }

  test.each<TaskName>(['startSnapshot', 'mergeRange', 'writeSlices', 'finishSnapshot'])(
    '%s fails: its error, and no file is left',
    async (failing) => {
      await endsClean(async (pool, order) => {
        const error = new Error('injected');
        pool.before = (name, count) => {
          if (name === failing && count >= (name === 'mergeRange' ? 3 : 1)) throw error;
        };
        await expect(order({})).rejects.toBe(error);
      });
    },
  );

  test('aborted at any task: ABORTED with the reason, and no file is left', async () => {
    let tasks = 0;
    await endsClean(async (pool, order) => {
      await order({});
      tasks = pool.calls.length;
      await pool.run('discardSnapshot', '/d/merged');
    });
    for (let at = 1; at < tasks; at += 3) {
      await endsClean(async (pool, order) => {
        const abort = new AbortController();
        let seen = 0;
        pool.before = () => {
          if (++seen === at) abort.abort(new Error('enough'));
        };
        const error = await order({ signal: abort.signal }).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error).toMatchObject({ code: 'ABORTED', cause: { message: 'enough' } });
      });
    }
  });

  test('aborted for taking too long: that very error', async () => {
    await endsClean(async (pool, order) => {
      const abort = new AbortController();
      const reason = new AbortedError('TIMEOUT', 'too long');
      pool.before = (name) => {
        if (name === 'writeSlices') abort.abort(reason);
      };
      await expect(order({ signal: abort.signal })).rejects.toBe(reason);
    });
  });

  test('a damaged input file: CORRUPT_SNAPSHOT, and no file is left', async () => {
    const { fs, paths } = await store();
    const handle = await fs.open(paths[1]!, 'write');
    await handle.write(new Uint8Array([255, 255, 255]), 300);
    await handle.close();
    const sources = paths.map((path) => ({ path }));
    const merge = runMerge(new InlinePool(fs), orderOf({ sources, rangeBytes: 5000 }));
    await expect(merge).rejects.toMatchObject({ code: 'CORRUPT_SNAPSHOT' });
    expect(await fs.stat('/d/merged')).toBeUndefined();
  });
});
