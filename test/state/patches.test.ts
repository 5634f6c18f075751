/*
 * `patch` of a value state: what the open transaction shows is what is committed, and what replay,
 * deltas and bases give.
 */
import { describe, expect, test } from 'vitest';
import type { Engine, ValueState } from '../../src/engine/index.ts';
import { codeOf, errorOf, noise, open, worldOn } from '../engine/engine-fixture.ts';

interface User {
  readonly name?: string;
  readonly tags?: readonly string[];
  readonly address?: { readonly city?: string; readonly zip?: string };
}

const users = (engine: Engine, ttlMs?: number): ValueState<User> =>
  engine.operator('op').value<User>('users', ttlMs === undefined ? {} : { ttlMs });

/** Closes and opens, by replay, then from a delta, then from a base. */
async function everywhere(
  engine: Engine,
  reopen: () => Promise<Engine>,
  check: (engine: Engine) => void,
): Promise<void> {
  let now = engine;
  check(now);
  for (const kind of ['replay', 'delta', 'base'] as const) {
    if (kind !== 'replay') await now.checkpoint({ kind });
    check(now);
    await now.close();
    now = await reopen();
    check(now);
  }
  await now.close();
}

function apply(state: ValueState, [what, value]: readonly [string, object?]): void {
  if (what === 'set') state.set('k', value);
  else if (what === 'patch') state.patch('k', { ...value });
  else if (what === 'delete') state.delete('k');
  else state.clearAll();
}

