/*
 * Going back to a moment that is damaged: nothing begins there before all of it was read, so what
 * cannot be read leaves the present as it was.
 */
import { describe, expect, test } from 'vitest';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { flipIn, flipInLog } from '../recovery/damaged-worlds.ts';
import { codeOf, open, pathsIn, worldOn, type World } from './engine-fixture.ts';

const quiet = { checkpointing: false, retention: false, compression: 'none' } as const;

async function reopened(world: World, options: Partial<EngineOptions> = {}): Promise<Engine> {
  world.clock.advance(1000);
  return open(world, { ...quiet, ...options });
}

async function commit(engine: Engine, texts: readonly string[], resident = true): Promise<void> {
  for (const text of texts) {
    engine.operator('op').value<string>('v', { resident }).set('last', text);
    await engine.commit();
  }
}

function last(engine: Engine, resident = true): unknown {
  return engine.operator('op').value('v', { resident }).get('last');
}

/** A savepoint of `second`, behind which the log was given up, and a later base of `fourth`. */
async function onlyBase(resident = true): Promise<World> {
  const world = worldOn();
  const engine = await reopened(world, { retention: { checkpoints: 1 } });
  await commit(engine, ['first', 'second'], resident);
  await engine.checkpoint({ savepoint: 'two' });
  await engine.close();
  for (const texts of [['third'], ['fourth'], ['fifth']]) {
    const later = await reopened(world, { retention: { checkpoints: 1 } });
    await commit(later, texts, resident);
    await later.checkpoint({ kind: 'base' });
    await later.collect();
    await later.close();
  }
  return world;
}

/** Two checkpoints, at `second` and `fourth`, and the whole log. */
async function wholeLog(): Promise<World> {
  const world = worldOn();
  const engine = await reopened(world);
  await commit(engine, ['first', 'second']);
  await engine.checkpoint();
  await commit(engine, ['third', 'fourth']);
  await engine.checkpoint({ kind: 'base' });
  await commit(engine, ['fifth']);
  await engine.close();
  return world;
}

/** The present is what it was, and goes on. */
async function expectPresent(world: World, resident = true): Promise<void> {
  expect(await pathsIn(world.fs, 'timelines')).toEqual([]);
  const engine = await reopened(world);
  expect(engine.recovery).toMatchObject({ timeline: 1, lsn: 5, loss: undefined });
  expect(last(engine, resident)).toBe('fifth');
  await commit(engine, ['sixth'], resident);
  await engine.close();
  const again = await reopened(world);
  expect(last(again, resident)).toBe('sixth');
  await again.close();
}

describe('going back to what is damaged', () => {
  test.each(['none', 'sequential', 'adaptive', 'aggressive'] as const)(
    'its only base, prefetch %s: refused, and the present goes on',
    async (prefetch) => {
      const world = await onlyBase();
      await flipIn(world, 'snapshots', 'second');
      const back = reopened(world, { recoverTo: { savepoint: 'two' }, prefetch });
      expect(await codeOf(back)).toBe('CORRUPT_SNAPSHOT');
      await expectPresent(world);
    },
  );

  test('its only base, of a state that stays in its files: refused, and the present goes on', async () => {
    const world = await onlyBase(false);
    await flipIn(world, 'snapshots', 'second');
    for (const prefetch of ['adaptive', 'aggressive'] as const) {
      const back = reopened(world, { recoverTo: { savepoint: 'two' }, prefetch });
      expect(await codeOf(back)).toBe('CORRUPT_SNAPSHOT');
    }
    await expectPresent(world, false);
  });

  test('verification basic: it is read as closely as is asked, and begins', async () => {
    const world = await onlyBase();
    await flipIn(world, 'snapshots', 'second');
    const back = { recoverTo: { savepoint: 'two' }, verification: 'basic' } as const;
    const engine = await reopened(world, back);
    expect(engine.recovery).toMatchObject({ timeline: 2, lsn: 2 });
    await engine.close();
  });

  test('acceptLoss where no way is left: refused, and the present goes on', async () => {
    const world = await onlyBase();
    await flipIn(world, 'snapshots', 'second');
    const back = { recoverTo: { savepoint: 'two' }, acceptLoss: true } as const;
    expect(await codeOf(reopened(world, back))).toBe('CORRUPT_SNAPSHOT');
    await expectPresent(world);
  });

  test('the log before it: refused, and the present goes on', async () => {
    const world = await wholeLog();
    await flipInLog(world, 'third');
    expect(await codeOf(reopened(world, { recoverTo: { lsn: 3 } }))).toBe('CORRUPT_FRAME');
    await expectPresent(world);
  });

  test('a base with another way around it: that way, on the new timeline', async () => {
    const world = await wholeLog();
    await flipIn(world, 'snapshots', 'fourth');
    const engine = await reopened(world, { recoverTo: { lsn: 4 } });
    expect(engine.recovery).toMatchObject({ timeline: 2, lsn: 4, path: 'older', loss: undefined });
    expect(last(engine)).toBe('fourth');
    await commit(engine, ['other']);
    await engine.close();
    const again = await reopened(world);
    expect(last(again)).toBe('other');
    await again.close();
  });

  test('again and again: the directory does not grow', async () => {
    const world = await onlyBase();
    await flipIn(world, 'snapshots', 'second');
    const counts: number[] = [];
    for (let i = 0; i < 4; i++) {
      await codeOf(reopened(world, { recoverTo: { savepoint: 'two' } }));
      counts.push((await pathsIn(world.fs, 'wal')).length);
    }
    expect(counts[3]).toBe(counts[1]);
    await expectPresent(world);
  });

  test('a signal while it is read: ABORTED, and the present goes on', async () => {
    const world = await onlyBase();
    const abort = new AbortController();
    const onProgress = ({ phase }: { phase: string }): void => {
      if (phase === 'load') abort.abort(new Error('enough'));
    };
    const limits = { signal: abort.signal, onProgress };
    const back = reopened(world, { recoverTo: { savepoint: 'two' }, ...limits });
    expect(await codeOf(back)).toBe('ABORTED');
    await expectPresent(world);
    expect((await verifyStoreWith({ dir: '/store', level: 'full' }, world)).faults).toEqual([]);
  });
});
