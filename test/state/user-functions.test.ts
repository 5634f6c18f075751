/*
 * Reducing and aggregating states: functions of the user, run once, in the transaction.
 */
import { describe, expect, test } from 'vitest';
import type { AggregatingState, Engine, ReducingState } from '../../src/engine/index.ts';
import { errorOf, open, settle, worldOn } from '../engine/engine-fixture.ts';

interface Mean {
  count: number;
  sum: number;
}

const functions = {
  create: (): Mean => ({ count: 0, sum: 0 }),
  /** Changes what it is given, as many such functions do. */
  add: (mean: Mean, value: number): Mean => {
    mean.count++;
    mean.sum += value;
    if (value === 13) throw new RangeError('thirteen');
    return mean;
  },
  result: ({ count, sum }: Mean): number => sum / count,
};

const means = (engine: Engine, ttlMs?: number): AggregatingState<number, Mean, number> =>
  engine
    .operator('op')
    .aggregating('means', ttlMs === undefined ? functions : { ...functions, ttlMs });

const longest = (engine: Engine): ReducingState<string> =>
  engine.operator('op').reducing('longest', {
    reduce: (a: string, b: string) => (b.length > a.length ? b : a),
  });

describe('reducing and aggregating', () => {
  test('added over commits, checkpoints and restarts: the functions run at the call only', async () => {
    const world = worldOn();
    let engine = await open(world);
    expect(longest(engine).add('k', 'to')).toBe('to');
    means(engine).add('k', 2);
    await engine.commit();
    await engine.checkpoint();
    expect(longest(engine).add('k', 'be')).toBe('to');
    means(engine).add('k', 4);
    await engine.commit();
    for (const kind of ['replay', 'delta', 'base'] as const) {
      if (kind !== 'replay') await engine.checkpoint({ kind });
      await engine.close();
      engine = await open(world);
      const never = (): never => {
        throw new Error('ran');
      };
      const kept = engine.operator('op').reducing<string>('longest', { reduce: never });
      expect([kind, kept.get('k'), [...kept.entries()]]).toEqual([kind, 'to', [['k', 'to']]]);
      expect([means(engine).get('k'), [...means(engine).entries()]]).toEqual([3, [['k', 3]]]);
      expect([[...means(engine).keys()], means(engine).count(), kept.count()]).toEqual([
        ['k'],
        1,
        1,
      ]);
      expect([kept.has('k'), means(engine).has('k'), means(engine).has('x')]).toEqual([
        true,
        true,
        false,
      ]);
    }
    await engine.close();
  });

  test('deleted, cleared, rolled back: starts from nothing, or is as before', async () => {
    const engine = await open(worldOn());
    means(engine).add('k', 2);
    longest(engine).add('k', 'long');
    await engine.commit();
    means(engine).delete('k');
    longest(engine).delete('k');
    expect([means(engine).get('k'), longest(engine).get('k')]).toEqual([undefined, undefined]);
    means(engine).add('k', 8);
    expect([means(engine).get('k'), longest(engine).add('k', 'a')]).toEqual([8, 'a']);
    engine.rollback();
    expect([means(engine).get('k'), longest(engine).get('k')]).toEqual([2, 'long']);
    means(engine).clearAll();
    longest(engine).clearAll();
    expect([means(engine).count(), longest(engine).count()]).toEqual([0, 0]);
    await engine.close();
  });

  test('expired: the next value starts anew', async () => {
    const world = worldOn();
    world.clock.advance(1000);
    const engine = await open(world);
    means(engine, 10).add('k', 2);
    await engine.commit();
    world.clock.advance(5);
    means(engine, 10).add('k', 4);
    await engine.commit();
    world.clock.advance(9);
    expect(means(engine, 10).get('k')).toBe(3);
    world.clock.advance(1);
    expect(means(engine, 10).get('k')).toBeUndefined();
    means(engine, 10).add('k', 10, { ttlMs: null });
    await engine.commit();
    world.clock.advance(1000);
    expect(means(engine, 10).get('k')).toBe(10);
    await engine.close();
  });

  test('their kinds: in the catalogue', async () => {
    const engine = await open(worldOn());
    means(engine).add('k', 1);
    longest(engine).add('k', 'x');
    await engine.commit();
    const { tables } = await engine.checkpoint();
    expect(tables.map(({ state, kind }) => [state, kind])).toEqual([
      ['means', 'aggregating'],
      ['longest', 'reducing'],
    ]);
    await engine.close();
  });
});

