/*
 * The feed of changes of a store that another one writes: what is proved, at each look; and options.
 */
import { describe, expect, test } from 'vitest';
import type { ChangedCommit, Engine, TypeDefinition } from '../../src/engine/index.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { MemoryFileSystem } from '../../src/fs/memory-file-system.ts';
import { diffStoreWith } from '../../src/recovery/diff.ts';
import { followStoreWith, type FollowStoreOptions } from '../../src/recovery/follow-store.ts';
import { UnknownTypeValue } from '../../src/recovery/reader.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';
import { codeOf, errorOf, settle } from '../engine/engine-fixture.ts';
import { FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { ManualClock } from '../tools/manual-clock.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { commitNumbers, lsns, rest, take } from './feed.ts';
import { dir, smallSegments, TestStore } from './reader-store.ts';

describe('of a store that another one writes', () => {
  interface World {
    readonly clock: ManualClock;
    readonly engine: Engine;
    follow(options?: Partial<FollowStoreOptions>): AsyncGenerator<ChangedCommit>;
  }

  async function world(): Promise<World> {
    const [fs, clock] = [new MemoryFileSystem(), new ManualClock()];
    const on = { fs, clock, random: new SeededRandom(1), threads: false };
    const engine = await openEngineWith({ dir, checkpointing: false, ...smallSegments }, on);
    // A clock of its own: only looks of the follower are timers of it.
    const own = new ManualClock();
    return {
      clock: own,
      engine,
      follow: (options = {}) => followStoreWith({ dir, ...options }, { fs, clock: own }),
    };
  }

  test('commits as they are proved, at each look, over rotations of the log', async () => {
    const here = await world();
    const feed = here.follow();
    const all: number[] = [];
    const reading = (async () => {
      for await (const { lsn } of feed) all.push(lsn);
    })();
    for (let round = 0; round < 4; round++) {
      for (let n = 1; n <= 10; n++) {
        here.engine.operator('op').value('v').set('k', 'x'.repeat(1000));
        await here.engine.commit();
      }
      await settle();
      here.clock.advance(200);
      await settle();
      // The last commit is proved by the next one.
      expect(all).toEqual(Array.from({ length: 10 * round + 9 }, (_, i) => i + 1));
    }
    await here.engine.close();
    here.clock.advance(200);
    await settle();
    expect(all).toHaveLength(40);
    await feed.return(undefined);
    await reading;
    expect(here.clock.timerCount).toBe(0);
  });

  test('intervalMs: no look before', async () => {
    const here = await world();
    await commitNumbers(here.engine, 1, 2);
    const feed = here.follow({ intervalMs: 1000 });
    expect(lsns(await take(feed, 1))).toEqual([1]);
    const waiting = take(feed, 1);
    let given = false;
    void waiting.then(() => (given = true));
    await settle();
    await commitNumbers(here.engine, 3, 3);
    here.clock.advance(999);
    await settle();
    expect(given).toBe(false);
    here.clock.advance(1);
    expect(lsns(await waiting)).toEqual([2]);
    await feed.return(undefined);
    await here.engine.close();
  });

  test('a look that finds nothing new: names, and eight bytes of one file', async () => {
    const fs = new FaultyFileSystem();
    const clock = new ManualClock();
    const on = { fs, clock: new ManualClock(), random: new SeededRandom(1), threads: false };
    const engine = await openEngineWith({ dir, checkpointing: false, ...smallSegments }, on);
    await commitNumbers(engine, 1, 3);
    const feed = followStoreWith({ dir }, { fs, clock });
    const look = async (): Promise<unknown> => {
      fs.calls.length = 0;
      clock.advance(200);
      await settle();
      const count = (name: string): number => fs.calls.filter(({ call }) => call === name).length;
      return { list: count('list'), open: count('open'), read: count('read') };
    };
    const small = { list: 1, open: 1, read: 1 };
    expect(lsns(await take(feed, 2))).toEqual([1, 2]);
    const waiting = take(feed, 1);
    await settle();
    expect(await look()).toEqual(small);
    expect(await look()).toEqual(small);
    await engine.close();
    expect(await look()).not.toEqual(small);
    expect(lsns(await waiting)).toEqual([3]);
    const none = feed.next();
    await settle();
    expect(await look()).toEqual(small);
    await feed.return(undefined);
    expect((await none).done).toBe(true);
  });

  test('follow: false, before: all of a closed store, with what became of it', async () => {
    const here = await world();
    await commitNumbers(here.engine, 1, 3);
    await here.engine.close();
    const commits = await rest(here.follow({ follow: false, before: true, from: 2 }));
    expect(commits.map(({ lsn, effects }) => [lsn, effects![0]!.oldValue])).toEqual([
      [2, 1],
      [3, 2],
    ]);
  });
});

test('types, store and codecs: as openReader takes them', async () => {
  class Money {
    readonly cents: number;
    constructor(cents: number) {
      this.cents = cents;
    }
  }
  const money = {
    name: 'Money',
    class: Money,
    version: 1,
    encode: (value: Money) => value.cents,
    decode: (data: unknown) => new Money(data as number),
  } as unknown as TypeDefinition;
  const made = new TestStore();
  const objects = new MemoryObjectStore();
  const engine = await made.open({ types: [money], store: objects });
  engine.operator('op').value('v').set('k', new Money(5));
  await engine.commit();
  // The first commit is proved by the next; closing the engine would close the store.
  await engine.commit();
  const { components } = made;
  const where = { dir, store: objects };
  const once = { ...where, follow: false };
  const valuesOf = async (types: TypeDefinition[]): Promise<unknown[]> => {
    const [commit] = await rest(followStoreWith({ ...once, types }, components));
    const values = [commit!.entries[0]!.value];
    const range = { from: { lsn: 0 } };
    for await (const change of diffStoreWith({ ...where, ...range, types }, components)) {
      values.push(change.newValue);
    }
    return values;
  };
  expect(await valuesOf([money])).toEqual([new Money(5), new Money(5)]);
  for (const value of await valuesOf([])) expect(value).toBeInstanceOf(UnknownTypeValue);
  const elsewhere = { dir, follow: false };
  expect(await codeOf(rest(followStoreWith(elsewhere, components)))).toBe('STORE_MISMATCH');
  const codecs = [{ name: 'missing', module: '/nowhere/missing.mjs' }];
  const feed = followStoreWith({ ...once, codecs }, components);
  const differing = diffStoreWith({ ...where, from: { lsn: 0 }, codecs }, components);
  for (const call of [feed, differing]) {
    const error = await errorOf(call.next());
    expect([error.code, error.details['option']]).toEqual([
      'INVALID_OPTION',
      expect.stringContaining('codecs'),
    ]);
  }
  await engine.close();
});

test.each<[object, string]>([
  [{ from: -1 }, 'from'],
  [{ before: 1 }, 'before'],
  [{ follow: 'yes' }, 'follow'],
  [{ signal: {} }, 'signal'],
  [{ to: 1 }, 'to'],
  [{ intervalMs: 0 }, 'intervalMs'],
  [{ types: [1] }, 'types[0]'],
])('%j: refused at the call, naming the option', async (given, option) => {
  const options = { dir, ...given } as unknown as FollowStoreOptions;
  const error = await errorOf(() => followStoreWith(options, new TestStore().components));
  expect([error.code, error.details['option']]).toEqual(['INVALID_OPTION', option]);
});
