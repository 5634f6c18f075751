/*
 * Checkpoints as a caller sees them: kinds, savepoints, metadata, what is in them, and the order in
 * which they are published.
 */
import { describe, expect, test } from 'vitest';
import type { CheckpointRecord, Engine } from '../../src/engine/index.ts';
import { HeldStore } from '../engine/held-store.ts';
import { codeOf, errorOf, gate, open, pathsIn, settle, worldOn } from '../engine/engine-fixture.ts';

const put = async (engine: Engine, key: string, value: unknown): Promise<void> => {
  engine.operator('op').value('v').set(key, value);
  await engine.commit();
};
const shape = ({ kind, chain }: CheckpointRecord): unknown[] => [
  kind,
  chain.map((link) => link.kind),
];

describe('kinds', () => {
  test('auto, delta and base: what they make, and the chain continues without a gap', async () => {
    const engine = await open(worldOn());
    await put(engine, 'a', 1);
    const first = await engine.checkpoint({ kind: 'delta' });
    expect(shape(first)).toEqual(['base', ['base']]);
    await put(engine, 'b', 1);
    const second = await engine.checkpoint();
    expect(shape(second)).toEqual(['delta', ['base', 'delta']]);
    expect([second.parent, second.lsn, second.fromTimestamp]).toEqual([
      first.id,
      2,
      first.timestamp,
    ]);
    await put(engine, 'c', 1);
    const third = await engine.checkpoint({ kind: 'base' });
    expect(shape(third)).toEqual(['base', ['base']]);
    expect([third.lsn, third.chain[0]!.lastLsn, third.chain[0]!.entryCount]).toEqual([3, 3, 4]);
    expect((await engine.checkpoints()).map(({ id }) => id)).toContain(third.id);
    await engine.close();
  });

  test('nothing was committed since: the same record, whatever the kind', async () => {
    const engine = await open(worldOn());
    await put(engine, 'a', 1);
    const first = await engine.checkpoint();
    for (const kind of ['auto', 'delta', 'base'] as const) {
      expect(await engine.checkpoint({ kind })).toEqual(first);
    }
    expect(await engine.checkpoints()).toHaveLength(1);
    await engine.close();
  });

  test('an empty store: an empty base, and it opens again', async () => {
    const world = worldOn();
    let engine = await open(world);
    const record = await engine.checkpoint();
    expect([record.lsn, record.chain[0]!.entryCount]).toEqual([0, 0]);
    await engine.close();
    engine = await open(world);
    await put(engine, 'a', 1);
    await engine.checkpoint();
    await engine.close();
    engine = await open(world);
    expect(engine.operator('op').value('v').get('a')).toBe(1);
    await engine.close();
  });

  test('C5 a chain of its greatest length: merged beside further deltas, which stay behind the new base', async () => {
    const world = worldOn();
    const options = { maxChainLength: 8, merge: { strategy: 'sequential' as const } };
    let engine = await open(world, options);
    const merges: CheckpointRecord[] = [];
    engine.on('merge', (record) => merges.push(record));
    for (let n = 0; n < 30; n++) {
      await put(engine, `k${n}`, n);
      expect(engine.stats().chainLength).toBeLessThanOrEqual(20);
      await engine.checkpoint();
    }
    await settle();
    expect(merges.length).toBeGreaterThan(1);
    for (const { kind, chain } of merges) {
      expect(kind).toBe('merge');
      expect(chain[0]!.kind).toBe('base');
      for (let i = 1; i < chain.length; i++) {
        expect([chain[i]!.kind, chain[i]!.fromLsn]).toEqual(['delta', chain[i - 1]!.lastLsn]);
      }
    }
    expect(engine.stats().chainLength).toBeLessThan(16);
    await engine.close();
    engine = await open(world);
    for (let n = 0; n < 30; n++) expect(engine.operator('op').value('v').get(`k${n}`)).toBe(n);
    await engine.close();
  });
});

