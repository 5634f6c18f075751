/*
 * A reader gives what an engine of the same moment gives, through every layer that a value can stand
 * in, and changes nothing.
 */
import { describe, expect, test } from 'vitest';

import { openReaderWith, UnknownTypeValue } from '../../src/recovery/reader.ts';
import { ReadOnlyFiles } from '../../src/recovery/reader-files.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';
import { createIdentity } from '../../src/wal/identity.ts';
import { systemRandom } from '../../src/std/random.ts';
import { dir, fill, filled, smallSegments, TestStore, withReader } from './reader-store.ts';

describe('what a reader gives', () => {
  test('a bounded list of which newer items expire earlier: the newest, as the handle gives them', async () => {
    const store = new TestStore();
    const engine = await store.open();
    const list = engine.operator('op').list('l', { itemsMax: 2 });
    list.append('k', 'old');
    list.append('k', 'kept');
    list.append('k', 'short', { ttlMs: 1000 });
    await engine.commit();
    expect(list.get('k')).toEqual(['kept', 'short']);
    await withReader(store, (reader) => {
      expect(reader.get('op', 'l', 'k')?.value).toEqual(['kept', 'short']);
      expect([...reader.entries()].map(({ index, value }) => [index, value])).toEqual([
        [0, 'kept'],
        [1, 'short'],
      ]);
    });
    await engine.close();
  });

  test('a closed store: every kind, as it was committed', async () => {
    const store = await filled();
    await withReader(store, (reader) => {
      expect(reader.lsn).toBe(30);
      expect(reader.provedLsn).toBe(30);
      expect(reader.positions()).toEqual({ flights: 29 });
      expect(reader.definitions().map(({ state, kind }) => [state, kind])).toEqual([
        ['stats', 'value'],
        ['days', 'map'],
        ['recent', 'list'],
        ['flights', 'counter'],
        ['model', 'blob'],
      ]);
      expect(reader.get('routes', 'stats', 'route 4')).toMatchObject({
        value: { count: 4 },
        lsn: 5,
        expiresAt: undefined,
        unproved: false,
      });
      expect(reader.get('routes', 'days', 'JFK', 7)?.value).toBe(14);
      expect(reader.get('routes', 'days', 'JFK')?.value).toEqual(
        new Map(Array.from({ length: 30 }, (_, i) => [i, i * 2])),
      );
      expect(reader.get('routes', 'recent', 'JFK')?.value).toEqual([27, 28, 29]);
      expect(reader.get('routes', 'flights', 'JFK')?.value).toBe(60);
      expect(reader.get('routes', 'model', 'm')?.value).toEqual(new Uint8Array(500).fill(7));
    });
  });

  test('keys that are not there: undefined', async () => {
    const store = await filled(1);
    await withReader(store, (reader) => {
      expect(reader.get('routes', 'stats', 'none')).toBeUndefined();
      expect(reader.get('routes', 'days', 'JFK', 9)).toBeUndefined();
      expect(reader.get('routes', 'days', 'none')).toBeUndefined();
      expect(reader.get('routes', 'recent', 'none')).toBeUndefined();
      expect(reader.get('routes', 'flights', 'none')).toBeUndefined();
    });
  });

  test('names that are not there: STATE_NOT_FOUND', async () => {
    const store = await filled(1);
    await withReader(store, (reader) => {
      expect(() => reader.get('routes', 'none', 'k')).toThrow(/no such state: routes\.none/);
      expect(() => [...reader.entries('none')]).toThrow(/no such state: none/);
    });
  });

  test('a sub-key where there are none: INVALID_CALL', async () => {
    const store = await filled(1);
    await withReader(store, (reader) => {
      expect(() => reader.get('routes', 'stats', 'route 0', 1)).toThrow(
        expect.objectContaining({ code: 'INVALID_CALL' }),
      );
    });
  });

  test('entries: the same keys in the same order as the engine, items numbered', async () => {
    const store = await filled();
    const engine = await store.open(smallSegments);
    const expected = [...engine.operator('routes').value('stats').keys()];
    await engine.close();
    await withReader(store, (reader) => {
      expect([...reader.entries('routes', 'stats')].map(({ key }) => key)).toEqual(expected);
      const items = [...reader.entries('routes', 'recent')];
      expect(items.map(({ index, value }) => [index, value])).toEqual([
        [0, 27],
        [1, 28],
        [2, 29],
      ]);
      const days = [...reader.entries('routes', 'days')];
      expect(days.map(({ subKey }) => subKey)).toEqual(Array.from({ length: 30 }, (_, i) => i));
      expect(new Set([...reader.entries()].map(({ state }) => state)).size).toBe(5);
      expect(reader.measure('routes', 'stats').entryCount).toBe(30);
      expect(reader.measureChunks().entryCount).toBe(1);
    });
  });

  test('an open engine: everything that was committed, nothing that was not', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 20);
    engine.operator('routes').value('stats').set('open', 1);
    await withReader(store, (reader) => {
      expect(reader.lsn).toBe(20);
      expect(reader.get('routes', 'stats', 'open')).toBeUndefined();
      expect(reader.get('routes', 'stats', 'route 19')?.unproved).toBe(true);
      expect(reader.get('routes', 'stats', 'route 0')?.unproved).toBe(false);
    });
    await engine.close();
  });

  test('what is committed afterwards: not in the view', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 5);
    await withReader(store, async (reader) => {
      engine.operator('routes').value('stats').set('route 0', 'changed');
      await engine.commit();
      await engine.checkpoint({ kind: 'base' });
      expect(reader.get('routes', 'stats', 'route 0')?.value).toEqual({ count: 0 });
      expect(reader.lsn).toBe(5);
      const lsns = [];
      for await (const { lsn } of reader.commits()) lsns.push(lsn);
      expect(lsns).toEqual([1, 2, 3, 4, 5]);
    });
    await engine.close();
  });

  test('an expired entry: gone for a reader that is opened later, its expiry shown before', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    engine.operator('op').value('v').set('k', 1, { ttlMs: 1000 });
    await engine.commit();
    await engine.close();
    await withReader(store, (reader) => {
      expect(reader.get('op', 'v', 'k')?.expiresAt).toBe(store.clock.micros + 1_000_000);
    });
    store.clock.micros += 1_000_000;
    await withReader(store, (reader) => {
      expect(reader.get('op', 'v', 'k')).toBeUndefined();
      expect([...reader.entries()]).toEqual([]);
    });
  });

  test('a list that was let grow after the newest checkpoint: keeps what the new bound says', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    engine.operator('op').list('l', { itemsMax: 2 }).append('k', 0);
    await engine.commit();
    await engine.checkpoint();
    const list = engine.operator('op').list('l', { itemsMax: 5 });
    for (let i = 1; i < 9; i++) list.append('k', i);
    await engine.commit();
    await withReader(store, (reader) => {
      expect(reader.get('op', 'l', 'k')?.value).toEqual([4, 5, 6, 7, 8]);
    });
    await engine.close();
  });

  test('an empty store: nothing', async () => {
    const store = new TestStore();
    await (await store.open()).close();
    await withReader(store, async (reader) => {
      expect(reader.lsn).toBe(0);
      expect([...reader.entries()]).toEqual([]);
      expect((await reader.commits().next()).done).toBe(true);
    });
  });

  test('a store that has an identity and no log yet: empty', async () => {
    const store = new TestStore();
    await store.fs.makeDirectory(dir);
    await createIdentity(store.fs, dir, 'engine', 128, systemRandom);
    await withReader(store, (reader) => {
      expect(reader.lsn).toBe(0);
    });
  });

  test('snapshots in a store that is no file: read through it', async () => {
    const store = new TestStore();
    const objects = new MemoryObjectStore();
    const engine = await store.open({ ...smallSegments, store: objects });
    await fill(engine, 10);
    const reader = await openReaderWith({ dir, store: objects }, store.components);
    expect(reader.get('routes', 'stats', 'route 0')?.value).toEqual({ count: 0 });
    expect(reader.lsn).toBe(10);
    await reader.close();
    await engine.close();
  });

  test('a value of a registered class: an instance with its type, its stored form without', async () => {
    class Money {
      readonly cents: number;
      constructor(cents: number) {
        this.cents = cents;
      }
    }
    const type = {
      name: 'Money',
      class: Money,
      encode: (money: Money) => money.cents,
      decode: (cents: unknown) => new Money(cents as number),
      version: 2,
    };
    const store = new TestStore();
    const engine = await store.open({ types: [type] });
    engine.operator('op').value('v').set('k', new Money(5));
    await engine.commit();
    await engine.close();
    await withReader(store, (reader) => {
      const { value } = reader.get('op', 'v', 'k')!;
      expect(value).toBeInstanceOf(UnknownTypeValue);
      expect(value).toEqual(new UnknownTypeValue('Money', 2, 5));
    });
    const reader = await openReaderWith({ dir, types: [type] }, store.components);
    expect(reader.get('op', 'v', 'k')?.value).toEqual(new Money(5));
    await reader.close();
  });
});

