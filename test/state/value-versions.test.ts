/*
 * Versions of values: what a program reads of what an older one wrote, what it writes, and what is
 * refused, from memtables, replay, deltas and bases.
 */
import { describe, expect, test } from 'vitest';
import type { Engine, VersionedOptions } from '../../src/engine/index.ts';
import { codeOf, errorOf, open, worldOn, type World } from '../engine/engine-fixture.ts';

interface Old {
  readonly name: string;
}

interface New {
  readonly first: string;
  readonly last: string;
  readonly visits?: number;
}

/** Splits a name; of version 2 on there are two. */
const two: VersionedOptions<New> = {
  version: 2,
  upgrade: ({ name }: Old) => {
    const [first = '', last = ''] = name.split(' ');
    return { first, last };
  },
};

const ada = { first: 'Ada', last: 'Lovelace' };
const bob = { first: 'Bob', last: 'Kahn' };

/** A store in which a program without versions has written, read back from where it says. */
async function written(
  from: 'log' | 'delta' | 'base',
  write: (engine: Engine) => void,
): Promise<World> {
  const world = worldOn();
  const engine = await open(world);
  engine.operator('op').value('other').set('k', 1);
  await engine.commit();
  if (from === 'delta') await engine.checkpoint({ kind: 'base' });
  write(engine);
  await engine.commit();
  if (from !== 'log') await engine.checkpoint({ kind: from });
  await engine.close();
  return world;
}

const writeUsers = (engine: Engine): void => {
  const users = engine.operator('op').value<Old>('users');
  users.set('ada', { name: 'Ada Lovelace' });
  users.set('bob', { name: 'Bob Kahn' });
};

describe.each(['log', 'delta', 'base'] as const)('values of an older version in the %s', (from) => {
  test('are read in the new form by get, getEntry and scans, and stay as they are', async () => {
    const world = await written(from, writeUsers);
    let engine = await open(world);
    let users = engine.operator('op').value<New>('users', two);
    expect([users.get('ada'), users.get('bob')]).toEqual([ada, bob]);
    expect(users.getEntry('ada')).toMatchObject({ value: ada, version: 1 });
    expect(new Map(users.entries())).toEqual(
      new Map([
        ['ada', ada],
        ['bob', bob],
      ]),
    );
    engine.operator('op').value('other').set('k', 2);
    await engine.commit();
    await engine.checkpoint({ kind: 'base' });
    await engine.close();

    engine = await open(world);
    users = engine.operator('op').value<New>('users', two);
    expect(users.getEntry('ada')).toMatchObject({ value: ada, version: 1 });
    await engine.close();
  });

  test('set again: are written with the new version, the others not', async () => {
    const world = await written(from, writeUsers);
    let engine = await open(world);
    const first = engine.operator('op').value<New>('users', two);
    first.update('ada', (user) => ({ ...user!, visits: 1 }));
    expect(first.getEntry('ada')).toMatchObject({ value: { ...ada, visits: 1 }, version: 2 });
    await engine.commit();
    for (const kind of ['replay', 'delta', 'base'] as const) {
      if (kind !== 'replay') await engine.checkpoint({ kind });
      await engine.close();
      engine = await open(world);
      const users = engine.operator('op').value<New>('users', two);
      expect(users.getEntry('ada')).toMatchObject({ value: { ...ada, visits: 1 }, version: 2 });
      expect(users.getEntry('bob')).toMatchObject({ value: bob, version: 1 });
      engine.operator('op').value('other').set('k', 7);
      await engine.commit();
    }
    await engine.close();
  });

  test('patched: become a value of the new version, which further patches change', async () => {
    const world = await written(from, writeUsers);
    let engine = await open(world);
    const first = engine.operator('op').value<New>('users', two);
    expect(first.patch('ada', { visits: 1 })).toEqual({ ...ada, visits: 1 });
    expect(first.patch('ada', { last: 'King' })).toEqual({ ...ada, last: 'King', visits: 1 });
    await engine.commit();
    first.patch('ada', { visits: 2 });
    first.patch('new', { first: 'Eve' });
    await engine.commit();
    for (const kind of ['replay', 'delta', 'base'] as const) {
      if (kind !== 'replay') await engine.checkpoint({ kind });
      await engine.close();
      engine = await open(world);
      const users = engine.operator('op').value<New>('users', two);
      const expected = { first: 'Ada', last: 'King', visits: 2 };
      expect(users.getEntry('ada')).toMatchObject({ value: expected, version: 2 });
      expect(users.getEntry('new')).toMatchObject({ value: { first: 'Eve' }, version: 2 });
      engine.operator('op').value('other').set('k', 7);
      await engine.commit();
    }
    await engine.close();
  });

  test('of maps, lists, reducing and aggregating states: are read in the new form', async () => {
    const world = await written(from, (engine) => {
      const op = engine.operator('op');
      op.map<string, number>('map').set('k', 'a', 1);
      op.list<number>('list').append('k', 1);
      op.reducing<number>('sum', { reduce: (a, b) => a + b }).add('k', 1);
      op.aggregating<number, number, number>('mean', {
        create: () => 0,
        add: (sum, n) => sum + n,
        result: (sum) => sum,
      }).add('k', 1);
    });
    let engine = await open(world);
    const inCents = { version: 2, upgrade: (old: number) => ({ cents: old * 100 }) };
    type Cents = ReturnType<typeof inCents.upgrade>;
    const statesOf = (now: Engine) => {
      const op = now.operator('op');
      const add = (a: Cents, b: Cents): Cents => ({ cents: a.cents + b.cents });
      return {
        map: op.map<string, Cents>('map', inCents),
        list: op.list<Cents>('list', inCents),
        sum: op.reducing<Cents>('sum', { ...inCents, reduce: add }),
        mean: op.aggregating<Cents, Cents, number>('mean', {
          ...inCents,
          create: () => ({ cents: 0 }),
          add,
          result: ({ cents }) => cents / 100,
        }),
      };
    };
    const before = statesOf(engine);
    expect(before.map.get('k', 'a')).toEqual({ cents: 100 });
    expect([...before.map.entries()]).toEqual([['k', 'a', { cents: 100 }]]);
    expect(before.list.get('k')).toEqual([{ cents: 100 }]);
    expect(before.sum.get('k')).toEqual({ cents: 100 });
    expect([before.mean.get('k'), [...before.mean.entries()]]).toEqual([1, [['k', 1]]]);
    before.map.set('k', 'b', { cents: 5 });
    before.list.append('k', { cents: 5 });
    before.sum.add('k', { cents: 5 });
    before.mean.add('k', { cents: 5 });
    await engine.commit();
    await engine.close();

    engine = await open(world);
    const after = statesOf(engine);
    expect([...after.map.entries('k')]).toEqual([
      ['a', { cents: 100 }],
      ['b', { cents: 5 }],
    ]);
    expect(after.list.get('k')).toEqual([{ cents: 100 }, { cents: 5 }]);
    expect([after.sum.get('k'), after.mean.get('k')]).toEqual([{ cents: 105 }, 1.05]);
    await engine.close();
  });
});