describe('a freeze', () => {
  test('open changes: they stay open, and are not in the checkpoint', async () => {
    const world = worldOn();
    const engine = await open(world);
    const op = engine.operator('op');
    const write = (n: number): void => {
      op.value('v').set('k', n);
      op.map('m').set('k', 1, n);
      op.list('l').append('k', n);
      op.counter('c').add('k', n);
      op.blob('b').set('k', new Uint8Array([n]));
    };
    const shown = (from: Engine): unknown => {
      const op = from.operator('op');
      const [value, map] = [op.value('v').get('k'), op.map('m').get('k', 1)];
      return [value, map, op.list('l').get('k'), op.counter('c').get('k'), op.blob('b').get('k')];
    };
    write(1);
    await engine.commit();
    op.map('m').clear('k');
    op.list('l').clear('k');
    op.counter('c').delete('k');
    write(2);
    const before = shown(engine);
    expect((await engine.checkpoint()).lsn).toBe(1);
    expect(shown(engine)).toEqual(before);
    const restored = await open(worldOn(await world.fs.crash('dropped'), world.clock, 9));
    expect(shown(restored)).toEqual([1, 1, [1], 1, new Uint8Array([1])]);
    engine.rollback();
    expect(shown(engine)).toEqual([1, 1, [1], 1, new Uint8Array([1])]);
    write(3);
    await engine.checkpoint();
    await engine.commit();
    expect(shown(engine)).toEqual([3, 3, [1, 3], 4, new Uint8Array([3])]);
    await engine.close();
    const again = await open(world);
    expect(shown(again)).toEqual([3, 3, [1, 3], 4, new Uint8Array([3])]);
    await again.close();
  });

  test('commits behind the call: not in the checkpoint', async () => {
    const engine = await open(worldOn());
    await put(engine, 'a', 1);
    const taken = engine.checkpoint();
    await put(engine, 'a', 2);
    expect((await taken).lsn).toBe(1);
    expect((await engine.checkpoint()).lsn).toBe(2);
    await engine.close();
  });
});

describe('savepoints', () => {
  test('a name: taken once, found in the record, free again when it was dropped', async () => {
    const world = worldOn();
    let engine = await open(world);
    await put(engine, 'a', 1);
    const record = await engine.checkpoint({ savepoint: 'before', metadata: { by: 'me' } });
    expect([record.savepoint, record.metadata]).toEqual(['before', { by: 'me' }]);
    const taken = await errorOf(engine.checkpoint({ savepoint: 'before' }));
    expect([taken.code, taken.kind]).toEqual(['SAVEPOINT_EXISTS', 'conflict']);
    await engine.close();
    engine = await open(world);
    expect(await codeOf(engine.checkpoint({ savepoint: 'before' }))).toBe('SAVEPOINT_EXISTS');
    await engine.dropSavepoint('before');
    expect((await engine.checkpoints()).map(({ dropped }) => dropped)).toEqual([true]);
    expect(await codeOf(engine.dropSavepoint('before'))).toBe('SAVEPOINT_NOT_FOUND');
    expect((await engine.checkpoint({ savepoint: 'before' })).lsn).toBe(1);
    const mistyped = await errorOf(engine.dropSavepoint('befor'));
    expect([mistyped.code, mistyped.details['savepoints']]).toEqual([
      'SAVEPOINT_NOT_FOUND',
      ['before'],
    ]);
    expect(mistyped.message).toContain('there is before');
    await engine.close();
  });

  test('two of one name at once: the second is refused', async () => {
    const engine = await open(worldOn());
    await put(engine, 'a', 1);
    const first = engine.checkpoint({ savepoint: 's' });
    const second = codeOf(engine.checkpoint({ savepoint: 's' }));
    expect((await first).savepoint).toBe('s');
    expect(await second).toBe('SAVEPOINT_EXISTS');
    await engine.close();
  });

  test('nothing was committed since, or a base is asked for: the record that comes back is the savepoint', async () => {
    const engine = await open(worldOn());
    await put(engine, 'a', 1);
    const plain = await engine.checkpoint();
    const same = await engine.checkpoint({ savepoint: 'same' });
    expect([same.savepoint, same.chain]).toEqual(['same', plain.chain]);
    await put(engine, 'a', 2);
    const base = await engine.checkpoint({ kind: 'base', savepoint: 'base', metadata: 1 });
    expect([base.savepoint, base.metadata, base.kind, base.chain.length]).toEqual([
      'base',
      1,
      'base',
      1,
    ]);
    const again = await engine.checkpoint({ kind: 'base', savepoint: 'base again' });
    expect([again.savepoint, again.chain]).toEqual(['base again', base.chain]);
    const names = (await engine.checkpoints()).map(({ savepoint }) => savepoint);
    expect(names.filter((name) => name !== undefined)).toEqual(['same', 'base', 'base again']);
    await engine.close();
  });

  test.each(['', 'x'.repeat(257), '\ud800', 1, null])(
    'name %j: INVALID_NAME',
    async (savepoint) => {
      const engine = await open(worldOn());
      const name = savepoint as string;
      expect(await codeOf(engine.checkpoint({ savepoint: name }))).toBe('INVALID_NAME');
      expect(await codeOf(engine.dropSavepoint(name))).toBe('INVALID_NAME');
      await engine.close();
    },
  );
});

