/*
 * Small files that nothing opens without, damaged or lost: repair makes them anew from what else says the
 * same, and a salvage reads by what it would make.
 */
import { describe, expect, test } from 'vitest';
import { decodeTimeline } from '../../src/checkpoint/timelines/timeline-record.ts';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { forkWith } from '../../src/engine/fork-store.ts';
import { repairStoreWith, salvageStoreWith } from '../../src/engine/repair-store.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { readIdentity } from '../../src/wal/identity.ts';
import { readLowWater } from '../../src/wal/low-water.ts';
import { codeOf, digests, open, pathsIn, worldOn, type World } from '../engine/engine-fixture.ts';
import { flipByte } from '../tools/flip-byte.ts';
import { cutEverywhere, flipInLog, flipMiddle, shortLog } from './damaged-worlds.ts';

const dir = '/store';
const identity = `${dir}/store.json`;
const lowWater = `${dir}/wal/low-water.json`;
const timeline = `${dir}/timelines/0000000002.json`;

function opened(world: World, options: Partial<EngineOptions> = {}): Promise<Engine> {
  world.clock.advance(1000);
  return open(world, { ...shortLog, retention: false, ...options });
}

async function commit(engine: Engine, mark: string, count: number): Promise<void> {
  const value = engine.operator('op').value<string>('v');
  const waiting: Promise<unknown>[] = [];
  for (let i = 0; i < count; i++) {
    value.set('last', `${mark}${engine.stats().log.sealedLsn + 1}`);
    waiting.push(engine.commit());
  }
  await Promise.all(waiting);
}

async function lastIn(world: World, options: Partial<EngineOptions> = {}): Promise<unknown> {
  const engine = await opened(world, options);
  const last = engine.operator('op').value('v').get('last');
  await engine.close();
  return last;
}

/** A store with a low-water record and a second timeline, which left the first one at the LSN. */
async function store(leftAt = 21): Promise<World> {
  const world = worldOn();
  for (let i = 0; i < 4; i++) {
    const engine = await opened(world, { retention: { checkpoints: 1 } });
    await commit(engine, 'a', 4);
    await engine.checkpoint({ kind: 'base' });
    await engine.collect();
    await engine.close();
  }
  const ahead = await opened(world);
  await commit(ahead, 'a', 8);
  await ahead.close();
  const back = await opened(world, { recoverTo: { lsn: leftAt } });
  await commit(back, 'b', 3);
  await back.close();
  const again = await opened(world);
  await commit(again, 'b', 2);
  await again.close();
  expect(await world.fs.stat(lowWater)).toBeDefined();
  return world;
}

async function faultsIn(world: World): Promise<readonly unknown[]> {
  return (await verifyStoreWith({ dir, level: 'full' }, world)).faults;
}