test('a value of version 5 read by version 7: upgrade is told which it was', async () => {
  const world = worldOn();
  let engine = await open(world);
  engine.operator('op').value('v', { version: 5 }).set('k', 'five');
  await engine.commit();
  await engine.close();
  engine = await open(world);
  const upgrade = (old: string, from: number): string => `${old} of ${from}`;
  const state = engine.operator('op').value('v', { version: 7, upgrade });
  expect(state.get('k')).toBe('five of 5');
  state.set('k', 'seven');
  await engine.commit();
  await engine.close();
  engine = await open(world);
  expect(engine.operator('op').value('v', { version: 7, upgrade }).get('k')).toBe('seven');
  await engine.close();
});

test('upgrade changes what it is given: what is stored stays as it is', async () => {
  const world = await written('log', (engine) => engine.operator('op').value('v').set('k', [1]));
  const engine = await open(world, { checks: true });
  const upgrade = (old: number[]): number[] => {
    old.push(2);
    return old;
  };
  const state = engine.operator('op').value<number[]>('v', { version: 2, upgrade });
  expect([state.get('k'), state.get('k')]).toEqual([
    [1, 2],
    [1, 2],
  ]);
  expect(Object.isFrozen(state.get('k'))).toBe(true);
  await engine.close();
});

test('upgrade reads other states: times and key of the entry in hand stay what they are', async () => {
  const world = await written('log', (engine) => {
    const users = engine.operator('op').value('users');
    users.set('a', 'b', { ttlMs: 1000 });
    users.set('b', 'c');
  });
  const engine = await open(world);
  const other = engine.operator('op').value<number>('other');
  const upgrade = (old: string): string => `${old}${other.get('k')}`;
  const users = engine.operator('op').value<string>('users', { version: 2, upgrade });
  const entry = users.getEntry('a');
  const times = { lsn: 2, timestamp: 2, expiresAt: 1_000_001, eventTime: undefined };
  expect(entry).toEqual({ value: 'b1', version: 1, ...times });
  await engine.close();
});

