/*
 * The history of a key: each kind of change and of state, expiry, checkpoints below the log that is
 * kept, and what is refused.
 */
import { describe, expect, test } from 'vitest';
import type { Engine, HistoryVersion } from '../../src/engine/index.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { codeOf } from '../engine/engine-fixture.ts';
import { dir, smallSegments, TestStore, withReader } from './reader-store.ts';

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** LSN, kind and value of each version. */
async function short(versions: AsyncIterable<HistoryVersion>): Promise<unknown[]> {
  return (await collect(versions)).map(({ lsn, kind, value }) => [lsn, kind, value]);
}

async function opened(): Promise<{ store: TestStore; engine: Engine }> {
  const store = new TestStore();
  return { store, engine: await store.open({ checkpointing: false }) };
}

describe('the versions', () => {
  test('a value: one for each commit that touched it, with time and positions', async () => {
    const { store, engine } = await opened();
    const v = engine.operator('op').value('v');
    const start = store.clock.micros;
    const steps = [
      () => v.set('k', { a: 1 }),
      () => v.set('other', 0),
      () => v.patch('k', { b: 2 }),
      () => v.set('k', { a: 1, b: 2 }),
      () => v.delete('k'),
      () => v.delete('k'),
      () => v.set('k', undefined),
    ];
    for (const [i, step] of steps.entries()) {
      store.clock.micros += 10;
      step();
      await engine.commit({ positions: { n: i } });
    }
    const version = (lsn: number, kind: string, value: unknown): unknown => ({
      lsn,
      timestamp: start + 10 * lsn,
      kind,
      value,
      positions: { n: lsn - 1 },
      source: 'log',
      unproved: false,
    });
    expect(await collect(engine.history('op', 'v', 'k'))).toEqual([
      version(1, 'insert', { a: 1 }),
      version(3, 'update', { a: 1, b: 2 }),
      version(4, 'update', { a: 1, b: 2 }),
      version(5, 'delete', undefined),
      version(7, 'insert', undefined),
    ]);
    expect(await collect(engine.history('op', 'v', 'never there'))).toEqual([]);
    await engine.close();
  });

  test('a map: by sub-key, or whole; clears of key and table end it', async () => {
    const { engine } = await opened();
    const m = engine.operator('op').map('m');
    m.set('k', 1, 'a');
    m.set('k', 2, 'b');
    await engine.commit();
    m.set('k', 2, 'c');
    await engine.commit();
    m.clear('k');
    m.set('k', 3, 'd');
    await engine.commit();
    m.clearAll();
    await engine.commit();
    const map = (...entries: [unknown, unknown][]): unknown => new Map(entries);
    expect(await short(engine.history('op', 'm', 'k'))).toEqual([
      [1, 'insert', map([1, 'a'], [2, 'b'])],
      [2, 'update', map([1, 'a'], [2, 'c'])],
      [3, 'update', map([3, 'd'])],
      [4, 'delete', undefined],
    ]);
    expect(await short(engine.history('op', 'm', 'k', 2))).toEqual([
      [1, 'insert', 'b'],
      [2, 'update', 'c'],
      [3, 'delete', undefined],
    ]);
    await engine.close();
  });

  test('a bounded list, a counter, a blob: as handles give them, blobs by their chunks', async () => {
    const { engine } = await opened();
    const op = engine.operator('op');
    for (const n of [1, 2, 3]) {
      op.list('l', { itemsMax: 2 }).append('k', n);
      op.counter('c').add('k', n);
      if (n === 2) op.counter('c').delete('k');
      op.blob('b').set('k', new Uint8Array(n));
      await engine.commit();
    }
    expect(await short(engine.history('op', 'l', 'k'))).toEqual([
      [1, 'insert', [1]],
      [2, 'update', [1, 2]],
      [3, 'update', [2, 3]],
    ]);
    expect(await short(engine.history('op', 'c', 'k'))).toEqual([
      [1, 'insert', 1],
      [2, 'delete', undefined],
      [3, 'insert', 3],
    ]);
    const blobs = await collect(engine.history('op', 'b', 'k'));
    expect(blobs.map(({ value }) => (value as { bytes: number }).bytes)).toEqual([1, 2, 3]);
    await engine.close();
  });

  test('what expires: a step of its own, at its time, also between commits and after the last', async () => {
    const { store, engine } = await opened();
    const start = store.clock.micros;
    const v = engine.operator('op').value('v');
    const l = engine.operator('op').list('l');
    v.set('k', 1, { ttlMs: 1 });
    l.append('k', 'short', { ttlMs: 2 });
    l.append('k', 'long', { ttlMs: 9 });
    await engine.commit({ positions: { n: 1 } });
    store.clock.micros = start + 5000;
    v.set('k', 2, { ttlMs: 1 });
    await engine.commit();
    store.clock.micros = start + 20_000;
    const versions = await collect(engine.history('op', 'v', 'k'));
    expect(versions.map(({ lsn, timestamp, kind, value }) => [lsn, timestamp - start, kind, value]))
      // Set with the clock at 0 and at 5 ms.
      .toEqual([
        [1, 0, 'insert', 1],
        [1, 1000, 'expire', undefined],
        [2, 5000, 'insert', 2],
        [2, 6000, 'expire', undefined],
      ]);
    expect(versions[1]!.positions).toEqual({ n: 1 });
    expect(await short(engine.history('op', 'l', 'k'))).toEqual([
      [1, 'insert', ['short', 'long']],
      [1, 'expire', ['long']],
      [1, 'expire', undefined],
    ]);
    await engine.close();
  });

  test('above what is proved: said so', async () => {
    const { store, engine } = await opened();
    const v = engine.operator('op').value('v');
    v.set('k', 1);
    await engine.commit();
    v.set('k', 2);
    await engine.commit();
    await withReader(store, async (reader) => {
      const versions = await collect(reader.history('op', 'v', 'k'));
      expect(versions.map(({ unproved }) => unproved)).toEqual([false, true]);
    });
    // The engine itself knows that both are durable.
    const own = await collect(engine.history('op', 'v', 'k'));
    expect(own.map(({ unproved }) => unproved)).toEqual([false, false]);
    await engine.close();
  });
});

