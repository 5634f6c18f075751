/*
 * Repair and salvage: what is said beforehand is what is lost, a copy of everything is kept before
 * anything is touched, and what comes out of it is sound.
 */
import { describe, expect, test } from 'vitest';
import { openEngineWith } from '../../src/engine/open-engine.ts';
import { repairStoreWith, salvageStoreWith } from '../../src/engine/repair-store.ts';
import { describeLost } from '../../src/recovery/lost-commits.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import {
  codeOf,
  digests,
  errorOf,
  open,
  pathsIn,
  worldOn,
  type World,
} from '../engine/engine-fixture.ts';
import {
  cutEverywhere,
  flipIn,
  flipInLog,
  flipMiddle,
  fourCommits,
  shortLog,
} from './damaged-worlds.ts';
import { SeededRandom } from '../tools/seeded-random.ts';

const dir = '/store';

async function valueOf(world: World, where = dir, key = 'k'): Promise<unknown> {
  const engine = await openEngineWith({ dir: where, ...shortLog }, world);
  const value = engine.operator('op').value('v').get(key);
  await engine.close();
  return value;
}

/** The log behind the newest checkpoint is damaged: the last commit is lost. */
async function lastLost(): Promise<World> {
  const world = await fourCommits();
  await flipInLog(world, 'fourth');
  return world;
}

describe('repair', () => {
  test('a sound store: nothing is touched', async () => {
    const world = await fourCommits();
    const before = await digests(world.fs);
    const report = await repairStoreWith({ dir }, world);
    expect(report).toMatchObject({ faults: [], loss: undefined, keptIn: undefined, removed: [] });
    expect(await digests(world.fs)).toEqual(before);
  });

  test('a dry run: says what is damaged and what would be lost, by LSN and key; changes nothing', async () => {
    const world = await lastLost();
    const before = await digests(world.fs);
    const report = await repairStoreWith({ dir, dryRun: true }, world);
    expect(await digests(world.fs)).toEqual(before);
    expect(report.faults).toHaveLength(1);
    expect(report.loss).toMatchObject({
      from: 2,
      reachedLsn: 3,
      lost: { fromLsn: 4, throughLsn: 4 },
      details: { readable: 0, unreadable: [{ from: 4, to: 5 }] },
    });
    expect(report.paths[0]).toMatchObject({ checkpoint: 2, lsn: 3 });
  });

  test('a loss: as it was said, with a copy, and sound afterwards', async () => {
    const world = await lastLost();
    const report = await repairStoreWith({ dir }, world);
    expect(report).toMatchObject({ loss: { reachedLsn: 3 }, keptIn: '/store/given-up/0001' });
    expect(await valueOf(world)).toBe('third');
    // The mark says for good where commits were lost.
    for (const { what } of report.remaining)
      expect(what).toContain('commits behind it may be lost');
    expect((await pathsIn(world.fs, 'given-up/0001/snapshots')).length).toBeGreaterThan(0);
  });

  test.each([
    ['a record', 'checkpoints'],
    ['a snapshot', 'snapshots'],
  ])('%s that another way does without: nothing is lost, and it is taken away', async (_, part) => {
    for (const path of await pathsIn((await fourCommits()).fs, part)) {
      const world = await fourCommits();
      await flipMiddle(world, path);
      const dry = await repairStoreWith({ dir, dryRun: true }, world);
      expect([dry.faults.length, dry.loss, dry.keptIn]).toEqual([1, undefined, undefined]);
      const report = await repairStoreWith({ dir }, world);
      expect(report.loss).toBeUndefined();
      expect(report.removed.some((name) => path.endsWith(name))).toBe(true);
      expect(report.remaining).toEqual([]);
      expect(await world.fs.stat(`${report.keptIn}/${path.slice('/store/'.length)}`)).toBeDefined();
      expect(await valueOf(world)).toBe('fourth');
    }
  });

  test('damage of the log below the checkpoint: told to remain, and the state is whole', async () => {
    const world = await fourCommits();
    await flipInLog(world, 'second');
    const report = await repairStoreWith({ dir }, world);
    expect(report).toMatchObject({ loss: undefined, removed: [] });
    expect(report.remaining).toHaveLength(1);
    expect(await valueOf(world)).toBe('fourth');
  });

  test('optimistic: operators in place of commits', async () => {
    const world = worldOn();
    const engine = await open(world, { ...shortLog, compression: 'none' });
    for (const name of ['good', 'bad']) engine.operator(name).value('v').set('k', `${name} value`);
    await engine.commit();
    await engine.checkpoint();
    engine.operator('good').value('v').set('later', 1);
    await engine.commit();
    await engine.close();
    await flipIn(world, 'snapshots', 'bad value');
    await flipIn(world, 'wal', 'bad value');
    const dry = await repairStoreWith({ dir, dryRun: true, optimistic: true }, world);
    expect(dry.loss).toMatchObject({ missing: ['bad'], lost: undefined, reachedLsn: 2 });
    const report = await repairStoreWith({ dir, optimistic: true }, world);
    expect(report.loss).toMatchObject({ missing: ['bad'] });
    const again = await open(world, shortLog);
    expect(again.operator('good').value('v').get('later')).toBe(1);
    expect(again.missing).toEqual(['bad']);
    await again.close();
  });

  test('no way is left: the reason, and nothing is changed', async () => {
    const world = await fourCommits();
    for (const path of await pathsIn(world.fs, 'checkpoints')) await flipMiddle(world, path);
    for (const path of await pathsIn(world.fs, 'wal')) await world.fs.remove(path);
    const before = await digests(world.fs);
    expect(await codeOf(repairStoreWith({ dir }, world))).toBe('CORRUPT_RECORD');
    expect(await digests(world.fs)).toEqual(before);
  });

  test('an open store: LOCKED; no store: NOT_A_STORE; bad options: INVALID_OPTION', async () => {
    const world = await fourCommits();
    const engine = await open(world, shortLog);
    expect(await codeOf(repairStoreWith({ dir }, world))).toBe('LOCKED');
    await engine.close();
    expect(await codeOf(repairStoreWith({ dir: '/none' }, world))).toBe('NOT_A_STORE');
    for (const [name, options] of [
      ['dryRun', { dryRun: 1 }],
      ['optimistic', { optimistic: 1 }],
      ['force', { force: true }],
    ] as const) {
      const { details } = await errorOf(repairStoreWith({ dir, ...options } as never, world));
      expect(details['option']).toBe(name);
    }
  });

  test('a power loss at any change: it can be repaired again, and a copy is whole before anything goes', async () => {
    const world = await fourCommits();
    await flipMiddle(world, (await pathsIn(world.fs, 'checkpoints')).at(-1)!);
    const before = await world.fs.contents();
    const cuts = await cutEverywhere(world, [new SeededRandom(4)], () =>
      repairStoreWith({ dir }, world),
    );
    const seen = new Set<string>();
    // Every second: a repair, an opening and two verifications follow each.
    for (const fs of cuts.filter((_, i) => i % 2 === 0)) {
      const state = JSON.stringify(await digests(fs));
      if (seen.has(state)) continue;
      seen.add(state);
      const there = new Set((await fs.contents()).keys());
      const gone = [...before.keys()].filter(
        (path) => !there.has(path) && /\/(checkpoints|snapshots)\//.test(path),
      );
      if (gone.length > 0)
        expect([...there].some((path) => path.endsWith('given-up.json'))).toBe(true);
      const next = worldOn(fs, undefined, 5);
      const report = await repairStoreWith({ dir }, next);
      expect([report.loss, report.remaining]).toEqual([undefined, []]);
      expect(await valueOf(next)).toBe('fourth');
    }
    expect(seen.size).toBeGreaterThan(10);
  });
});