describe('a file that is damaged', () => {
  const all = [identity, lowWater, timeline];
  test.each([
    ['store.json', [identity], 'CORRUPT_STORE'],
    ['the low-water record', [lowWater], 'CORRUPT_RECORD'],
    ['the record of the current timeline', [timeline], 'CORRUPT_RECORD'],
    ['all of them', all, 'CORRUPT_STORE'],
  ])('%s: made anew, behind a copy, and everything is there', async (_, paths, code) => {
    const world = await store();
    const was = {
      identity: await readIdentity(world.fs, dir),
      lowWater: await readLowWater(world.fs, `${dir}/wal`),
      timeline: decodeTimeline(await world.fs.read(timeline), timeline),
    };
    for (const path of paths) await flipMiddle(world, path);
    const damaged = await digests(world.fs);
    expect(await codeOf(opened(world))).toBe(code);
    const names = paths.map((path) => path.slice(dir.length + 1));

    const dry = await repairStoreWith({ dir, dryRun: true }, world);
    expect(dry).toMatchObject({ loss: undefined, keptIn: undefined, checkpoint: undefined });
    expect(dry.rebuilt.toSorted()).toEqual(names.toSorted());
    expect(dry.faults.map(({ path }) => path).toSorted()).toEqual(paths.toSorted());
    expect(await digests(world.fs)).toEqual(damaged);

    const report = await repairStoreWith({ dir }, world);
    expect(report).toMatchObject({ loss: undefined, remaining: [], rebuilt: dry.rebuilt });
    for (const path of paths) {
      const kept = `${report.keptIn}/${path.slice(dir.length + 1)}`;
      expect((await digests(world.fs))[kept]).toBe(damaged[path]);
    }
    expect(await readIdentity(world.fs, dir)).toEqual(was.identity);
    expect(await readLowWater(world.fs, `${dir}/wal`)).toEqual(was.lowWater);
    const {
      createdAt: _when,
      epoch,
      ...made
    } = decodeTimeline(await world.fs.read(timeline), timeline);
    expect(was.timeline).toMatchObject(made);
    expect(epoch).toBeGreaterThanOrEqual(was.timeline.epoch);
    expect(await faultsIn(world)).toEqual([]);
    expect(await lastIn(world)).toBe('b26');
    expect(await lastIn(world, { recoverTo: { timeline: 1 } })).toBe('a24');
  });

  test('store.json is gone: made anew', async () => {
    const world = await store();
    const was = await readIdentity(world.fs, dir);
    await world.fs.remove(identity);
    expect(await codeOf(opened(world))).toBe('CORRUPT_STORE');
    await repairStoreWith({ dir }, world);
    expect(await readIdentity(world.fs, dir)).toEqual(was);
    expect(await lastIn(world)).toBe('b26');
  });

  test.each([16, 17, 20, 23])(
    'a timeline that began at LSN %i: its record is as it was',
    async (lsn) => {
      const world = await store(lsn);
      const was = decodeTimeline(await world.fs.read(timeline), timeline);
      await flipMiddle(world, timeline);
      await repairStoreWith({ dir }, world);
      const { fork, from, forkTimestamp } = decodeTimeline(await world.fs.read(timeline), timeline);
      expect({ fork, from, forkTimestamp }).toEqual({
        fork: was.fork,
        from: was.from,
        forkTimestamp: was.forkTimestamp,
      });
      expect(await faultsIn(world)).toEqual([]);
    },
  );

  test('the first timeline of a fork: its record names the parent again', async () => {
    const world = await store();
    await forkWith({ from: { dir }, to: '/fork' }, world);
    const own = await opened(world, { dir: '/fork' });
    await commit(own, 'c', 1);
    await own.close();
    const path = '/fork/timelines/0000000003.json';
    const was = decodeTimeline(await world.fs.read(path), path);
    await flipMiddle(world, path);
    expect(await codeOf(opened(world, { dir: '/fork' }))).toBe('CORRUPT_RECORD');
    await repairStoreWith({ dir: '/fork' }, world);
    const made = decodeTimeline(await world.fs.read(path), path);
    const { parent, lsn, position } = was.fork;
    const { segment, timeline: left } = position;
    const fork = { parent, lsn, position: { segment, timeline: left, lsn: position.lsn } };
    expect(made).toMatchObject({ store: was.store, fork });
    expect(await lastIn(world, { dir: '/fork' })).toBe('c27');
  });

  test('power is lost at any change of the repair: it opens, or is repaired then', async () => {
    const world = await store();
    for (const path of [identity, lowWater, timeline]) await flipMiddle(world, path);
    const cuts = await cutEverywhere(world, ['dropped', 'kept'], () =>
      repairStoreWith({ dir }, world),
    );
    for (const fs of cuts.filter((_, i) => i % 7 === 0)) {
      const cut = worldOn(fs, undefined, 5);
      await repairStoreWith({ dir }, cut);
      expect(await lastIn(cut)).toBe('b26');
    }
    expect(cuts.length).toBeGreaterThan(40);
  });
});

