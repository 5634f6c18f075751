/*
 * One transaction over all operators: what a commit holds, when it is sealed, when it resolves, and
 * how changes are undone.
 */
import { describe, expect, test } from 'vitest';
import type { CommitOptions } from '../../src/engine/index.ts';
import { changes } from '../tools/faulty-file-system.ts';
import { codeOf, errorOf, gate, open, settle, worldOn } from './engine-fixture.ts';

describe('commit', () => {
  test('changes of two operators and positions, power lost while they are written: all or nothing', async () => {
    // Cut before every change of the disk that the commit makes.
    let whole = 0;
    for (let cutAt = 0; whole === 0; cutAt++) {
      const world = worldOn();
      const engine = await open(world);
      engine.operator('a').value('v').set('k', 1);
      await engine.commit({ positions: { source: 1 } });
      await settle();
      let seen = 0;
      let cut: ReturnType<typeof world.fs.crash> | undefined;
      world.fs.before = (call) => {
        if (changes(call) && seen++ === cutAt) cut ??= world.fs.crash('kept');
      };
      engine.operator('a').value('v').set('k', 2);
      engine.operator('b').counter('n').add('k', 5);
      await engine.commit({ positions: { source: 2, other: 'x' } });
      cut ??= world.fs.crash('dropped');
      if (seen <= cutAt) whole = cutAt;
      const again = await open(worldOn(await cut, world.clock, 7));
      const found = [
        again.operator('a').value('v').get('k'),
        again.operator('b').counter('n').get('k'),
        again.positions,
      ];
      expect([
        [1, 0, { source: 1 }],
        [2, 5, { source: 2, other: 'x' }],
      ]).toContainEqual(found);
      if (whole > 0) expect(found[0]).toBe(2);
      await again.close();
      await engine.close();
    }
    expect(whole).toBeGreaterThan(0);
  });

  test('changes behind the call of commit: not in it', async () => {
    const world = worldOn();
    const engine = await open(world);
    const state = engine.operator('a').value<number>('v');
    state.set('k', 1);
    const sealed = engine.commit();
    state.set('k', 2);
    state.set('later', 1);
    await sealed;
    const again = await open(worldOn(await world.fs.crash('kept'), world.clock, 7));
    const found = again.operator('a').value('v');
    expect([found.get('k'), found.has('later')]).toEqual([1, false]);
    expect(state.get('k')).toBe(2);
    engine.rollback();
    expect([state.get('k'), state.has('later')]).toEqual([1, false]);
  });

  test('a value that is changed behind the call: the log has what it was', async () => {
    const world = worldOn();
    const engine = await open(world, { checks: false });
    const value = { n: 1 };
    engine.operator('a').value('v').set('k', value);
    const sealed = engine.commit();
    value.n = 2;
    await sealed;
    const again = await open(worldOn(await world.fs.crash('dropped'), world.clock, 7));
    expect(again.operator('a').value('v').get('k')).toEqual({ n: 1 });
  });

  test('E1 many commits at once: LSNs without gaps, resolved in order, timestamps that rise', async () => {
    const engine = await open(worldOn());
    const state = engine.operator('a').value<number>('v');
    const resolved: number[] = [];
    const commits = Array.from({ length: 200 }, async (_, i) => {
      state.set('k', i);
      const commit = await engine.commit();
      resolved.push(commit.lsn);
      return commit.timestamp;
    });
    const timestamps = await Promise.all(commits);
    expect(resolved).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    for (let i = 1; i < 200; i++) expect(timestamps[i]!).toBeGreaterThan(timestamps[i - 1]!);
    expect([engine.sealedLsn, engine.durableLsn]).toEqual([200, 200]);
    await engine.close();
  });

  test('levels: memory before the write, os before the sync, disk after it', async () => {
    const world = worldOn();
    const engine = await open(world);
    await settle();
    const writes = gate();
    const syncs = gate();
    world.fs.before = ({ call, path }) => {
      if (!path.endsWith('.wal')) return undefined;
      return call === 'write' ? writes.passed : call === 'sync' ? syncs.passed : undefined;
    };
    const done: string[] = [];
    const of = (level: 'memory' | 'os' | 'disk'): Promise<unknown> =>
      engine.commit({ durability: level }).then(() => done.push(level));
    const all = [of('disk'), of('os'), of('memory')];
    await settle();
    expect(done).toEqual(['memory']);
    writes.open();
    await settle();
    expect(done).toEqual(['memory', 'os']);
    expect(engine.durableLsn).toBe(0);
    syncs.open();
    await Promise.all(all);
    expect(done).toEqual(['memory', 'os', 'disk']);
    await engine.close();
  });

  test('the engine has level os: a commit takes it, and one that says disk does not', async () => {
    const world = worldOn();
    const engine = await open(world, { durability: 'os' });
    await settle();
    const syncs = gate();
    world.fs.before = ({ call, path }) =>
      call === 'sync' && path.endsWith('.wal') ? syncs.passed : undefined;
    await engine.commit();
    let durable = false;
    const disk = engine.commit({ durability: 'disk' }).then(() => {
      durable = true;
    });
    await settle();
    expect(durable).toBe(false);
    syncs.open();
    await disk;
    await engine.close();
  });

  test('commits of every level, then close: all of them are there', async () => {
    const world = worldOn();
    const engine = await open(world);
    const state = engine.operator('a').counter('n');
    for (const durability of ['memory', 'os', 'memory'] as const) {
      state.add('k');
      await engine.commit({ durability });
    }
    await engine.close();
    const again = await open(worldOn(await world.fs.crash('dropped'), world.clock, 7));
    expect(again.operator('a').counter('n').get('k')).toBe(3);
  });

  test('a commit without changes: it has an LSN, and checkpoints and restarts go on', async () => {
    const world = worldOn();
    let engine = await open(world);
    const state = engine.operator('a').value<number>('v');
    state.set('k', 1);
    await engine.commit();
    await engine.checkpoint();
    expect((await engine.commit()).lsn).toBe(2);
    expect((await engine.checkpoint()).lsn).toBe(2);
    state.set('k', 2);
    await engine.commit();
    expect((await engine.checkpoint()).lsn).toBe(3);
    await engine.close();
    engine = await open(world);
    expect(engine.recovery.replayedCommits).toBe(0);
    expect(engine.operator('a').value('v').get('k')).toBe(2);
    await engine.close();
  });

  test('options of a commit that are unknown or wrong: refused by name, nothing sealed', async () => {
    const engine = await open(worldOn());
    engine.operator('a').value('v').set('k', 1);
    const unknown = await errorOf(engine.commit({ positon: {} } as object));
    expect([unknown.code, unknown.details['option']]).toEqual(['INVALID_OPTION', 'positon']);
    const level = await errorOf(engine.commit({ durability: 'replicated' as 'disk' }));
    expect([level.code, level.details['option']]).toEqual(['INVALID_OPTION', 'durability']);
    expect(await codeOf(engine.commit(null as unknown as object))).toBe('INVALID_OPTION');
    expect([engine.sealedLsn, engine.stats().openChanges]).toEqual([0, 1]);
    await engine.close();
  });
});

