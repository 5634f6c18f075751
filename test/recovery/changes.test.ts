/*
 * The feed of changes: in order, each commit once, none that is not durable; waiting, resuming and
 * ending; and what `before` tells. From outside the process that writes: follow-store.test.ts.
 */
import { describe, expect, test } from 'vitest';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { codeOf, errorOf, settle } from '../engine/engine-fixture.ts';
import { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { ManualClock } from '../tools/manual-clock.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { commitNumbers, lsns, rest, take } from './feed.ts';
import { dir, smallSegments, TestStore } from './reader-store.ts';

async function opened(options: Partial<EngineOptions> = {}): Promise<Engine> {
  return new TestStore().open({ checkpointing: false, ...options });
}

describe('of an open engine', () => {
  test('what is there, then what comes: in order, each once', async () => {
    const engine = await opened();
    await commitNumbers(engine, 1, 3);
    const feed = engine.changes();
    const [first] = await take(feed, 1);
    expect(first).toEqual({
      timeline: 1,
      lsn: 1,
      timestamp: expect.any(Number),
      metadata: { n: 1 },
      positions: { n: 1 },
      entries: [expect.objectContaining({ operator: 'op', state: 'v', op: 'put', value: 1 })],
    });
    expect(lsns(await take(feed, 2))).toEqual([2, 3]);
    const waiting = take(feed, 2);
    await settle();
    await commitNumbers(engine, 4, 5);
    expect(lsns(await waiting)).toEqual([4, 5]);
    await feed.return(undefined);
    await engine.close();
  });

  test('from: that commit first; from one that is yet to come: waited for; 0 is 1', async () => {
    const engine = await opened();
    await commitNumbers(engine, 1, 4);
    await engine.checkpoint();
    expect(lsns(await take(engine.changes({ from: 3 }), 2))).toEqual([3, 4]);
    expect(lsns(await take(engine.changes({ from: 0 }), 1))).toEqual([1]);
    const later = take(engine.changes({ from: 6, before: true }), 1);
    await settle();
    await commitNumbers(engine, 5, 6);
    expect((await later)[0]).toMatchObject({ lsn: 6, effects: [{ oldValue: 5, newValue: 6 }] });
    await engine.close();
  });

  test('names of states are known behind a checkpoint too', async () => {
    const engine = await opened();
    await commitNumbers(engine, 1, 2);
    await engine.checkpoint();
    await commitNumbers(engine, 3, 4);
    engine.operator('op').map('late').set('k', 1, 1);
    await engine.commit();
    const commits = await take(engine.changes({ from: 4 }), 2);
    expect(commits.map(({ entries }) => entries.map(({ state }) => state))).toEqual([
      ['v'],
      ['late'],
    ]);
    await engine.close();
  });

  test('C2 a commit that is not durable: not given until it is', async () => {
    const engine = await opened();
    engine.operator('op').value('v').set('k', 1);
    await engine.commit({ durability: 'os' });
    expect(engine.durableLsn).toBe(0);
    expect(await rest(engine.changes({ follow: false }))).toEqual([]);
    const feed = engine.changes();
    const waiting = take(feed, 2);
    let given = false;
    void waiting.then(() => (given = true));
    await settle();
    expect(given).toBe(false);
    await commitNumbers(engine, 2, 2);
    expect(lsns(await waiting)).toEqual([1, 2]);
    await feed.return(undefined);
    await engine.close();
  });

  test('follow: false: ends behind the last', async () => {
    const engine = await opened();
    await commitNumbers(engine, 1, 3);
    expect(lsns(await rest(engine.changes({ follow: false })))).toEqual([1, 2, 3]);
    expect(await rest(engine.changes({ from: 9, follow: false }))).toEqual([]);
    await engine.close();
  });

  test('an aborted signal: ends it, also while it waits, and before it began', async () => {
    const engine = await opened();
    await commitNumbers(engine, 1, 1);
    const controller = new AbortController();
    const all = rest(engine.changes({ signal: controller.signal }));
    await settle();
    controller.abort();
    expect(lsns(await all)).toEqual([1]);
    expect(await rest(engine.changes({ signal: controller.signal }))).toEqual([]);
    await engine.close();
  });

  test('return while it waits: ends it', async () => {
    const engine = await opened();
    const feed = engine.changes();
    const waiting = feed.next();
    await settle();
    await feed.return(undefined);
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(engine.stats().retention.pins).toBe(0);
    await engine.close();
  });

  test('close: what is durable, then CLOSED', async () => {
    const engine = await opened();
    const feed = engine.changes();
    const waiting = take(feed, 1);
    await settle();
    engine.operator('op').value('v').set('k', 1);
    await engine.commit({ durability: 'os' });
    await engine.close();
    expect(lsns(await waiting)).toEqual([1]);
    expect(await codeOf(feed.next())).toBe('CLOSED');
    expect(await codeOf(() => engine.changes())).toBe('CLOSED');
  });

  test('an engine that stopped writing: POISONED', async () => {
    const fs = new FaultyFileSystem();
    const engine = await openEngineWith(
      { dir, checkpointing: false, segmentBytesMax: 65_536, undurableBytesMax: 16_384 },
      { fs, clock: new ManualClock(), random: new SeededRandom(1), threads: false },
    );
    await commitNumbers(engine, 1, 1);
    const feed = engine.changes();
    await take(feed, 1);
    const failed = codeOf(feed.next());
    await settle();
    fs.before = ({ call, path }) => {
      if (call === 'sync' && path.includes('/wal/')) throw new Error('no sync today');
    };
    expect(await codeOf(commitNumbers(engine, 2, 2))).toBe('OUTCOME_UNKNOWN');
    expect(await failed).toBe('POISONED');
    fs.before = () => {};
    await engine.close().catch(() => {});
  });

  test('a slow reader: what it still has to read is kept, and goes when it ends', async () => {
    const engine = await opened({
      ...smallSegments,
      maxChainLength: 2,
      retention: { checkpoints: 1 },
    });
    const filler = 'x'.repeat(2000);
    const commitMore = async (): Promise<void> => {
      for (let n = 0; n < 20; n++) {
        engine.operator('op').value('filler').set(n, filler);
        await engine.commit();
        if (n % 5 === 4) await engine.checkpoint();
        if (n % 10 === 9) await engine.merge();
      }
      await engine.collect();
    };
    await commitNumbers(engine, 1, 3);
    const feed = engine.changes({ from: 1 });
    await take(feed, 1);
    await commitMore();
    expect(lsns(await take(feed, 22))).toEqual(Array.from({ length: 22 }, (_, i) => i + 2));
    await feed.return(undefined);
    await commitMore();
    const error = await errorOf(engine.changes({ from: 1 }).next());
    expect([error.code, error.details]).toEqual([
      'OUT_OF_RETENTION',
      { from: 1, firstLsn: expect.any(Number), lastLsn: 43 },
    ]);
    expect(await codeOf(engine.changes({ from: 1, before: true }).next())).toBe('OUT_OF_RETENTION');
    // Without `from`, the first that can be given; with `before` the state before it is there.
    const firstLsn = error.details['firstLsn'] as number;
    expect(lsns(await take(engine.changes(), 1))).toEqual([firstLsn]);
    const told = await rest(engine.changes({ before: true, follow: false }));
    for (const { effects } of told) expect(effects).toHaveLength(1);
    await engine.close();
  });
});

describe('before', () => {
  async function effectsOf(engine: Engine, from: number): Promise<unknown[]> {
    const [commit] = await take(engine.changes({ from, before: true }), 1);
    return commit!.effects!.map(({ state, kind, key, subKey, oldValue, newValue }) => [
      state,
      kind,
      key,
      subKey,
      oldValue,
      newValue,
    ]);
  }

  test('each kind of change: old value and new value; what changes nothing is not told', async () => {
    const engine = await opened();
    const op = engine.operator('op');
    const [v, m] = [op.value('v'), op.map('m')];
    const list = op.list('l', { itemsMax: 2 });
    const [all, c] = [op.list('all'), op.counter('c')];
    v.set('a', { x: 1 });
    v.set('same', 1);
    for (const n of [1, 2]) {
      m.set('k', n, n);
      list.append('k', n);
      all.append('k', n);
    }
    c.add('k', 5);
    await engine.commit();
    v.patch('a', { y: 2 });
    v.set('same', 1);
    v.delete('never there');
    m.clear('k');
    m.set('k', 2, 'two');
    list.append('k', 3);
    all.clear('k');
    all.append('k', 9);
    c.delete('k');
    c.add('k', 3);
    op.min('least').update('k', 4);
    await engine.commit();
    op.min('least').update('k', 7);
    c.add('k', -1);
    await engine.commit();
    const effects = await effectsOf(engine, 2);
    expect(effects).toHaveLength(10);
    expect(effects).toEqual(
      expect.arrayContaining([
        ['v', 'update', 'a', undefined, { x: 1 }, { x: 1, y: 2 }],
        ['m', 'delete', 'k', 1, 1, undefined],
        ['m', 'update', 'k', 2, 2, 'two'],
        ['l', 'delete', 'k', [1, 0], 1, undefined],
        ['l', 'insert', 'k', [2, 0], undefined, 3],
        ['all', 'delete', 'k', [1, 0], 1, undefined],
        ['all', 'delete', 'k', [1, 1], 2, undefined],
        ['all', 'insert', 'k', [2, 0], undefined, 9],
        ['c', 'update', 'k', undefined, 5, 3],
        ['least', 'insert', 'k', undefined, undefined, 4],
      ]),
    );
    expect(await effectsOf(engine, 3)).toEqual([['c', 'update', 'k', undefined, 3, 2]]);
    await engine.close();
  });

  test('a table that is cleared: a delete of all that was there', async () => {
    const engine = await opened();
    const op = engine.operator('op');
    for (const key of ['a', 'b']) {
      op.map('m').set(key, 1, key);
      op.list('l', { itemsMax: 1 }).append(key, key);
    }
    await engine.commit();
    op.map('m').set('c', 1, 'c');
    op.list('l', { itemsMax: 1 }).append('a', 'A');
    await engine.commit();
    op.map('m').clearAll();
    op.map('m').set('a', 1, 'new');
    op.list('l', { itemsMax: 1 }).clearAll();
    op.list('l', { itemsMax: 1 }).append('b', 'B');
    await engine.commit();
    const [, commit] = await take(engine.changes({ from: 2, before: true }), 2);
    const told = commit!.effects!.map(({ state, kind, key, oldValue, newValue }) =>
      [state, kind, key, oldValue, newValue].join(' '),
    );
    expect(told.sort()).toEqual([
      'l delete a A ',
      'l delete b b ',
      'l insert b  B',
      'm delete b b ',
      'm delete c c ',
      'm update a a new',
    ]);
    await engine.close();
  });

  test('what had expired: was not there before', async () => {
    const store = new TestStore();
    const engine = await store.open();
    const v = engine.operator('op').value('v');
    v.set('k', 1, { ttlMs: 1 });
    await engine.commit();
    store.clock.micros += 500;
    v.set('k', 2, { ttlMs: 1 });
    await engine.commit();
    store.clock.micros += 5000;
    v.set('k', 3);
    await engine.commit();
    expect(await effectsOf(engine, 2)).toEqual([['v', 'update', 'k', undefined, 1, 2]]);
    const [, third] = await take(engine.changes({ from: 2, before: true }), 2);
    expect(third!.effects).toMatchObject([{ kind: 'insert', oldValue: undefined, newValue: 3 }]);
    await engine.close();
  });
});

test('an engine refuses options of its own feed', async () => {
  const engine = await opened();
  expect(await codeOf(() => engine.changes({ intervalMs: 1 } as object))).toBe('INVALID_OPTION');
  await engine.close();
});