describe('what is refused', () => {
  test('a program that is older than what is stored: with both versions, whatever it asks for', async () => {
    const world = worldOn();
    let engine = await open(world);
    engine.operator('op').value('v', { version: 3 }).set('k', 1);
    await engine.commit();
    await engine.close();
    engine = await open(world);
    const op = engine.operator('op');
    const error = await errorOf(() => op.value('v'));
    expect([error.code, error.details]).toEqual([
      'SCHEMA_CHANGED',
      { operator: 'op', state: 'v', stored: 3, asked: 1 },
    ]);
    expect((await errorOf(() => op.value('v', { version: 2, upgrade: () => 0 }))).details).toEqual({
      operator: 'op',
      state: 'v',
      stored: 3,
      asked: 2,
    });
    expect(op.value('v', { version: 3 }).get('k')).toBe(1);
    await engine.close();
  });

  test('a newer program without upgrade: with both versions', async () => {
    const world = await written('log', writeUsers);
    const engine = await open(world);
    const error = await errorOf(() => engine.operator('op').value('users', { version: 2 }));
    expect([error.code, error.message, error.details]).toEqual([
      'SCHEMA_CHANGED',
      expect.stringContaining('has no upgrade: stored as 1, asked for as 2'),
      { operator: 'op', state: 'users', stored: 1, asked: 2 },
    ]);
    await engine.close();
  });

  test('upgrade left out while older values are still there: names the key when one is read', async () => {
    const world = await written('base', (engine) => {
      writeUsers(engine);
      engine.operator('op').map('map').set('k', 'sub', 1);
    });
    let engine = await open(world);
    engine.operator('op').value<New>('users', two).set('eve', { first: 'Eve', last: '' });
    engine
      .operator('op')
      .map('map', { version: 2, upgrade: () => 0 })
      .set('k', 'new', 1);
    await engine.commit();
    await engine.close();
    engine = await open(world);
    const users = engine.operator('op').value('users', { version: 2 });
    expect(users.get('eve')).toEqual({ first: 'Eve', last: '' });
    const place = { operator: 'op', state: 'users', stored: 1, asked: 2 };
    const error = await errorOf(() => users.get('ada'));
    expect([error.code, error.details]).toEqual(['SCHEMA_CHANGED', { ...place, key: 'ada' }]);
    expect(await codeOf(() => [...users.entries()])).toBe('SCHEMA_CHANGED');
    expect([users.has('ada'), users.count()]).toEqual([true, 3]);
    const map = engine.operator('op').map('map', { version: 2 });
    expect((await errorOf(() => map.get('k', 'sub'))).details).toEqual({
      ...place,
      state: 'map',
      key: 'k',
      subKey: 'sub',
    });
    await engine.close();
  });

  test.each<[string, () => unknown, string]>([
    ['throws', () => { throw new Error('no name'); }, 'upgrade threw: no name'], // prettier-ignore
    ['returns a promise', () => Promise.resolve(1), 'returned a promise'],
    ['returns a promise that fails', () => Promise.reject(new Error('late')), 'returned a promise'],
  ])('upgrade that %s: names operator, state, key and versions', async (_, upgrade, message) => {
    const world = await written('log', writeUsers);
    const engine = await open(world);
    const users = engine.operator('op').value('users', { version: 2, upgrade });
    const error = await errorOf(() => users.get('ada'));
    expect([error.code, error.details, error.cause]).toEqual([
      'SCHEMA_CHANGED',
      { operator: 'op', state: 'users', key: 'ada', stored: 1, asked: 2 },
      expect.any(Error),
    ]);
    expect(error.message).toContain(message);
    expect(await codeOf(() => users.patch('ada', { a: 1 }))).toBe('SCHEMA_CHANGED');
    await engine.commit();
    expect(users.getEntry.bind(users, 'bob')).toThrow(/Kahn|upgrade/);
    await engine.close();
  });

  test('upgrade that changes something: nothing is changed', async () => {
    const world = await written('log', writeUsers);
    const engine = await open(world);
    const other = engine.operator('op').value<number>('other');
    const upgrade = (): void => other.set('k', 7);
    const users = engine.operator('op').value('users', { version: 2, upgrade });
    expect((await errorOf(() => users.get('ada'))).cause).toMatchObject({ code: 'INVALID_CALL' });
    expect(other.get('k')).toBe(1);
    await engine.close();
  });

  test('another version of a state that is open: names the one it has', async () => {
    const engine = await open(worldOn());
    const op = engine.operator('op');
    op.value('v', two).set('k', ada);
    const error = await errorOf(() => op.value('v'));
    expect([error.code, error.details]).toEqual([
      'INVALID_OPTION',
      { option: 'version', operator: 'op', state: 'v', open: 2 },
    ]);
    expect(await codeOf(() => op.value('v', { version: 3 }))).toBe('INVALID_OPTION');
    expect(op.value('v', { version: 2 }).get('k')).toEqual(ada);
    await engine.close();
  });

  test.each<[string, object, string]>([
    ['a version of 0', { version: 0 }, 'version'],
    ['a version that is not whole', { version: 1.5 }, 'version'],
    ['a version beyond 65535', { version: 65_536 }, 'version'],
    ['a version that is a text', { version: '2' }, 'version'],
    ['an upgrade that is no function', { version: 2, upgrade: 1 }, 'upgrade'],
    ['an upgrade without version', { upgrade: () => 1 }, 'upgrade'],
    ['an upgrade to version 1', { version: 1, upgrade: () => 1 }, 'upgrade'],
  ])('%s: names the option', async (_, options, option) => {
    const engine = await open(worldOn());
    const op = engine.operator('op');
    for (const kind of ['value', 'map', 'list'] as const) {
      const asked = options as VersionedOptions<unknown>;
      const error = await errorOf(() => {
        if (kind === 'value') op.value('v', asked);
        else if (kind === 'map') op.map('v', asked);
        else op.list('v', asked);
      });
      expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', option]);
    }
    await engine.close();
  });

  test.each(['counter', 'min', 'max', 'blob'] as const)('a version of a %s', async (kind) => {
    const engine = await open(worldOn());
    const error = await errorOf(() => engine.operator('op')[kind]('v', { version: 2 } as never));
    expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', 'version']);
    await engine.close();
  });
});

