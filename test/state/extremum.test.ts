/*
 * The `min` and `max` kinds, wherever the numbers stand.
 */
import { describe, expect, test } from 'vitest';
import type { Engine, ExtremumState } from '../../src/engine/index.ts';
import { errorOf, open, worldOn, type World } from '../engine/engine-fixture.ts';

interface Both {
  readonly low: ExtremumState<number | bigint>;
  readonly high: ExtremumState<number | bigint>;
}

const both = (engine: Engine, ttlMs?: number): Both => {
  const options = ttlMs === undefined ? {} : { ttlMs };
  return {
    low: engine.operator('op').min('low', options),
    high: engine.operator('op').max('high', options),
  };
};

function give({ low, high }: Both, ...numbers: (number | bigint)[]): void {
  for (const number of numbers) {
    low.update('k', number);
    high.update('k', number);
  }
}

const shown = ({ low, high }: Both): unknown[] => [low.get('k'), high.get('k')];

function freshWorld(): World {
  const world = worldOn();
  world.clock.advance(1000);
  return world;
}

describe('the least and the greatest', () => {
  test('of numbers given over memtable, deltas, base and restarts: the same everywhere', async () => {
    const world = worldOn();
    let engine = await open(world);
    give(both(engine), 5, -2);
    expect(shown(both(engine))).toEqual([-2, 5]);
    await engine.commit();
    await engine.checkpoint();
    give(both(engine), 3);
    await engine.commit();
    expect(shown(both(engine))).toEqual([-2, 5]);
    await engine.checkpoint({ kind: 'delta' });
    give(both(engine), 7n, -3n);
    await engine.commit();
    for (const kind of ['replay', 'delta', 'base'] as const) {
      if (kind !== 'replay') await engine.checkpoint({ kind });
      await engine.close();
      engine = await open(world);
      const { low, high } = both(engine);
      expect([kind, ...shown({ low, high })]).toEqual([kind, -3n, 7n]);
      expect([[...low.entries()], [...high.keys()]]).toEqual([[['k', -3n]], ['k']]);
      expect([low.count(), high.has('k'), high.has('other')]).toEqual([1, true, false]);
    }
    await engine.close();
  });

  test('of equal numbers of two types: the older, in memory and after a restart', async () => {
    const world = worldOn();
    let engine = await open(world);
    give(both(engine), 1, 1n);
    await engine.commit();
    give(both(engine), 1n);
    expect(shown(both(engine))).toEqual([1, 1]);
    await engine.commit();
    await engine.close();
    engine = await open(world);
    expect(shown(both(engine))).toEqual([1, 1]);
    await engine.close();
  });

  test('after a delete, and after a clear, in one commit: of what came later', async () => {
    const world = worldOn();
    let engine = await open(world);
    give(both(engine), -100, 100);
    await engine.commit();
    await engine.checkpoint();
    const { low, high } = both(engine);
    give({ low, high }, 1);
    low.delete('k');
    high.clearAll();
    expect(shown({ low, high })).toEqual([undefined, undefined]);
    give({ low, high }, 3, 4);
    await engine.commit();
    for (const kind of ['replay', 'base'] as const) {
      if (kind === 'base') await engine.checkpoint({ kind });
      await engine.close();
      engine = await open(world);
      expect(shown(both(engine))).toEqual([3, 4]);
    }
    await engine.close();
  });

  test('rolled back: as it was', async () => {
    const engine = await open(worldOn());
    give(both(engine), 1, 2);
    await engine.commit();
    give(both(engine), 0, 9);
    both(engine).low.delete('k');
    engine.rollback();
    expect(shown(both(engine))).toEqual([1, 2]);
    await engine.close();
  });

  test('a freeze under the open transaction: what it was given is kept and committed', async () => {
    const world = worldOn();
    let engine = await open(world);
    give(both(engine), 1, 2);
    await engine.commit();
    give(both(engine), 0, 9);
    await engine.checkpoint();
    give(both(engine), -1, 10);
    await engine.commit();
    expect(shown(both(engine))).toEqual([-1, 10]);
    await engine.close();
    engine = await open(world);
    expect(shown(both(engine))).toEqual([-1, 10]);
    await engine.close();
  });

  test('expired: nothing; the next number is kept, whatever it is', async () => {
    const world = freshWorld();
    let engine = await open(world);
    give(both(engine, 10), -5, 5);
    await engine.commit();
    await engine.checkpoint();
    world.clock.advance(5);
    give(both(engine, 10), 1);
    await engine.commit();
    world.clock.advance(9);
    expect(shown(both(engine, 10))).toEqual([-5, 5]);
    world.clock.advance(2);
    expect(shown(both(engine, 10))).toEqual([undefined, undefined]);
    expect(both(engine, 10).low.count()).toBe(0);
    give(both(engine, 10), 2);
    await engine.commit();
    await engine.close();
    engine = await open(world);
    expect(shown(both(engine, 10))).toEqual([2, 2]);
    await engine.close();
  });

  test('alive when it was updated, expired when it is committed: the commit counts', async () => {
    const world = freshWorld();
    let engine = await open(world);
    const low = engine.operator('op').min('l');
    low.update('k', 1, { ttlMs: 5 });
    await engine.commit();
    low.update('k', 3);
    expect(low.get('k')).toBe(1);
    world.clock.advance(6);
    await engine.commit();
    expect(low.get('k')).toBe(3);
    await engine.close();
    engine = await open(world);
    expect(engine.operator('op').min('l').get('k')).toBe(3);
    await engine.close();
  });

  test.each([Number.NaN, Infinity, -Infinity, '1', null, undefined, true, {}])(
    '%s: INVALID_VALUE names state, key and type, nothing changed',
    async (number) => {
      const engine = await open(worldOn());
      for (const state of Object.values(both(engine)) as ExtremumState[]) {
        const error = await errorOf(() => state.update('k', number as number));
        expect(error).toMatchObject({
          code: 'INVALID_VALUE',
          details: { operator: 'op', key: 'k' },
        });
        expect(error.message).toMatch(
          /^(min op\.low|max op\.high) takes finite numbers and bigints/,
        );
      }
      expect(engine.stats().openChanges).toBe(0);
      await engine.close();
    },
  );
});
