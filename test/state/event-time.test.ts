/*
 * Event times: of a write, or of its commit, in memory, log, deltas, bases and the reader.
 */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../src/engine/index.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { errorOf, open, worldOn, type World } from '../engine/engine-fixture.ts';

const of = (engine: Engine, key: string): number | undefined =>
  engine.operator('op').value('v').getEntry(key)?.eventTime;

async function logged(world: World): Promise<unknown[]> {
  const reader = await openReaderWith({ dir: '/store' }, world);
  const changes: unknown[] = [];
  for await (const { entries } of reader.commits()) {
    for (const { state, op, eventTime } of entries) changes.push([state, op, eventTime]);
  }
  await reader.close();
  return changes;
}

describe('an event time', () => {
  test('of the commit, and of a write that has its own: in every entry, everywhere', async () => {
    const world = worldOn();
    let engine = await open(world);
    const state = engine.operator('op').value('v');
    state.set('a', 1);
    state.set('b', 1, { eventTime: 7 });
    state.set('c', 1, { eventTime: new Date(5) });
    expect([of(engine, 'a'), of(engine, 'b')]).toEqual([undefined, 7]);
    await engine.commit({ eventTime: new Date(9) });
    state.set('d', 1);
    await engine.commit();
    for (const kind of ['memory', 'replay', 'delta', 'base'] as const) {
      if (kind === 'delta' || kind === 'base') await engine.checkpoint({ kind });
      if (kind !== 'memory') {
        await engine.close();
        engine = await open(world);
      }
      const times = ['a', 'b', 'c', 'd'].map((key) => of(engine, key));
      expect([kind, times]).toEqual([kind, [9000, 7, 5000, undefined]]);
    }
    await engine.close();
    const reader = await openReaderWith({ dir: '/store' }, world);
    expect(reader.get('op', 'v', 'a')?.eventTime).toBe(9000);
    const read = [...reader.entries()].map(({ key, eventTime }) => [key, eventTime] as const);
    expect(new Map(read)).toEqual(
      new Map(Object.entries({ a: 9000, b: 7, c: 5000, d: undefined })),
    );
    await reader.close();
  });

  test('of every kind of change: in the log', async () => {
    const world = worldOn();
    const engine = await open(world);
    const op = engine.operator('op');
    op.map('m').set('k', 1, 1, { eventTime: 1 });
    op.map('m').delete('k', 2);
    op.list('l').append('k', 1, { eventTime: 2 });
    op.list('l').append('k', 1);
    op.counter('c').add('k', 1, { eventTime: 3 });
    op.min('n').update('k', 1, { eventTime: 4 });
    op.value('v').patch('k', { a: 1 }, { eventTime: 5 });
    op.reducing('r', { reduce: (a: number, b: number) => a + b }).add('k', 1, { eventTime: 6 });
    op.map('gone').clear('k');
    op.value('all').clearAll();
    await engine.commit({ eventTime: 9 });
    await engine.close();
    expect(await logged(world)).toEqual([
      ['m', 'put', 1],
      ['m', 'delete', 9],
      ['l', 'append', 2],
      ['l', 'append', 9],
      ['c', 'add', 3],
      ['n', 'min', 4],
      ['v', 'patch', 5],
      ['r', 'put', 6],
      ['gone', 'clear', 9],
      ['all', 'clearAll', 9],
    ]);
  });

  test('of a key that is written twice in a transaction: that of the last write', async () => {
    const engine = await open(worldOn());
    const state = engine.operator('op').value('v');
    state.set('k', 1, { eventTime: 5 });
    state.set('k', 2);
    await engine.commit();
    expect(of(engine, 'k')).toBeUndefined();
    await engine.close();
  });

  test.each([0, -1, 1.5, Number.NaN, 2 ** 53, '1', null, new Date(Number.NaN), new Date(0)])(
    '%s: INVALID_OPTION, of a write and of a commit',
    async (eventTime) => {
      const engine = await open(worldOn());
      const given = { eventTime: eventTime as number };
      const calls = [
        () => engine.operator('op').value('v').set('k', 1, given),
        () => engine.commit(given),
      ];
      for (const call of calls) {
        const error = await errorOf(call);
        expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'eventTime']);
      }
      expect([engine.sealedLsn, engine.stats().openChanges]).toEqual([0, 0]);
      await engine.close();
    },
  );
});
