/*
 * A power loss at every change that a backup makes to the disk. The first backup leaves nothing that
 * opens, or the whole store; later ones leave the state of the last backup or more, without a fault,
 * and every checkpoint that is there can be restored. The next backup finishes. With records put before the
 * log that holds their positions, damage shows: the test can fail.
 */
import { expect, test } from 'vitest';
import { backupWith } from '../../src/engine/backup-store.ts';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { TidemarkError } from '../../src/errors.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { open, worldOn, type World } from '../engine/engine-fixture.ts';
import { changes, type CrashChoice, type FaultyFileSystem } from '../tools/faulty-file-system.ts';
import { SeededRandom } from '../tools/seeded-random.ts';

const to = '/copy';
const order = { from: { dir: '/store' }, to };

/** Opens the store, commits, checkpoints, collects. */
async function work(world: World, commits: number): Promise<void> {
  const engine = await open(world, { segmentBytesMax: 8192, retention: { checkpoints: 1 } });
  const value = engine.operator('op').value('v');
  for (let i = 0; i < commits; i++) {
    value.set(i, 'x'.repeat(700));
    const { lsn } = await engine.commit();
    value.set('last', lsn);
    if (i % 4 === 2) await engine.checkpoint({ kind: i === 2 ? 'base' : 'auto' });
  }
  await engine.commit();
  await engine.collect();
  await engine.close();
}

const choices: readonly CrashChoice[] = ['dropped', 'kept', new SeededRandom(11)];

async function cutEverywhere(
  { fs }: World,
  act: () => Promise<unknown>,
): Promise<FaultyFileSystem[]> {
  const cuts: Promise<FaultyFileSystem>[] = [];
  let count = 0;
  fs.before = (call) => {
    // Reading dominates: the choices take turns.
    if (changes(call)) cuts.push(fs.crash(choices[count++ % choices.length]!));
  };
  await act();
  fs.before = () => {};
  return Promise.all(cuts);
}

/** The last commit of a copy, or what is wrong with it. */
async function judge(fs: FaultyFileSystem): Promise<number | string> {
  const world = worldOn(fs, undefined, 5);
  try {
    const reader = await openReaderWith({ dir: to }, world);
    const { lsn } = reader;
    const last = reader.get('op', 'v', 'last')?.value;
    await reader.close();
    if (last !== lsn - 1) return `at LSN ${lsn} it holds ${String(last)}`;
    const { faults } = await verifyStoreWith({ dir: to }, world);
    return faults.length === 0 ? lsn : faults.map(({ what }) => what).join();
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    return error.code;
  }
}

test('the first backup: nothing opens before all is there, and the next one finishes', async () => {
  const world = worldOn();
  await work(world, 9);
  let lsn = 0;
  const cuts = await cutEverywhere(world, async () => {
    ({ lsn } = await backupWith(order, world));
  });
  const found = new Set<number | string>();
  for (const [i, fs] of cuts.entries()) {
    found.add(await judge(fs));
    if (i % 3 !== 0) continue;
    await backupWith(order, worldOn(fs, undefined, 7));
    expect(await judge(fs)).toBe(lsn);
  }
  expect([...found].map(String).sort()).toEqual([String(lsn), 'NOT_A_STORE']);
});

test(
  'later backups: the state of the last one, or more, whatever is cut',
  { timeout: 60_000 },
  async () => {
    const world = worldOn();
    await work(world, 9);
    let { lsn } = await backupWith(order, world);
    for (const commits of [6, 11]) {
      await work(world, commits);
      const before = lsn;
      const cuts = await cutEverywhere(world, async () => {
        ({ lsn } = await backupWith(order, world));
      });
      expect(lsn).toBeGreaterThan(before);
      const found = new Set<number | string>();
      for (const [i, fs] of cuts.entries()) {
        const judged = await judge(fs);
        expect(judged).toBeTypeOf('number');
        expect(Number(judged)).toBeGreaterThanOrEqual(before);
        found.add(judged);
        if (i % 7 !== 0) continue;
        if (i % 2 === 0) {
          const engine = await openEngineWith({ dir: to }, worldOn(fs, undefined, 9));
          expect(engine.recovery).toMatchObject({ lsn: judged, damagedHistory: false });
          await engine.close();
        } else {
          await backupWith(order, worldOn(fs, undefined, 7));
          expect(await judge(fs)).toBe(lsn);
        }
      }
      expect(found.size).toBeGreaterThan(1);
    }
  },
);

test('records before the log of their positions: a copy whose log ends before its record', async () => {
  const world = worldOn();
  await work(world, 9);
  await backupWith(order, world);
  await work(world, 6);
  const { fs } = world;
  const swapped: FaultyFileSystem[] = [];
  fs.before = async ({ call, path }) => {
    if (call !== 'rename' || !path.endsWith('.wal') || !path.startsWith(to)) return;
    const cut = await fs.crash('kept');
    for (const [name, bytes] of await fs.contents()) {
      if (!/\/store\/(checkpoints|snapshots)\//.test(name)) continue;
      await cut.put(name.replace('/store/', `${to}/`), bytes);
    }
    swapped.push(cut);
  };
  await backupWith(order, world);
  const judged = [];
  for (const cut of swapped) {
    const engine = await openEngineWith({ dir: to }, worldOn(cut, undefined, 9)).catch(
      () => undefined,
    );
    judged.push(engine?.recovery.damagedHistory ?? true);
    await engine?.close();
  }
  expect(judged).toContain(true);
});
