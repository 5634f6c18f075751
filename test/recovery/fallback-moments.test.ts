/*
 * Moments of the past of a store whose snapshots are damaged: a reader, a restore and a view reach each
 * of them by another checkpoint and the longer log behind it, and say so; where none does, the damage
 * is the error.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { restoreWith } from '../../src/engine/restore-store.ts';
import type { Target } from '../../src/engine/index.ts';
import { openReaderWith } from '../../src/recovery/reader.ts';
import { codeOf, errorOf, open, pathsIn, worldOn, type World } from '../engine/engine-fixture.ts';
import { flipMiddle, shortLog } from './damaged-worlds.ts';

const commits = 7;
/** Checkpoints of a chain that is merged in the middle, by what they are asked to be. */
const kinds = [undefined, 'delta', 'delta', 'base', 'delta', undefined, 'delta'] as const;

/** Commit n sets `last` and `k<n>` to n. */
async function made(): Promise<World> {
  const world = worldOn();
  const engine = await open(world, { ...shortLog, compression: 'none', retention: false });
  const state = engine.operator('op').value('v');
  for (const [i, kind] of kinds.entries()) {
    state.set('last', i + 1);
    state.set(`k${i + 1}`, i + 1);
    await engine.commit();
    if (kind) await engine.checkpoint({ kind, savepoint: `at ${i + 1}` });
  }
  await engine.close();
  return world;
}

let whole: World;
beforeAll(async () => {
  whole = await made();
});

const copied = async (): Promise<World> => worldOn(await whole.fs.crash('kept'), whole.clock, 7);

const damages: readonly [string, (world: World, path: string) => Promise<void>][] = [
  ['flipped', flipMiddle],
  ['cut', async ({ fs }, path) => fs.put(path, (await fs.read(path)).slice(0, 100))],
  ['deleted', ({ fs }, path) => fs.remove(path)],
];

/** Every moment that can be named, and its LSN. */
const targets: readonly (readonly [Target, number])[] = [
  ...Array.from({ length: commits }, (_, i) => [{ lsn: i + 1 }, i + 1] as const),
  ...kinds.flatMap((kind, i) => (kind ? [[{ savepoint: `at ${i + 1}` }, i + 1] as const] : [])),
];

const expected = (lsn: number): unknown[] => [lsn, lsn, lsn < commits ? undefined : lsn];

describe('a snapshot is damaged', () => {
  test.each(damages)('%s: readers reach every moment all the same', async (_, damage) => {
    let without = 0;
    for (const path of await pathsIn(whole.fs, 'snapshots')) {
      const world = await copied();
      await damage(world, path);
      for (const [at, lsn] of targets) {
        const reader = await openReaderWith({ dir: '/store', at }, world);
        const found = ['last', `k${lsn}`, `k${commits}`].map(
          (key) => reader.get('op', 'v', key)?.value,
        );
        expect([path, at, found]).toEqual([path, at, expected(lsn)]);
        without += reader.damage.length;
        await reader.close();
      }
    }
    // What is cut short or missing is seen before it is read, and is no way from the beginning.
    if (damage === damages[0]![1]) expect(without).toBeGreaterThan(4);
  });

  test.each(damages)(
    '%s: restores make every moment, and say what they did without',
    async (_, damage) => {
      let without = 0;
      for (const path of await pathsIn(whole.fs, 'snapshots')) {
        const world = await copied();
        await damage(world, path);
        for (const [i, [target, lsn]] of targets.entries()) {
          const to = `/copy${i}`;
          const report = await restoreWith({ from: { dir: '/store' }, to, target }, world);
          const reader = await openReaderWith({ dir: to }, world);
          const found = ['last', `k${lsn}`, `k${commits}`].map(
            (key) => reader.get('op', 'v', key)?.value,
          );
          expect([path, target, report.lsn, found]).toEqual([path, target, lsn, expected(lsn)]);
          await reader.close();
          without += report.sources[0]!.damage.length;
        }
        if (damage === damages[0]![1]) expect(without).toBeGreaterThan(0);
      }
    },
  );

  test.each(damages)('%s: views of an engine show every moment', async (_, damage) => {
    for (const path of await pathsIn(whole.fs, 'snapshots')) {
      const world = await copied();
      const options = { ...shortLog, retention: false, prefetch: 'aggressive' } as const;
      const engine = await open(world, options);
      await damage(world, path);
      for (const [target, lsn] of targets) {
        const view = await engine.viewAt(target);
        const state = view.operator('op').value('v');
        const found = ['last', `k${lsn}`, `k${commits}`].map((key) => state.get(key));
        expect([path, target, found]).toEqual([path, target, expected(lsn)]);
        await view.close();
      }
      await engine.close();
    }
  });
});

describe('nothing else leads to the moment', () => {
  /** The log before the damaged checkpoint is damaged as well. */
  async function cutOff(): Promise<World> {
    const world = await copied();
    const first = (await pathsIn(world.fs, 'wal')).find((path) => path.endsWith('.wal'));
    const bytes = (await world.fs.read(first!)).slice();
    bytes.fill(1, 200, 260);
    await world.fs.put(first!, bytes);
    return world;
  }

  test('the damage of the checkpoint is the error, for readers, restores and views', async () => {
    const world = await cutOff();
    for (const path of await pathsIn(world.fs, 'snapshots')) await flipMiddle(world, path);
    const at = { savepoint: 'at 2' };
    expect(await codeOf(openReaderWith({ dir: '/store', at }, world))).toBe('CORRUPT_SNAPSHOT');
    const order = { from: { dir: '/store' }, to: '/copy', target: at };
    expect(await codeOf(restoreWith(order, world))).toBe('CORRUPT_SNAPSHOT');
  });

  test('a checkpoint whose record cannot be read: its damage, and never that it is not there', async () => {
    const world = await copied();
    const [record] = await pathsIn(world.fs, 'checkpoints');
    await flipMiddle(world, record!);
    const id = Number(/(\d+)\.json$/.exec(record!)![1]);
    const one = { dir: '/store', at: { checkpoint: id } };
    expect(await codeOf(openReaderWith(one, world))).toBe('CORRUPT_RECORD');
    const named = await errorOf(
      openReaderWith({ dir: '/store', at: { savepoint: 'at 2' } }, world),
    );
    expect([named.code, named.details['unreadable']]).toEqual(['SAVEPOINT_NOT_FOUND', [id]]);
  });
});
