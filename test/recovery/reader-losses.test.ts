/*
 * A reader of a store that no way leads to the end of: it says which ways there are and what each would lose,
 * in the same words as an opening, and touches nothing.
 */
import { describe, expect, test } from 'vitest';
import { inspectStoreWith } from '../../src/recovery/inspect.ts';
import { openReaderWith, type ReaderOptions } from '../../src/recovery/reader.ts';
import type { LosingPath } from '../../src/engine/index.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';
import { digests, errorOf, open, pathsIn, worldOn, type World } from '../engine/engine-fixture.ts';
import { flipIn, flipInLog, flipMiddle, fourCommits, shortLog } from './damaged-worlds.ts';

const dir = '/store';

const damages: readonly (readonly [string, (world: World) => Promise<void>])[] = [
  [
    'the newest record and the log that would stand in for it',
    async (world) => {
      await flipMiddle(world, (await pathsIn(world.fs, 'checkpoints')).at(-1)!);
      await flipInLog(world, 'third');
    },
  ],
  ['the log behind a sound checkpoint', (world) => flipInLog(world, 'fourth')],
  [
    'all snapshots, and the log from its beginning',
    async (world) => {
      for (const path of await pathsIn(world.fs, 'snapshots')) await flipMiddle(world, path);
      await flipInLog(world, 'first');
    },
  ],
  [
    'a snapshot, and the log behind the older checkpoint',
    async (world) => {
      await flipIn(world, 'snapshots', 'third');
      await flipInLog(world, 'second');
    },
  ],
  [
    'all that there is',
    async (world) => {
      for (const path of await pathsIn(world.fs, 'checkpoints')) await flipMiddle(world, path);
      for (const path of await pathsIn(world.fs, 'wal')) await world.fs.remove(path);
    },
  ],
];

describe.each(damages)('damage of %s', (_, damage) => {
  test('the ways of the reader are those of the opening, and nothing is changed', async () => {
    const world = await fourCommits();
    await damage(world);
    const before = await digests(world.fs);
    const read = await errorOf(openReaderWith({ dir }, world));
    expect(await digests(world.fs)).toEqual(before);
    const refused = await errorOf(open(world, { ...shortLog, prefetch: 'aggressive' }));
    const [ways, due] = [read, refused].map(({ details }) => details['paths'] as LosingPath[]);
    expect(ways).toEqual(due);
    expect([read.code, read.message.split('; ').slice(1)]).toEqual([
      refused.code,
      refused.message.split('; ').slice(1),
    ]);
    const { faults } = await inspectStoreWith({ dir }, world);
    const text = due!.length > 0 ? 'every way would lose commits' : 'no way is left';
    expect(faults.some(({ message }) => message.includes(text))).toBe(true);
  });
});

test('damage that another way goes around: no ways are listed, it opens', async () => {
  const world = await fourCommits();
  await flipMiddle(world, (await pathsIn(world.fs, 'checkpoints')).at(-1)!);
  const reader = await openReaderWith({ dir }, world);
  expect([reader.lsn, reader.damage.length]).toEqual([4, 1]);
  await reader.close();
});

test.each<[string, Partial<ReaderOptions>, string]>([
  ['a moment of the past', { at: { lsn: 4 } }, 'CORRUPT_FRAME'],
  ['a directory that is none', { dir: '/none' }, 'NOT_A_STORE'],
])('%s: no ways are listed', async (_, options, code) => {
  const world = await fourCommits();
  await flipInLog(world, 'fourth');
  const error = await errorOf(openReaderWith({ dir, ...options }, world));
  expect([error.code, error.details['paths']]).toEqual([code, undefined]);
});

test('objects in a store of the caller: the ways by them', async () => {
  const world = worldOn();
  const store = new MemoryObjectStore();
  const engine = await open(world, { ...shortLog, store });
  for (const [i, value] of ['first', 'second', 'third'].entries()) {
    engine.operator('op').value('v').set('k', value);
    await engine.commit();
    if (i === 0) await engine.checkpoint();
  }
  await flipInLog(world, 'second');
  const error = await errorOf(openReaderWith({ dir, store }, world));
  expect(error.details['paths']).toMatchObject([
    { checkpoint: 1, lsn: 1, lost: { fromLsn: 2, throughLsn: 3 } },
    { checkpoint: undefined, lsn: 1 },
  ]);
  await engine.close();
});

test('given up while it looks for the ways: ABORTED', async () => {
  const calls = async (abortAt: number): Promise<{ code: string; calls: number }> => {
    const world = await fourCommits();
    await flipInLog(world, 'fourth');
    const abort = new AbortController();
    let calls = 0;
    world.fs.before = () => {
      if (++calls === abortAt) abort.abort();
    };
    const { code } = await errorOf(openReaderWith({ dir, signal: abort.signal }, world));
    return { code, calls };
  };
  const whole = await calls(0);
  expect(whole.code).toBe('CORRUPT_FRAME');
  expect((await calls(whole.calls - 3)).code).toBe('ABORTED');
});
