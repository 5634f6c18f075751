/*
 * Expiry: absolute, stored with the entry, judged by the greater of clock and last commit.
 */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/index.ts';
import { errorOf, open, worldOn, type World } from '../engine/engine-fixture.ts';

interface States {
  readonly value: ReturnType<ReturnType<Engine['operator']>['value']>;
  readonly map: ReturnType<ReturnType<Engine['operator']>['map']>;
  readonly list: ReturnType<ReturnType<Engine['operator']>['list']>;
  readonly counter: ReturnType<ReturnType<Engine['operator']>['counter']>;
}

function statesOf(engine: Engine, ttlMs?: number): States {
  const op = engine.operator('op');
  const options = ttlMs === undefined ? {} : { ttlMs };
  return {
    value: op.value('v', options),
    map: op.map('m', options),
    list: op.list('l', options),
    counter: op.counter('c', options),
  };
}

/** What is shown of key `k`, by single reads and by iteration. */
function shown({ value, map, list, counter }: States): unknown[] {
  return [
    value.get('k'),
    value.has('k'),
    value.getEntry('k')?.expiresAt,
    [...value.keys()].length,
    value.count(),
    map.get('k', 1),
    map.has('k', 1),
    [...map.entries('k')].length,
    [...map.keys()].length,
    list.get('k'),
    [...list.keys()].length,
    counter.get('k'),
    [...counter.keys()].length,
  ];
}

function write({ value, map, list, counter }: States, options?: { ttlMs: number | null }): void {
  value.set('k', 1, options);
  map.set('k', 1, 1, options);
  list.append('k', 1, options);
  counter.add('k', 1, options);
}

const alive = (expiresAt: number | undefined): unknown[] => [
  1,
  true,
  expiresAt,
  1,
  1,
  1,
  true,
  1,
  1,
  [1],
  1,
  1,
  1,
];
const dead = [undefined, false, undefined, 0, 0, undefined, false, 0, 0, [], 0, 0, 0];

function freshWorld(): World {
  const world = worldOn();
  world.clock.advance(1000);
  return world;
}

