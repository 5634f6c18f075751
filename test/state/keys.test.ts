/*
 * Keys through every method of every kind: what is refused, and what is the same key.
 */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/index.ts';
import { keyBytesMax, type Key } from '../../src/codec/key.ts';
import { codeOf, errorOf, open, worldOn } from '../engine/engine-fixture.ts';

const refused: [string, unknown][] = [
  ['NaN', Number.NaN],
  ['undefined', undefined],
  ['null', null],
  ['a function', () => {}],
  ['an object', {}],
  ['a symbol', Symbol('k')],
  ['a Date', new Date(0)],
  ['a lone surrogate', '\ud800'],
  ['a lone low surrogate', '\udc00x'],
  ['a string that is too long', 'x'.repeat(keyBytesMax + 1)],
  ['bytes that are too long', new Uint8Array(keyBytesMax + 1)],
  ['a tuple with a function', ['a', () => {}]],
  ['a tuple with NaN', [1, [Number.NaN]]],
];

/** Every method that takes a key, as `kind.method`. */
function calls(engine: Engine, key: Key): Record<string, () => unknown> {
  const op = engine.operator('a');
  const value = op.value('v');
  const map = op.map('m');
  const list = op.list('l');
  const counter = op.counter('c');
  const blob = op.blob('b');
  const low = op.min('n');
  const reduced = op.reducing('r', { reduce: (a: number, b: number) => a + b });
  const made = op.aggregating('g', {
    create: () => 0,
    add: (a: number, b: number) => a + b,
    result: (a: number) => a,
  });
  return {
    'value.get': () => value.get(key),
    'value.getEntry': () => value.getEntry(key),
    'value.has': () => value.has(key),
    'value.set': () => value.set(key, 1),
    'value.update': () => value.update(key, () => 1),
    'value.patch': () => value.patch(key, {}),
    'value.delete': () => value.delete(key),
    'map.get': () => map.get(key, 1),
    'map.get by sub-key': () => map.get(1, key),
    'map.has': () => map.has(key, 1),
    'map.has by sub-key': () => map.has(1, key),
    'map.set': () => map.set(key, 1, 1),
    'map.set by sub-key': () => map.set(1, key, 1),
    'map.delete': () => map.delete(key, 1),
    'map.delete by sub-key': () => map.delete(1, key),
    'map.clear': () => map.clear(key),
    'map.entries': () => map.entries(key),
    'map.keys': () => map.keys(key),
    'list.append': () => list.append(key, 1),
    'list.get': () => list.get(key),
    'list.clear': () => list.clear(key),
    'counter.add': () => counter.add(key),
    'counter.get': () => counter.get(key),
    'counter.has': () => counter.has(key),
    'counter.delete': () => counter.delete(key),
    'min.update': () => low.update(key, 1),
    'min.get': () => low.get(key),
    'min.has': () => low.has(key),
    'min.delete': () => low.delete(key),
    'reducing.add': () => reduced.add(key, 1),
    'reducing.get': () => reduced.get(key),
    'reducing.has': () => reduced.has(key),
    'reducing.delete': () => reduced.delete(key),
    'aggregating.add': () => made.add(key, 1),
    'aggregating.get': () => made.get(key),
    'aggregating.has': () => made.has(key),
    'aggregating.delete': () => made.delete(key),
    'blob.get': () => blob.get(key),
    'blob.has': () => blob.has(key),
    'blob.set': () => blob.set(key, new Uint8Array(1)),
    'blob.delete': () => blob.delete(key),
  };
}