describe('where it starts', () => {
  /** Commits numbers, with checkpoints, of which the log below the newest goes. */
  async function trimmed(): Promise<TestStore> {
    const store = new TestStore();
    const engine = await store.open({
      ...smallSegments,
      checkpointing: false,
      maxChainLength: 2,
      retention: { checkpoints: 1 },
    });
    const v = engine.operator('op').value('v');
    const m = engine.operator('op').map('m');
    for (let n = 1; n <= 64; n++) {
      v.set('k', n);
      if (n === 5) m.set('k', 1, 'five');
      if (n === 10) m.delete('k', 1);
      v.set('filling', 'x'.repeat(500));
      await engine.commit({ positions: { n } });
      if (n === 6) await engine.checkpoint({ savepoint: 'six' });
      else if (n % 6 === 0) await engine.checkpoint();
      if (n % 12 === 0) await engine.merge();
    }
    await engine.collect();
    await engine.close();
    return store;
  }

  test('below the log that is kept: what checkpoints hold, marked, without positions of others', async () => {
    const store = await trimmed();
    await withReader(store, async (reader) => {
      const versions = await collect(reader.history('op', 'v', 'k'));
      const known = versions.filter(({ source }) => source === 'checkpoint');
      expect(known.length).toBeGreaterThan(0);
      expect(known[0]).toMatchObject({ lsn: 6, kind: 'insert', value: 6, positions: { n: 6 } });
      const logged = versions.slice(known.length);
      const first = known.at(-1)!.lsn + 1;
      expect(logged.map(({ lsn }) => lsn)).toEqual(
        Array.from({ length: 65 - first }, (_, i) => first + i),
      );
      for (const { lsn, value, positions, source } of logged) {
        expect([value, positions, source]).toEqual([lsn, { n: lsn }, 'log']);
      }
      // Set at 5, seen at 6; deleted at 10, of which the next checkpoint knows only that it was.
      const gone = await collect(reader.history('op', 'm', 'k', 1));
      expect(gone[0]).toMatchObject({ lsn: 5, kind: 'insert', positions: undefined });
      expect(gone[1]).toMatchObject({ kind: 'delete', source: 'checkpoint' });
      expect(gone[1]!.lsn).toBe(known[1]!.lsn);
      expect(gone).toHaveLength(2);
    });
  });

  test('of a reader of an older moment: through that moment', async () => {
    const store = await trimmed();
    const values = async (at: { savepoint: string } | { lsn: number }): Promise<unknown[]> => {
      const reader = await openReaderWith({ dir, at }, store.components);
      const versions = await collect(reader.history('op', 'v', 'k'));
      await reader.close();
      return versions.map(({ value }) => value);
    };
    expect(await values({ savepoint: 'six' })).toEqual([6]);
    expect((await values({ lsn: 63 })).at(-1)).toBe(63);
  });
});

test('what has no history: refused at the call', async () => {
  const { store, engine } = await opened();
  engine.operator('op').value('v').set('k', 1);
  await engine.commit();
  expect(await codeOf(() => engine.history('op', 'x', 'k'))).toBe('STATE_NOT_FOUND');
  expect(await codeOf(() => engine.history('op', 'v', 'k', 1))).toBe('INVALID_CALL');
  expect(await codeOf(() => engine.history('op', 'v', Number.NaN))).toBe('INVALID_KEY');
  const reader = await openReaderWith({ dir }, store.components);
  expect(await codeOf(() => reader.history('op', 'x', 'k'))).toBe('STATE_NOT_FOUND');
  await reader.close();
  expect(await codeOf(() => reader.history('op', 'v', 'k'))).toBe('CLOSED');
  await engine.close();
  expect(await codeOf(() => engine.history('op', 'v', 'k'))).toBe('CLOSED');
});
