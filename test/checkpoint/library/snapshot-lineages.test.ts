/*
 * Joining lineages: what each policy keeps, what is no conflict, and what is refused.
 */
import { describe, expect, test } from 'vitest';
import type {
  ConflictPolicy,
  LineageConflict,
} from '../../../src/checkpoint/library/snapshot-conflicts.ts';
import { mergeLineagesWith } from '../../../src/checkpoint/library/snapshot-lineages.ts';
import { SlabPool } from '../../../src/snapshot/slab-pool.ts';
import { runMerge } from '../../../src/threads/merge-run.ts';
import { InlinePool } from '../../../src/threads/task-pool.ts';
import { withBase } from './snapshot-joiner.ts';

const A = 'aa'.repeat(16);
const B = 'bb'.repeat(16);
const C = 'cc'.repeat(16);

const code = (value: string): unknown => expect.objectContaining({ code: value });
const option = (name: string): unknown =>
  expect.objectContaining({
    code: 'INVALID_OPTION',
    details: expect.objectContaining({ option: name }),
  });

describe('lineages that do not meet', () => {
  test('different keys: all changes, no conflict, a store of its own that can be continued', async () => {
    const library = await withBase({ x: 1, y: 1, z: 1 });
    const a = await library.delta({ x: 2 }, A, 5);
    const b = await library.delta({ y: undefined, w: 3 }, B, 9);
    const joined = await library.join([[a], [b]], 'last-write-wins', { storeId: C });
    expect(joined.state).toEqual(
      new Map([
        ['x', 2],
        ['z', 1],
        ['w', 3],
      ]),
    );
    const base = (await library.open('/base')).metadata;
    expect(joined).toMatchObject({
      kind: 'base',
      storeId: C,
      seed: base.seed,
      lastLsn: 3,
      lastTimestamp: library.start + 10,
      conflicts: { count: 0, tables: {}, listed: [] },
    });
    expect(joined.parents).toHaveLength(3);
    await library.make('/next', { x: 5 }, { base: joined.path });
    expect((await library.open('/next')).metadata).toMatchObject({ storeId: C, fromLsn: 3 });
  });

  test('the same result: no conflict', async () => {
    const library = await withBase({ x: 1, y: 1 });
    const a = await library.delta({ x: 2, y: undefined }, A, 5);
    const b = await library.delta({ x: 2, y: undefined }, B, 9);
    const joined = await library.join([[a], [b]], 'first-write-wins');
    expect(joined.conflicts.count).toBe(0);
    expect(joined.state).toEqual(new Map([['x', 2]]));
  });

  test('a lineage of several deltas: its last word counts', async () => {
    const library = await withBase({ x: 1, y: 1 });
    const first = await library.delta({ x: 2, y: undefined }, A, 5);
    const second = { base: ['/base', first], timestamp: library.start + 8 };
    const a = [first, await library.make('/second', { x: 3 }, second)];
    const b = await library.delta({ x: 4, y: 4 }, B, 7);
    const joined = await library.join([a, [b]], 'last-write-wins');
    expect(joined).toMatchObject({ lastLsn: 4, lastTimestamp: library.start + 9 });
    expect(joined.conflicts.count).toBe(2);
    expect(joined.state).toEqual(
      new Map([
        ['x', 3],
        ['y', 4],
      ]),
    );
  });

  test('tables that each made for itself: matched by name, whatever their numbers', async () => {
    const library = await withBase({ x: 1 });
    const write = async (path: string, storeId: string, tables: string[]): Promise<string> => {
      const file = await library.create(path, { base: '/base', storeId });
      for (const table of tables) await file.write(table, `key of ${path}`, table);
      await file.finish();
      return path;
    };
    const a = await write('/a', A, ['one', 'two']);
    const b = await write('/b', B, ['three', 'two']);
    const joined = await library.join([[a], [b]], 'last-write-wins');
    expect(joined.tables.map(({ id, state, entryCount }) => [id, state, entryCount])).toEqual([
      [16, 't', 1],
      [17, 'one', 1],
      [18, 'three', 1],
      [19, 'two', 2],
    ]);
    const found = await library.entries(joined.path, { table: 'two' });
    expect(found.map(({ key, value }) => `${String(key)}: ${String(value)}`).toSorted()).toEqual([
      'key of /a: two',
      'key of /b: two',
    ]);
  });

  test('one state as a value here and a map there: refused', async () => {
    const library = await withBase({ x: 1 });
    const a = await library.create('/a', { base: '/base', storeId: A });
    await a.write('new', 1, 1);
    await a.finish();
    const b = await library.create('/b', { base: '/base', storeId: B });
    await b.write('new', 1, 1, { subKey: 1 });
    await b.finish();
    await expect(library.join([['/a'], ['/b']], 'last-write-wins')).rejects.toEqual(
      code('SCHEMA_CHANGED'),
    );
  });
});

