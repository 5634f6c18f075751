/*
 * What is particular to lists, counters and maps, and what a state may not become.
 */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/index.ts';
import { stateKinds, type StateKind } from '../../src/state/table-definition.ts';
import { codeOf, errorOf, open, settle, worldOn } from '../engine/engine-fixture.ts';

describe('lists', () => {
  test('more items than itemsMax: the newest, in memory, image, merge and replay', async () => {
    const world = worldOn();
    let engine = await open(world);
    const list = () => engine.operator('op').list<number>('l', { itemsMax: 3 });
    for (let n = 0; n < 40; n++) {
      list().append('k', n);
      if (n % 3 === 0) await engine.commit();
      if (n % 10 === 0) await engine.checkpoint();
      expect(list().get('k')).toEqual([n - 2, n - 1, n].filter((item) => item >= 0));
    }
    await engine.commit();
    await engine.checkpoint({ kind: 'base' });
    expect(list().get('k')).toEqual([37, 38, 39]);
    list().append('k', 40);
    await engine.commit();
    await engine.close();
    engine = await open(world);
    expect(list().get('k')).toEqual([38, 39, 40]);
    await engine.close();
  });

  test('itemsMax is made larger and the process dies: what was appended since is all there', async () => {
    const world = worldOn();
    let engine = await open(world);
    const old = engine.operator('op').list<number>('l', { itemsMax: 2 });
    for (let n = 0; n < 4; n++) old.append('k', n);
    await engine.commit();
    await engine.checkpoint();
    const larger = engine.operator('op').list<number>('l', { itemsMax: 5 });
    for (let n = 10; n < 15; n++) {
      larger.append('k', n);
      await engine.commit();
    }
    expect(larger.get('k')).toEqual([10, 11, 12, 13, 14]);
    engine = await open(worldOn(await world.fs.crash('dropped'), world.clock, 9));
    const again = engine.operator('op').list<number>('l', { itemsMax: 5 });
    expect(again.get('k')).toEqual([10, 11, 12, 13, 14]);
    await engine.checkpoint();
    expect(again.get('k')).toEqual([10, 11, 12, 13, 14]);
    await engine.close();
  });

  test('itemsMax is made smaller: seen at once, and nothing is dropped before a commit has logged it', async () => {
    const world = worldOn();
    let engine = await open(world);
    const list = engine.operator('op').list<number>('l', { itemsMax: 4 });
    for (let n = 0; n < 4; n++) list.append('k', n);
    await engine.commit();
    expect(engine.operator('op').list('l', { itemsMax: 1 }).get('k')).toEqual([3]);
    await engine.checkpoint({ kind: 'base' });
    engine = await open(worldOn(await world.fs.crash('dropped'), world.clock, 9));
    const { tables } = (await engine.checkpoints()).at(-1)!;
    expect(tables.map(({ itemsMax }) => itemsMax)).toEqual([4]);
    expect(engine.operator('op').list('l', { itemsMax: 4 }).get('k')).toEqual([0, 1, 2, 3]);
    await engine.close();
  });

  test.each([0, -1, 1.5, Number.NaN, '3', 2e9])('itemsMax %s: INVALID_OPTION', async (itemsMax) => {
    const engine = await open(worldOn());
    const error = await errorOf(() =>
      engine.operator('op').list('l', { itemsMax: itemsMax as number }),
    );
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'itemsMax']);
    await engine.close();
  });

  test('clear between appends of one commit: what came after it stays', async () => {
    const world = worldOn();
    let engine = await open(world);
    let list = engine.operator('op').list<number>('l');
    list.append('k', 1);
    await engine.commit();
    await engine.checkpoint();
    list.append('k', 2);
    list.clear('k');
    list.append('k', 3);
    list.append('k', 4);
    expect(list.get('k')).toEqual([3, 4]);
    await engine.commit();
    await engine.close();
    engine = await open(world);
    list = engine.operator('op').list<number>('l');
    expect(list.get('k')).toEqual([3, 4]);
    await engine.close();
  });
});

