/*
 * `acceptLoss` on a timeline that is not the first, of which segments are lost: what is left is the past
 * of that timeline and of no other future, what is lost is told, and no LSN of it is given again.
 */
import { describe, expect, test } from 'vitest';
import { decodeTimeline } from '../../src/checkpoint/timelines/timeline-record.ts';
import type { Engine, EngineOptions } from '../../src/engine/index.ts';
import { repairStoreWith } from '../../src/engine/repair-store.ts';
import { lsnsPassedOver } from '../../src/recovery/accept-loss.ts';
import { verifyStoreWith } from '../../src/recovery/verify.ts';
import { codeOf, open, pathsIn, worldOn, type World } from '../engine/engine-fixture.ts';
import { cutEverywhere, flipIn, shortLog } from './damaged-worlds.ts';

const dir = '/store';
const plain = { ...shortLog, retention: false, compression: 'none' } as const;

function opened(world: World, options: Partial<EngineOptions> = {}): Promise<Engine> {
  return open(world, { ...plain, ...options });
}

/** Commits of one group, of which each has a key of its own; the last LSN. */
async function commit(engine: Engine, mark: string, count: number): Promise<number> {
  const value = engine.operator('op').value<string>('v');
  const waiting: Promise<{ lsn: number }>[] = [];
  for (let i = 0; i < count; i++) {
    const text = `${mark}${engine.stats().log.sealedLsn + 1}`;
    value.set('last', text);
    value.set(text, 'x'.repeat(300));
    waiting.push(engine.commit());
  }
  return (await Promise.all(waiting)).at(-1)!.lsn;
}

function last(engine: Engine): unknown {
  return engine.operator('op').value('v').get('last');
}

/**
 * Timeline 1: twelve commits, of which the fourth has a checkpoint, and the fifth begins a segment.
 * Timeline 2 left it at the eighth, inside a group, and has more commits in two segments.
 */
async function rewound(): Promise<World> {
  const world = worldOn();
  const first = await opened(world);
  await commit(first, 'a', 4);
  await first.checkpoint();
  await first.close();
  const second = await opened(world);
  await commit(second, 'a', 8);
  await second.close();
  const third = await opened(world, { recoverTo: { lsn: 8 } });
  expect(await commit(third, 'b', 4)).toBe(12);
  await third.close();
  const fourth = await opened(world);
  expect(await commit(fourth, 'b', 6)).toBe(18);
  await fourth.close();
  return world;
}

async function segmentsOf(world: World, timeline: number): Promise<string[]> {
  const paths = await pathsIn(world.fs, 'wal');
  const ending = `-${String(timeline).padStart(8, '0')}.wal`;
  return paths.filter((path) => path.endsWith(ending));
}

async function lose(world: World, paths: readonly string[]): Promise<void> {
  expect(paths.length).toBeGreaterThan(0);
  for (const path of paths) await world.fs.remove(path);
}

/** The segment in which timeline 2 left timeline 1. */
async function borderOf(world: World): Promise<string> {
  const [record] = await pathsIn(world.fs, 'timelines');
  const { fork } = decodeTimeline(await world.fs.read(record!), record!);
  const number = String(fork.position.segment).padStart(10, '0');
  return (await segmentsOf(world, 1)).find((path) => path.includes(`/${number}-`))!;
}

/** Opens with `acceptLoss`, and goes on: where it stands, and the LSN of the next commit. */
async function accept(world: World): Promise<{ loss: unknown; last: unknown; next: number }> {
  const code = await codeOf(opened(world));
  expect(['LOG_HOLE', 'CORRUPT_FRAME', 'CORRUPT_SNAPSHOT']).toContain(code);
  const engine = await opened(world, { acceptLoss: true });
  const { loss, timeline } = engine.recovery;
  expect(timeline).toBe(2);
  const found = { loss, last: last(engine) };
  const next = await commit(engine, 'c', 1);
  await engine.close();
  await expectGoesOn(world, `c${next}`);
  return { ...found, next };
}

/** It opens as any store, is checkpointed, gone back in, and sound but for the note of the loss. */
async function expectGoesOn(world: World, text: string): Promise<void> {
  const engine = await opened(world);
  expect(engine.recovery).toMatchObject({ timeline: 2, loss: undefined });
  expect(last(engine)).toBe(text);
  await engine.checkpoint();
  const lsn = await commit(engine, 'd', 1);
  await engine.close();
  const back = await opened(world, { recoverTo: { lsn: lsn - 1 } });
  expect(back.recovery.timeline).toBe(3);
  expect(last(back)).toBe(text);
  await back.close();
  const again = await opened(world, { recoverTo: { timeline: 2 } });
  expect(last(again)).toBe(`d${lsn}`);
  await again.close();
}