describe('policies', () => {
  const meet = async (policy: ConflictPolicy): Promise<Map<unknown, unknown>> => {
    const library = await withBase({ put: 0, gone: 0, time: 0 });
    const first = { put: 'early', gone: undefined };
    const a = await library.create('/a', {
      base: '/base',
      storeId: A,
      timestamp: library.start + 5,
    });
    for (const [key, value] of Object.entries(first)) {
      await (value === undefined ? a.delete('t', key) : a.write('t', key, value));
    }
    await a.write('t', 'time', 'event 50', { eventTime: library.start + 50 });
    await a.finish();
    const b = await library.create('/b', {
      base: '/base',
      storeId: B,
      timestamp: library.start + 9,
    });
    await b.write('t', 'put', 'late');
    await b.write('t', 'gone', 'back');
    await b.write('t', 'time', 'no event');
    await b.finish();
    const joined = await library.join([['/a'], ['/b']], policy);
    expect(joined.conflicts).toMatchObject({ count: 3, tables: { 'default.t': 3 } });
    return joined.state;
  };

  test('last write wins: by commit time', async () => {
    expect(await meet('last-write-wins')).toEqual(
      new Map([
        ['put', 'late'],
        ['gone', 'back'],
        ['time', 'no event'],
      ]),
    );
  });

  test('first write wins: a delete too', async () => {
    expect(await meet('first-write-wins')).toEqual(
      new Map([
        ['put', 'early'],
        ['time', 'event 50'],
      ]),
    );
  });

  test('timestamp priority: by event time, or by commit time where there is none', async () => {
    expect(await meet('timestamp-priority')).toEqual(
      new Map([
        ['put', 'late'],
        ['gone', 'back'],
        ['time', 'event 50'],
      ]),
    );
  });

  test('the same commit time: the greater store id is the later', async () => {
    const library = await withBase({ x: 0 });
    const a = await library.delta({ x: 'a' }, A, 5);
    const b = await library.delta({ x: 'b' }, B, 5);
    expect((await library.join([[a], [b]], 'last-write-wins')).state.get('x')).toBe('b');
    expect((await library.join([[b], [a]], 'last-write-wins')).state.get('x')).toBe('b');
    expect((await library.join([[b], [a]], 'first-write-wins')).state.get('x')).toBe('a');
  });

  test('a function: sees the candidates, chooses one or gives a value', async () => {
    const library = await withBase({ x: 0, y: 0, z: 0 });
    const a = await library.delta({ x: 'a', y: 'a', z: undefined }, A, 5);
    const b = await library.delta({ x: 'b', y: 'b', z: 'b' }, B, 9);
    const seen: LineageConflict[] = [];
    const expiresAt = library.start + 1_000_000;
    const joined = await library.join([[b], [a]], (conflict) => {
      seen.push(conflict);
      const { key, candidates } = conflict;
      if (key === 'x')
        return { value: ['both', ...candidates.map(({ value }) => value)], expiresAt };
      return candidates.findIndex(({ lineage }) => lineage === 1);
    });
    expect(joined.state).toEqual(
      new Map<unknown, unknown>([
        ['x', ['both', 'a', 'b']],
        ['y', 'a'],
      ]),
    );
    expect(seen.find(({ key }) => key === 'z')).toEqual({
      table: 'default.t',
      operator: 'default',
      state: 't',
      kind: 'value',
      key: 'z',
      subKey: undefined,
      reason: 'write',
      candidates: [
        {
          value: undefined,
          deleted: true,
          timestamp: library.start + 5,
          storeId: A,
          lsn: 2,
          eventTime: undefined,
          expiresAt: undefined,
          lineage: 1,
        },
        {
          value: 'b',
          deleted: false,
          timestamp: library.start + 9,
          storeId: B,
          lsn: 2,
          eventTime: undefined,
          expiresAt: undefined,
          lineage: 0,
        },
      ],
    });
    const x = joined.conflicts.listed.find(({ key }) => key === 'x');
    expect(x).toMatchObject({ chosen: undefined, reason: 'write' });
    expect(x?.candidates[0]).not.toHaveProperty('value');
    const found = await library.entries(joined.path);
    expect(found.find(({ key }) => key === 'x')?.expiresAt).toBe(expiresAt);
  });

  test.each<[string, unknown, string]>([
    ['an index that is none', 2, 'INVALID_CALL'],
    ['nothing', undefined, 'INVALID_CALL'],
    ['a promise', Promise.resolve(0), 'INVALID_CALL'],
    ['a value that cannot be', { value: () => 1 }, 'INVALID_VALUE'],
    ['something beside the value', { value: 1, ttl: 5 }, 'INVALID_OPTION'],
  ])('a function that returns %s: refused, and no file', async (_, answer, expected) => {
    const library = await withBase({ x: 0 });
    const a = await library.delta({ x: 'a' }, A, 5);
    const b = await library.delta({ x: 'b' }, B, 9);
    const before = await library.fs.list('/');
    await expect(library.join([[a], [b]], () => answer as number)).rejects.toEqual(code(expected));
    expect(await library.fs.list('/')).toEqual(before);
  });

  test('more conflicts than are listed: counted, the first thousand listed', async () => {
    const library = await withBase({});
    const many = (value: string): Record<string, string> =>
      Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`k${i}`, value]));
    const a = await library.delta(many('a'), A, 5);
    const b = await library.delta(many('b'), B, 9);
    const { conflicts } = await library.join([[a], [b]], 'last-write-wins');
    expect(conflicts.count).toBe(1100);
    expect(conflicts.listed).toHaveLength(1000);
    expect(conflicts.listed.every(({ chosen }) => chosen === 1)).toBe(true);
  });
});