describe('refusals', () => {
  test('no directory, no store, a file: NOT_A_STORE', async () => {
    const store = new TestStore();
    const refused = { code: 'NOT_A_STORE' };
    await expect(withReader(store, () => {})).rejects.toMatchObject(refused);
    await store.fs.makeDirectory(dir);
    await expect(withReader(store, () => {})).rejects.toMatchObject(refused);
    await (await store.fs.open(`${dir}/notes.txt`, 'create')).close();
    await expect(withReader(store, () => {})).rejects.toMatchObject(refused);
    await expect(
      openReaderWith({ dir: `${dir}/notes.txt` }, store.components),
    ).rejects.toMatchObject(refused);
  });

  test('a log: NOT_A_STORE', async () => {
    const store = new TestStore();
    await store.fs.makeDirectory(dir);
    await createIdentity(store.fs, dir, 'log', 1, systemRandom);
    await expect(withReader(store, () => {})).rejects.toMatchObject({ code: 'NOT_A_STORE' });
  });

  test('options that are none: INVALID_OPTION', async () => {
    const store = new TestStore();
    const refused = { code: 'INVALID_OPTION' };
    await expect(openReaderWith({ dir: '' }, store.components)).rejects.toMatchObject(refused);
    await expect(
      openReaderWith({ dir, follow: true } as never, store.components),
    ).rejects.toMatchObject(refused);
    await expect(
      openReaderWith({ dir, types: [{}] as never }, store.components),
    ).rejects.toMatchObject(refused);
  });

  test('after close: CLOSED, also for an iteration under way', async () => {
    const store = await filled(3);
    const reader = await openReaderWith({ dir }, store.components);
    const entries = reader.entries();
    entries.next();
    await reader.close();
    await reader.close();
    const closed = expect.objectContaining({ code: 'CLOSED' });
    expect(() => reader.get('routes', 'stats', 'route 0')).toThrow(closed);
    expect(() => entries.next()).toThrow(closed);
    expect(() => reader.entries().next()).toThrow(closed);
    expect(() => reader.measure('routes', 'stats')).toThrow(closed);
    await expect(reader.commits().next()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('calls that would change something: refused by the file system of readers', async () => {
    const files = new ReadOnlyFiles((await filled(1)).fs, true);
    const refused = { code: 'INVARIANT' };
    const path = `${dir}/store.json`;
    await expect(files.open(path, 'write')).rejects.toMatchObject(refused);
    await expect(files.open(path, 'create')).rejects.toMatchObject(refused);
    await expect(files.makeDirectory(dir)).rejects.toMatchObject(refused);
    await expect(files.rename(path)).rejects.toMatchObject(refused);
    await expect(files.link(path)).rejects.toMatchObject(refused);
    await expect(files.unlink(path)).rejects.toMatchObject(refused);
    await expect(files.syncDirectory(dir)).rejects.toMatchObject(refused);
    await expect(files.lock(path)).rejects.toMatchObject(refused);
    const handle = await files.open(path, 'read');
    await expect(handle.write(new Uint8Array(1), 0)).rejects.toMatchObject(refused);
    await expect(handle.sync()).rejects.toMatchObject(refused);
    await expect(handle.truncate(0)).rejects.toMatchObject(refused);
    await files.close();
  });
});
