/*
 * What differs between two moments: each kind of state, each kind of difference, and what is none.
 */
import { describe, expect, test } from 'vitest';
import type { Engine, StateChange, Target } from '../../src/engine/index.ts';
import { diffStoreWith, type DiffStoreOptions } from '../../src/recovery/diff.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { codeOf, errorOf } from '../engine/engine-fixture.ts';
import { dir, filled, TestStore } from './reader-store.ts';

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

type Short = readonly unknown[];

function short({ state, key, subKey, kind, oldValue, newValue }: StateChange): Short {
  return [kind, state, key, subKey, oldValue, newValue];
}

async function diffOf(
  store: TestStore,
  options: Partial<DiffStoreOptions> & { from: Target },
): Promise<Short[]> {
  return (await collect(diffStoreWith({ dir, ...options }, store.components))).map(short);
}

/** An engine of the test and two commits of it. */
async function twoCommits(
  first: (engine: Engine) => void,
  second: (engine: Engine, store: TestStore) => void,
): Promise<TestStore> {
  const store = new TestStore();
  const engine = await store.open({ checkpointing: false });
  first(engine);
  await engine.commit();
  second(engine, store);
  await engine.commit();
  await engine.close();
  return store;
}

describe('each kind of state', () => {
  test('values: inserted, updated, deleted; one set again to what it was is none', async () => {
    const store = await twoCommits(
      (engine) => {
        const v = engine.operator('op').value('v');
        v.set('kept', [1]);
        v.set('changed', { a: 1 });
        v.set('gone', 1);
      },
      (engine) => {
        const v = engine.operator('op').value('v');
        v.set('kept', [1]);
        v.patch('changed', { b: 2 });
        v.delete('gone');
        v.set('new', undefined);
        v.delete('never there');
      },
    );
    const changes = await diffOf(store, { from: { lsn: 1 } });
    expect(changes).toHaveLength(3);
    expect(changes).toEqual(
      expect.arrayContaining([
        ['update', 'v', 'changed', undefined, { a: 1 }, { a: 1, b: 2 }],
        ['delete', 'v', 'gone', undefined, 1, undefined],
        ['insert', 'v', 'new', undefined, undefined, undefined],
      ]),
    );
  });

  test('maps by sub-key, items of lists by where they were appended, counters, blobs', async () => {
    const store = await twoCommits(
      (engine) => {
        const op = engine.operator('op');
        op.map('m').set('k', 1, 'one');
        op.map('m').set('k', 2, 'two');
        const list = op.list('l', { itemsMax: 2 });
        for (const item of ['a', 'b']) list.append('k', item);
        op.counter('c').add('k', 2);
        op.blob('b').set('k', new Uint8Array(3));
      },
      (engine) => {
        const op = engine.operator('op');
        op.map('m').set('k', 2, 'zwei');
        op.map('m').delete('k', 1);
        op.list('l', { itemsMax: 2 }).append('k', 'c');
        op.counter('c').add('k', -5);
        op.blob('b').set('k', new Uint8Array(4));
      },
    );
    const blob = (bytes: number): unknown => ({ bytes, chunks: [expect.any(String)] });
    expect(await diffOf(store, { from: { lsn: 1 } })).toEqual([
      ['delete', 'm', 'k', 1, 'one', undefined],
      ['update', 'm', 'k', 2, 'two', 'zwei'],
      ['delete', 'l', 'k', [1, 0], 'a', undefined],
      ['insert', 'l', 'k', [2, 0], undefined, 'c'],
      ['update', 'c', 'k', undefined, 2, -3],
      ['update', 'b', 'k', undefined, blob(3), blob(4)],
    ]);
  });

  test('a map that was cleared: a delete of each sub-key', async () => {
    const store = await twoCommits(
      (engine) => {
        for (const n of [1, 2]) engine.operator('op').map('m').set('k', n, n);
      },
      (engine) => engine.operator('op').map('m').clearAll(),
    );
    expect(await diffOf(store, { from: { lsn: 1 } })).toEqual([
      ['delete', 'm', 'k', 1, 1, undefined],
      ['delete', 'm', 'k', 2, 2, undefined],
    ]);
  });

  test('what expired between the moments: a delete; another expiry alone: none', async () => {
    const store = await twoCommits(
      (engine) => {
        engine.operator('op').value('v').set('short', 1, { ttlMs: 1 });
        engine.operator('op').value('v').set('long', 1, { ttlMs: 1000 });
      },
      (engine, { clock }) => {
        clock.micros += 1000;
        engine.operator('op').value('v').set('long', 1, { ttlMs: 2000 });
      },
    );
    expect(await diffOf(store, { from: { lsn: 1 } })).toEqual([
      ['delete', 'v', 'short', undefined, 1, undefined],
    ]);
  });
});