describe('metadata', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = [cyclic, cyclic];

  test.each([
    ['a Date', { at: new Date(0) }],
    ['NaN', [1, Number.NaN]],
    ['-0', -0],
    ['undefined inside', { a: undefined }],
    ['a hole', [1, , 2]], // oxlint-disable-line no-sparse-arrays
    ['a bigint', 1n],
    ['a function', () => {}],
    ['a symbol as name', { [Symbol('a')]: 1 }],
    ['a Map', new Map()],
    ['a cycle', cyclic],
  ])('%s: INVALID_VALUE with the path', async (_, metadata) => {
    const engine = await open(worldOn());
    const error = await errorOf(engine.checkpoint({ metadata }));
    expect(error.code).toBe('INVALID_VALUE');
    expect(error.details['path']).toMatch(/^metadata/);
    expect(await engine.checkpoints()).toEqual([]);
    await engine.close();
  });

  test.each([[null], [0], [''], [false], [{ a: [1, { b: null }], c: 'é\ud800' }]])(
    '%j: comes back',
    async (metadata) => {
      const world = worldOn();
      const engine = await open(world);
      const record = await engine.checkpoint({ metadata });
      expect(record.metadata).toEqual(metadata);
      await engine.close();
      const again = await open(world);
      expect((await again.checkpoints()).map((found) => found.metadata)).toEqual([metadata]);
      await again.close();
    },
  );

  test('changed after the call: the record has what it was', async () => {
    const engine = await open(worldOn());
    const metadata = { n: 1 };
    const taken = engine.checkpoint({ metadata });
    metadata.n = 2;
    expect((await taken).metadata).toEqual({ n: 1 });
    await engine.close();
  });

  test('options that are unknown or wrong: refused by name', async () => {
    const engine = await open(worldOn());
    const unknown = await errorOf(engine.checkpoint({ name: 's' } as object));
    expect([unknown.code, unknown.details['option']]).toEqual(['INVALID_OPTION', 'name']);
    const kind = await errorOf(engine.checkpoint({ kind: 'full' as 'base' }));
    expect([kind.code, kind.details['option']]).toEqual(['INVALID_OPTION', 'kind']);
    await engine.close();
  });
});

