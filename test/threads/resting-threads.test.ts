/*
 * Threads that have done their work: they end when they have rested, and not before.
 */
import type { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { RestingThreads, restMs } from '../../src/threads/resting-threads.ts';
import { ThreadPool } from '../../src/threads/task-pool.ts';
import { errorOf } from '../engine/engine-fixture.ts';
import { ManualClock } from '../tools/manual-clock.ts';

/** The names of threads that were told to end, in order. */
function ends(resting: RestingThreads, names: readonly string[]): string[] {
  const ended: string[] = [];
  for (const name of names) {
    resting.add({
      async end() {
        ended.push(name);
      },
    });
  }
  return ended;
}

test('a thread that rests: it ends after the time, not before', () => {
  const clock = new ManualClock();
  const resting = new RestingThreads(clock, 4);
  const ended = ends(resting, ['a', 'b']);
  clock.advance(restMs - 1);
  expect([ended, resting.count]).toEqual([[], 2]);
  clock.advance(1);
  expect([ended, resting.count]).toEqual([['a', 'b'], 0]);
});

test('more threads than may rest: those that have rested longest end, each once', () => {
  const clock = new ManualClock();
  const resting = new RestingThreads(clock, 2);
  const ended = ends(resting, ['a', 'b', 'c', 'd']);
  expect([ended, resting.count]).toEqual([['a', 'b'], 2]);
  clock.advance(restMs);
  expect(ended).toEqual(['a', 'b', 'c', 'd']);
});

test('a thread that fails to end: nobody is troubled, the others end', async () => {
  const clock = new ManualClock();
  const resting = new RestingThreads(clock, 2);
  resting.add({ end: () => Promise.reject(new Error('gone')) });
  const ended = ends(resting, ['b']);
  clock.advance(restMs);
  await Promise.resolve();
  expect(ended).toEqual(['b']);
});

test('a closed pool: its idle thread lives until it has rested, then it is gone', async () => {
  const clock = new ManualClock();
  const resting = new RestingThreads(clock, 2);
  const pool = new ThreadPool(1, undefined, resting);
  let exited: Promise<unknown> | undefined;
  let thread: Worker | undefined;
  process.once('worker', (worker: Worker) => {
    thread = worker;
    exited = new Promise((resolve) => worker.once('exit', resolve));
  });
  expect((await errorOf(pool.run('loadSnapshot', { path: '/nowhere' }))).code).toBe('IO');
  await pool.close();
  await pool.close();
  expect([resting.count, thread!.threadId > 0]).toEqual([1, true]);
  expect((await errorOf(pool.run('loadSnapshot', { path: '/nowhere' }))).code).toBe('ABORTED');
  clock.advance(restMs);
  await exited;
  expect([resting.count, thread!.threadId]).toEqual([0, -1]);
});

test('a pool that is closed while a thread works: that one has ended when it is closed', async () => {
  const resting = new RestingThreads(new ManualClock(), 2);
  const pool = new ThreadPool(1, undefined, resting);
  let thread: Worker | undefined;
  process.once('worker', (worker: Worker) => {
    thread = worker;
  });
  const task = errorOf(pool.run('loadSnapshot', { path: '/nowhere' }));
  await pool.close();
  expect((await task).code).toBe('ABORTED');
  expect([resting.count, thread!.threadId]).toEqual([0, -1]);
});