describe('segments of a timeline that was begun by going back are lost', () => {
  test('its first one: the past up to the fork is left, and the rest is passed over', async () => {
    const world = await rewound();
    await lose(world, (await segmentsOf(world, 2)).slice(0, 1));
    const found = await accept(world);
    const lost = { fromLsn: 9, throughLsn: 18, mayBeMore: false };
    expect(found).toMatchObject({ loss: { reachedLsn: 8, lost }, last: 'a8', next: 19 });
  });

  test('all of them: how many commits it had is not known, and as many as may be are passed over', async () => {
    const world = await rewound();
    await lose(world, await segmentsOf(world, 2));
    const found = await accept(world);
    const lost = { fromLsn: 9, throughLsn: 8, mayBeMore: true };
    expect(found).toMatchObject({ loss: { reachedLsn: 8, lost }, last: 'a8' });
    expect(found.next).toBe(8 + lsnsPassedOver + 1);
  });

  test('the one that it left the other in: the checkpoint before it is left', async () => {
    const world = await rewound();
    await lose(world, [await borderOf(world)]);
    const found = await accept(world);
    const lost = { fromLsn: 5, throughLsn: 18, mayBeMore: false };
    expect(found).toMatchObject({ loss: { reachedLsn: 4, lost }, last: 'a4', next: 19 });
  });

  test('its last one: what is before it is left, and there may have been more', async () => {
    const world = await rewound();
    await lose(world, (await segmentsOf(world, 2)).slice(-1));
    const found = await accept(world);
    const lost = { fromLsn: 13, throughLsn: 12, mayBeMore: true };
    expect(found).toMatchObject({ loss: { reachedLsn: 12, lost }, last: 'b12' });
    expect(found.next).toBe(12 + lsnsPassedOver + 1);
  });

  test('what is known of the commits: their keys, and not those of the future that was left', async () => {
    const world = await rewound();
    await lose(world, (await segmentsOf(world, 2)).slice(0, 1));
    const { loss } = await repairStoreWith({ dir, dryRun: true }, world);
    const keys = loss!.details!.keys.map(({ key }) => String(key));
    expect(keys.toSorted((a, b) => a.localeCompare(b))).toEqual([
      'b13',
      'b14',
      'b15',
      'b16',
      'b17',
      'b18',
      'last',
    ]);
    expect(loss!.details).toMatchObject({ readable: 6, unreadable: [{ from: 9, to: 13 }] });
  });
});

describe('a timeline that has no segment yet', () => {
  /** The record of timeline 2 is there, at LSN 8, and nothing else of it. */
  async function standing(): Promise<World> {
    const world = worldOn();
    const first = await opened(world);
    await commit(first, 'a', 4);
    await first.checkpoint();
    await first.close();
    const second = await opened(world);
    await commit(second, 'a', 8);
    await second.close();
    const cuts = await cutEverywhere(world, ['dropped'], async () => {
      await (await opened(world, { recoverTo: { lsn: 8 } })).close();
    });
    for (const fs of cuts) {
      const cut = worldOn(fs, undefined, 7);
      const hasRecord = (await pathsIn(fs, 'timelines')).some((path) => path.endsWith('.json'));
      if (hasRecord && (await segmentsOf(cut, 2)).length === 0) return cut;
    }
    throw new Error('no cut is between record and segment');
  }

  test('and loses the segment that it begins in: it goes on at its fork, whenever the power goes', async () => {
    const world = await standing();
    await lose(world, [await borderOf(world)]);
    const cuts = await cutEverywhere(world, ['dropped', 'kept'], async () => {
      const found = await accept(world);
      const lost = { fromLsn: 5, throughLsn: 8, mayBeMore: false };
      expect(found).toMatchObject({ loss: { reachedLsn: 4, lost }, last: 'a4', next: 9 });
    });
    let opening = 0;
    for (const fs of cuts.slice(0, 100).filter((_, i) => i % 5 === 0)) {
      const engine = await opened(worldOn(fs, undefined, 8), { acceptLoss: true });
      expect(engine.recovery.lsn).toBeGreaterThanOrEqual(8);
      if (last(engine) === 'a4') opening++;
      expect(await commit(engine, 'e', 1)).toBeGreaterThan(8);
      await engine.close();
    }
    expect(opening).toBeGreaterThan(5);
  });
});

describe('going back, and giving up what is damaged there', () => {
  test('the way that loses least, on the new timeline; the one that was left is whole', async () => {
    const world = worldOn();
    const first = await opened(world);
    await commit(first, 'a', 4);
    await first.checkpoint();
    await commit(first, 'a', 4);
    await first.close();
    const second = await opened(world);
    await commit(second, 'a', 2);
    await second.checkpoint({ kind: 'base' });
    await commit(second, 'a', 2);
    await second.close();
    await flipIn(world, 'wal', 'a6');
    expect(await codeOf(opened(world, { recoverTo: { lsn: 9 } }))).toBe('CORRUPT_FRAME');
    expect(await pathsIn(world.fs, 'timelines')).toEqual([]);
    const engine = await opened(world, { recoverTo: { lsn: 9 }, acceptLoss: true });
    const lost = { fromLsn: 5, throughLsn: 9, mayBeMore: false };
    expect(engine.recovery).toMatchObject({ timeline: 2, loss: { reachedLsn: 4, lost } });
    expect(last(engine)).toBe('a4');
    const next = await commit(engine, 'c', 1);
    expect(next).toBe(10);
    await engine.close();
    await expectGoesOn(world, `c${next}`);
    const back = await opened(world, { recoverTo: { timeline: 1 } });
    expect(last(back)).toBe('a12');
    await back.close();
    const { faults } = await verifyStoreWith({ dir }, world);
    expect(faults.some(({ what }) => what.includes('group'))).toBe(true);
  });
});