test('compression, codecs: change the file, or are looked for', async () => {
  const library = await withBase({ x: 'a'.repeat(5000) });
  const a = await library.delta({ y: 1 }, A, 5);
  const none = await library.join([[a]], 'last-write-wins', { compression: 'none' });
  const lz4 = await library.join([[a]], 'last-write-wins');
  expect(lz4.fileBytes).toBeLessThan(none.fileBytes - 4000);
  const codecs = [{ name: 'own', module: '/nowhere/own.mjs' }];
  await expect(library.join([[a]], 'last-write-wins', { codecs })).rejects.toThrow();
});

describe('what cannot be joined', () => {
  test('links that do not fit: BROKEN_CHAIN with both ends', async () => {
    const library = await withBase({ x: 0 });
    const a = await library.delta({ x: 'a' }, A, 5);
    const b = await library.delta({ x: 'b' }, B, 9);
    const later = await library.make(
      '/later',
      { y: 1 },
      { base: ['/base', await library.make('/own', {}, { base: '/base' })] },
    );
    await library.make('/other', { x: 0 }, {});
    const foreign = await library.make('/foreign', { x: 1 }, { base: '/other' });
    await library.make(
      '/grouped',
      { x: 0 },
      { keyGroups: 4, seed: (await library.open('/base')).metadata.seed },
    );
    const grouped = await library.make('/grouped-delta', { x: 0 }, { base: '/grouped' });
    const broken = (older: string, newer: string, why: string): unknown =>
      expect.objectContaining({
        code: 'BROKEN_CHAIN',
        details: expect.objectContaining({
          why,
          older: expect.objectContaining({ path: older }),
          newer: expect.objectContaining({ path: newer }),
        }),
      });
    const join = (lineages: string[][]): Promise<unknown> =>
      library.join(lineages, 'last-write-wins');
    await expect(join([[later]])).rejects.toEqual(broken('/base', '/later', 'there is a gap'));
    await expect(join([[foreign]])).rejects.toEqual(
      broken('/base', '/foreign', 'it has another seed'),
    );
    await expect(join([[grouped]])).rejects.toEqual(
      broken('/base', '/grouped-delta', 'it has another number of key groups'),
    );
    await expect(join([[a, b]])).rejects.toEqual(broken(a, b, 'it is of another store'));
    await expect(join([[a, a]])).rejects.toEqual(broken(a, a, 'they overlap'));
    await expect(join([['/other']])).rejects.toEqual(
      expect.objectContaining({ code: 'BROKEN_CHAIN' }),
    );
  });

  test('a delta without what changed nothing in its own chain: INVALID_CALL', async () => {
    const library = await withBase({ x: 0 });
    const a = await library.delta({ x: 'a' }, A, 5);
    const pool = new InlinePool(library.fs);
    const { header } = await pool.run('loadSnapshot', { path: a });
    const parents = ['ab'.repeat(32)];
    await runMerge(pool, {
      sources: [{ path: a }],
      stagedPath: '/lean',
      header,
      parents,
      rules: [],
      compression: { codec: 'none' },
      threadsMax: 1,
      keepSlices: false,
      slabs: new SlabPool(0),
    });
    await expect(library.join([['/lean']], 'last-write-wins')).rejects.toEqual(
      expect.objectContaining({ code: 'INVALID_CALL', details: { path: '/lean' } }),
    );
    // The same without parents can be joined.
    await expect(library.join([[a]], 'last-write-wins')).resolves.toBeDefined();
  });

  test('options: refused by name', async () => {
    const library = await withBase({ x: 0 });
    const a = await library.delta({ x: 'a' }, A, 5);
    const join = (lineages: unknown, more: object = {}): Promise<unknown> =>
      library.join(lineages as string[][], 'last-write-wins', more);
    await expect(join([])).rejects.toEqual(option('lineages'));
    await expect(join([[]])).rejects.toEqual(option('lineages[0]'));
    await expect(join([[a], [a]])).rejects.toEqual(option('lineages[1]'));
    await expect(join([[a]], { conflicts: 'newest' })).rejects.toEqual(option('conflicts'));
    await expect(join([[a]], { output: '' })).rejects.toEqual(option('output'));
    const bare = mergeLineagesWith('/base', [[a]], undefined, library);
    await expect(bare).rejects.toEqual(option('output'));
    await expect(join([[a]], { compression: 'x' })).rejects.toEqual(option('compression'));
    await expect(join([[a]], { storeId: 'x' })).rejects.toEqual(option('storeId'));
    await expect(join([[a]], { types: 1 })).rejects.toEqual(option('types'));
    await expect(join([[a]], { timeoutMs: 0 })).rejects.toEqual(option('timeoutMs'));
    await expect(join([[a]], { signal: 1 })).rejects.toEqual(option('signal'));
    await expect(join([[a]], { threads: 1 })).rejects.toEqual(option('threads'));
    await expect(join([[a]], { output: '/base' })).rejects.toEqual(code('INVALID_CALL'));
    const base = mergeLineagesWith(
      a,
      [[a]],
      { output: '/o', conflicts: 'last-write-wins' },
      library,
    );
    await expect(base).rejects.toEqual(option('base'));
  });

  test('a signal, a time that is up: ABORTED, TIMEOUT, and no file', async () => {
    const library = await withBase({ x: 'x'.repeat(2_000_000) });
    const a = await library.delta({ x: 'y'.repeat(2_000_000) }, A, 5);
    const b = await library.delta({ x: 'z'.repeat(2_000_000) }, B, 9);
    const before = await library.fs.list('/');
    const controller = new AbortController();
    const aborting = library.join(
      [[a], [b]],
      () => {
        controller.abort();
        return 0;
      },
      { signal: controller.signal },
    );
    await expect(aborting).rejects.toEqual(code('ABORTED'));
    const early = library.join([[a], [b]], 'last-write-wins', { signal: controller.signal });
    await expect(early).rejects.toEqual(code('ABORTED'));
    const late = library.join(
      [[a], [b]],
      () => {
        library.clock.advance(50);
        return 0;
      },
      { timeoutMs: 40 },
    );
    await expect(late).rejects.toEqual(code('TIMEOUT'));
    expect(await library.fs.list('/')).toEqual(before);
    expect(library.clock.timerCount).toBe(0);
  });
});