describe('rollback', () => {
  test('changes of every kind: undone, what was committed is back', async () => {
    const engine = await open(worldOn());
    const op = engine.operator('a');
    const kinds = {
      value: op.value<number>('v'),
      map: op.map<string, number>('m'),
      list: op.list<number>('l', { itemsMax: 2 }),
      counter: op.counter('c'),
      blob: op.blob('b'),
    };
    const { value, map, list, counter, blob } = kinds;
    const shown = (): unknown => [
      [...value.entries()],
      [...map.entries()],
      list.get('k'),
      counter.get('k'),
      blob.get('k'),
    ];
    value.set('k', 1);
    map.set('k', 's', 1);
    list.append('k', 1);
    counter.add('k', 1);
    blob.set('k', new Uint8Array([1]));
    await engine.commit();
    for (const frozen of [false, true]) {
      if (frozen) await engine.checkpoint();
      const before = shown();
      value.set('k', 2);
      value.delete('k');
      value.set('k', 3);
      value.clearAll();
      value.set('other', 3);
      map.set('k', 's', 2);
      map.clear('k');
      map.set('k', 't', 2);
      map.clearAll();
      list.append('k', 2);
      list.clear('k');
      list.append('k', 3);
      list.append('k', 4);
      list.clearAll();
      list.append('k', 5);
      counter.add('k', 2);
      counter.delete('k');
      counter.add('k', 9);
      counter.clearAll();
      blob.set('k', new Uint8Array([2]));
      blob.delete('k');
      expect(shown()).not.toEqual(before);
      engine.rollback();
      expect(shown()).toEqual(before);
      expect(engine.stats().openChanges).toBe(0);
    }
    await engine.close();
  });
});