describe('time to live', () => {
  test.each([
    ['of the state', 100, undefined],
    ['of the write', undefined, { ttlMs: 100 }],
    ['of the write over that of the state', 5, { ttlMs: 100 }],
  ] as const)('%s: gone when its time has come, wherever it stands', async (_, ttlMs, options) => {
    for (const stage of ['open', 'committed', 'checkpointed', 'replayed', 'restored', 'merged']) {
      const world = freshWorld();
      let engine = await open(world);
      const before = statesOf(engine, ttlMs);
      write(before, options);
      if (stage !== 'open') await engine.commit();
      if (!['open', 'committed', 'replayed'].includes(stage)) await engine.checkpoint();
      if (stage === 'merged') {
        engine.operator('other').value('v').set('x', 1);
        await engine.commit();
        await engine.checkpoint({ kind: 'base' });
      }
      world.clock.advance(60);
      if (stage === 'replayed' || stage === 'restored') {
        await engine.close();
        engine = await open(world);
      }
      const states = statesOf(engine, ttlMs);
      // Neither the time until the commit nor the restart has made it longer.
      expect([stage, ...shown(states)]).toEqual([stage, ...alive(1_100_000)]);
      world.clock.advance(39);
      expect([stage, ...shown(states)]).toEqual([stage, ...alive(1_100_000)]);
      world.clock.advance(1);
      expect([stage, ...shown(states)]).toEqual([stage, ...dead]);
      await engine.close();
    }
  });

  test('null of the write over that of the state: never', async () => {
    const world = freshWorld();
    const engine = await open(world);
    const states = statesOf(engine, 100);
    write(states, { ttlMs: null });
    await engine.commit();
    world.clock.advance(1e9);
    expect(shown(states)).toEqual(alive(undefined));
    await engine.close();
  });

  test('a write after it: the new value has the new expiry, the old one does not come back', async () => {
    const world = freshWorld();
    const engine = await open(world);
    const { value } = statesOf(engine);
    value.set('k', 'forever');
    await engine.commit();
    await engine.checkpoint();
    value.set('k', 'short', { ttlMs: 10 });
    await engine.commit();
    await engine.checkpoint();
    world.clock.advance(20);
    expect(value.get('k')).toBeUndefined();
    await engine.commit();
    await engine.checkpoint({ kind: 'base' });
    expect(value.get('k')).toBeUndefined();
    value.set('k', 'again');
    await engine.commit();
    await engine.checkpoint({ kind: 'base' });
    world.clock.advance(1e6);
    expect(value.get('k')).toBe('again');
    await engine.close();
  });

  test('the clock steps back: what expired by the last commit stays gone', async () => {
    const world = freshWorld();
    let engine = await open(world);
    statesOf(engine).value.set('k', 1, { ttlMs: 10 });
    await engine.commit();
    world.clock.advance(20);
    await engine.commit();
    await engine.close();
    world.clock.advance(-500);
    engine = await open(world);
    expect(statesOf(engine).value.get('k')).toBeUndefined();
    const { timestamp } = await engine.commit();
    expect(timestamp).toBe(1_020_001);
    await engine.close();
  });

  test('a counter that expires: the next addition starts from nothing (E4), also when log and images say it', async () => {
    const world = freshWorld();
    let engine = await open(world);
    let { counter } = statesOf(engine, 10);
    for (const stage of ['memory', 'image', 'replay']) {
      expect(counter.add('k', 5)).toBe(5);
      await engine.commit();
      world.clock.advance(5);
      expect(counter.add('k', 5)).toBe(10);
      await engine.commit();
      if (stage === 'image') await engine.checkpoint();
      if (stage === 'replay') {
        await engine.close();
        engine = await open(world);
        ({ counter } = statesOf(engine, 10));
      }
      // The second addition set the expiry anew: 5 ms after the first would have died it lives.
      world.clock.advance(7);
      expect([stage, counter.get('k')]).toEqual([stage, 10]);
      world.clock.advance(3);
      expect([stage, counter.get('k')]).toEqual([stage, 0]);
    }
    expect(counter.add('k', 2)).toBe(2);
    await engine.commit();
    await engine.close();
    engine = await open(world);
    expect(statesOf(engine, 10).counter.get('k')).toBe(2);
    await engine.close();
  });

  test('a counter dies between the addition and the commit: memory and replay agree', async () => {
    const world = freshWorld();
    let engine = await open(world);
    let { counter } = statesOf(engine);
    counter.add('k', 5, { ttlMs: 10 });
    await engine.commit();
    world.clock.advance(9);
    expect(counter.add('k', 1, { ttlMs: null })).toBe(6);
    world.clock.advance(5);
    await engine.commit();
    expect(counter.get('k')).toBe(1);
    await engine.close();
    engine = await open(world);
    ({ counter } = statesOf(engine));
    expect(counter.get('k')).toBe(1);
    await engine.close();
  });

  test('a bounded list whose newest items expire: older ones come back into view, never more than the bound', async () => {
    const world = freshWorld();
    let engine = await open(world);
    const list = (): States['list'] => engine.operator('op').list('bounded', { itemsMax: 2 });
    const add = async (value: number, ttlMs: number | null): Promise<void> => {
      list().append('k', value, { ttlMs });
      await engine.commit();
    };
    await add(1, null);
    await add(2, null);
    await add(3, 10);
    await add(4, 20);
    for (const stage of ['memory', 'delta', 'base', 'replay']) {
      if (stage === 'delta') await engine.checkpoint();
      if (stage === 'base') await engine.checkpoint({ kind: 'base' });
      if (stage === 'replay') {
        await engine.close();
        engine = await open(world);
      }
      expect([stage, list().get('k')]).toEqual([stage, [3, 4]]);
    }
    world.clock.advance(15);
    expect(list().get('k')).toEqual([2, 4]);
    await engine.commit();
    await engine.checkpoint({ kind: 'base' });
    world.clock.advance(15);
    expect(list().get('k')).toEqual([1, 2]);
    await engine.close();
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5', 1e12])(
    'ttlMs %s: INVALID_OPTION from state and write, nothing changed',
    async (ttlMs) => {
      const engine = await open(worldOn());
      const op = engine.operator('op');
      const value = op.value('v');
      const bad = { ttlMs: ttlMs as number };
      for (const call of [
        () => op.value('w', bad),
        () => op.map('w', bad),
        () => op.list('w', bad),
        () => op.counter('w', bad),
        () => value.set('k', 1, bad),
        () => value.update('k', () => 1, bad),
        () => op.map('m').set('k', 1, 1, bad),
        () => op.list('l').append('k', 1, bad),
        () => op.counter('c').add('k', 1, bad),
      ]) {
        const error = await errorOf(call);
        expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'ttlMs']);
      }
      expect(engine.stats().openChanges).toBe(0);
      await engine.close();
    },
  );
});
