/*
 * Workers in threads over the real file system, and inline: the same work, and what happens when a
 * thread dies.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { listCheckpoints, mergeStore, openEngine, type Engine } from '../../src/engine/index.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { CorruptionError, type TidemarkError } from '../../src/errors.ts';
import { nodeFileSystem } from '../../src/fs/node-file-system.ts';
import { systemClock } from '../../src/std/clock.ts';
import { systemRandom } from '../../src/std/random.ts';
import { SimulatedFileSystem } from '../../src/testing/index.ts';
import { errorFromPlain, errorToPlain } from '../../src/threads/error-transfer.ts';
import { InlinePool, ThreadPool } from '../../src/threads/task-pool.ts';
import { startWorker } from '../../src/threads/worker-thread.ts';
import { errorOf, noise } from '../engine/engine-fixture.ts';

async function inDirectory(act: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-threads-'));
  try {
    await act(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function use(open: () => Promise<Engine>): Promise<void> {
  let engine = await open();
  for (let n = 0; n < 10; n++) {
    engine.operator('op').value('v').set(n, noise(2000, n));
    engine.operator('op').counter('c').add('k', n);
    await engine.commit();
    await engine.checkpoint();
  }
  await engine.checkpoint({ kind: 'base' });
  engine.operator('op').counter('c').add('k', 100);
  await engine.commit();
  await engine.close();
  engine = await open();
  expect(engine.recovery).toMatchObject({ replayedCommits: 1, chainLength: 1 });
  for (let n = 0; n < 10; n++) {
    expect(engine.operator('op').value('v').get(n)).toEqual(noise(2000, n));
  }
  expect(engine.operator('op').counter('c').get('k')).toBe(145);
  await engine.close();
}

const small = { segmentBytesMax: 64 * 1024 };

describe('tasks', () => {
  test('in threads over the real file system: checkpoints, merges, recovery', async () => {
    await inDirectory((dir) => use(() => openEngine({ dir, ...small })));
  });

  test('inline over the real file system: the same', async () => {
    const on = { fs: nodeFileSystem, clock: systemClock, random: systemRandom, threads: false };
    await inDirectory((dir) => use(() => openEngineWith({ dir, ...small }, on)));
  });

  test('inline, with turns of its own: each of an engine is one of those', async () => {
    const fs = new SimulatedFileSystem({ order: 'random' });
    let turns = 0;
    const yieldNow = (): Promise<void> => {
      turns++;
      return fs.turn();
    };
    const on = { fs, clock: systemClock, random: systemRandom, threads: false, yieldNow };
    const engine = await openEngineWith({ dir: '/store', ...small }, on);
    for (let n = 0; n < 100; n++) engine.operator('op').value('v').set(n, noise(2000, n));
    await engine.commit();
    await engine.checkpoint();
    await engine.close();
    expect(turns).toBeGreaterThan(0);
  });

  test('a file that is not there: the same typed error from a thread and inline', async () => {
    const input = { path: '/nowhere/snapshot' };
    const [threads, inline] = [new ThreadPool(1), new InlinePool(nodeFileSystem)];
    const fromThread = await errorOf(threads.run('loadSnapshot', input));
    const fromInline = await errorOf(inline.run('loadSnapshot', input));
    expect(fromThread).toMatchObject({ code: 'IO', kind: 'unavailable' });
    expect([fromThread.name, fromThread.message]).toEqual([fromInline.name, fromInline.message]);
    await Promise.all([threads.close(), inline.close()]);
  });

  test('a closed pool: ABORTED, of threads and inline', async () => {
    for (const pool of [new ThreadPool(1), new InlinePool(nodeFileSystem)]) {
      await pool.close();
      const error = await errorOf(pool.run('loadSnapshot', { path: '/nowhere' }));
      expect(error.code).toBe('ABORTED');
    }
  });

  test('input that cannot be sent: refused, and the thread goes on', async () => {
    const pool = new ThreadPool(1);
    const input = { path: (() => {}) as unknown as string };
    await expect(pool.run('loadSnapshot', input)).rejects.toThrow();
    expect((await errorOf(pool.run('loadSnapshot', { path: '/nowhere' }))).code).toBe('IO');
    await pool.close();
  });

  test('many tasks, then fewer threads: all are answered', async () => {
    const pool = new ThreadPool(2);
    const run = (): Promise<TidemarkError> =>
      errorOf(pool.run('loadSnapshot', { path: '/nowhere' }));
    const ended: number[] = [];
    const note = (worker: Worker): void => void worker.on('exit', (code) => ended.push(code));
    process.on('worker', note);
    const errors = await Promise.all([run(), run(), run(), run(), run()]);
    process.off('worker', note);
    pool.limit(1);
    errors.push(await run());
    expect(ended).toHaveLength(0);
    await pool.endSurplus();
    expect(ended).toHaveLength(1);
    expect(errors.map(({ code }) => code)).toEqual(Array.from({ length: 6 }, () => 'IO'));
    await pool.close();
  });
});

describe('what is given up before it begins', () => {
  test('a task: ABORTED, of threads and inline, and nothing is done', async () => {
    for (const pool of [new ThreadPool(1), new InlinePool(nodeFileSystem)]) {
      const signal = AbortSignal.abort();
      const error = await errorOf(pool.run('loadSnapshot', { path: '/nowhere' }, signal));
      expect([error.code, error.message]).toEqual(['ABORTED', 'the task was cancelled']);
      await pool.close();
    }
  });

  test('mergeStore: ABORTED with the reason, and the chain stays; without a signal it merges', async () => {
    await inDirectory(async (dir) => {
      const engine = await openEngine({ dir, ...small });
      for (let n = 0; n < 3; n++) {
        engine.operator('op').value('v').set(n, noise(2000, n));
        await engine.commit();
        await engine.checkpoint();
      }
      await engine.close();
      const reason = new Error('enough');
      const error = await errorOf(mergeStore({ dir, signal: AbortSignal.abort(reason) }));
      expect([error.code, error.cause]).toEqual(['ABORTED', reason]);
      expect((await listCheckpoints({ dir })).checkpoints).toHaveLength(3);
      expect((await mergeStore({ dir })).record?.chain).toHaveLength(1);
    });
  });
});

describe('a thread', () => {
  test('ended from outside: its end is told with the reason', async () => {
    const ended = new Promise<unknown>((resolve) => {
      const worker = startWorker({ message: () => {}, ended: resolve });
      worker.keepAlive(true);
      // Not a request: reading its fields throws in the thread.
      worker.post(null as never);
    });
    expect(await ended).toBeInstanceOf(Error);
  });

  test('is terminated while an engine checkpoints: a typed error, the old chain, and the next checkpoint works', async () => {
    await inDirectory(async (dir) => {
      const engine = await openEngine({ dir, ...small });
      engine.operator('op').value('v').set('k', 1);
      await engine.commit();
      const kill = (worker: Worker): void => void worker.terminate();
      process.once('worker', kill);
      const error = await errorOf(engine.checkpoint());
      process.off('worker', kill);
      expect([error.code, error.message]).toEqual([
        'THREAD_LOST',
        expect.stringContaining('worker thread ended'),
      ]);
      expect(await engine.checkpoints()).toEqual([]);
      expect(engine.operator('op').value('v').get('k')).toBe(1);
      expect((await engine.checkpoint()).lsn).toBe(1);
      await engine.close();
      const again = await openEngine({ dir, ...small });
      expect(again.recovery).toMatchObject({ checkpointLsn: 1, replayedCommits: 0 });
      await again.close();
    });
  });

  test('gives an answer that cannot be read: the task gets a typed error, the next one another thread', async () => {
    const pool = new ThreadPool(1);
    process.once('worker', (worker: Worker) => {
      worker.emit('messageerror', new Error('unreadable'));
    });
    const error = await errorOf(pool.run('loadSnapshot', { path: '/nowhere' }));
    expect(error).toMatchObject({ code: 'THREAD_LOST', details: { outOfMemory: false } });
    expect((error.cause as Error).message).toBe('unreadable');
    expect((await errorOf(pool.run('loadSnapshot', { path: '/nowhere' }))).code).toBe('IO');
    await pool.close();
  });

  test('dies in the middle of a task: the task gets a typed error, the next one another thread', async () => {
    const pool = new ThreadPool(1);
    // What the thread is sent first ends it before it can answer the second.
    const bad = pool.run(null as never, null as never).catch((error: unknown) => error);
    const ends = pool.run('loadSnapshot', undefined as never).catch((error: unknown) => error);
    for (const error of [await bad, await ends]) expect(error).toBeInstanceOf(Error);
    expect((await errorOf(pool.run('loadSnapshot', { path: '/nowhere' }))).code).toBe('IO');
    await pool.close();
  });
});

describe('errors between threads', () => {
  test('each class: fields, cause and stack survive', () => {
    const cause = Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' });
    const error = new CorruptionError('CORRUPT_FRAME', 'text', { path: 'p', lsn: 1 }, cause);
    const back = errorFromPlain(structuredClone(errorToPlain(error)));
    expect(back).toBeInstanceOf(CorruptionError);
    expect(back).toMatchObject({
      name: 'CorruptionError',
      kind: 'corrupt',
      code: 'CORRUPT_FRAME',
      message: 'text',
      details: { path: 'p', lsn: 1 },
      stack: error.stack,
    });
    // The code of the file system is what tells a full disk from a broken one.
    expect(back.cause).toMatchObject({ code: 'ENOSPC', message: 'ENOSPC: no space' });
    expect(errorFromPlain(errorToPlain('text'))).toMatchObject({ message: 'text' });
  });
});