describe('a file that cannot be made anew', () => {
  test('store.json beside a log alone: refused by repair; a salvage reads the log', async () => {
    const world = worldOn();
    const engine = await opened(world);
    await commit(engine, 'a', 5);
    await engine.close();
    await flipMiddle(world, identity);
    const before = await digests(world.fs);
    expect(await codeOf(repairStoreWith({ dir }, world))).toBe('CORRUPT_STORE');
    const saved = await salvageStoreWith({ dir, to: '/saved' }, world);
    expect(saved).toMatchObject({ reachedLsn: 5, lost: undefined, rebuilt: ['store.json'] });
    expect(await digests(world.fs)).toMatchObject(before);
    // How many key groups it had is said by nothing.
    expect(await lastIn(world, { dir: '/saved', keyGroups: 128 })).toBe('a5');
  });

  test('store.json, and no footer of a snapshot: refused, nothing was changed', async () => {
    const world = await store();
    await flipMiddle(world, identity);
    for (const path of await pathsIn(world.fs, 'snapshots')) {
      const bytes = await world.fs.read(path);
      bytes[bytes.length - 20]! ^= 1;
      await world.fs.put(path, bytes);
    }
    const before = await digests(world.fs);
    expect(await codeOf(repairStoreWith({ dir }, world))).toBe('CORRUPT_STORE');
    expect(await codeOf(salvageStoreWith({ dir, to: '/saved' }, world))).toBe('CORRUPT_STORE');
    expect(await digests(world.fs)).toEqual(before);
  });

  test('the record of a timeline whose first segment is gone too: refused', async () => {
    const world = await store();
    await flipMiddle(world, timeline);
    const paths = await pathsIn(world.fs, 'wal');
    await world.fs.remove(paths.find((path) => path.includes('-00000002'))!);
    expect(await codeOf(repairStoreWith({ dir }, world))).toBe('CORRUPT_RECORD');
  });

  test('a salvage of a store of which all three are damaged: everything, and it is only read', async () => {
    const world = await store();
    for (const path of [identity, lowWater, timeline]) await flipMiddle(world, path);
    const before = await digests(world.fs);
    const saved = await salvageStoreWith({ dir, to: '/saved' }, world);
    expect(saved).toMatchObject({ reachedLsn: 26, lost: undefined });
    expect(saved.rebuilt).toHaveLength(3);
    expect(await digests(world.fs)).toMatchObject(before);
    expect(await lastIn(world, { dir: '/saved' })).toBe('b26');
  });
});

describe('a timeline of which nothing was proved when the power went', () => {
  /** LSN 3 was given on both; the first segment of the second one begins with its own LSN 3. */
  async function cutStore(): Promise<World> {
    const world = worldOn();
    const engine = await opened(world);
    await commit(engine, 'a', 1);
    await commit(engine, 'a', 1);
    await engine.checkpoint();
    await commit(engine, 'a', 1);
    await engine.checkpoint();
    await engine.close();
    const back = await opened(world, { recoverTo: { lsn: 2 } });
    await commit(back, 'b', 1);
    const cut = worldOn(await world.fs.crash('kept'));
    await back.close();
    expect(await lastIn(cut)).toBe('b3');
    return cut;
  }

  test('its record is of where it began, and not of what the other one had at the same LSN', async () => {
    const world = await cutStore();
    const was = decodeTimeline(await world.fs.read(timeline), timeline);
    await flipMiddle(world, timeline);
    await repairStoreWith({ dir }, world);
    const { fork, forkTimestamp } = decodeTimeline(await world.fs.read(timeline), timeline);
    expect({ fork, forkTimestamp }).toEqual({ fork: was.fork, forkTimestamp: was.forkTimestamp });
    expect(await lastIn(world)).toBe('b3');
    expect(await lastIn(world, { recoverTo: { timeline: 1 } })).toBe('a3');
  });

  test('what the other one has there is damaged: no record is made', async () => {
    const world = await cutStore();
    await flipMiddle(world, timeline);
    await flipInLog(world, 'a3');
    expect(await codeOf(repairStoreWith({ dir }, world))).toBe('CORRUPT_RECORD');
  });
});

test('the low-water record and the header of the oldest segment: what is there stays', async () => {
  const world = await store();
  const oldest = (await pathsIn(world.fs, 'wal')).find((path) => path.endsWith('.wal'));
  await flipMiddle(world, lowWater);
  await flipByte(world.fs, oldest!, 20);
  const bytes = await world.fs.read(oldest!);
  await repairStoreWith({ dir }, world);
  expect(await lastIn(world)).toBe('b26');
  expect(await world.fs.read(oldest!)).toEqual(bytes);
  expect(JSON.stringify(await faultsIn(world))).toContain(oldest);
});