describe('salvage', () => {
  test('a damaged store: what is left in a second one, the first untouched, and what is lost', async () => {
    const world = await lastLost();
    const before = await digests(world.fs);
    const report = await salvageStoreWith({ dir, to: '/saved' }, world);
    const after = await digests(world.fs);
    for (const [path, digest] of Object.entries(before)) expect(after[path]).toBe(digest);
    expect(report).toMatchObject({
      reachedLsn: 3,
      lost: { fromLsn: 4, throughLsn: 4 },
      missing: [],
    });
    expect((await verifyStoreWith({ dir: '/saved' }, world)).faults).toEqual([]);
    expect(await valueOf(world, '/saved')).toBe('third');
    const engine = await openEngineWith({ dir: '/saved', ...shortLog }, world);
    expect(engine.operator('op').blob('b').get('big')).toEqual(new Uint8Array(1500).fill(2));
    expect(engine.positions['source']).toBe(3);
    expect((await engine.commit()).lsn).toBeGreaterThan(4);
    await engine.close();
  });

  test('a store of which nothing is lost: all of it', async () => {
    const world = await fourCommits();
    await flipMiddle(world, (await pathsIn(world.fs, 'checkpoints')).at(-1)!);
    const report = await salvageStoreWith({ dir, to: '/saved' }, world);
    expect(report).toMatchObject({ reachedLsn: 4, lsn: 4, lost: undefined, details: undefined });
    expect(await valueOf(world, '/saved')).toBe('fourth');
  });

  test('a directory that is not empty: STATE_EXISTS, and the lock of the first is free', async () => {
    const world = await lastLost();
    await world.fs.makeDirectory('/saved');
    await world.fs.put('/saved/mine', new Uint8Array(1));
    expect(await codeOf(salvageStoreWith({ dir, to: '/saved' }, world))).toBe('STATE_EXISTS');
    await salvageStoreWith({ dir, to: '/other' }, world);
  });
});

describe('what is known of lost commits', () => {
  test('commits behind damage that can still be read: their keys; what cannot: its LSNs', async () => {
    const world = await fourCommits();
    await flipInLog(world, 'second');
    const engine = await open(world, shortLog);
    const { tables } = (await engine.checkpoints()).at(-1)!;
    await engine.close();
    const lost = { fromLsn: 2, throughLsn: 6 };
    const found = await describeLost(world.fs, '/store/wal', lost, tables);
    expect(found.unreadable).toEqual([
      { from: 2, to: 3 },
      { from: 5, to: 7 },
    ]);
    expect(found.readable).toBe(2);
    expect(found.keys).toContainEqual({ operator: 'op', state: 'v', key: 'k', lsn: 4 });
    expect(found.keys).toContainEqual({ operator: 'op', state: 'v', key: 'k3', lsn: 3 });
    expect(found.keyCount).toBe(found.keys.length);
    const nameless = await describeLost(world.fs, '/store/wal', lost, []);
    expect(nameless.keys[0]).toMatchObject({ operator: undefined, state: undefined });
  });
});