describe('the moments', () => {
  test('from nothing to a moment: all of it; backward: the other way round', async () => {
    const store = await filled();
    const forward = await diffOf(store, { from: { lsn: 0 }, to: { lsn: 20 } });
    const reader = await openReaderWith({ dir, at: { lsn: 20 } }, store.components);
    expect(forward).toHaveLength([...reader.entries()].length);
    await reader.close();
    const backward = await diffOf(store, { from: { lsn: 20 }, to: { lsn: 0 } });
    expect(backward).toEqual(
      forward.map(([, state, key, subKey, , value]) => [
        'delete',
        state,
        key,
        subKey,
        value,
        undefined,
      ]),
    );
  });

  test('the same moment by two names: nothing', async () => {
    const store = await filled(6);
    expect(await diffOf(store, { from: { checkpoint: 1 }, to: 'latest' })).toEqual([]);
  });

  test('some states only: those, as all has them', async () => {
    const store = await filled();
    const all = await diffOf(store, { from: { lsn: 10 } });
    for (const state of ['stats', 'recent']) {
      const only = await diffOf(store, { from: { lsn: 10 }, operator: 'routes', state });
      expect(only).toEqual(all.filter(([, name]) => name === state));
      expect(only.length).toBeGreaterThan(0);
      expect(await diffOf(store, { from: { lsn: 10 }, state })).toEqual(only);
    }
  });

  test('what is not there, or not kept: refused', async () => {
    const store = await filled(6);
    const failing = (options: Partial<DiffStoreOptions> & { from: Target }): Promise<unknown> =>
      codeOf(diffOf(store, options));
    expect(await failing({ from: { lsn: 7 } })).toBe('OUT_OF_RETENTION');
    expect(await failing({ from: { lsn: 1 }, to: { savepoint: 'x' } })).toBe('SAVEPOINT_NOT_FOUND');
    expect(await failing({ from: { lsn: 1 }, operator: 'other' })).toBe('STATE_NOT_FOUND');
    expect(await failing({ from: { lsn: 1 }, state: 'other' })).toBe('STATE_NOT_FOUND');
    expect(await failing({ from: { lsn: 1 }, state: '' })).toBe('INVALID_NAME');
    expect(await failing({ from: { lsn: 1 }, operator: '' })).toBe('INVALID_NAME');
  });

  test.each<[object, string]>([
    [{}, 'from'],
    [{ from: 'now' }, 'from'],
    [{ from: { lsn: 1 }, to: 3 }, 'to'],
    [{ from: { lsn: 1 }, at: 'latest' }, 'at'],
    [{ from: { lsn: 1 }, types: [1] }, 'types[0]'],
    [{ from: { lsn: 1 }, store: 1 }, 'store'],
  ])('%j: refused at the call, naming the option', async (given, option) => {
    const options = { dir, ...given } as unknown as DiffStoreOptions;
    const error = await errorOf(() => diffStoreWith(options, new TestStore().components));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', option]);
  });
});

describe('from an open engine', () => {
  test('what was committed, not what is open; refused once it is closed', async () => {
    const store = new TestStore();
    const engine = await store.open();
    const v = engine.operator('op').value('v');
    v.set('k', 1);
    await engine.commit();
    v.set('k', 2);
    await engine.commit();
    v.set('k', 3);
    const found = [['update', 'v', 'k', undefined, 1, 2]];
    expect((await collect(engine.diff({ lsn: 1 }))).map(short)).toEqual(found);
    expect((await collect(engine.diff({ lsn: 1 }, { lsn: 2 }, { state: 'v' }))).map(short)).toEqual(
      found,
    );
    expect(await codeOf(() => engine.diff({ lsn: 1 }, 'latest', { name: 1 } as object))).toBe(
      'INVALID_OPTION',
    );
    await engine.close();
    expect(await codeOf(() => engine.diff({ lsn: 1 }))).toBe('CLOSED');
  });
});