describe('transact', () => {
  test('a function of changes: they are committed with its positions', async () => {
    const engine = await open(worldOn());
    const state = engine.operator('a').value<number>('v');
    const { lsn } = await engine.transact(() => state.set('k', 1), { positions: { s: 1 } });
    expect([lsn, state.getEntry('k')?.lsn, engine.positions]).toEqual([1, 1, { s: 1 }]);
    await engine.close();
  });

  test('open changes before it: TRANSACTION_OPEN, and they stay open', async () => {
    const engine = await open(worldOn());
    const state = engine.operator('a').value<number>('v');
    state.set('k', 1);
    expect(await codeOf(engine.transact(() => state.set('k', 2)))).toBe('TRANSACTION_OPEN');
    expect([state.get('k'), engine.stats().openChanges]).toEqual([1, 1]);
    await engine.close();
  });

  test('a function that returns a promise: INVALID_CALL, undone, its rejection is nobody’s', async () => {
    const engine = await open(worldOn());
    const state = engine.operator('a').value<number>('v');
    const later = async (): Promise<void> => {
      state.set('k', 1);
      await Promise.resolve();
      throw new Error('late');
    };
    expect(await codeOf(engine.transact(later as () => void))).toBe('INVALID_CALL');
    await settle();
    expect([state.has('k'), engine.sealedLsn]).toEqual([false, 0]);
    expect(await codeOf(engine.transact(1 as unknown as () => void))).toBe('INVALID_CALL');
    await engine.close();
  });

  test('a function that throws: its error, and nothing of its changes', async () => {
    const engine = await open(worldOn());
    const state = engine.operator('a').value<number>('v');
    const error = new Error('mine');
    const run = engine.transact(() => {
      state.set('k', 1);
      throw error;
    });
    await expect(run).rejects.toBe(error);
    expect([state.has('k'), engine.stats().openChanges, engine.sealedLsn]).toEqual([false, 0, 0]);
    await engine.transact(() => state.set('k', 2));
    expect(state.get('k')).toBe(2);
    await engine.close();
  });

  test('a commit that is refused: undone', async () => {
    const engine = await open(worldOn());
    const state = engine.operator('a').value('v');
    const run = engine.transact(() => {
      state.set('k', 1);
      state.set('bad', () => {});
    });
    expect(await codeOf(run)).toBe('INVALID_VALUE');
    expect([state.has('k'), state.has('bad'), engine.sealedLsn]).toEqual([false, false, 0]);
    await engine.close();
  });

  test('commit, transact and rollback inside of it: INVALID_CALL, and it can go on', async () => {
    const engine = await open(worldOn());
    const state = engine.operator('a').value<number>('v');
    const refused = expect.objectContaining({ code: 'INVALID_CALL' });
    await engine.transact(() => {
      state.set('k', 1);
      expect(() => void engine.commit()).toThrow(refused);
      expect(() => void engine.transact(() => {})).toThrow(refused);
      expect(() => engine.rollback()).toThrow(refused);
    });
    expect([state.get('k'), engine.sealedLsn]).toEqual([1, 1]);
    await engine.close();
  });

  test('a commit inside of it that nobody waits for: the transaction fails, and nothing is unhandled', async () => {
    const engine = await open(worldOn());
    const state = engine.operator('a').value<number>('v');
    const run = engine.transact(() => {
      state.set('k', 1);
      void engine.commit();
    });
    expect(await codeOf(run)).toBe('INVALID_CALL');
    await settle();
    expect([state.has('k'), engine.sealedLsn]).toEqual([false, 0]);
    await engine.close();
  });

  test('a function that is known to return a promise: refused by its type', async () => {
    const engine = await open(worldOn());
    // @ts-expect-error an async function is not synchronous
    const late = engine.transact(async () => {
      await Promise.resolve();
    });
    // @ts-expect-error neither is one that may return a promise
    const maybe = engine.transact((): number | Promise<number> => Promise.resolve(1));
    expect([await codeOf(late), await codeOf(maybe)]).toEqual(['INVALID_CALL', 'INVALID_CALL']);
    const anything: () => unknown = () => 1;
    await engine.transact(anything);
    await engine.transact(() => {});
    await engine.close();
  });

  test('a checkpoint inside of it: the changes are not in it', async () => {
    const engine = await open(worldOn());
    const state = engine.operator('a').value<number>('v');
    await engine.transact(() => state.set('k', 1));
    let inside: Promise<{ lsn: number }> | undefined;
    await engine.transact(() => {
      state.set('k', 2);
      inside = engine.checkpoint();
    });
    expect((await inside!).lsn).toBe(1);
    expect(state.getEntry('k')).toMatchObject({ value: 2, lsn: 2 });
    await engine.close();
  });
});

