/*
 * A power loss at every change that a fork makes to the disk, of a closed parent and of an open one: the
 * directory is refused, or holds nothing, or is the whole fork; the parent is what it was; and the
 * fork can be made again. With the identity written first, forks that are not whole show up, and so they
 * do when the directories of shared files are not synced: the test can fail.
 */
import { expect, test } from 'vitest';
import { forkWith } from '../../src/engine/fork-store.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { encodeSealedJson } from '../../src/codec/sealed-json.ts';
import { TidemarkError } from '../../src/errors.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { readIdentity } from '../../src/wal/identity.ts';
import { open, worldOn, type World } from '../engine/engine-fixture.ts';
import { changes, type CrashChoice, type FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';

const to = '/fork';
const from = { dir: '/store' };
const commits = 6;

const tiny = { segmentBytesMax: 4096, undurableBytesMax: 1024 } as const;

async function parent(): Promise<World> {
  const world = worldOn();
  const engine = await open(world, tiny);
  const op = engine.operator('op');
  for (let i = 0; i < commits; i++) {
    op.value('v').set(i, 'x'.repeat(900));
    op.blob('b').set(i, new Uint8Array(100).fill(i));
    await engine.commit({ positions: { n: i } });
    if (i === 3) await engine.checkpoint();
  }
  await engine.close();
  return world;
}

/** What a loss leaves: nothing that was not synced, all of it, or some. */
const choices: readonly CrashChoice[] = ['dropped', 'kept', new SeededRandom(3)];

async function cutEverywhere(
  { fs }: World,
  act: () => Promise<unknown>,
): Promise<FaultyFileSystem[]> {
  const cuts: Promise<FaultyFileSystem>[] = [];
  fs.before = (call) => {
    if (changes(call)) for (const choice of choices) cuts.push(fs.crash(choice));
  };
  await act();
  fs.before = () => {};
  return Promise.all([...cuts, ...choices.map((choice) => fs.crash(choice))]);
}

/** What is wrong with a store that has to be whole; undefined: nothing. */
async function wrongIn(fs: FaultyFileSystem, dir: string): Promise<string | undefined> {
  const world = worldOn(fs, undefined, 5);
  const reader = await openReaderWith({ dir }, world);
  const found = [reader.lsn, [...reader.entries()].length, reader.positions()['n']];
  await reader.close();
  const due = [commits, 2 * commits, commits - 1];
  if (JSON.stringify(found) !== JSON.stringify(due)) return `holds ${JSON.stringify(found)}`;
  const { faults } = await verifyStoreWith({ dir, level: 'full' }, world);
  if (faults.length > 0) return faults.map(({ what }) => what).join();
  const engine = await openEngineWith({ dir, ...tiny }, world);
  engine.operator('op').value('v').set('next', 1);
  const { lsn } = await engine.commit();
  await engine.close();
  return lsn === commits + 1 ? undefined : `goes on at ${lsn}`;
}

/** What a directory is after a power loss: refused, nothing, whole, or what is wrong with it. */
async function judge(fs: FaultyFileSystem): Promise<string> {
  const files = [...(await fs.contents()).keys()].filter((path) => path.startsWith(`${to}/`));
  if (files.every((path) => path === `${to}/LOCK`)) return 'nothing';
  try {
    return (await wrongIn(fs, to)) ?? 'whole';
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    // An engine would make a store where there is none: it has to refuse as well.
    return openEngineWith({ dir: to, ...tiny }, worldOn(fs, undefined, 5)).then(
      () => 'opens as a new store',
      () => 'refused',
    );
  }
}

test('a power loss at any change: refused, nothing or whole; again it is made', async () => {
  const world = await parent();
  const cuts = await cutEverywhere(world, () => forkWith({ from, to }, world));
  const found = new Map<string, number>();
  for (const [i, fs] of cuts.entries()) {
    const judged = await judge(fs);
    found.set(judged, (found.get(judged) ?? 0) + 1);
    if (judged !== 'whole' && i % 4 === 0) {
      await forkWith({ from, to }, worldOn(fs, undefined, 9));
      expect(await judge(fs)).toBe('whole');
      expect(await fs.list(to)).not.toContain('RESTORING');
    }
    if (i % 4 === 0) expect(await wrongIn(fs, from.dir)).toBeUndefined();
  }
  expect([...found.keys()].sort()).toEqual(['nothing', 'refused', 'whole']);
  expect(cuts.length).toBeGreaterThan(60);
}, 60_000);

test('a power loss when a fork of an open engine is whole: both are, whatever was not synced', async () => {
  const world = worldOn();
  const engine = await open(world, { durability: 'memory' });
  for (let i = 0; i < commits; i++) {
    engine.operator('op').value('v').set(i, i);
    engine.operator('op').blob('b').set(i, new Uint8Array(100).fill(i));
    await engine.commit({ positions: { n: i } });
  }
  await engine.fork(to);
  for (const choice of choices) {
    const fs = await world.fs.crash(choice);
    expect(await judge(fs)).toBe('whole');
    expect(await wrongIn(fs, from.dir)).toBeUndefined();
  }
  await engine.close();
});

test('the identity before the rest: directories that open and are not whole', async () => {
  const world = await parent();
  const identity = (await readIdentity(world.fs, from.dir))!;
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const cuts: FaultyFileSystem[] = [];
  const made = worldOn(await world.fs.crash('kept'), undefined, 1);
  const { storeId } = await forkWith({ from, to }, made);
  world.fs.before = async (call) => {
    if (!changes(call) || !call.path.startsWith(`${to}/`)) return;
    const cut = await world.fs.crash('kept');
    const { format, kind, keyGroups, place, seed } = identity;
    const body = { format, kind, storeId, seed: hex(seed), keyGroups };
    await cut.put(`${to}/store.json`, encodeSealedJson({ ...body, place }));
    cuts.push(cut);
  };
  await forkWith({ from, to }, { ...world, random: new SeededRandom(1) });
  const judged = [];
  for (const fs of cuts) judged.push(await judge(fs));
  const unsafe = judged.filter((what) => !['refused', 'nothing', 'whole'].includes(what));
  expect(unsafe.length).toBeGreaterThan(0);
});

test.each(['snapshots', 'wal'])(
  'names in %s that are not synced: forks that are not whole',
  async (name) => {
    const world = await parent();
    const { fs } = world;
    const syncDirectory = fs.syncDirectory.bind(fs);
    fs.syncDirectory = (path) =>
      path === `${to}/${name}` ? Promise.resolve() : syncDirectory(path);
    await forkWith({ from, to }, world);
    const judged = await judge(await fs.crash('dropped'));
    expect(judged).not.toBe('whole');
  },
);
