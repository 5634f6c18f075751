/*
 * Copies that would be made inside the store that they are of: refused before anything is written.
 */
import { describe, expect, test } from 'vitest';
import { backupWith } from '../../src/engine/backup-store.ts';
import { forkWith } from '../../src/engine/fork-store.ts';
import { salvageStoreWith } from '../../src/engine/repair-store.ts';
import { restoreWith } from '../../src/engine/restore-store.ts';
import { splitWith } from '../../src/engine/split-store.ts';
import { digests, errorOf, open, worldOn, type World } from '../engine/engine-fixture.ts';
import { fourCommits, shortLog } from './damaged-worlds.ts';

const dir = '/store';
const from = { dir };

const copies: Record<string, (world: World, to: string) => Promise<unknown>> = {
  restore: (world, to) => restoreWith({ from, to }, world),
  'restore of several': (world, to) =>
    restoreWith({ from: [{ dir: '/part' }, { dir }], to, gaps: true }, world),
  split: (world, to) => splitWith({ from, to: [to] }, world),
  fork: (world, to) => forkWith({ from, to }, world),
  backup: (world, to) => backupWith({ from, to }, world),
  salvage: (world, to) => salvageStoreWith({ dir, to }, world),
};

describe.each(Object.entries(copies))('%s', (_, copy) => {
  test.each(['/store/copy', '/store/snapshots/copy', '/other/../store/copy'])(
    'to %s: INVALID_OPTION, and nothing is written',
    async (to) => {
      const world = await fourCommits();
      const half = { from: 0, to: 2 };
      await restoreWith({ from, to: '/part', keyGroups: half }, world);
      const before = await digests(world.fs);
      const error = await errorOf(copy(world, to));
      expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option: 'to' } });
      expect(await digests(world.fs)).toEqual(before);
      expect(await world.fs.stat('/store/copy')).toBeUndefined();
    },
  );
});

test('a directory whose name only begins like that of the store: a fork is made', async () => {
  const world = await fourCommits();
  expect((await forkWith({ from, to: '/store-2' }, world)).dir).toBe('/store-2');
});

test('going back in a directory that is not there: NOT_A_STORE, and it is not made', async () => {
  const world = worldOn();
  const error = await errorOf(open(world, { ...shortLog, recoverTo: { lsn: 1 } }));
  expect(error.code).toBe('NOT_A_STORE');
  expect(await world.fs.stat(dir)).toBeUndefined();
});