describe('counters', () => {
  const max = Number.MAX_SAFE_INTEGER;

  test('amounts that are no safe integers: INVALID_VALUE, nothing changed', async () => {
    const engine = await open(worldOn());
    const counter = engine.operator('op').counter('c');
    for (const amount of [1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '1', 1n, null]) {
      const error = await errorOf(() => counter.add('k', amount as number));
      expect(error).toMatchObject({ code: 'INVALID_VALUE' });
      expect(error.details).toMatchObject({ operator: 'op', state: 'c', key: 'k' });
      expect(error.message).toMatch(/^counter op\.c takes safe whole numbers: this is a \w+/);
    }
    expect(engine.stats().openChanges).toBe(0);
    await engine.close();
  });

  test('a sum that leaves the safe integers: INVALID_VALUE, the counter is as before', async () => {
    const engine = await open(worldOn());
    const counter = engine.operator('op').counter('c');
    counter.add('k', max);
    expect(await codeOf(() => counter.add('k', 1))).toBe('INVALID_VALUE');
    expect(counter.get('k')).toBe(max);
    await engine.commit();
    expect(await codeOf(() => counter.add('k', 1))).toBe('INVALID_VALUE');
    expect(counter.add('k', -1)).toBe(max - 1);
    await engine.close();
  });

  test('a difference over the safe integers in one commit: exact in log, delta and base', async () => {
    const world = worldOn();
    let engine = await open(world);
    const counter = () => engine.operator('op').counter('c');
    counter().add('k', -max);
    await engine.commit();
    await engine.checkpoint();
    counter().add('k', max);
    counter().add('k', max);
    await engine.commit();
    expect(counter().get('k')).toBe(max);
    for (const kind of ['replay', 'delta', 'base'] as const) {
      if (kind !== 'replay') await engine.checkpoint({ kind });
      await engine.close();
      engine = await open(world);
      expect([kind, counter().get('k'), [...counter().entries()]]).toEqual([
        kind,
        max,
        [['k', max]],
      ]);
    }
    await engine.close();
  });

  test('deleted and added to in one commit: starts from nothing, again and again', async () => {
    const world = worldOn();
    let engine = await open(world);
    let counter = engine.operator('op').counter('c');
    counter.add('k', 100);
    await engine.commit();
    await engine.checkpoint();
    counter.add('k', 1);
    counter.delete('k');
    expect(counter.get('k')).toBe(0);
    counter.add('k', 2);
    counter.delete('k');
    expect(counter.add('k', 3)).toBe(3);
    await engine.commit();
    await engine.close();
    engine = await open(world);
    counter = engine.operator('op').counter('c');
    expect([counter.get('k'), [...counter.keys()]]).toEqual([3, ['k']]);
    await engine.close();
  });

  test('added up to nothing: it is there, and 0; deleted: it is not', async () => {
    const engine = await open(worldOn());
    const counter = engine.operator('op').counter('c');
    counter.add('k', 1);
    counter.add('k', -1);
    await engine.commit();
    await engine.checkpoint();
    expect([counter.get('k'), [...counter.entries()]]).toEqual([0, [['k', 0]]]);
    expect([counter.has('k'), counter.count()]).toEqual([true, 1]);
    counter.delete('k');
    await engine.commit();
    await engine.checkpoint();
    expect([counter.get('k'), [...counter.entries()]]).toEqual([0, []]);
    expect([counter.has('k'), counter.count()]).toEqual([false, 0]);
    await engine.close();
  });
});

describe('maps', () => {
  test('sub-keys of one key: in order of their values, cleared together', async () => {
    const engine = await open(worldOn());
    const map = engine.operator('op').map<string | number, number>('m');
    for (const subKey of ['b', 10, 'a', 9, -1]) map.set('k', subKey, 1);
    map.set('other', 1, 1);
    await engine.commit();
    await engine.checkpoint();
    map.set('k', 5, 2);
    expect([...map.keys('k')]).toEqual([-1, 5, 9, 10, 'a', 'b']);
    expect([...map.entries('k')].map(([subKey]) => subKey)).toEqual([-1, 5, 9, 10, 'a', 'b']);
    map.clear('k');
    map.set('k', 7, 3);
    expect([...map.entries('k')]).toEqual([[7, 3]]);
    await engine.commit();
    await engine.checkpoint();
    expect([...map.entries('k')]).toEqual([[7, 3]]);
    expect([...map.keys()].map(String).sort()).toEqual(['k', 'other']);
    await engine.close();
  });
});