describe('keys', () => {
  test.each(refused)('%s: INVALID_KEY from every method, nothing changed', async (_, key) => {
    const engine = await open(worldOn());
    for (const [name, call] of Object.entries(calls(engine, key as Key))) {
      expect([name, await codeOf(call)]).toEqual([name, 'INVALID_KEY']);
    }
    expect(engine.stats().openChanges).toBe(0);
    await engine.close();
  });

  test('keys that look alike: each has a value of its own, in memory and after a restart', async () => {
    const world = worldOn();
    let engine = await open(world);
    const keys: Key[] = [
      1,
      '1',
      1n,
      true,
      'true',
      0,
      false,
      '',
      new Uint8Array([1]),
      [1],
      ['1'],
      [[1]],
      [1, 1],
      [],
      new Uint8Array(0),
      '\u0001',
      2n ** 64n,
      -1,
      -1n,
      1.5,
      Number.POSITIVE_INFINITY,
      Number.MAX_SAFE_INTEGER,
      'x'.repeat(keyBytesMax - 1),
    ];
    keys.forEach((key, i) => engine.operator('a').value('v').set(key, i));
    keys.forEach((key, i) => engine.operator('a').map('m').set('k', key, i));
    for (const stage of ['open', 'committed', 'checkpointed', 'restarted']) {
      if (stage === 'committed') await engine.commit();
      if (stage === 'checkpointed') await engine.checkpoint();
      if (stage === 'restarted') {
        await engine.close();
        engine = await open(world);
      }
      const value = engine.operator('a').value<number>('v');
      const map = engine.operator('a').map<Key, number>('m');
      keys.forEach((key, i) => expect([stage, i, value.get(key)]).toEqual([stage, i, i]));
      keys.forEach((key, i) => expect([stage, i, map.get('k', key)]).toEqual([stage, i, i]));
      const found = [...value.entries()].sort((a, b) => a[1] - b[1]).map(([key]) => key);
      expect(found).toEqual(keys);
    }
    await engine.close();
  });

  test('-0 and 0, a Buffer and its bytes, equal tuples: one key', async () => {
    const engine = await open(worldOn());
    const value = engine.operator('a').value<number>('v');
    value.set(-0, 1);
    value.set(Buffer.from([7, 8]), 2);
    value.set(['a', 1, new Uint8Array([9])], 3);
    await engine.commit();
    await engine.checkpoint();
    await engine.commit();
    expect(value.get(0)).toBe(1);
    expect(
      Object.is(
        [...value.keys()].find((key) => typeof key === 'number'),
        0,
      ),
    ).toBe(true);
    expect(value.get(new Uint8Array([7, 8]))).toBe(2);
    expect(value.get(['a', 1, Buffer.from([9])])).toBe(3);
    expect(value.count()).toBe(3);
    await engine.close();
  });

  test('a key of bytes or a tuple that is changed after set: the entry keeps its key', async () => {
    const engine = await open(worldOn());
    const value = engine.operator('a').value<number>('v');
    const bytes = new Uint8Array([1]);
    const tuple = ['a', bytes];
    value.set(bytes, 1);
    value.set(tuple, 2);
    bytes[0] = 2;
    tuple[0] = 'b';
    await engine.commit();
    expect([value.get(new Uint8Array([1])), value.get(['a', new Uint8Array([1])])]).toEqual([1, 2]);
    expect(value.count()).toBe(2);
    await engine.close();
  });
});

test('a key that cannot be one: the error names operator, state, and which of the keys it was', async () => {
  const engine = await open(worldOn());
  for (const [name, call] of Object.entries(calls(engine, Number.NaN))) {
    const error = await errorOf(() => {
      const result = call();
      // Generators check when they are asked.
      if (typeof (result as Iterator<unknown>)?.next === 'function') {
        (result as Iterator<unknown>).next();
      }
    });
    const states = { value: 'v', map: 'm', list: 'l', counter: 'c', blob: 'b' } as const;
    const kind = name.split('.')[0]!;
    const what = name.endsWith('by sub-key') ? 'sub-key' : 'key';
    expect(error.details).toMatchObject({ reason: 'nan', operator: 'a', what });
    if (kind in states) expect(error.details['state']).toBe(states[kind as keyof typeof states]);
    expect(error.message).toContain(`${what} of a.${String(error.details['state'])}: `);
  }
  await engine.close();
});