describe('a function', () => {
  test('throws half-way: its error is thrown on, and the transaction is as before the call', async () => {
    for (const checks of [true, false]) {
      const engine = await open(worldOn(), { checks });
      const state = means(engine);
      state.add('k', 2);
      expect(() => state.add('k', 13)).toThrow(new RangeError('thirteen'));
      expect(state.get('k')).toBe(2);
      await engine.commit();
      expect(() => state.add('k', 13)).toThrow('thirteen');
      expect(() => state.add('new', 13)).toThrow('thirteen');
      expect([state.get('k'), state.has('new'), engine.stats().openChanges]).toEqual([2, false, 0]);
      await engine.checkpoint();
      expect(state.get('k')).toBe(2);
      await engine.close();
    }
  });

  test('returns a promise: INVALID_VALUE names operator, state, key and function; it is not left unhandled', async () => {
    const engine = await open(worldOn());
    const op = engine.operator('op');
    const late = (): Promise<never> => Promise.reject(new Error('late'));
    const reduce: (a: unknown, b: unknown) => unknown = late;
    const reducing = op.reducing('r', { reduce });
    reducing.add('k', 1);
    const broken = { create: late, add: late, result: late } as never;
    const calls: [string, string, () => unknown][] = [
      ['r', 'reduce', () => reducing.add('k', 2)],
      ['c', 'create', () => op.aggregating('c', broken).add('k', 1)],
      ['a', 'add', () => op.aggregating('a', { ...functions, add: late as never }).add('k', 1)],
    ];
    for (const [state, name, call] of calls) {
      const error = await errorOf(call);
      expect(error.code).toBe('INVALID_VALUE');
      expect(error.details).toMatchObject({ operator: 'op', state, key: 'k', function: name });
    }
    const result = op.aggregating('s', { ...functions, result: late });
    result.add('k', 1);
    expect((await errorOf(() => result.get('k'))).details).toMatchObject({ function: 'result' });
    await settle();
    expect([reducing.get('k'), engine.stats().openChanges]).toEqual([1, 2]);
    await engine.close();
  });

  test('returns what cannot be stored: INVALID_VALUE at the call names operator, state and key', async () => {
    const engine = await open(worldOn());
    const op = engine.operator('op');
    const reduce = (_a: unknown, _b: unknown): unknown => ({ f: () => {} });
    const reducing = op.reducing('r', { reduce });
    reducing.add('k', 1);
    const error = await errorOf(() => reducing.add('k', 2));
    expect(error).toMatchObject({ code: 'INVALID_VALUE' });
    expect(error.details).toMatchObject({ operator: 'op', state: 'r', key: 'k', path: 'f' });
    expect((await errorOf(() => reducing.add('other', () => {}))).code).toBe('INVALID_VALUE');
    expect([reducing.get('k'), reducing.has('other')]).toEqual([1, false]);
    await engine.close();
  });

  test('changes a state, commits or rolls back: INVALID_CALL, nothing changed; reading is fine', async () => {
    const engine = await open(worldOn());
    const op = engine.operator('op');
    const other = op.value<number>('other');
    other.set('x', 5);
    await engine.commit();
    const acts: Record<string, () => unknown> = {
      set: () => other.set('x', 6),
      commit: () => void engine.commit(),
      rollback: () => engine.rollback(),
      read: () => other.get('x'),
    };
    for (const [name, act] of Object.entries(acts)) {
      const state = op.reducing<number>('r', { reduce: () => Number(act()) });
      state.add(name, 1);
      if (name === 'read') expect(state.add(name, 2)).toBe(5);
      else expect((await errorOf(() => state.add(name, 2))).code).toBe('INVALID_CALL');
      expect([other.get('x'), state.get(name)]).toEqual([5, name === 'read' ? 5 : 1]);
    }
    await engine.close();
  });

  test('is none: INVALID_OPTION names the option', async () => {
    const engine = await open(worldOn());
    const op = engine.operator('op');
    const asks: [string, () => unknown][] = [
      ['reduce', () => op.reducing('r', {} as never)],
      ['create', () => op.aggregating('a', { ...functions, create: 1 } as never)],
      ['add', () => op.aggregating('a', { ...functions, add: undefined } as never)],
      ['result', () => op.aggregating('a', { ...functions, result: 'x' } as never)],
      ['other', () => op.aggregating('a', { ...functions, other: 1 } as never)],
    ];
    for (const [option, ask] of asks) {
      const error = await errorOf(ask);
      expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', option]);
    }
    await engine.close();
  });
});

test('a reducing or aggregating state without options: the refusal names the functions', async () => {
  const engine = await open(worldOn());
  const operator = engine.operator('op');
  const reducing = await errorOf(() => operator.reducing('r', undefined as never));
  expect([reducing.code, reducing.message]).toEqual([
    'INVALID_OPTION',
    'options must be an object with reduce: this is undefined',
  ]);
  const aggregating = await errorOf(() => operator.aggregating('a', (() => 0) as never));
  expect(aggregating.message).toBe(
    'options must be an object with create, add, result: this is function',
  );
  await engine.close();
});