describe('publishing', () => {
  test('C4: snapshot synced, named, its directory synced; then the record in the same way', async () => {
    const world = worldOn();
    const engine = await open(world);
    await put(engine, 'a', 1);
    world.fs.calls.length = 0;
    await engine.checkpoint();
    const order = world.fs.calls
      .filter(({ call, path }) => {
        if (!['sync', 'rename', 'link', 'syncDirectory'].includes(call)) return false;
        return !path.includes('/wal');
      })
      .map(
        ({ call, path }) =>
          `${call} ${path.replace(/[0-9a-f]{16,64}-/g, '').replace(/\/\d+-/, '/')}`,
      );
    const last = order.slice(order.findIndex((line) => line.includes('checkpoint-1')));
    const at = (line: string): number => last.findIndex((found) => found.startsWith(line));
    const steps = [
      'sync /store/~staging/checkpoint-1',
      'rename /store/snapshots/',
      'syncDirectory /store/snapshots',
      'sync /store/~staging/object',
      'link /store/checkpoints/',
      'syncDirectory /store/checkpoints',
    ].map(at);
    expect(steps).not.toContain(-1);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    await engine.close();
  });

  test('C4: until the record is put the memtable stays frozen, and the reads are the same', async () => {
    const store = new HeldStore();
    const engine = await open(worldOn(), { store });
    await put(engine, 'a', 1);
    const held = gate();
    store.before = (call) => (call === 'putIfAbsent' ? held.passed : undefined);
    const taken = engine.checkpoint();
    await settle();
    expect(store.calls.at(-1)).toBe('putIfAbsent checkpoints/0000000001.json');
    expect([engine.stats().frozenMemtables, engine.stats().chainLength]).toEqual([1, 0]);
    expect(engine.operator('op').value('v').get('a')).toBe(1);
    held.open();
    await taken;
    expect([engine.stats().frozenMemtables, engine.stats().chainLength]).toEqual([0, 1]);
    expect(engine.stats().memtableBytes).toBe(0);
    expect(engine.operator('op').value('v').get('a')).toBe(1);
    await engine.close();
  });

  test('power is lost at any change of the disk: the opening finds the state, and no leftovers stay', async () => {
    for (let cutAt = 0, done = false; !done; cutAt++) {
      const world = worldOn();
      const engine = await open(world);
      await put(engine, 'a', 1);
      await engine.checkpoint();
      await put(engine, 'a', 2);
      let seen = 0;
      let cut: ReturnType<typeof world.fs.crash> | undefined;
      world.fs.before = ({ call, path }) => {
        if (path.includes('/wal/') || ['read', 'open', 'close', 'stat', 'size'].includes(call)) {
          return;
        }
        if (seen++ === cutAt) cut = world.fs.crash(cutAt % 2 === 0 ? 'kept' : 'dropped');
      };
      await engine.checkpoint();
      await engine.close();
      done = cut === undefined;
      const fs = cut ? await cut : world.fs;
      const again = await open(worldOn(fs, world.clock, 9));
      expect(again.operator('op').value('v').get('a')).toBe(2);
      expect(await pathsIn(fs, '~staging')).toEqual([]);
      const records = await again.checkpoints();
      const named = new Set(records.flatMap(({ chain }) => chain.map(({ name }) => name)));
      expect(await pathsIn(fs, 'snapshots')).toHaveLength(named.size);
      // Ids go on behind everything that was tried.
      await put(again, 'b', 1);
      expect((await again.checkpoint()).id).toBeGreaterThan(records.at(-1)!.id);
      await again.close();
    }
  });

  test('a record is missing though its snapshot is there: recovered from the one before, file removed', async () => {
    const world = worldOn();
    const engine = await open(world);
    await put(engine, 'a', 1);
    await engine.checkpoint();
    await put(engine, 'a', 2);
    const { id } = await engine.checkpoint();
    await engine.close();
    const path = (await pathsIn(world.fs, 'checkpoints')).at(-1)!;
    await world.fs.remove(path);
    const again = await open(world);
    expect(again.operator('op').value('v').get('a')).toBe(2);
    expect(again.recovery).toMatchObject({ checkpointLsn: 1, replayedCommits: 1 });
    expect(again.recovery.leftoversRemoved).toBe(1);
    await put(again, 'a', 3);
    expect((await again.checkpoint()).id).toBeGreaterThan(id);
    await again.close();
  });

  test('C3 an attempt that failed at its record, and one that succeeded after it: the next opening removes the first one’s file', async () => {
    const store = new HeldStore();
    const world = worldOn();
    const engine = await open(world, { store });
    await put(engine, 'a', 1);
    store.before = (call) => {
      if (call === 'putIfAbsent') throw new Error('their own');
    };
    const error = await errorOf(engine.checkpoint());
    expect([error.code, (error.cause as Error).message]).toEqual(['IO', 'their own']);
    store.before = () => {};
    await engine.checkpoint();
    const named = (): string[] => [...store.objects.keys()].filter((n) => n.startsWith('snap'));
    expect(named()).toHaveLength(2);
    await engine.close();
    const again = await open(world, { store: new HeldStore(store.objects) });
    expect(again.recovery.leftoversRemoved).toBe(1);
    expect(named()).toEqual((await again.checkpoints())[0]!.chain.map(({ name }) => name));
    await again.close();
  });

  test('another writer has put the record: FENCED, and nothing is published any more', async () => {
    const store = new HeldStore();
    const engine = await open(worldOn(), { store });
    await put(engine, 'a', 1);
    store.before = (call, name) => {
      if (call === 'putIfAbsent') store.objects.set(name, new Uint8Array(1));
    };
    expect(await codeOf(engine.checkpoint())).toBe('FENCED');
    store.before = () => {};
    const before = store.calls.length;
    await put(engine, 'a', 2);
    expect(await codeOf(engine.checkpoint())).toBe('FENCED');
    expect(store.calls.slice(before).filter((call) => call.startsWith('put'))).toEqual([]);
    await engine.close();
  });
});