describe('a view', () => {
  test('beside an engine that has the state open: reads as that does, old moments too', async () => {
    const world = await written('base', writeUsers);
    const engine = await open(world);
    const users = engine.operator('op').value<New>('users', two);
    const lsn = 2;
    users.set('ada', { ...ada, visits: 3 });
    await engine.commit();
    for (const view of [await engine.viewAt({ lsn }), await engine.snapshot()]) {
      const isNew = view.lsn > lsn;
      const seen = view.operator('op').value<New>('users');
      expect(seen.get('ada')).toEqual(isNew ? { ...ada, visits: 3 } : ada);
      expect(seen.getEntry('ada')).toMatchObject({ version: isNew ? 2 : 1 });
      expect(new Map(seen.entries()).get('bob')).toEqual(bob);
      const other = { version: 3, upgrade: () => 0 };
      expect(await codeOf(() => view.operator('op').value('users', other))).toBe('INVALID_OPTION');
      await view.close();
    }
    await engine.close();
  });

  test('of a state that nobody has open: shows what is stored, with its version', async () => {
    const world = await written('base', writeUsers);
    let engine = await open(world);
    engine.operator('op').value<New>('users', two).set('eve', { first: 'Eve', last: '' });
    await engine.commit();
    await engine.close();
    engine = await open(world);
    const view = await engine.viewAt('latest');
    const users = view.operator('op').value('users');
    expect(users.getEntry('ada')).toMatchObject({ value: { name: 'Ada Lovelace' }, version: 1 });
    expect(users.getEntry('eve')).toMatchObject({ value: { first: 'Eve', last: '' }, version: 2 });
    const told = view.operator('op').value<New>('users', two);
    expect([told.get('ada'), told.get('eve')]).toEqual([ada, { first: 'Eve', last: '' }]);
    await view.close();
    const older = await engine.viewAt('latest');
    const asked = { operator: 'op', state: 'users', stored: 2, asked: 1 };
    const error = await errorOf(() => older.operator('op').value('users', { version: 1 }));
    expect([error.code, error.details]).toEqual(['SCHEMA_CHANGED', asked]);
    await older.close();
    await engine.close();
  });
});

test('a state that is not in memory: old values are brought up to date all the same', async () => {
  const world = await written('base', writeUsers);
  const options = { ...two, resident: false };
  for (const when of ['when it is said', 'in later openings']) {
    const engine = await open(world);
    const users = engine.operator('op').value<New>('users', options);
    expect([when, users.get('ada'), users.getEntry('bob')?.version]).toEqual([when, ada, 1]);
    expect(new Map(users.entries()).get('bob')).toEqual(bob);
    engine.operator('op').value('other').set('k', when);
    await engine.commit();
    await engine.checkpoint({ kind: 'base' });
    await engine.close();
  }
});
