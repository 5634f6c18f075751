/*
 * Claims: a store that is made of all of another one takes its place. Who may claim, what is left of the
 * source, and that a power loss at any point leaves one of the two at least.
 */
import { describe, expect, test } from 'vitest';
import { forkWith } from '../../src/engine/fork-store.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { restoreWith, type RestoreOptions } from '../../src/engine/restore-store.ts';
import { TidemarkError } from '../../src/errors.ts';
import type { CopyComponents } from '../../src/recovery/copy-run.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { systemRandom } from '../../src/std/random.ts';
import { MemoryObjectStore } from '../../src/store/memory-store.ts';
import { readIdentity } from '../../src/wal/identity.ts';
import { markClaimed } from '../../src/wal/claimed.ts';
import { codeOf, errorOf, open, worldOn, type World } from '../engine/engine-fixture.ts';
import { changes, type CrashChoice, type FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';
import { both, fill as fillKeys, Halves } from './halves.ts';
import { dir, fill, filled, smallSegments, TestStore } from './reader-store.ts';

const to = '/heir';
const claim = { ownership: 'claim' } as const;

function on(store: TestStore): CopyComponents {
  return { ...store.components, random: systemRandom, threads: false };
}

async function lsnOf(store: TestStore, where: string): Promise<number> {
  const reader = await openReaderWith({ dir: where }, store.components);
  const { lsn } = reader;
  await reader.close();
  expect((await verifyStoreWith({ dir: where }, store.components)).faults).toEqual([]);
  return lsn;
}

const makers = [
  ['fork', forkWith],
  ['restore', restoreWith],
] as const;

describe.each(makers)('a %s that claims', (_, make) => {
  test('has everything, and nothing of its source is left but the mark', async () => {
    const store = await filled();
    const { storeId } = await make({ from: { dir }, to, ...claim }, on(store));
    expect(await lsnOf(store, to)).toBe(30);
    const left = (await store.files(dir)).map(({ path }) => path);
    expect(left.toSorted()).toEqual([`${dir}/CLAIMED`, `${dir}/LOCK`]);
    for (const use of [
      () => openReaderWith({ dir }, store.components),
      () => openEngineWith({ dir, ...smallSegments }, on(store)),
      () => make({ from: { dir }, to: '/second' }, on(store)),
      () => make({ from: { dir }, to: '/second', ...claim }, on(store)),
    ]) {
      expect(await errorOf(use())).toMatchObject({
        code: 'CLAIMED',
        kind: 'conflict',
        details: { path: dir, by: storeId, dir: to },
      });
    }
    expect(await codeOf(make({ from: { dir: to }, to: dir }, on(store)))).toBe('STATE_EXISTS');
    const engine = await openEngineWith({ dir: to, ...smallSegments }, on(store));
    await fill(engine, 14);
    await engine.close();
    expect(await lsnOf(store, to)).toBe(44);
  });

  test('of a store that is open: LOCKED, and nothing is made or given up', async () => {
    const store = new TestStore();
    const engine = await store.open(smallSegments);
    await fill(engine, 3);
    expect(await codeOf(make({ from: { dir }, to, ...claim }, on(store)))).toBe('LOCKED');
    expect(await store.fs.stat(to)).toBeUndefined();
    await engine.commit();
    await engine.close();
    expect(await lsnOf(store, dir)).toBe(4);
  });

  test('holds its source meanwhile: whoever opens it is refused', async () => {
    const store = await filled();
    let refused: Promise<string> | undefined;
    const onProgress = (): void => {
      refused ??= codeOf(openEngineWith({ dir, ...smallSegments }, on(store)));
    };
    await make({ from: { dir }, to, onProgress, ...claim }, on(store));
    expect(['LOCKED', 'CLAIMED']).toContain(await refused);
    expect(await lsnOf(store, to)).toBe(30);
  });

  test('that is ended: its source is as it was, and can be opened', async () => {
    const store = await filled();
    const signal = AbortSignal.abort();
    const ended = make({ from: { dir }, to, signal, ...claim }, on(store));
    expect(await codeOf(ended)).toBe('ABORTED');
    const engine = await openEngineWith({ dir, ...smallSegments }, on(store));
    await engine.close();
    expect(await lsnOf(store, dir)).toBe(30);
  });

  test('what is none of the store stays', async () => {
    const store = await filled(3);
    await (await store.fs.open(`${dir}/notes`, 'create')).close();
    // Beside an identity a file of somebody else is no matter.
    await make({ from: { dir }, to, ...claim }, on(store));
    expect((await store.fs.list(dir)).includes('notes')).toBe(true);
  });

  test('of snapshots that are elsewhere, and no ownership that there is: INVALID_OPTION', async () => {
    const store = new TestStore();
    const objects = Object.assign(new MemoryObjectStore(), { close: async () => {} });
    const engine = await store.open({ ...smallSegments, store: objects });
    await engine.close();
    const elsewhere = make({ from: { dir, store: objects }, to, ...claim }, on(store));
    const other = make({ from: { dir }, to, ownership: 'mine' as 'claim' }, on(store));
    for (const error of [await errorOf(elsewhere), await errorOf(other)]) {
      expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option: 'ownership' } });
    }
  });
});

