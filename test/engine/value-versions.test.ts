/*
 * Versions of values in what tells of a store: history, differences, the feed and readers show which
 * version wrote a value; an engine shows it as its handles read it, a reader as it is stored.
 */
import { expect, test } from 'vitest';
import { diffStoreWith } from '../../src/recovery/diff.ts';
import { inspectStoreWith } from '../../src/recovery/inspect.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { errorOf, open, worldOn, type World } from './engine-fixture.ts';

const upgrade = (old: number): { cents: number } => ({ cents: old * 100 });
const cents = { version: 2, upgrade };

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** 1 at LSN 1, in a checkpoint; 200 cents at 2, patched at 3. */
async function written(): Promise<World> {
  const world = worldOn();
  let engine = await open(world);
  engine.operator('op').value('price').set('k', 1);
  engine.operator('op').map('map').set('k', 's', 1);
  await engine.commit();
  await engine.checkpoint();
  await engine.close();
  engine = await open(world);
  const price = engine.operator('op').value<{ cents: number }>('price', cents);
  price.set('k', { cents: 200 });
  engine.operator('op').map<string, { cents: number }>('map', cents).set('k', 's', { cents: 200 });
  await engine.commit();
  price.patch('k', { cents: 300 });
  await engine.commit();
  await engine.close();
  return world;
}

const told = ({ value, version }: { value: unknown; version?: number }): unknown[] => [
  value,
  version,
];

test('an engine with a handle: history, differences and effects in the form of the handle', async () => {
  const world = await written();
  const engine = await open(world);
  engine.operator('op').value('price', cents);
  engine.operator('op').map('map', cents);
  const history = await all(engine.history('op', 'price', 'k'));
  expect(history.map(told)).toEqual([
    [{ cents: 100 }, undefined],
    [{ cents: 200 }, 2],
    [{ cents: 300 }, 2],
  ]);
  expect((await all(engine.history('op', 'map', 'k', 's'))).map(told)).toEqual([
    [{ cents: 100 }, undefined],
    [{ cents: 200 }, 2],
  ]);
  const differences = await all(engine.diff({ lsn: 1 }, { lsn: 2 }, { state: 'price' }));
  expect(differences).toEqual([
    {
      operator: 'op',
      state: 'price',
      key: 'k',
      subKey: undefined,
      kind: 'update',
      oldValue: { cents: 100 },
      newValue: { cents: 200 },
      newVersion: 2,
    },
  ]);
  const commits = await all(engine.changes({ from: 2, before: true, follow: false }));
  expect(commits[0]!.effects![0]).toMatchObject({
    oldValue: { cents: 100 },
    newValue: { cents: 200 },
    newVersion: 2,
  });
  const logged = await all(engine.changes({ from: 1, follow: false }));
  expect(logged.map(({ entries }) => told(entries[0]!))).toEqual([
    [1, undefined],
    [{ cents: 200 }, 2],
    [{ cents: 300 }, 2],
  ]);
  await engine.close();
});

test('an engine without a handle, and readers: what is stored, with its version', async () => {
  const world = await written();
  const engine = await open(world);
  const expected = [
    [1, undefined],
    [{ cents: 200 }, 2],
    [{ cents: 300 }, 2],
  ];
  expect((await all(engine.history('op', 'price', 'k'))).map(told)).toEqual(expected);
  await engine.close();

  const reader = await openReaderWith({ dir: '/store' }, world);
  expect((await all(reader.history('op', 'price', 'k'))).map(told)).toEqual(expected);
  expect(told(reader.get('op', 'price', 'k')!)).toEqual([{ cents: 300 }, 2]);
  expect(told(reader.get('op', 'map', 'k', 's')!)).toEqual([{ cents: 200 }, 2]);
  expect(reader.get('op', 'map', 'k')).not.toHaveProperty('version');
  expect([...reader.entries('op', 'price')].map(told)).toEqual([[{ cents: 300 }, 2]]);
  const logged = await all(reader.commits());
  expect(logged.map(({ entries }) => told(entries[0]!))).toEqual(expected);
  await reader.close();

  const at = await openReaderWith({ dir: '/store', at: { lsn: 1 } }, world);
  expect(at.get('op', 'price', 'k')).not.toHaveProperty('version');
  await at.close();

  const options = { dir: '/store', from: { lsn: 1 }, state: 'price' } as const;
  const [difference] = await all(diffStoreWith(options, world));
  expect(difference).toMatchObject({ oldValue: 1, newValue: { cents: 300 }, newVersion: 2 });
  expect(difference).not.toHaveProperty('oldVersion');
  const { state } = await inspectStoreWith({ dir: '/store' }, world);
  expect(state?.tables.map(({ version }) => version)).toEqual([2, 2]);
});

test('upgrade that throws in a history: ends it, naming the state and the key', async () => {
  const world = await written();
  const engine = await open(world);
  const fail = (): never => {
    throw new Error('no');
  };
  engine.operator('op').value('price', { version: 2, upgrade: fail });
  const error = await errorOf(all(engine.history('op', 'price', 'k')));
  expect([error.code, error.details]).toEqual([
    'SCHEMA_CHANGED',
    { operator: 'op', state: 'price', key: 'k', stored: 1, asked: 2 },
  ]);
  await engine.close();
});
