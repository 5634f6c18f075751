/*
 * Small tasks of an opening run here, others in threads, and many small ones are not small together.
 */
import { describe, expect, test } from 'vitest';
import { loadSnapshot, type RunLogRange } from '../../src/snapshot/tasks.ts';
import { inlineBytesMax, OpeningPool } from '../../src/threads/opening-pool.ts';
import type { TaskPool } from '../../src/threads/task-pool.ts';
import type { TaskInput, TaskName, TaskOutput } from '../../src/threads/tasks.ts';
import { errorOf } from '../engine/engine-fixture.ts';
import { build, commitsOf, context, logOf, shared } from '../snapshot/log-files.ts';
import { sliceTexts } from '../snapshot/runs.ts';

/** Notes what would go to a thread, and does not do it. */
class NotedThreads implements TaskPool {
  readonly threadsMax = 3;
  readonly busyMs = 7;
  readonly names: TaskName[] = [];

  run<N extends TaskName>(name: N, _input: TaskInput<N>): Promise<TaskOutput<N>> {
    this.names.push(name);
    return new Promise(() => {});
  }

  close(): Promise<void> {
    throw new Error('the threads are the caller’s');
  }
}

const path = '/d/staged';

describe('tasks of an opening', () => {
  test('small ones: done here, with what a thread would give', async () => {
    const { fs, ranges } = await logOf([commitsOf(200)]);
    const { bytes } = await build(fs, { ranges });
    const threads = new NotedThreads();
    const pool = new OpeningPool(fs, threads);
    const { seed, groupBits, rules } = shared;
    const tail = await pool.run('buildTail', { ranges, seed, groupBits, rules });
    expect(tail.commitCount).toBe(200);
    const loaded = await pool.run('loadSnapshot', { path, bytes });
    const whole = await loadSnapshot(fs, { path }, context);
    expect(sliceTexts(loaded.slices)).toEqual(sliceTexts(whole.slices));
    const footer = await pool.run('loadSnapshot', { path, sliceIndexes: [] });
    expect(footer.sliceCount).toBe(whole.sliceCount);
    expect(threads.names).toEqual([]);
    expect([pool.threadsMax, pool.busyMs]).toEqual([3, 7]);
    await pool.close();
    expect((await errorOf(pool.run('loadSnapshot', { path, bytes }))).code).toBe('ABORTED');
  });

  test('slices, digests, merges, and what is large: in threads', async () => {
    const { fs } = await logOf([]);
    const threads = new NotedThreads();
    const pool = new OpeningPool(fs, threads);
    const range = { start: 0, end: inlineBytesMax + 1 } as RunLogRange;
    const { seed, groupBits, rules } = shared;
    void pool.run('loadSnapshot', { path, sliceIndexes: [0], bytes: 10 });
    void pool.run('loadSnapshot', { path, sliceIndexes: [], verification: 'full' });
    void pool.run('loadSnapshot', { path });
    void pool.run('loadSnapshot', { path, bytes: inlineBytesMax + 1 });
    void pool.run('buildTail', { ranges: [range], seed, groupBits, rules });
    void pool.run('discardSnapshot', path);
    const loads = Array.from({ length: 4 }, () => 'loadSnapshot');
    expect(threads.names).toEqual([...loads, 'buildTail', 'discardSnapshot']);
  });

  test('many small ones: no longer here once together they are large', async () => {
    const { fs, ranges } = await logOf([commitsOf(10)]);
    await build(fs, { ranges });
    const threads = new NotedThreads();
    const pool = new OpeningPool(fs, threads);
    const bytes = Math.ceil(inlineBytesMax / 2.5);
    for (let n = 0; n < 4; n++) void pool.run('loadSnapshot', { path, bytes }).catch(() => {});
    expect(threads.names).toHaveLength(2);
  });
});