describe('a patch', () => {
  test('of fields, nested fields and deletions over several commits: everywhere the same', async () => {
    const world = worldOn();
    const engine = await open(world);
    const state = users(engine);
    expect(state.patch('k', { name: 'Ada', address: { zip: '1' } })).toEqual({
      name: 'Ada',
      address: { zip: '1' },
    });
    await engine.commit();
    await engine.checkpoint();
    state.patch('k', { address: { city: 'London', zip: null } });
    state.patch('k', { tags: ['a', 'b'] });
    await engine.commit();
    await engine.checkpoint({ kind: 'delta' });
    state.patch('k', { name: null, tags: ['c'] });
    await engine.commit();
    const expected = '{"address":{"city":"London"},"tags":["c"]}';
    await everywhere(
      engine,
      () => open(world),
      (now) => {
        expect(JSON.stringify(users(now).get('k'))).toBe(expected);
        expect(
          [...users(now).entries()].map(([key, value]) => [key, JSON.stringify(value)]),
        ).toEqual([['k', expected]]);
      },
    );
  });

  test('a field deleted, then patched as an object, in two commits: only what came later', async () => {
    const world = worldOn();
    const engine = await open(world);
    const state = engine.operator('op').value('v');
    state.set('k', { a: { old: 1 }, z: 0 });
    await engine.commit();
    await engine.checkpoint();
    state.patch('k', { a: null });
    await engine.commit();
    state.patch('k', { a: { fresh: 1 } });
    await engine.commit();
    await everywhere(
      engine,
      () => open(world),
      (now) => {
        expect(now.operator('op').value('v').get('k')).toEqual({ a: { fresh: 1 }, z: 0 });
      },
    );
  });

  test('several patches in one transaction: shown at once, logged as one operand', async () => {
    const world = worldOn();
    const engine = await open(world);
    const state = engine.operator('op').value('v');
    state.set('k', { a: { old: 1 }, n: 1 });
    await engine.commit();
    state.patch('k', { a: 7 });
    state.patch('k', { a: { b: 1 } });
    state.patch('k', { n: null, m: 2 });
    expect(engine.stats().openChanges).toBe(1);
    expect(state.get('k')).toEqual({ a: { b: 1 }, m: 2 });
    expect(state.getEntry('k')).toMatchObject({ lsn: 0 });
    await engine.commit();
    expect(state.getEntry('k')).toMatchObject({ lsn: 2, value: { a: { b: 1 }, m: 2 } });
    await everywhere(
      engine,
      () => open(world),
      (now) => {
        expect(now.operator('op').value('v').get('k')).toEqual({ a: { b: 1 }, m: 2 });
      },
    );
  });

  type Step = readonly ['set' | 'patch', object] | readonly ['delete' | 'clear'];
  const patched: Step = ['patch', { c: 2 }];
  test.each<[string, Step[], unknown]>([
    ['after a set', [['set', { b: 1 }], patched], { b: 1, c: 2 }],
    ['after a delete', [['delete'], patched], { c: 2 }],
    ['after a clear', [['clear'], patched], { c: 2 }],
    ['before a set', [patched, ['set', { b: 1 }]], { b: 1 }],
    ['before a delete', [patched, ['delete']], undefined],
    ['before a clear', [patched, ['clear']], undefined],
    ['before and after a set', [patched, ['set', { b: 1 }], ['patch', { d: 3 }]], { b: 1, d: 3 }],
    ['before and after a delete', [patched, ['delete'], ['patch', { d: 3 }]], { d: 3 }],
  ])('%s of the same transaction: what it shows is what it commits', async (_, steps, expected) => {
    const world = worldOn();
    const engine = await open(world);
    const state = engine.operator('op').value('v');
    state.set('k', { a: 0 });
    await engine.commit();
    await engine.checkpoint();
    for (const step of steps) apply(state, step);
    expect(state.get('k')).toEqual(expected);
    engine.rollback();
    expect(state.get('k')).toEqual({ a: 0 });
    for (const step of steps) apply(state, step);
    await engine.checkpoint();
    await engine.commit();
    await everywhere(
      engine,
      () => open(world),
      (now) => {
        expect(now.operator('op').value('v').get('k')).toEqual(expected);
      },
    );
  });

  test('over a value that is no plain object, in place of one: an object', async () => {
    const world = worldOn();
    const engine = await open(world);
    const state = engine.operator('op').value('v');
    const values = [5, null, [1], new Map([['a', 1]]), undefined];
    values.forEach((value, i) => state.set(i, value));
    await engine.commit();
    values.forEach((_, i) => state.patch(i, { a: 1 }));
    await engine.commit();
    await everywhere(
      engine,
      () => open(world),
      (now) => {
        const read = now.operator('op').value('v');
        expect(values.map((_, i) => read.get(i))).toEqual(values.map(() => ({ a: 1 })));
      },
    );
  });

  test('values of a class in patch and value: kept as they are, and never decoded by a merge', async () => {
    class Money {
      readonly cents: number;
      constructor(cents: number) {
        this.cents = cents;
      }
    }
    let decoded = 0;
    const types = [
      {
        name: 'Money',
        class: Money,
        encode: ({ cents }: Money): unknown => ({ cents }),
        decode: (data: unknown): Money => {
          decoded++;
          return new Money((data as Money).cents);
        },
      },
    ];
    const world = worldOn();
    let engine = await open(world, { types });
    const state = engine.operator('op').value('v');
    state.set('k', { price: new Money(1), kept: new Money(2) });
    await engine.commit();
    state.patch('k', { price: new Money(3) });
    await engine.commit();
    await engine.close();
    decoded = 0;
    engine = await open(world, { types });
    await engine.checkpoint({ kind: 'base' });
    expect(decoded).toBe(0);
    expect(engine.operator('op').value('v').get('k')).toEqual({
      price: new Money(3),
      kept: new Money(2),
    });
    await engine.close();
  });

  test('expired before it: from nothing; its own time to live counts from then on', async () => {
    const world = worldOn();
    world.clock.advance(1000);
    const engine = await open(world);
    users(engine, 10).set('k', { name: 'Ada' });
    await engine.commit();
    world.clock.advance(5);
    users(engine, 10).patch('k', { tags: [] });
    await engine.commit();
    world.clock.advance(9);
    expect(users(engine, 10).get('k')).toEqual({ name: 'Ada', tags: [] });
    world.clock.advance(2);
    expect(users(engine, 10).get('k')).toBeUndefined();
    users(engine, 10).patch('k', { address: { zip: null } }, { ttlMs: null });
    await engine.commit();
    world.clock.advance(1000);
    await everywhere(
      engine,
      () => open(world),
      (now) => {
        expect(users(now, 10).getEntry('k')).toMatchObject({
          value: { address: {} },
          expiresAt: undefined,
        });
      },
    );
  });

  test('of a value that expires before the commit: the commit counts', async () => {
    const world = worldOn();
    world.clock.advance(1000);
    const engine = await open(world, { checks: true });
    users(engine).set('k', { name: 'Ada' }, { ttlMs: 5 });
    await engine.commit();
    users(engine).patch('k', { tags: ['a'] });
    expect(users(engine).get('k')).toEqual({ name: 'Ada', tags: ['a'] });
    world.clock.advance(6);
    await engine.commit();
    await everywhere(
      engine,
      () => open(world, { checks: true }),
      (now) => {
        expect(users(now).get('k')).toEqual({ tags: ['a'] });
      },
    );
  });

  test('with checks, and names that look like indices: frozen, and not taken for changed', async () => {
    const world = worldOn();
    const engine = await open(world, { checks: true });
    const state = engine.operator('op').value('v');
    state.set('k', { z: 1, b: { y: 1, x: 2 }, 10: 1, 9: 2 });
    await engine.commit();
    state.patch('k', { b: { 11: 0, 2: 0 }, a: { 5: 1, '05': 2 } });
    await engine.commit();
    expect(Object.isFrozen((state.get('k') as { b: object }).b)).toBe(true);
    await engine.checkpoint();
    const text = '{"9":2,"10":1,"a":{"5":1,"05":2},"b":{"2":0,"11":0,"x":2,"y":1},"z":1}';
    expect(JSON.stringify(state.get('k'))).toBe(text);
    await engine.close();
  });

  test('of large values: memory is counted by the values, the delta holds the patches', async () => {
    const engine = await open(worldOn());
    const state = engine.operator('op').value('v');
    for (let key = 0; key < 10; key++) state.set(key, { text: noise(10_000, key) });
    await engine.commit();
    await engine.checkpoint();
    for (let round = 0; round < 5; round++) {
      for (let key = 0; key < 10; key++) state.patch(key, { round });
      await engine.commit();
    }
    const held = engine.stats().memtableBytes;
    expect(held).toBeGreaterThan(100_000);
    expect(held).toBeLessThan(120_000);
    const { chain } = await engine.checkpoint({ kind: 'delta' });
    expect(chain.at(-1)!.bytes).toBeLessThan(10_000);
    await engine.close();
  });

  test('what the patch was made of is changed afterwards: the value is not', async () => {
    const engine = await open(worldOn(), { checks: false });
    const tags = ['a'];
    const given = users(engine).patch('k', { tags });
    tags.push('b');
    expect([given, users(engine).get('k')]).toEqual([{ tags: ['a'] }, { tags: ['a'] }]);
    await engine.close();
  });
});