describe('positions', () => {
  test.each([['x'], [7], [['a']], [null]])(
    '%j: INVALID_OPTION names the option',
    async (positions) => {
      const engine = await open(worldOn());
      engine.operator('op').value('v').set('k', 1);
      const error = await errorOf(engine.commit({ positions } as unknown as CommitOptions));
      expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'positions']);
      expect((await engine.commit()).lsn).toBe(1);
      await engine.close();
    },
  );

  test('sources of several commits: merged, null removes one, restored by log and checkpoint', async () => {
    const world = worldOn();
    let engine = await open(world);
    await engine.commit({ positions: { a: 1, b: { offset: 2n }, c: 0 } });
    await engine.commit({ positions: { a: 3 } });
    await engine.commit({ positions: { b: null } });
    const expected = Object.fromEntries([
      ['a', 3],
      ['c', 0],
    ]);
    expect({ ...engine.positions }).toEqual(expected);
    for (const checkpoint of [false, true]) {
      if (checkpoint) await engine.checkpoint();
      await engine.close();
      engine = await open(world);
      expect({ ...engine.positions }).toEqual(expected);
    }
    await engine.close();
  });

  test('objects that are handed in and out: none is what the engine holds', async () => {
    const engine = await open(worldOn());
    const given = { at: { offset: 1 } };
    await engine.commit({ positions: given });
    given.at.offset = 2;
    const out = engine.positions as typeof given;
    out.at.offset = 3;
    expect(engine.positions).toEqual({ at: { offset: 1 } });
    expect(engine.positions).not.toBe(out);
    expect(() => {
      (out as Record<string, unknown>)['more'] = 1;
    }).toThrow(TypeError);
    await engine.close();
  });

  test('a commit that is refused: positions are as before', async () => {
    const engine = await open(worldOn());
    await engine.commit({ positions: { a: 1 } });
    const error = await errorOf(engine.commit({ positions: { a: 2, bad: () => {} } }));
    expect([error.code, error.details['source']]).toEqual(['INVALID_VALUE', 'bad']);
    expect(
      await codeOf(engine.commit({ positions: [1] as unknown as Record<string, unknown> })),
    ).toBe('INVALID_OPTION');
    expect(await codeOf(engine.commit({ positions: { '\ud800': 1 } }))).toBe('INVALID_KEY');
    const missing = await errorOf(engine.commit({ positions: { a: 2, late: undefined } }));
    expect([missing.code, missing.details['source']]).toEqual(['INVALID_VALUE', 'late']);
    expect([engine.positions, engine.sealedLsn]).toEqual([{ a: 1 }, 1]);
    await engine.close();
  });
});