describe('schema', () => {
  const kinds = stateKinds;
  const f = (): number => 0;
  const options: Record<string, object> = {
    reducing: { reduce: f },
    aggregating: { create: f, add: f, result: f },
  };
  const makeAs = (engine: Engine, kind: StateKind, name: string): unknown => {
    const op = engine.operator('op') as unknown as Record<
      string,
      (name: string, options?: object) => unknown
    >;
    return op[kind]!(name, options[kind]);
  };
  const make = (engine: Engine, kind: StateKind): unknown => makeAs(engine, kind, 's');

  test('a name of one kind asked for as another: SCHEMA_CHANGED names both, before and after a restart', async () => {
    for (const stored of kinds) {
      const world = worldOn();
      let engine = await open(world);
      make(engine, stored);
      await engine.commit();
      for (const asked of kinds) {
        if (asked === stored) continue;
        const error = await errorOf(() => make(engine, asked));
        expect(error).toMatchObject({ code: 'SCHEMA_CHANGED', kind: 'incompatible' });
        expect(error.details).toMatchObject({ operator: 'op', state: 's', stored, asked });
        expect(error.message).toContain(stored);
      }
      await engine.close();
      engine = await open(world);
      const other = stored === 'value' ? 'map' : 'value';
      expect(await codeOf(() => make(engine, other))).toBe('SCHEMA_CHANGED');
      make(engine, stored);
      await engine.close();
    }
  });

  test('another TTL type: SCHEMA_CHANGED names both; another ttlMs: taken', async () => {
    const world = worldOn();
    const engine = await open(world);
    engine.operator('op').value('plain');
    engine.operator('op').value('fleeting', { ttlMs: 5 });
    await engine.commit();
    await engine.close();
    const again = await open(world);
    const op = again.operator('op');
    const gained = await errorOf(() => op.value('plain', { ttlMs: 5 }));
    expect(gained.code).toBe('SCHEMA_CHANGED');
    expect(gained.details).toMatchObject({ stored: 'none', asked: 'write' });
    const lost = await errorOf(() => op.value('fleeting'));
    expect(lost.details).toMatchObject({ stored: 'write', asked: 'none' });
    op.value('fleeting', { ttlMs: 6 });
    await again.close();
  });

  test('a state that no commit has logged: its name is free again after a restart', async () => {
    const world = worldOn();
    let engine = await open(world);
    engine.operator('op').value('first').set('k', 1);
    await engine.commit();
    engine.operator('op').value('never');
    await engine.checkpoint();
    await engine.close();
    engine = await open(world);
    const { tables } = (await engine.checkpoints())[0]!;
    expect(tables.map(({ state }) => state)).toEqual(['first']);
    engine.operator('op').counter('never').add('k', 3);
    await engine.commit();
    await engine.close();
    engine = await open(world);
    expect(engine.operator('op').counter('never').get('k')).toBe(3);
    expect(engine.operator('op').value('first').get('k')).toBe(1);
    await engine.close();
  });

  test('names that are empty, too long, no text or ill-formed: INVALID_NAME', async () => {
    const engine = await open(worldOn());
    const bad = ['', 'x'.repeat(257), '\ud800', 1, undefined, null, Object.create(null)];
    for (const name of bad as string[]) {
      expect(await codeOf(() => engine.operator(name))).toBe('INVALID_NAME');
      for (const kind of kinds) {
        expect(await codeOf(() => makeAs(engine, kind, name))).toBe('INVALID_NAME');
      }
    }
    expect(await codeOf(() => engine.operator('\u0000holders'))).toBe('INVALID_NAME');
    await engine.close();
  });

  test('options that a kind does not have: INVALID_OPTION names them', async () => {
    const engine = await open(worldOn());
    const op = engine.operator('op') as unknown as Record<
      string,
      (name: string, options: object) => unknown
    >;
    for (const kind of kinds) {
      const error = await errorOf(() => op[kind]!('s', { ttl: 5 }));
      expect([kind, error.code, error.details['option']]).toEqual([kind, 'INVALID_OPTION', 'ttl']);
    }
    expect(await codeOf(() => op['blob']!('s', { ttlMs: 5 }))).toBe('INVALID_OPTION');
    await settle(1);
    await engine.close();
  });
});