test('a patch as TypeScript sees it: fields of the value, null for any, arrays as a whole', async () => {
  const engine = await open(worldOn());
  const state = users(engine);
  state.patch('k', { name: null, address: { city: 'London', zip: null }, tags: ['a'] });
  // @ts-expect-error the value has no such field
  state.patch('k', { nickname: 'A' });
  // @ts-expect-error nor has the object in it
  state.patch('k', { address: { street: 'x' } });
  // @ts-expect-error items of an array are not patched
  state.patch('k', { tags: { 0: 'b' } });
  engine.operator('op').value('v').patch('k', { anything: 1 });
  expect(state.get('k')).toMatchObject({ nickname: 'A', tags: { 0: 'b' } });
  await engine.close();
});

describe('a patch that is refused', () => {
  test.each([5, null, undefined, 'text', [1], new Map(), new Date(0), Object.create(null)])(
    '%s is no plain object: INVALID_VALUE names state and key',
    async (patch) => {
      const engine = await open(worldOn());
      const error = await errorOf(() => users(engine).patch('k', patch as object));
      expect(error).toMatchObject({
        code: 'INVALID_VALUE',
        details: { operator: 'op', state: 'users', key: 'k' },
      });
      expect(error.message).toMatch(/op\.users must be a plain object/);
      expect(engine.stats().openChanges).toBe(0);
      await engine.close();
    },
  );

  test('a leaf that cannot be stored: INVALID_VALUE with its path, at the call', async () => {
    const engine = await open(worldOn());
    users(engine).set('k', { name: 'Ada' });
    const state = engine.operator('op').value('users');
    const error = await errorOf(() => state.patch('k', { a: { b: () => {} } }));
    expect(error.details).toMatchObject({ operator: 'op', state: 'users', key: 'k', path: 'a.b' });
    expect(users(engine).get('k')).toEqual({ name: 'Ada' });
    await engine.close();
  });

  test('a result, or an operand, above recordBytesMax: RECORD_TOO_LARGE, nothing changed', async () => {
    const engine = await open(worldOn(), { recordBytesMax: 60_000, commitBytesMax: 200_000 });
    const state = engine.operator('op').value('v');
    state.set('k', { a: noise(40_000) });
    await engine.commit();
    expect(await codeOf(() => state.patch('k', { b: noise(30_000) }))).toBe('RECORD_TOO_LARGE');
    expect(Object.keys(state.get('k') as object)).toEqual(['a']);
    const long = (name: string): string => name.repeat(20_000);
    state.patch('k', { [long('x')]: null });
    state.patch('k', { [long('y')]: null });
    const error = await errorOf(() => state.patch('k', { [long('z')]: null }));
    expect(error.code).toBe('RECORD_TOO_LARGE');
    await engine.commit();
    expect(Object.keys(state.get('k') as object)).toEqual(['a']);
    await engine.close();
  });

  test('its class changes a state while it is encoded: INVALID_CALL, nothing changed', async () => {
    class Sly {
      readonly sly = true;
    }
    const types = [
      {
        name: 'Sly',
        class: Sly,
        encode: (): unknown => {
          engine.operator('op').value('other').set('x', 1);
          return null;
        },
        decode: (): Sly => new Sly(),
      },
    ];
    const engine = await open(worldOn(), { types });
    const error = await errorOf(() =>
      engine.operator('op').value('v').patch('k', { a: new Sly() }),
    );
    expect([error.code, engine.stats().openChanges]).toEqual(['INVALID_VALUE', 0]);
    expect(error.cause).toMatchObject({ cause: { code: 'INVALID_CALL' } });
    await engine.close();
  });
});
