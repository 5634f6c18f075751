/*
 * A power loss at every change that a restore makes to the disk: the directory is refused, or holds
 * nothing, or is the whole store; and a restore into it can be done again. With the identity written
 * first, stores that are not whole show up: the test can fail.
 */
import { expect, test } from 'vitest';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import { TidemarkError } from '../../src/errors.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { encodeSealedJson } from '../../src/codec/sealed-json.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { readIdentity } from '../../src/wal/identity.ts';
import { errorOf, open, worldOn, type World } from '../engine/engine-fixture.ts';
import { changes, type CrashChoice, type FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';

const to = '/copy';
const from = { dir: '/store' };
/** Filling a segment takes most of an opening. */
const small = { segmentBytesMax: 256 * 1024 } as const;

async function source(): Promise<World> {
  const world = worldOn();
  const engine = await open(world);
  const op = engine.operator('op');
  for (let i = 0; i < 8; i++) {
    op.value('v').set(i, i);
    op.blob('b').set(i, new Uint8Array(200).fill(i));
    await engine.commit({ positions: { n: i } });
    if (i === 4) await engine.checkpoint();
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

/** What a directory is after a power loss: refused, nothing, whole, or what is wrong with it. */
async function judge(fs: FaultyFileSystem): Promise<string> {
  const world = worldOn(fs, undefined, 5);
  const files = [...(await fs.contents()).keys()].filter((path) => path.startsWith(`${to}/`));
  if (files.every((path) => path === `${to}/LOCK`)) return 'nothing';
  try {
    const reader = await openReaderWith({ dir: to }, world);
    const found = [reader.lsn, [...reader.entries()].length, reader.positions()['n']];
    await reader.close();
    if (JSON.stringify(found) !== '[8,16,7]') return `holds ${JSON.stringify(found)}`;
    const { faults } = await verifyStoreWith({ dir: to }, world);
    if (faults.length > 0) return faults.map(({ what }) => what).join();
    const engine = await openEngineWith({ dir: to, ...small }, world);
    const { lsn, damagedHistory } = engine.recovery;
    await engine.close();
    return lsn === 8 && !damagedHistory ? 'whole' : `opens at ${lsn}`;
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    // An engine would make a store where there is none: it has to refuse as well.
    const opened = await openEngineWith({ dir: to, ...small }, world).then(
      () => 'opens as a new store',
      () => 'refused',
    );
    return opened;
  }
}

test('a power loss at any change: refused, nothing or whole, and it can be done again', async () => {
  const world = await source();
  const cuts = await cutEverywhere(world, () => restoreWith({ from, to }, world));
  const found = new Map<string, number>();
  const says = new Set<string>();
  for (const fs of cuts) {
    const judged = await judge(fs);
    found.set(judged, (found.get(judged) ?? 0) + 1);
    if (judged === 'whole') continue;
    if (judged === 'refused') {
      says.add((await errorOf(openReaderWith({ dir: to }, worldOn(fs, undefined, 5)))).message);
    }
    const next = worldOn(fs, undefined, 9);
    await restoreWith({ from, to }, next);
    expect(await judge(fs)).toBe('whole');
    expect(await fs.list(to)).not.toContain('RESTORING');
  }
  expect([...found.keys()].sort()).toEqual(['nothing', 'refused', 'whole']);
  expect([...says]).toEqual([expect.stringContaining('is not finished (RESTORING)')]);
  expect(cuts.length).toBeGreaterThan(60);
});

test('a power loss while an unfinished restore is cleared: the same', async () => {
  const world = await source();
  let left: FaultyFileSystem | undefined;
  world.fs.before = async ({ call, path }) => {
    if (call === 'link' && path === `${to}/store.json`) left = await world.fs.crash('kept');
  };
  await restoreWith({ from, to }, world);
  const again = worldOn(left, undefined, 9);
  const cuts = await cutEverywhere(again, () => restoreWith({ from, to }, again));
  for (const fs of cuts) expect(['nothing', 'refused', 'whole']).toContain(await judge(fs));
});

test('the identity before the rest: directories that open and are not whole', async () => {
  const world = await source();
  const identity = (await readIdentity(world.fs, '/store'))!;
  const cuts: FaultyFileSystem[] = [];
  world.fs.before = async (call) => {
    if (!changes(call) || !call.path.startsWith(`${to}/`)) return;
    const cut = await world.fs.crash('kept');
    const storeId = '00'.repeat(16);
    const seed = Buffer.from(identity.seed).toString('hex');
    const { format, kind, keyGroups, place } = identity;
    const body = { format, kind, storeId, seed, keyGroups, place };
    await cut.put(`${to}/store.json`, encodeSealedJson(body));
    cuts.push(cut);
  };
  await restoreWith({ from, to }, world);
  const judged = [];
  for (const fs of cuts) judged.push(await judge(fs));
  const unsafe = judged.filter((what) => !['refused', 'nothing', 'whole'].includes(what));
  expect(unsafe.length).toBeGreaterThan(0);
});

test('a writer that collects the log below the moment that was looked at: the newer moment', async () => {
  const world = worldOn();
  const engine = await open(world, { retention: { checkpoints: 1 }, segmentBytesMax: 8192 });
  const value = engine.operator('op').value('v');
  const commit = async (): Promise<void> => {
    value.set('last', 'x'.repeat(3000));
    await engine.commit();
  };
  for (let i = 0; i < 4; i++) await commit();
  await engine.checkpoint();
  let isDue = true;
  world.fs.before = async ({ call, path }) => {
    if (!isDue || call !== 'makeDirectory' || path !== to) return;
    isDue = false;
    for (let i = 0; i < 12; i++) {
      await commit();
      await engine.checkpoint({ kind: 'base' });
    }
    await engine.collect();
  };
  const { lsn, sources } = await restoreWith({ from, to }, world);
  expect([lsn, sources[0]!.unprovedCommits]).toEqual([16, 0]);
  await engine.close();
});
