/*
 * What work costs in counts that no machine changes: calls of the file system, bytes, promises. A
 * change that makes any of them worse fails here before a benchmark on a noisy machine shows it.
 * Bounds stand a little above what is there now; when they fail, the question is why, not which.
 */
import { createHook } from 'node:async_hooks';
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/index.ts';
import { createValueCodec } from '../../src/codec/value.ts';
import { open, settle, worldOn, type World } from './engine-fixture.ts';

/** Calls on segments of the log since the last look. */
function logCalls({ fs }: World, name: 'write' | 'sync'): { count: number; bytes: number } {
  const found = fs.calls.filter(({ call, path }) => call === name && /\/wal\/\d/.test(path));
  const bytes = found.reduce((sum, call) => sum + (call.bytes ?? 0), 0);
  return { count: found.length, bytes };
}

/** An engine that has settled, behind whose opening nothing has been counted yet. */
async function quiet(world: World, segmentBytesMax = 4 * 1024 * 1024): Promise<Engine> {
  const engine = await open(world, { segmentBytesMax, checkpointing: false, checks: false });
  await settle();
  world.fs.calls.length = 0;
  return engine;
}

const value = { count: 7, sum: 10.5, text: 'some text to fill it' };

describe('groups', () => {
  test('commits one after the other: one write and one sync each', async () => {
    const world = worldOn();
    const engine = await quiet(world);
    const state = engine.operator('op').value('v');
    for (let i = 0; i < 100; i++) {
      state.set(i, value);
      await engine.commit();
    }
    expect(logCalls(world, 'write').count).toBe(100);
    expect(logCalls(world, 'sync').count).toBe(100);
    await engine.close();
  });

  test('a thousand commits in one turn: at most two groups, the first alone and the rest', async () => {
    const world = worldOn();
    const engine = await quiet(world);
    const state = engine.operator('op').value('v');
    const pending = Array.from({ length: 1000 }, (_, i) => {
      state.set(i, value);
      return engine.commit();
    });
    await Promise.all(pending);
    expect(logCalls(world, 'write').count).toBeLessThanOrEqual(2);
    expect(logCalls(world, 'sync').count).toBeLessThanOrEqual(2);
    await engine.close();
  });
});

describe('bytes', () => {
  const keyOf = (i: number): string => `key-${String(i).padStart(12, '0')}`;
  const entryBytes = keyOf(0).length + createValueCodec().encode(value).length;

  test('a commit of a thousand entries: at most 1.28 bytes of log for each byte of key and value', async () => {
    const world = worldOn();
    const engine = await quiet(world);
    const state = engine.operator('op').value('v');
    // Declares the state, which is an entry of its own.
    state.set('first', value);
    await engine.commit();
    const before = logCalls(world, 'write').bytes;
    for (let i = 0; i < 1000; i++) state.set(keyOf(i), value);
    await engine.commit();
    const written = logCalls(world, 'write').bytes - before;
    expect(written / (1000 * entryBytes)).toBeLessThan(1.28);
    await engine.close();
  });

  test('a commit of one entry: at most 120 bytes of log beside key and value', async () => {
    const world = worldOn();
    const engine = await quiet(world);
    const state = engine.operator('op').value('v');
    state.set('first', value);
    await engine.commit();
    const before = logCalls(world, 'write').bytes;
    for (let i = 0; i < 100; i++) {
      state.set(keyOf(i), value);
      await engine.commit();
    }
    const written = logCalls(world, 'write').bytes - before;
    expect(written / 100 - entryBytes).toBeLessThan(120);
    await engine.close();
  });

  test('ten entries of ten thousand changed: the delta is as large as that of ten of a hundred', async () => {
    const sizes = [];
    for (const entries of [100, 10_000]) {
      const engine = await quiet(worldOn());
      const state = engine.operator('op').value('v');
      for (let i = 0; i < entries; i++) state.set(keyOf(i), value);
      await engine.commit();
      await engine.checkpoint();
      for (let i = 0; i < 10; i++) state.set(keyOf(i), { ...value, count: i });
      await engine.commit();
      const { chain } = await engine.checkpoint();
      sizes.push(chain.at(-1)!.bytes);
      await engine.close();
    }
    expect(sizes[1]! / sizes[0]!).toBeLessThan(1.05);
  });
});

describe('objects', () => {
  test('a thousand commits in one turn: one promise each, and one to wait for it', async () => {
    const engine = await quiet(worldOn());
    const state = engine.operator('op').value('v');
    state.set(0, value);
    await engine.commit();
    let promises = 0;
    const hook = createHook({
      init(_id, type) {
        if (type === 'PROMISE') promises++;
      },
    });
    hook.enable();
    const pending: Promise<unknown>[] = [];
    for (let i = 0; i < 1000; i++) {
      state.set(i, value);
      pending.push(engine.commit());
    }
    for (const commit of pending) await commit;
    hook.disable();
    expect(promises / 1000).toBeLessThan(2.1);
    await engine.close();
  });
});

describe('cold reads', () => {
  test('keys of a state that is in its file: at most three blocks each, and none the second time', async () => {
    const world = worldOn();
    let engine = await quiet(world, 8 * 1024 * 1024);
    const entries = 20_000;
    for (let i = 0; i < entries; i++)
      engine
        .operator('op')
        .value('v')
        .set(i, { ...value, at: i });
    await engine.commit();
    await engine.checkpoint();
    await engine.close();
    engine = await open(world, { prefetch: 'none', checkpointing: false });
    const state = engine.operator('op').value('v');
    const read = (key: number): number => {
      const before = engine.stats().residency.blocksRead;
      expect(state.get(key)).toEqual({ ...value, at: key });
      return engine.stats().residency.blocksRead - before;
    };
    // In one turn, so that no slice is loaded meanwhile. A block
    // of the index and one of entries make a lookup, and an entry may lie across the end of a block.
    const keys = Array.from({ length: 8 }, (_, i) => i * 2500);
    const blocks = keys.map(read);
    expect(blocks[0]).toBeGreaterThan(0);
    expect(Math.max(...blocks)).toBeLessThanOrEqual(3);
    expect(keys.map(read)).toEqual(keys.map(() => 0));
    await engine.close();
  });
});