describe('a restore that claims', () => {
  test('joined halves: both are given up', async () => {
    const halves = new Halves();
    await halves.split((engine) => fillKeys(engine));
    const from = both.map((each) => ({ dir: each.dir }));
    await halves.restored({ from, ...claim });
    expect(await halves.dump('/joined')).toEqual(await halves.dump(dir));
    for (const each of both) {
      expect(await codeOf(openReaderWith({ dir: each.dir }, halves.on))).toBe('CLAIMED');
    }
  });

  const partial: readonly (readonly [string, Partial<RestoreOptions>])[] = [
    ['a moment', { target: { lsn: 2 } }],
    ['a timeline', { target: { timeline: 1 } }],
    ['operators', { operators: ['routes'] }],
    ['key groups', { keyGroups: { from: 0, to: 64 } }],
    ['gaps', { gaps: true }],
    ['key groups of one of several', { from: [{ dir, keyGroups: { from: 0, to: 128 } }] }],
  ];
  test.each(partial)('of %s: INVALID_OPTION, since the rest would be lost', async (_, options) => {
    const store = await filled(3);
    const error = await errorOf(
      restoreWith({ from: { dir }, to, ...claim, ...options }, on(store)),
    );
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option: 'ownership' } });
    expect(await lsnOf(store, dir)).toBe(3);
  });
});

test('a mark that is damaged: CORRUPT_RECORD, and no new store', async () => {
  const store = await filled(3);
  await forkWith({ from: { dir }, to, ...claim }, on(store));
  const handle = await store.fs.open(`${dir}/CLAIMED`, 'write');
  await handle.write(Buffer.from('x'), 3);
  await handle.close();
  expect(await codeOf(openReaderWith({ dir }, store.components))).toBe('CORRUPT_RECORD');
  expect(await codeOf(openEngineWith({ dir }, on(store)))).toBe('CORRUPT_RECORD');
});

describe('a power loss', () => {
  const tiny = { segmentBytesMax: 4096, undurableBytesMax: 1024 } as const;
  const choices: readonly CrashChoice[] = ['dropped', 'kept', new SeededRandom(3)];
  const from = { dir: '/store' };

  async function source(): Promise<World> {
    const world = worldOn();
    const engine = await open(world, tiny);
    for (let i = 0; i < 5; i++) {
      engine.operator('op').value('v').set(i, 'x'.repeat(900));
      await engine.commit();
      if (i === 2) await engine.checkpoint();
    }
    await engine.close();
    return world;
  }

  /** Whether a store opens, with everything. */
  async function isWhole(fs: FaultyFileSystem, where: string): Promise<boolean> {
    const world = worldOn(fs, undefined, 5);
    try {
      const reader = await openReaderWith({ dir: where }, world);
      const count = [...reader.entries()].length;
      await reader.close();
      return reader.lsn === 5 && count === 5;
    } catch (error) {
      if (error instanceof TidemarkError) return false;
      throw error;
    }
  }

  async function cutsOf(world: World, act: () => Promise<unknown>): Promise<FaultyFileSystem[]> {
    const cuts: Promise<FaultyFileSystem>[] = [];
    world.fs.before = (call) => {
      if (changes(call)) for (const choice of choices) cuts.push(world.fs.crash(choice));
    };
    await act();
    world.fs.before = () => {};
    return Promise.all([...cuts, ...choices.map((choice) => world.fs.crash(choice))]);
  }

  test.each(makers)('at any change of a %s that claims: one of them is whole', async (_, make) => {
    const world = await source();
    const cuts = await cutsOf(world, () => make({ from, to, ...claim }, world));
    const found = new Set<string>();
    for (const fs of cuts) {
      const whole = [await isWhole(fs, from.dir), await isWhole(fs, to)];
      found.add(whole.join());
    }
    expect([...found].sort()).toEqual(['false,true', 'true,false', 'true,true']);
  });

  test('with the mark before the fork is whole: neither is', async () => {
    const world = await source();
    const { storeId } = (await readIdentity(world.fs, from.dir))!;
    const hex = Buffer.from(storeId).toString('hex');
    const cuts: FaultyFileSystem[] = [];
    world.fs.before = async ({ call, path }) => {
      if (call !== 'link' || path !== `${to}/store.json`) return;
      const cut = await world.fs.crash('kept');
      await markClaimed(cut, from.dir, { storeId: hex, by: hex, dir: to });
      cuts.push(cut);
    };
    await forkWith({ from, to }, world);
    expect([await isWhole(cuts[0]!, from.dir), await isWhole(cuts[0]!, to)]).toEqual([
      false,
      false,
    ]);
  });
});
