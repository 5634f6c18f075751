/*
 * Key groups of several stores as one store: what is put together, and what has to be equal.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { errorOf } from '../engine/engine-fixture.ts';
import { both, fill, Halves, high, low } from './halves.ts';
import { dir } from './reader-store.ts';

let halves: Halves;

beforeEach(() => {
  halves = new Halves();
});

describe('two stores as one', () => {
  test('that went on to different LSNs: the greatest, with the later time', async () => {
    await halves.split(fill);
    halves.store.clock.micros += 1000;
    await halves.within('/high', async (engine) => {
      for (let i = 0; i < 3; i++) await engine.commit();
    });
    const report = await halves.restored({ from: both });
    expect(report).toMatchObject({ lsn: 4, partial: false });
    expect(report.sources).toMatchObject([
      { dir: '/low', lsn: 1, keyGroups: { from: 0, to: 2 } },
      { dir: '/high', lsn: 4, keyGroups: { from: 2, to: 4 } },
    ]);
    expect(report.timestamp).toBe(report.sources[1]!.timestamp);
    expect(await halves.dump('/joined')).toEqual(await halves.dump(dir));
    await halves.within('/joined', async (engine) => {
      expect((await engine.commit()).lsn).toBe(5);
      const [record] = await engine.checkpoints();
      expect(record?.origin).toMatchObject({ partial: false, storeId: report.sources[0]!.storeId });
      expect(record?.origin?.joined).toMatchObject([
        { storeId: report.sources[0]!.storeId, lsn: 1, keyGroups: { from: 0, to: 2 } },
        { storeId: report.sources[1]!.storeId, lsn: 4, keyGroups: { from: 2, to: 4 } },
      ]);
    });
  });

  test('each at a moment of its own: those moments', async () => {
    await halves.split(fill);
    for (const { dir: where } of both) {
      await halves.within(where, async (engine) => {
        fill(engine, 'op', 30);
        await engine.commit();
      });
    }
    const from = [{ ...low, target: { lsn: 1 } }, high];
    const { sources } = await halves.restored({ from });
    expect(sources.map(({ lsn }) => lsn)).toEqual([1, 2]);
    const all = await halves.restored({ from: both, to: '/all', target: { lsn: 1 } });
    expect(all.lsn).toBe(1);
    expect(await halves.dump('/all')).toEqual(await halves.dump(dir));
    expect((await halves.dump('/joined')).length).toBeGreaterThan(
      (await halves.dump('/all')).length,
    );
  });

  test('with states that only one has, and other numbers of tables: all of them', async () => {
    await halves.split((engine) => fill(engine, 'both'));
    await halves.within('/low', async (engine) => {
      fill(engine, 'first');
      fill(engine, 'second');
      await engine.commit();
    });
    await halves.within('/high', async (engine) => {
      fill(engine, 'second');
      fill(engine, 'third');
      await engine.commit();
    });
    for (const from of [both, [high, low]]) {
      const to = from === both ? '/joined' : '/other';
      await halves.restored({ from, to });
      const reader = await openReaderWith({ dir: to }, halves.on);
      const names = reader.definitions().map(({ operator }) => operator);
      expect(names.toSorted()).toEqual(['both', 'first', 'second', 'third']);
      // Whatever key group a key has, one store gave it; of `second` both gave their own.
      expect([...reader.entries('both')].length).toBe(20);
      expect([...reader.entries('second')].length).toBe(20);
      const [first, third] = ['first', 'third'].map((name) => [...reader.entries(name)].length);
      expect(first! + third!).toBe(20);
      await reader.close();
      await halves.within(to, (engine) => {
        for (let i = 0; i < 20; i++) expect(engine.operator('second').value('v').get(i)).toBe(i);
      });
    }
    expect(await halves.dump('/joined')).toEqual(await halves.dump('/other'));
  });

  test('some operators of them: these, and others that one of them lacks are no matter', async () => {
    await halves.split((engine) => fill(engine, 'a'));
    await halves.within('/high', async (engine) => {
      fill(engine, 'b');
      await engine.commit();
    });
    const { partial } = await halves.restored({ from: both, operators: ['b'] });
    expect(partial).toBe(true);
    const error = await errorOf(halves.restored({ from: both, operators: ['c'], to: '/none' }));
    expect(error).toMatchObject({ code: 'STATE_NOT_FOUND', details: { known: ['a', 'b'] } });
  });

  test('one directory that gives two ranges: both', async () => {
    await halves.split(fill);
    const from = [
      { dir, keyGroups: { from: 3, to: 4 } },
      { dir, keyGroups: { from: 0, to: 3 } },
    ];
    await halves.restored({ from });
    expect(await halves.dump('/joined')).toEqual(await halves.dump(dir));
  });
});

describe('key groups that nobody names', () => {
  const dirs = both.map((each) => ({ dir: each.dir }));

  test('of stores that were made of some: these, through checkpoints and merges', async () => {
    await halves.split(fill);
    await halves.within('/low', async (engine) => {
      await engine.commit();
      await engine.checkpoint({ kind: 'base' });
    });
    const { sources } = await halves.restored({ from: dirs });
    expect(sources.map((source) => source.keyGroups)).toEqual([low.keyGroups, high.keyGroups]);
    expect(await halves.dump('/joined')).toEqual(await halves.dump(dir));
  });

  test('of a copy of such a store, and of a part of it: its own', async () => {
    await halves.split(fill);
    await halves.restored({ from: { dir: '/low' }, to: '/copy' });
    await halves.restored({ from: { dir: '/high' }, to: '/third', keyGroups: { from: 2, to: 3 } });
    await halves.restored({ from: { dir: '/high' }, to: '/fourth', keyGroups: { from: 3, to: 4 } });
    await halves.restored({
      from: [{ dir: '/fourth' }, { dir: '/third' }],
      to: '/upper',
      gaps: true,
    });
    const { sources } = await halves.restored({ from: [{ dir: '/copy' }, { dir: '/upper' }] });
    expect(sources.map((source) => source.keyGroups)).toEqual([low.keyGroups, high.keyGroups]);
    expect(await halves.dump('/joined')).toEqual(await halves.dump(dir));
  });

  test('of one that has all, beside another: INVALID_OPTION', async () => {
    await halves.split(fill);
    const error = await errorOf(halves.restored({ from: [{ dir }, { dir: '/high' }] }));
    expect(error).toMatchObject({
      code: 'INVALID_OPTION',
      details: { option: 'from[1].keyGroups' },
    });
    expect(await halves.store.fs.stat('/joined')).toBeUndefined();
  });

  test('of one with a hole: all, so that they have to be named', async () => {
    await halves.split(fill);
    const from = [
      { dir, keyGroups: { from: 0, to: 1 } },
      { dir, keyGroups: { from: 2, to: 3 } },
    ];
    await halves.restored({ from, gaps: true, to: '/holes' });
    const { sources } = await halves.restored({ from: [{ dir: '/holes' }] });
    expect(sources[0]!.keyGroups).toEqual({ from: 0, to: 4 });
  });
});

describe('chunks of blobs', () => {
  const shared = new Uint8Array(700).fill(3);

  /** Keys of the lower and of the upper half. */
  async function keysOf(where: string): Promise<number[]> {
    const reader = await openReaderWith({ dir: where }, halves.on);
    const keys = [...reader.entries('op', 'v')].map(({ key }) => Number(key));
    await reader.close();
    return keys;
  }

  test('one that both refer to: counted once for each blob', async () => {
    await halves.split((engine) => {
      for (let i = 0; i < 20; i++) engine.operator('op').blob('b').set(i, shared);
    });
    await halves.restored({ from: both });
    await halves.within('/joined', async (engine) => {
      expect(engine.stats().storage.blobs).toEqual({
        bytes: 14_000,
        chunkCount: 1,
        chunkBytes: 700,
      });
      const blobs = engine.operator('op').blob('b');
      for (let i = 0; i < 19; i++) blobs.delete(i);
      await engine.commit();
      await engine.checkpoint({ kind: 'base' });
      expect(blobs.get(19)).toEqual(shared);
      blobs.delete(19);
      await engine.commit();
      expect((await engine.checkpoint({ kind: 'base' })).blobs.chunkCount).toBe(0);
    });
  });

  test.each([[both], [[high, low]]])(
    'one that the other store has given up since, in its log: it stays',
    async (from) => {
      await halves.split(fill);
      const keys = [await keysOf('/low'), await keysOf('/high')];
      for (const [i, { dir: where }] of both.entries()) {
        await halves.within(where, async (engine) => {
          engine.operator('op').blob('b').set(keys[i]![0]!, shared);
          await engine.commit();
          await engine.checkpoint({ kind: 'base' });
        });
      }
      await halves.within('/high', async (engine) => {
        engine.operator('op').blob('b').delete(keys[1]![0]!);
        await engine.commit();
      });
      await halves.restored({ from });
      await halves.within('/joined', (engine) => {
        expect(engine.operator('op').blob('b').get(keys[0]![0]!)).toEqual(shared);
        expect(engine.stats().storage.blobs.chunkCount).toBe(1);
      });
      await halves.dump('/joined');
    },
  );

  test('of a blob outside of the key groups that are taken: left behind', async () => {
    await halves.split(fill);
    const [key] = await keysOf('/low');
    await halves.within('/high', async (engine) => {
      engine.operator('op').blob('b').set(key!, shared);
      await engine.commit();
    });
    await halves.restored({ from: both });
    const reader = await openReaderWith({ dir: '/joined' }, halves.on);
    expect(reader.measureChunks().entryCount).toBe(0);
    await reader.close();
  });
});

