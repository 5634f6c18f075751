import { expect, test } from 'vitest';
import { deepFreeze } from '../../src/codec/value.ts';

test('plain objects, arrays and errors at any depth: are frozen, through maps and sets', () => {
  const inMap = { a: [1] };
  const inKey = [2];
  const inSet = { b: 1 };
  const value = {
    list: [{ deep: {} }],
    bare: Object.assign(Object.create(null) as object, { a: [] }),
    map: new Map([[inKey, inMap]]),
    set: new Set([inSet]),
    error: new Error('e', { cause: { c: 1 } }),
  };
  expect(deepFreeze(value)).toBe(value);
  const cause = value.error.cause;
  for (const item of [value, value.list, value.list[0], value.list[0]?.deep, value.bare, inMap, inMap.a, inKey, inSet, value.error, cause]) expect(Object.isFrozen(item)).toBe(true); // prettier-ignore
});

test('bytes, dates and instances of classes: stay as they are', () => {
  class Counter {
    count = 0;
  }
  const value = { bytes: new Uint8Array([1]), at: new Date(0), counter: new Counter() };
  deepFreeze(value);
  value.bytes[0] = 2;
  value.counter.count++;
  expect([value.bytes[0], value.counter.count, Object.isFrozen(value.at)]).toEqual([2, 1, false]);
});

test('what lies inside a frozen object: is frozen too', () => {
  const inner = { a: 1 };
  deepFreeze(Object.freeze({ inner }));
  expect(Object.isFrozen(inner)).toBe(true);
});

test('cycles and very deep values: end', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  let deep: unknown = [];
  for (let i = 0; i < 100_000; i++) deep = [deep];
  deepFreeze([cycle, deep]);
  expect(Object.isFrozen(cycle) && Object.isFrozen(deep)).toBe(true);
});

test('primitives and accessors: pass, without running the accessor', () => {
  expect(deepFreeze(5)).toBe(5);
  expect(deepFreeze(null)).toBe(null);
  const value = {
    get trap(): never {
      throw new Error('an accessor was run');
    },
  };
  expect(deepFreeze(value)).toBe(value);
});