describe('what does not fit together', () => {
  test('another seed: STORE_MISMATCH, before anything is done', async () => {
    await halves.split(fill);
    await halves.within('/foreign', async (engine) => void (await engine.commit()));
    const from = [low, { ...high, dir: '/foreign' }];
    const error = await errorOf(halves.restored({ from }));
    expect(error).toMatchObject({
      code: 'STORE_MISMATCH',
      details: { stores: ['/low', '/foreign'] },
    });
    expect(error.message).toContain('seeds of the key hash');
    expect(await halves.store.fs.stat('/joined')).toBeUndefined();
  });

  test('a state of another kind, or with other settings: SCHEMA_CHANGED', async () => {
    await halves.split(fill);
    await halves.within('/low', async (engine) => {
      engine.operator('op').list('l', { itemsMax: 3 }).append(1, 1);
      await engine.commit();
    });
    await halves.within('/high', async (engine) => {
      engine.operator('op').list('l', { itemsMax: 4 }).append(1, 1);
      await engine.commit();
    });
    const error = await errorOf(halves.restored({ from: both }));
    expect(error).toMatchObject({
      code: 'SCHEMA_CHANGED',
      details: { operator: 'op', state: 'l' },
    });
  });

  test('values of two versions: no matter, and the definition has the greater', async () => {
    await halves.split(fill);
    const upgrade = (old: unknown): unknown => ({ old });
    await halves.within('/low', async (engine) => {
      engine.operator('op').value('v', { version: 2, upgrade }).set('new', 1);
      await engine.commit();
    });
    for (const from of [both, [high, low]]) {
      const to = from === both ? '/joined' : '/other';
      await halves.restored({ from, to });
      const reader = await openReaderWith({ dir: to }, halves.on);
      expect(reader.definitions()).toMatchObject([{ operator: 'op', state: 'v', version: 2 }]);
      await reader.close();
      await halves.within(to, (engine) => {
        const state = engine.operator('op').value('v', { version: 2, upgrade });
        for (let i = 0; i < 20; i++) expect(state.get(i)).toEqual({ old: i });
      });
    }
  });

  test('groups that overlap, or leave a gap: INVALID_OPTION, and gaps when they are meant', async () => {
    await halves.split(fill);
    const overlapping = [low, { ...high, keyGroups: { from: 1, to: 4 } }];
    expect(await errorOf(halves.restored({ from: overlapping }))).toMatchObject({
      code: 'INVALID_OPTION',
      details: { option: 'from[1].keyGroups' },
    });
    for (const groups of [
      { from: 3, to: 4 },
      { from: 2, to: 3 },
    ]) {
      const from = [low, { ...high, keyGroups: groups }];
      expect(await errorOf(halves.restored({ from }))).toMatchObject({
        code: 'INVALID_OPTION',
        details: { option: 'gaps' },
      });
      const to = `/gap-${groups.from}`;
      const { partial } = await halves.restored({ from, gaps: true, to });
      expect(partial).toBe(true);
      expect((await halves.dump(to)).length).toBeLessThan((await halves.dump(dir)).length);
    }
  });

  const wrong: readonly (readonly [string, Record<string, unknown>])[] = [
    ['from', { from: [] }],
    ['keyGroups', { from: [low], keyGroups: { from: 0, to: 1 } }],
    ['from[1].other', { from: [low, { ...high, other: 1 }] }],
    ['from[1].target', { from: [low, { ...high, target: 'newest' }] }],
    ['from[0].keyGroups.to', { from: [{ ...low, keyGroups: { from: 1, to: 1 } }] }],
    ['from[1].keyGroups.to', { from: [low, { ...high, keyGroups: { from: 2, to: 5 } }] }],
    ['positions', { positions: 'all' }],
    ['positions', { positions: 1 }],
    ['positions', { positions: null }],
    ['positions', { from: both, positions: 2 }],
    ['positions.a', { positions: { a: null } }],
    ['holders', { from: both, holders: 2 }],
    ['gaps', { gaps: 1 }],
  ];
  test.each(wrong)('a bad %s: INVALID_OPTION', async (option, options) => {
    await halves.split(fill);
    const error = await errorOf(halves.restored(options));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option } });
  });
});
